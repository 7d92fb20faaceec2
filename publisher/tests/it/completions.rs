//! Shell completions and manual pages, checked with real shells and with `man`.

use crate::support::cli::Publisher;
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
};

const COMMANDS: [&str; 7] = ["build", "publish", "verify", "arn", "prune", "doctor", "iam-policy"];

/// Runs a program with this text on stdin. The program has to succeed.
fn run_with_stdin(program: &mut Command, text: &str) -> String {
    let mut child =
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program:?}: {said}");
    said
}

fn is_installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|folder| folder.join(program).is_file())
}

#[test]
fn every_shell_gets_a_script_that_it_can_read() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Publisher::new().run_bare(&["completions", shell]).expect(0);
        assert_eq!(script.stderr, "");
        for command in COMMANDS {
            assert!(script.stdout.contains(command), "{shell} lacks {command}");
        }
        assert!(script.stdout.contains("--expect-account") || shell == "fish", "{shell}");
        if matches!(shell, "bash" | "zsh" | "fish") && is_installed(shell) {
            assert_eq!(run_with_stdin(Command::new(shell).arg("-n"), &script.stdout), "", "{shell}");
        }
    }
    Publisher::new().run_bare(&["completions", "tcsh"]).expect(2).says("bash");
}

#[test]
fn bash_completes_commands_and_options() {
    let script = Publisher::new().run_bare(&["completions", "bash"]).expect(0).stdout;
    let ask = |words: &str, last: usize| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}; _publisher publisher \"${{COMP_WORDS[{last}]}}\" \
             \"${{COMP_WORDS[{}]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            last - 1
        );
        let answer = run_with_stdin(&mut Command::new("bash"), &ask);
        answer.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(ask("publisher pu", 1), BTreeSet::from(["publish".to_owned()]));
    assert!(ask("publisher publish --exp", 2).contains("--expect-account"));
    assert!(ask("publisher iam-policy tr", 2).contains("trust"));
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man/man1");
    let run = Publisher::new().run_bare(&["man", "--out", out.to_str().unwrap()]).expect(0);
    let names: BTreeSet<String> =
        fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    run.says(&format!("{} manual pages", names.len()));
    for command in COMMANDS {
        assert!(names.contains(&format!("publisher-{command}.1")), "{names:?}");
    }
    assert!(names.contains("publisher.1") && names.contains("publisher-iam-policy-trust.1"), "{names:?}");
    for name in &names {
        let page = fs::read_to_string(out.join(name)).unwrap();
        let title = name.trim_end_matches(".1");
        let head = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
        assert!(head.starts_with(&format!(".TH {title} 1")), "{head}");
        for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(page.lines().any(|line| line == section), "{name} lacks {section}");
        }
        if is_installed("groff") {
            let text =
                run_with_stdin(Command::new("groff").args(["-Kutf8", "-man", "-Tutf8", "-ww", "-z"]), &page);
            assert_eq!(text, "", "{name}");
        }
    }
    let first = Publisher::new().run_bare(&["man"]).expect(0).stdout;
    assert_eq!(first.trim_end(), fs::read_to_string(out.join("publisher.1")).unwrap().trim_end());

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    Publisher::new().run_bare(&["man", "--out", file.to_str().unwrap()]).expect(1).says("--out DIR");
}
