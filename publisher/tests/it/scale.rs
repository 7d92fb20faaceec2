//! Many regions at once: how long, and how much memory.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    proxy::{Proxy, Verdict},
    stand_in::{LATENCY, StandIn},
};
use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

const REGIONS: usize = 34;
const MEGABYTE: u64 = 1_000_000;

#[test]
fn zips_of_45_megabytes_to_34_regions_take_little_more_memory_than_the_zips() {
    let owner = Account::new(ministack());
    let dist = Dist::large(45_000_000);
    let mut stand_in = StandIn::new(REGIONS, &dist);
    let proxy = Proxy::start(ministack().address(), move |seen| stand_in.answer(seen));
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let mut running = publisher.spawn(&dist, &["publish", "--execute"]);
    let mut peak = 0;
    // A process does not tell when its memory grows.
    while !running.has_ended() {
        peak = peak.max(running.peak_memory().unwrap_or(peak));
        thread::sleep(Duration::from_millis(20));
    }
    let run = running.wait().expect(0).says("68 published");
    println!("34 regions x 2 zips of 45 MB: peak {} MB, {:.1} s", peak / MEGABYTE, run.took.as_secs_f64());
    assert!(peak > 45 * MEGABYTE, "nothing was measured");
    assert!(peak < (2 * 45 + 100) * MEGABYTE, "peak {} MB", peak / MEGABYTE);
    let places: HashSet<String> =
        proxy.requests().iter().filter(|s| s.publishes()).map(|s| s.region.clone()).collect();
    assert_eq!(places.len(), REGIONS);
}

#[test]
fn all_regions_take_about_as_long_as_one() {
    let owner = Account::new(ministack());
    let took = |dist: &Dist, more: &[&str]| {
        let mut stand_in = StandIn::new(REGIONS, dist);
        let proxy = Proxy::with_latency(ministack().address(), LATENCY, move |seen| stand_in.answer(seen));
        let publisher = Publisher::at(&proxy.url(), &owner.key);
        publisher
            .run(dist, &[["publish", "--execute"].as_slice(), more].concat())
            .expect(0)
            .took
            .as_secs_f64()
    };
    let one = took(&Dist::new("one alone"), &["--regions", "xx-test-1"]);
    let all = took(&Dist::new("all at once"), &[]);
    println!("one region {one:.2} s, {REGIONS} regions {all:.2} s: {:.2} times as long", all / one);
    assert!(all < 3.0 * one, "{all} s against {one} s");
}

#[test]
fn no_more_uploads_at_once_than_allowed() {
    let owner = Account::new(ministack());
    // No socket buffer takes this, and nobody reads it: what has room keeps it.
    let dist = Dist::large(20_000_000);
    let proxy =
        Proxy::start(
            ministack().address(),
            |seen| {
                if seen.publishes() { Verdict::Stall } else { Verdict::Forward }
            },
        );
    let uploads = || proxy.requests().iter().filter(|seen| seen.publishes()).count();
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let running = publisher.spawn(&dist, &["publish", "--execute", "--max-uploads", "3"]);
    let started = Instant::now();
    while uploads() < 3 && started.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(20));
    }
    // That no other follows is no event.
    thread::sleep(Duration::from_secs(1));
    running.kill();
    assert_eq!(uploads(), 3);
}
