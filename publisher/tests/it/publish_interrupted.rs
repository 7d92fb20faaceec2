//! The progress that a user sees, and what Ctrl-C does.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, layer_name},
    emulator::{ministack, tools},
    gate::Gate,
    proxy::{Proxy, Verdict},
};
use serde_json::Value;

const ARGS: [&str; 4] = ["publish", "--execute", "--regions", "eu-west-1,us-east-1"];

#[test]
fn ctrl_c_finishes_what_has_begun_and_begins_nothing_more() {
    let owner = Account::new(ministack());
    let dist = Dist::new("ctrl-c");
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() { Verdict::Hold(hold.clone()) } else { Verdict::Forward }
    });
    // Only one upload may run at a time, so one has begun and three are waiting.
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = [ARGS.as_slice(), &["--max-uploads", "1"]].concat();
    let mut running = publisher.spawn(&dist, &args);
    gate.reached();
    running.interrupt();
    running.says("finishing what has begun");
    gate.open(true);
    let run =
        running.wait().expect(3).says("1 published, 3 failed").says("run the same command again to resume");
    assert_eq!(
        run.stdout.matches("interrupted before anything was written here").count(),
        3,
        "{}",
        run.stdout
    );
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &ARGS).expect(0).says("1 adopted");
    for region in ["eu-west-1", "us-east-1"] {
        for arch in ARCHES {
            assert_eq!(owner.versions(region, &layer_name(arch)), [1]);
        }
    }
}

#[test]
fn a_second_ctrl_c_ends_the_run_at_once() {
    let owner = Account::new(ministack());
    let dist = Dist::new("ctrl-c twice");
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() { Verdict::HoldAnswer(hold.clone()) } else { Verdict::Forward }
    });
    let mut running = Publisher::at(&proxy.url(), &owner.key).spawn(&dist, &ARGS);
    gate.reached_by(4);
    running.interrupt();
    running.says("finishing what has begun");
    running.interrupt();
    running.says("stopping at once");
    running.wait().expect(3).says("interrupted; the next run checks how far this one got");
    gate.open(false);
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &ARGS).expect(0);
    for arch in ARCHES {
        assert_eq!(owner.versions("eu-west-1", &layer_name(arch)), [1]);
    }
}

#[test]
fn json_output_is_one_event_a_line_on_stderr_and_the_result_on_stdout() {
    let owner = Account::new(ministack());
    let dist = Dist::new("events");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let run = publisher.run(&dist, &[ARGS.as_slice(), &["--json"]].concat()).expect(0);
    let events: Vec<Value> = run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    assert_eq!(of("plan").len(), 1);
    assert_eq!(of("plan")[0]["regions"].as_array().unwrap().len(), 4);
    assert_eq!(of("ended").last().unwrap()["ended"], 4);
    assert_eq!(of("ended")[0]["total"], 4);
    assert_eq!(of("ended")[0]["row"]["done"], true);
    let states: Vec<&str> = of("state")
        .iter()
        .filter(|event| event["region"] == "eu-west-1" && event["arch"] == "arm64")
        .map(|event| event["state"].as_str().unwrap())
        .collect();
    let expected = ["looking", "waiting", "publishing", "published", "granting", "granted", "done"];
    assert_eq!(states, expected);
    assert_eq!(run.json()["regions"].as_array().unwrap().len(), 4);
    let run = publisher.run(&Dist::new("none"), &["verify", "--json"]).expect(1);
    let last: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["code"]), (&"error".into(), &1.into()));
}

#[test]
fn a_terminal_shows_a_line_for_each_region_and_a_bar() {
    let owner = Account::new(ministack());
    let dist = Dist::new("terminal");
    let publisher = Publisher::at(&ministack().url(), &owner.key).env("TERM", "xterm");
    // The publisher runs in a terminal of 100 columns, and the script keeps what it writes.
    let script = "import os, pty, sys, termios, fcntl, struct\n\
        pid, fd = pty.fork()\n\
        if pid == 0:\n    os.execv(sys.argv[1], sys.argv[1:])\n\
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 100, 0, 0))\n\
        out = b''\n\
        while True:\n\
        \x20   try: data = os.read(fd, 65536)\n\
        \x20   except OSError: break\n\
        \x20   if not data: break\n\
        \x20   out += data\n\
        sys.stdout.buffer.write(out)\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let python = tools().join("python");
    let mut command = publisher.command(python.as_os_str());
    command.args(["-c", script, env!("CARGO_BIN_EXE_publisher"), "publish", "--dist"]);
    let output = command.arg(dist.path()).args(&ARGS[1..]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for part in [
        "\x1b[",
        "eu-west-1        arm64 looking",
        "arm64 publishing",
        "/4 ",
        "us-east-1  x86_64  published  1",
    ] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}
