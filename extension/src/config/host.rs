//! The host of a URL. Each host has one spelling here, so that hosts can be compared as text, and so that no spelling
//! of a loopback address goes unnoticed: `127.1`, `0x7f000001` and `[::ffff:127.0.0.1]` are all `127.0.0.1`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name in the domain name system, in bytes, and the longest of its labels.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Returns the only spelling of a host: a name in lower case without a dot at its end, or an address without brackets.
/// Returns `None` if it is neither a name nor an address.
pub(super) fn canonical(host: &str) -> Option<String> {
    if let Some(bracketed) = host.strip_prefix('[') {
        let address: Ipv6Addr = bracketed.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_canonical().to_string());
    }
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return Some(address.to_canonical().to_string());
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if name.split('.').next_back().is_some_and(is_number) {
        return ipv4(&name).map(|address| address.to_string());
    }
    is_name(&name).then_some(name)
}

/// Whether a canonical host is this machine: `localhost`, a loopback address or the unspecified address.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

/// Whether a label can only be a part of an IPv4 address. Resolvers read such a host as an address.
fn is_number(label: &str) -> bool {
    let is_decimal = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal || label.starts_with("0x") && number(label).is_some()
}

/// Reads an IPv4 address as resolvers and browsers do: of one to four numbers, each decimal, octal or hexadecimal. The
/// last number fills the bytes that are left.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, leading) = numbers.split_last()?;
    let left = 4_u32.checked_sub(u32::try_from(leading.len()).ok()?).filter(|left| *left > 0)?;
    if u64::from(*last) >= 1 << (8 * left) {
        return None;
    }
    let mut bits = *last;
    for (number, place) in leading.iter().zip([24, 16, 8]) {
        bits |= u32::from(u8::try_from(*number).ok()?) << place;
    }
    Some(Ipv4Addr::from_bits(bits))
}

fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // `0x` alone means 0, as in browsers. A sign is no digit.
    if digits.is_empty() && radix == 16 {
        return Some(0);
    }
    digits
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
        .then(|| u32::from_str_radix(digits, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_becomes_one() {
        for (spelling, host) in [
            ("O1.Ingest.Sentry.IO.", "o1.ingest.sentry.io"),
            ("localhost.", "localhost"),
            ("relay_1", "relay_1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("127.1", "127.0.0.1"),
            ("127.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0X7F.1", "127.0.0.1"),
            ("0177.0.0.01", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("0", "0.0.0.0"),
            ("0x", "0.0.0.0"),
            ("10.1.2.3", "10.1.2.3"),
            ("[::1]", "::1"),
            ("::1", "::1"),
            ("[0:0:0:0:0:0:0:1]", "::1"),
            ("[::ffff:127.0.0.1]", "127.0.0.1"),
            ("[::FFFF:7f00:1]", "127.0.0.1"),
            ("[FD00::A]", "fd00::a"),
        ] {
            assert_eq!(canonical(spelling).as_deref(), Some(host), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a.".repeat(200);
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a b",
            "a/b",
            "a@b",
            "a%2eb",
            "a:80",
            "*.a",
            "[::1",
            "::1]",
            "[1.2.3.4]",
            "[::1%25lo]",
            "b\u{fc}cher.example",
            "256.1.1.1",
            "1.2.3.4.5",
            "127.0.0.0x100",
            "4294967296",
            "08.1",
            "-1.1.1.1",
            "1.2.3.+4",
            "a\u{7f}",
            &long,
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn loopback_is_recognized() {
        for host in ["localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "notlocalhost", "128.0.0.1", "::2"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
