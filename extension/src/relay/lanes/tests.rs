//! Tests of what a lane remembers of its upstream.

use super::*;
use std::time::UNIX_EPOCH;

fn upstream(port: usize) -> Arc<Upstream> {
    Arc::new(Upstream::parse(&format!("http://127.0.0.1:{port}")).unwrap())
}

fn assign(lanes: &mut Lanes, port: usize, clock: Instant) -> LaneId {
    lanes.assign(&upstream(port), |_| false, clock, UNIX_EPOCH)
}

#[test]
fn each_upstream_has_its_own_pause() {
    let clock = Instant::now();
    let mut lanes = Lanes::default();
    let [one, other] = [1, 2].map(|port| assign(&mut lanes, port, clock));
    lanes.failed(one, UNIX_EPOCH, |backoff| backoff.failed(clock, 1.0, None));
    assert!(lanes.has_outage(one) && !lanes.has_outage(other));
    assert!(lanes.pause(one, clock).is_some() && lanes.pause(other, clock).is_none());
    assert_eq!(assign(&mut lanes, 1, clock), one, "upstreams are compared by value, not by address");
    lanes.catch_up(UNIX_EPOCH);
    assert!(lanes.pause(one, clock).is_some());
    lanes.catch_up(UNIX_EPOCH + Duration::from_hours(1));
    assert!(lanes.has_outage(one) && lanes.pause(one, clock).is_none());
    lanes.failed(one, UNIX_EPOCH, |backoff| backoff.failed(clock, 1.0, None));
    lanes.end_pauses();
    assert!(lanes.has_outage(one) && lanes.pause(one, clock).is_none());
    lanes.responded(one);
    assert!(!lanes.any_outage());
}

#[test]
fn no_number_of_upstreams_makes_a_running_pause_forgotten() {
    let clock = Instant::now();
    let mut lanes = Lanes::default();
    let ids: Vec<LaneId> = (1..=100)
        .map(|port| {
            let id = assign(&mut lanes, port, clock);
            lanes.failed(id, UNIX_EPOCH, |backoff| backoff.failed(clock, 1.0, None));
            id
        })
        .collect();
    assert!(ids.iter().all(|id| lanes.pause(*id, clock).is_some()));
    assert_eq!(ids[OWN_LANES..], vec![LaneId::SHARED; 100 - OWN_LANES]);
    let later = clock + Duration::from_mins(1);
    let now = UNIX_EPOCH + Duration::from_mins(2);
    let reused = lanes.assign(&upstream(101), |_| false, later, now);
    assert_ne!(reused, LaneId::SHARED, "a lane is free again when its pause is over and nothing waits in it");
    assert!(!lanes.has_outage(reused));
    assert_eq!(lanes.assign(&upstream(102), |_| true, later, now), LaneId::SHARED);
}

#[test]
fn answer_time_follows_faster_answers_at_once() {
    let mut lanes = Lanes::default();
    let id = assign(&mut lanes, 1, Instant::now());
    for (took, expected) in [(100, 100), (900, 200), (50, 50)] {
        lanes.answered_within(id, Duration::from_millis(took));
        assert_eq!(lanes.get(id).unwrap().answer_time, Some(Duration::from_millis(expected)));
    }
}

#[test]
fn unanswered_requests_and_slow_answers_give_more_time() {
    let second = Duration::from_secs(1);
    let mut lanes = Lanes::default();
    let id = assign(&mut lanes, 1, Instant::now());
    assert_eq!(lanes.time_limit(id, 2 * second), 2 * second);
    let limits: Vec<Duration> = (0..6)
        .map(|_| {
            lanes.unanswered(id, Instant::now());
            lanes.time_limit(id, 2 * second)
        })
        .collect();
    assert_eq!(limits, [4, 8, 16, 30, 30, 30].map(Duration::from_secs));
    assert_eq!(lanes.time_limit(id, 60 * second), 60 * second, "the setting may be longer");
    lanes.answered_within(id, 3 * second);
    assert_eq!(lanes.time_limit(id, 2 * second), 6 * second);
    for _ in 0..20 {
        lanes.answered_within(id, second / 10);
    }
    assert_eq!(lanes.time_limit(id, 2 * second), 2 * second);
}
