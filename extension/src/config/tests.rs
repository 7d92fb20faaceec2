use super::*;

fn read(vars: &[(&str, &str)]) -> (Config, Vec<String>) {
    Config::read(
        |name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
        Overrides::default(),
    )
}

const DSN: &str = "https://a94ae32be2584e0bbd7a4cbb95971fee@o1.ingest.sentry.io/42";

#[test]
fn an_empty_environment_gives_the_defaults() {
    let (config, warnings) = read(&[]);
    assert!(warnings.is_empty());
    assert_eq!(config.upstream, None);
    assert_eq!(config.listen, ["127.0.0.1:5333", "[::1]:5333"].map(|a| a.parse::<SocketAddr>().unwrap()));
    assert_eq!(config.buffer, 64 * MIB);
    assert_eq!(config.max_body, 20 * MIB);
    assert_eq!(config.timeout, Duration::from_secs(2));
}

#[test]
fn the_buffer_follows_the_functions_memory() {
    let (config, _) = read(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")]);
    assert_eq!((config.buffer, config.max_body), (8 * MIB, 8 * MIB));
    let (config, _) = read(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "10240")]);
    assert_eq!((config.buffer, config.max_body), (640 * MIB, 20 * MIB));
}

#[test]
fn the_upstream_setting_comes_before_the_extension_dsn_and_that_before_the_sdk_dsn() {
    let real = ("SENTRY_DSN", DSN);
    let (config, _) = read(&[real]);
    assert_eq!(config.upstream.unwrap().host(), "o1.ingest.sentry.io");
    let own = ("SENTRY_EXTENSION_DSN", "https://k@sentry.example.com/1");
    let (config, _) = read(&[real, own]);
    assert_eq!(config.upstream.unwrap().host(), "sentry.example.com");
    let explicit = ("SENTRY_EXTENSION_UPSTREAM", "http://relay.example.com:3000");
    let (config, _) = read(&[real, own, explicit]);
    assert_eq!(config.upstream.unwrap().host(), "relay.example.com");
    assert!(config.allowed_hosts.contains("sentry.example.com"));
}

#[test]
fn an_upstream_that_is_this_extension_is_a_mistake_unless_another_setting_names_one() {
    let local = ("SENTRY_DSN", "http://a94ae32be2584e0bbd7a4cbb95971fee@localhost:5333/42");
    let (config, warnings) = read(&[local]);
    assert_eq!(config.upstream, None);
    assert!(config.upstream_mistake.unwrap().contains("SENTRY_EXTENSION_DSN"));
    assert_eq!(warnings.len(), 1);
    let (config, warnings) = read(&[local, ("SENTRY_EXTENSION_DSN", DSN)]);
    assert_eq!(config.upstream.unwrap().host(), "o1.ingest.sentry.io");
    assert!(warnings.is_empty());
    assert!(!config.allowed_hosts.contains("localhost"));
}

#[test]
fn an_upstream_that_is_this_extension_is_recognized_in_every_spelling() {
    for host in [
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.1",
        "0",
        "[::1]",
        "[0:0::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
    ] {
        for name in ["SENTRY_DSN", "SENTRY_EXTENSION_DSN", "SENTRY_EXTENSION_UPSTREAM"] {
            let url = format!("http://a94ae32be2584e0bbd7a4cbb95971fee@{host}:5333/42");
            let (config, warnings) = read(&[(name, &url)]);
            assert_eq!(
                (config.upstream, config.dsn, config.upstream_takes_all),
                (None, None, false),
                "{host}"
            );
            assert!(config.upstream_mistake.unwrap().contains(name), "{host}");
            assert_eq!(warnings.len(), 1, "{host}: {warnings:?}");
        }
    }
}

#[test]
fn only_the_upstream_setting_takes_everything() {
    let (dsn, upstream) = (("SENTRY_DSN", DSN), ("SENTRY_EXTENSION_UPSTREAM", "https://relay.example.com"));
    assert!(!read(&[dsn]).0.upstream_takes_all);
    assert!(read(&[dsn, upstream]).0.upstream_takes_all);
    assert!(!read(&[dsn, ("SENTRY_EXTENSION_UPSTREAM", "nonsense")]).0.upstream_takes_all);
    let overrides = Overrides { upstream: Upstream::parse(upstream.1).ok(), ..Overrides::default() };
    assert!(Config::read(|_| None, overrides).0.upstream_takes_all);
}

