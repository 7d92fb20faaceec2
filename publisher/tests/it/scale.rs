//! Publishing to many regions: it is concurrent, and it needs little memory.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    gate::Gate,
    proxy::{Proxy, Verdict},
    stand_in::StandIn,
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
    // The memory has to be polled, because the kernel gives no event when it grows.
    while !running.has_ended() {
        peak = peak.max(running.allocated_memory().unwrap_or(peak));
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
fn all_regions_are_worked_on_at_once() {
    // There are two layers in each region.
    const ALL: usize = 2 * REGIONS;
    let owner = Account::new(ministack());
    let dist = Dist::new("all at once");
    let (looks, grants) = (Gate::default(), Gate::default());
    let (look, grant) = (looks.clone(), grants.clone());
    let mut stand_in = StandIn::new(REGIONS, &dist);
    let proxy = Proxy::start(ministack().address(), move |seen| {
        let verdict = stand_in.answer(seen);
        match (&*seen.service, seen.grants(), seen.line.starts_with("GET ")) {
            ("lambda", true, _) => Verdict::HoldThen(grant.clone(), Box::new(verdict)),
            ("lambda", _, true) => Verdict::HoldThen(look.clone(), Box::new(verdict)),
            _ => verdict,
        }
    });
    let running = Publisher::at(&proxy.url(), &owner.key).spawn(&dist, &["publish", "--execute"]);
    // The proxy answers nothing until this many requests are waiting: first the list requests of all layers, then their
    // grants. So the test passes only if all layers are worked on concurrently.
    for gate in [looks, grants] {
        gate.reached_by(ALL);
        gate.open(true);
    }
    running.wait().expect(0).says("68 published");
}

#[test]
fn never_more_uploads_at_once_than_allowed() {
    let owner = Account::new(ministack());
    // The zip is larger than any socket buffer and the peer does not read it. So each upload keeps its place.
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
    while uploads() < 3 && started.elapsed() < Duration::from_mins(2) {
        thread::sleep(Duration::from_millis(20));
    }
    // A missing further upload gives no event, so the test has to wait for a while.
    thread::sleep(Duration::from_secs(1));
    running.kill();
    assert_eq!(uploads(), 3);
}
