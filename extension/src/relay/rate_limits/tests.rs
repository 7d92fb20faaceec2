use super::*;

fn key() -> PublicKey {
    PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap()
}

fn items(names: &[&str]) -> Vec<Item> {
    names.iter().map(|name| Item { kind: ItemKind::of(name), count: 1, bytes: 1 }).collect()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// Returns which items are kept when this header is in force.
fn kept(header: &str, names: &[&str]) -> Vec<bool> {
    let mut rate_limits = RateLimits::default();
    rate_limits.update(&key(), header, now());
    rate_limits.check(&key(), &items(names), now()).keep
}

#[test]
fn limited_items_are_removed_and_the_rest_is_kept() {
    assert_eq!(kept("60:error:key", &["event", "session"]), [false, true]);
    assert_eq!(kept("60:transaction;span:key:reason", &["transaction", "log"]), [false, true]);
    assert_eq!(kept("60::organization", &["event", "log", "client_report"]), [false, false, true]);
    assert_eq!(kept("60:metric_bucket:organization", &["event"]), [true]);
    assert_eq!(kept("60:error, 30:log_item:key", &["event", "log", "span"]), [false, false, true]);
    assert_eq!(kept("nonsense, :error, x:error:key", &["event"]), [true]);
}

#[test]
fn a_removed_event_removes_its_attachments_and_profile() {
    assert_eq!(kept("60:error:key", &["attachment", "event"]), [false, false]);
    assert_eq!(kept("60:transaction:key", &["transaction", "profile"]), [false, false]);
    assert_eq!(kept("60:session:key", &["session", "attachment"]), [false, true]);
}

#[test]
fn limits_apply_to_their_own_key_only() {
    let other = PublicKey::parse("ffffffffffffffffffffffffffffffff").unwrap();
    let mut rate_limits = RateLimits::default();
    rate_limits.update_all(&key(), None, now());
    assert!(rate_limits.check(&key(), &items(&["event"]), now()).keeps_none());
    assert!(rate_limits.check(&other, &items(&["event"]), now()).keeps_all());
    assert_eq!(rate_limits.header(&other, now()), None);
}

#[test]
fn limits_end_by_the_wall_clock_even_if_it_jumps() {
    let mut rate_limits = RateLimits::default();
    rate_limits.update(&key(), "60:error:key:quota", now());
    let keeps = |at| rate_limits.check(&key(), &items(&["event"]), at).keeps_all();
    assert!(!keeps(now() + Duration::from_secs(59)));
    assert!(keeps(now() + Duration::from_mins(1)));
    assert!(keeps(now() + Duration::from_hours(9)));
    assert!(keeps(now() - Duration::from_secs(1)), "the clock shows a time before the limit was set");
}

#[test]
fn the_header_repeats_limits_with_the_seconds_left() {
    let mut rate_limits = RateLimits::default();
    rate_limits.update(&key(), "60:error;transaction:key:quota, 10:log_item:project", now());
    let later = now() + Duration::from_millis(500);
    let check = rate_limits.check(&key(), &items(&["event"]), later);
    assert_eq!(check.retry_after, 60);
    let header = rate_limits.header(&key(), later).unwrap();
    assert_eq!(header, "60:error;transaction:key:quota, 10:log_item:project");
    rate_limits.update(&key(), "5:error;transaction:key:quota", later);
    let header = rate_limits.header(&key(), later).unwrap();
    assert_eq!(
        header, "10:log_item:project, 5:error;transaction:key:quota",
        "the newer limit replaces the older"
    );
}

#[test]
fn long_limits_reach_sdks_whole_or_without_whole_names() {
    let header_of = |header: &str| {
        let mut rate_limits = RateLimits::default();
        rate_limits.update(&key(), header, now());
        rate_limits.header(&key(), now()).unwrap_or_default()
    };
    let names: Vec<String> = (0..40).map(|n| format!("category_number_{n}")).collect();
    let long = format!("60:error;{}:organization:quota", names.join(";"));
    assert!(long.len() > 600);
    assert_eq!(header_of(&long), long, "nothing is cut");
    assert_eq!(header_of(&format!("60:error:key:{}", "r".repeat(3000))), "60:error:key");
    assert_eq!(header_of(&format!("60:error:key:{}:custom", "r".repeat(3000))), "60:error:key::custom");
    assert_eq!(header_of(&format!("60::key:{}", "r".repeat(3000))), "60::key");
    let many = format!("60:error;{}:key:quota", "some_category;".repeat(10_000));
    let cut = header_of(&many);
    assert!(cut.starts_with("60:error;some_category;") && cut.ends_with(";some_category:key"), "{cut}");
    assert!(cut.len() < MAX_TEXT);
    let unknown = format!("60:error;{}:{}:quota", "x".repeat(3000), "s".repeat(3000));
    assert_eq!(header_of(&unknown), "", "it is kept to here alone");
    assert_eq!(kept(&unknown, &["event", "log"]), [false, true]);
    assert_eq!(kept(&many, &["event", "log"]), [false, true]);
    let all: Vec<String> = (0..64).map(|n| format!("60:error:key:{n}{}", "r".repeat(1000))).collect();
    let header = header_of(&all.join(","));
    assert!(header.len() < MAX_HEADER + 2000 && header.matches("60:error").count() >= 7, "{header}");
}

#[test]
fn the_number_of_limits_is_bounded() {
    let mut rate_limits = RateLimits::default();
    for n in 0..1000 {
        rate_limits.update(&key(), &format!("60:error:key:reason{n}"), now());
    }
    assert_eq!(rate_limits.0.len(), MAX_LIMITS);
}