#[test]
fn each_invalid_allowed_host_is_warned_of() {
    let hosts = "a.example, b.example:443, ..,c..d, *.e.example, https://a94ae32be2584e0bbd7a4cbb95971fee@f.example/1";
    let (config, warnings) = read(&[("SENTRY_EXTENSION_ALLOWED_HOSTS", hosts)]);
    let parts =
        ["number 2) that has a port", "number 3) that is neither", "number 4)", "number 6) that is a URL"];
    assert_eq!(warnings.len(), parts.len(), "{warnings:?}");
    for (warning, part) in warnings.iter().zip(parts) {
        assert!(warning.contains(part) && !warning.contains("a94a"), "{warning}");
    }
    assert!(config.allowed_hosts.contains("a.example") && config.allowed_hosts.contains("x.e.example"));
    assert!(!config.allowed_hosts.contains("b.example"));
}

#[test]
fn invalid_settings_fall_back_to_defaults_with_warnings_that_contain_no_secret() {
    let (config, warnings) = read(&[
        ("SENTRY_DSN", "a94ae32be2584e0bbd7a4cbb95971fee"),
        ("SENTRY_EXTENSION_BUFFER", "lots"),
        ("SENTRY_EXTENSION_TIMEOUT", "soon"),
        ("SENTRY_EXTENSION_LOG", "loud"),
        ("SENTRY_EXTENSION_FLUSH", "never"),
        ("SENTRY_EXTENSION_RELAY", "sometimes"),
        ("SENTRY_EXTENSION_PORTS", "9001,nine,0"),
        ("SENTRY_EXTENSION_ALLOWED_HOSTS", "*"),
    ]);
    let (default, _) = read(&[]);
    assert_eq!(config, default);
    assert_eq!(warnings.len(), 10);
    assert!(warnings.iter().all(|w| !w.contains("a94ae32b")), "{warnings:?}");
}

#[test]
fn listens_on_the_configured_ports() {
    let (config, _) = read(&[("SENTRY_EXTENSION_PORTS", "3000, 9000,3000")]);
    let ports: Vec<u16> = config.listen.iter().map(SocketAddr::port).collect();
    assert_eq!(ports, [3000, 9000, 3000, 9000]);
    assert!(config.is_loop(&Upstream::parse("http://[::1]:3000").unwrap()));
    assert!(!config.is_loop(&Upstream::parse("http://127.0.0.1:5333").unwrap()));
}

#[test]
fn otlp_has_a_port_of_its_own() {
    let (config, warnings) = read(&[("SENTRY_EXTENSION_OTLP_PORT", " 4318 "), ("SENTRY_DSN", DSN)]);
    let addresses = ["127.0.0.1:4318", "[::1]:4318"].map(|address| address.parse::<SocketAddr>().unwrap());
    assert_eq!((&config.listen_otlp[..], warnings.len()), (&addresses[..], 0));
    assert!(config.is_loop(&Upstream::parse("http://localhost:4318").unwrap()));
    for port in ["5333", "9001", "0", "otlp", "70000"] {
        let (config, warnings) = read(&[("SENTRY_EXTENSION_OTLP_PORT", port), ("SENTRY_DSN", DSN)]);
        assert_eq!((config.listen_otlp.len(), warnings.len()), (0, 1), "{port}");
    }
    let (_, warnings) = read(&[("SENTRY_EXTENSION_OTLP_PORT", "4318")]);
    assert_eq!(
        warnings,
        ["SENTRY_EXTENSION_OTLP_PORT needs a project: set SENTRY_DSN: all requests are refused"]
    );
}

#[test]
fn certificates_are_read_from_the_variables_of_many_programs() {
    let (config, warnings) = read(&[
        ("SSL_CERT_DIR", "/one::/two"),
        ("AWS_CA_BUNDLE", "/aws.pem"),
        ("CURL_CA_BUNDLE", "/curl.pem"),
        ("REQUESTS_CA_BUNDLE", "/curl.pem"),
        ("NODE_EXTRA_CA_CERTS", "/node.pem"),
        ("SSL_CERT_FILE", "/ssl.pem"),
        ("SENTRY_EXTENSION_CA_BUNDLE", "/own.pem"),
    ]);
    assert!(warnings.is_empty());
    let expected = ["/own.pem", "/ssl.pem", "/node.pem", "/curl.pem", "/aws.pem", "/one", "/two"];
    assert_eq!(config.ca_bundles, expected.map(PathBuf::from));
}
