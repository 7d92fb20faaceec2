//! Reads how a registry wants requests to be authorized, from the header `WWW-Authenticate`.

/// The way of authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token, which another server gives for name and password, or to anybody.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// Parses the value of one header. `None` if it asks for something else.
pub(crate) fn parse(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    for (name, value) in parameters(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
    }
    Some(Challenge::Bearer { realm: realm?, service, scope })
}

/// The parameters of a challenge, until something else follows.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']);
        // A space in a name means that another challenge begins.
        if name.is_empty() || name.contains(' ') {
            break;
        }
        let (value, remainder) = value(after);
        found.push((name.to_owned(), value));
        rest = remainder;
    }
    found
}

/// The value of a parameter, quoted or not, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: own(service), scope: own(scope) }
    }

    #[test]
    fn the_challenges_of_registries_are_read() {
        let hub = concat!(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io","#,
            r#"scope="repository:a/b:pull,push""#
        );
        assert_eq!(
            parse(hub),
            Some(bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:a/b:pull,push")
            ))
        );
        assert_eq!(
            parse(r#"bearer realm=https://x/y , error="invalid_token""#),
            Some(bearer("https://x/y", None, None))
        );
        assert_eq!(parse(r#"Bearer realm="a\"b""#), Some(bearer("a\"b", None, None)));
        assert_eq!(parse(r#"Basic realm="Registry Realm""#), Some(Challenge::Basic));
        assert_eq!(
            parse(r#"Bearer realm="https://x", Basic realm="y""#),
            Some(bearer("https://x", None, None))
        );
        for other in ["", "Negotiate", "Bearer", "Bearer service=x", "Bearer realm"] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(parse(r#"Bearer realm="never ends"#), Some(bearer("never ends", None, None)));
    }
}
