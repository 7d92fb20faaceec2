use super::*;
use std::os::unix::ffi::OsStringExt as _;

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

fn rewritten(dsn: &str, ports: &[u16]) -> Result<String, NotChanged> {
    rewritten_if(dsn, ports, |_| true)
}

fn rewritten_if(dsn: &str, ports: &[u16], is_held: impl Fn(u16) -> bool) -> Result<String, NotChanged> {
    rewrite_dsn(&dsn.replace("KEY", KEY), ports, is_held).map(|dsn| dsn.replace(KEY, "KEY"))
}

#[test]
fn rewrites_every_form_of_a_dsn() {
    for (dsn, expected) in [
        ("https://KEY@o1.ingest.sentry.io/42", "http://KEY@127.0.0.1:5333/42"),
        ("https://KEY@o1.ingest.de.sentry.io/42", "http://KEY@127.0.0.1:5333/42"),
        ("https://KEY@o1.ingest.us.sentry.io:443/42/", "http://KEY@127.0.0.1:5333/42"),
        (" https://KEY:secret@sentry.example.com:8443/a/b/42 ", "http://KEY:secret@127.0.0.1:5333/42"),
        ("https://KEY.no-cache@sentry.io/42", "http://KEY.no-cache@127.0.0.1:5333/42"),
        ("http://KEY:@[2001:db8::1]:9000/42", "http://KEY:@127.0.0.1:5333/42"),
        ("https://KEY@sentry.io/42?x=https://a@b/1", "http://KEY@127.0.0.1:5333/42"),
        ("http://KEY@localhost:3000/42", "http://KEY@127.0.0.1:5333/42"),
    ] {
        assert_eq!(rewritten(dsn, &[9000, 5333]), Ok(expected.to_owned()), "{dsn}");
    }
}

#[test]
fn does_not_change_an_unusable_or_local_dsn() {
    for (dsn, why) in [
        ("https://KEY@sentry.io:nine/42", NotChanged::Invalid(InvalidUrl::Port)),
        ("https://KEY@sentry.io:0/42", NotChanged::Invalid(InvalidUrl::Port)),
        ("ftp://KEY@sentry.io/42", NotChanged::Invalid(InvalidUrl::Scheme)),
        ("KEY", NotChanged::Invalid(InvalidUrl::Malformed)),
        ("https://public@sentry.io/42", NotChanged::Key),
        ("https://sentry.io/42", NotChanged::Key),
        ("https://KEY@sentry.io/", NotChanged::Project),
        ("https://KEY@sentry.io/my-project", NotChanged::Project),
        ("http://KEY@localhost:9000/42", NotChanged::Local),
        ("http://KEY@127.0.0.1:5333/42", NotChanged::Local),
        ("http://KEY@[::1]:9000/42", NotChanged::Local),
    ] {
        assert_eq!(rewritten(dsn, &[9000, 5333]), Err(why), "{dsn}");
    }
}

#[test]
fn uses_a_port_that_the_extension_listens_on() {
    for (ports, port) in [(&[9000, 5333][..], 5333), (&[3000, 9000], 3000), (&[4000], 4000)] {
        let expected = format!("http://KEY@127.0.0.1:{port}/42");
        assert_eq!(rewritten("https://KEY@sentry.io/42", ports), Ok(expected));
    }
}

#[test]
fn uses_no_port_that_another_process_holds() {
    let dsn = "https://KEY@sentry.io/42";
    for (held, port) in [(&[9000, 5333][..], 5333), (&[9000], 9000), (&[4000], 4000)] {
        let expected = format!("http://KEY@127.0.0.1:{port}/42");
        assert_eq!(rewritten_if(dsn, &[9000, 4000, 5333], |port| held.contains(&port)), Ok(expected));
    }
    assert_eq!(rewritten_if(dsn, &[9000, 5333], |_| false), Err(NotChanged::NoPort));
    // A DSN that nothing is wrong with but its key is not blamed on the port.
    assert_eq!(rewritten_if("https://public@sentry.io/42", &[5333], |_| false), Err(NotChanged::Key));
}

#[test]
fn adds_the_extension_to_the_no_proxy_list_once() {
    for (list, longer) in [
        ("", "localhost,127.0.0.1"),
        ("corp.example", "corp.example,localhost,127.0.0.1"),
        ("corp.example,", "corp.example,localhost,127.0.0.1"),
        ("a b", "a b,localhost,127.0.0.1"),
        ("localhost", "localhost,127.0.0.1"),
        ("127.0.0.1, localhost", "127.0.0.1, localhost"),
        ("mylocalhost,127.0.0.1", "mylocalhost,127.0.0.1,localhost"),
        ("*", "*"),
    ] {
        assert_eq!(with_no_proxy_hosts(OsStr::new(list)), longer, "{list}");
    }
    let odd = OsString::from_vec(b"\xff,a".to_vec());
    assert_eq!(with_no_proxy_hosts(&odd).into_vec(), b"\xff,a,localhost,127.0.0.1");
}

#[test]
fn a_no_proxy_list_in_one_spelling_is_used_for_both() {
    for (set, other) in [("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")] {
        let var = |name: &str| match name {
            "SENTRY_DSN" => Some(format!("https://{KEY}@sentry.io/42").into()),
            name => (name == set).then(|| "corp.example".into()),
        };
        let changes = changed_variables(var, &[9000], |_| true).unwrap();
        for name in [set, other] {
            let value = changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| value);
            assert_eq!(value.unwrap(), "corp.example,localhost,127.0.0.1", "{name}");
        }
    }
}

#[test]
fn only_the_file_name_selects_the_wrapper() {
    for (program, expected) in [
        ("/opt/sentry-exec-wrapper", true),
        ("sentry-exec-wrapper", true),
        ("/opt/extensions/sentry-lambda-extension", false),
        ("/opt/sentry-exec-wrapper/x", false),
        ("", false),
    ] {
        assert_eq!(is_called(OsStr::new(program)), expected, "{program}");
    }
}
