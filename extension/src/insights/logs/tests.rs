use super::*;
use std::time::Duration;

fn logs(level: LogLevel, budget: usize) -> Logs {
    Logs::new(FunctionLogs { level, budget }, &LogContext::default())
}

fn line(message: &str, level: Option<LogLevel>) -> Line<'_> {
    Line { message: message.into(), level, ..Line::default() }
}

fn take(logs: &mut Logs, line: &Line<'_>) {
    logs.take(Some(line), None, SystemTime::UNIX_EPOCH + Duration::from_hours(1));
}

#[test]
fn the_setting_is_the_lowest_level_and_a_line_without_one_is_information() {
    let mut logs = logs(LogLevel::Info, usize::MAX);
    for level in
        [None, Some(LogLevel::Debug), Some(LogLevel::Trace), Some(LogLevel::Info), Some(LogLevel::Fatal)]
    {
        take(&mut logs, &line("text", level));
    }
    logs.take(None, None, SystemTime::UNIX_EPOCH);
    let counts = logs.counts();
    assert_eq!((counts.read, counts.left_out, counts.queued.logs), (6, 3, 3));
    let levels: Vec<_> = logs.breadcrumbs(None).iter().map(|crumb| crumb["level"].clone()).collect();
    assert_eq!(levels, ["info", "info", "fatal"]);
}

#[test]
fn what_is_over_the_budget_is_counted_and_reported_once() {
    let one = {
        let mut logs = logs(LogLevel::Info, usize::MAX);
        take(&mut logs, &line("ten bytes.", None));
        logs.counts().queued.bytes
    };
    let mut logs = logs(LogLevel::Info, usize::try_from(one).unwrap() * 2);
    for _ in 0..5 {
        take(&mut logs, &line("ten bytes.", None));
    }
    let over = LogCount { logs: 3, bytes: 3 * one };
    let counts = logs.counts();
    assert_eq!((counts.queued, counts.over_budget), (LogCount { logs: 2, bytes: 2 * one }, over));
    assert_eq!((logs.take_unreported(), logs.take_unreported()), (over, LogCount::default()));
    let container = logs.container(|_| LogContext::default()).unwrap();
    assert_eq!((container.count, container.billed as u64), (2, 2 * one));
}

#[test]
fn what_was_learnt_later_counts_in_the_budget() {
    let mut logs = logs(LogLevel::Info, usize::MAX);
    take(&mut logs, &line("text", None));
    let before = logs.counts().queued.bytes;
    let release = Some("shop@1".to_owned());
    let container =
        logs.container(|_| LogContext { release: release.clone(), ..LogContext::default() }).unwrap();
    let added = ("sentry.release".len() + "shop@1".len()) as u64;
    assert_eq!((container.billed as u64, logs.counts().queued.bytes), (before + added, before + added));
    assert!(logs.container(|_| LogContext::default()).is_none());
}
