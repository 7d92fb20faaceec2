//! `publisher image`: the image layout and a push to a real registry, both read back with tools of others.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::{ARCHES, COMMIT, Dist, elf},
    emulator::ministack,
    image_registry::{Front, ImageRegistry, Reply, line, tool, unpacked},
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

/// All files below a folder, with their bytes.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files.extend(tree(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

fn image(dist: &Dist, args: &[&str]) -> Run {
    Publisher::new().run(dist, &[&["image"], args].concat())
}

/// The architecture as Go names it.
fn go(arch: &str) -> &str {
    if arch == "x86_64" { "amd64" } else { arch }
}

/// Checks that a root folder has the files of the layer below `/opt`, and nothing else.
fn check_root(root: &Path, dist: &Dist, arch: &str) {
    let opt = root.join("opt");
    assert_eq!(fs::read_dir(root).unwrap().count(), 1);
    let binary = opt.join("extensions/sentry-lambda-extension");
    let seed = format!("{} for {arch}", dist.seed());
    assert_eq!(fs::read(&binary).unwrap(), elf(arch, seed.as_bytes()));
    assert_eq!(fs::metadata(&binary).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(&opt).unwrap().permissions().mode() & 0o777, 0o755);
    let link = fs::read_link(opt.join("sentry-exec-wrapper")).unwrap();
    assert_eq!(link, Path::new("extensions/sentry-lambda-extension"));
    assert_eq!(fs::read_dir(&opt).unwrap().count(), 2);
}

/// Whoever has downloaded the publisher has no zips yet, and need not build them.
#[test]
fn without_zips_the_way_to_those_of_a_release_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let args = ["image", "--dist", empty.path().to_str().unwrap()];
    Publisher::new().run_bare(&args).expect(1).says("of a release with --dist, or build them: ci/build");
}

#[test]
fn an_image_layout_has_the_same_bytes_from_two_folders_and_two_runs() {
    let (dist, other) = (Dist::new("layout"), Dist::new("layout"));
    image(&dist, &[]).expect(0).says("COPY --from=sentry-lambda-extension /opt/ /opt/");
    let first = tree(&dist.path().join("image"));
    // The same time or the same environment must not be what makes them equal.
    let elsewhere = Publisher::new().env("TZ", "Asia/Tokyo").env("SOURCE_DATE_EPOCH", "1700000000");
    let out = other.path().join("elsewhere");
    elsewhere.run(&other, &["image", "--out", out.to_str().unwrap()]).expect(0);
    image(&dist, &[]).expect(0);
    assert_eq!(tree(&dist.path().join("image")), first);
    assert_eq!(tree(&out), first);
    assert_eq!(first.len(), 2 + 2 * 3 + 1, "{:?}", first.keys());
    let changed = Dist::new("other content");
    image(&changed, &[]).expect(0);
    assert_ne!(tree(&changed.path().join("image")), first);
}

#[test]
fn other_tools_read_the_layout() {
    let dist = Dist::new("tools");
    let run = image(&dist, &["--json", "--source", "https://example.com/team/x"]).expect(0).json();
    assert_eq!((&run["tag"], &run["version"]), (&Value::from("1.2.3"), &Value::from("1.2.3")));
    let layout = format!("oci:{}:1.2.3", dist.path().join("image").display());
    let index = tool("skopeo", &["inspect", "--raw", &layout]);
    let index: Value = serde_json::from_str(&index).unwrap();
    for (arch, manifest) in ARCHES.iter().zip(index["manifests"].as_array().unwrap()) {
        assert_eq!(manifest["platform"]["architecture"], go(arch));
        let listed = run["images"].as_array().unwrap().iter().find(|image| image["arch"] == **arch).unwrap();
        assert_eq!(listed["manifest"], manifest["digest"]);
    }
    let annotations = &index["annotations"];
    let annotation = |name: &str| annotations[format!("org.opencontainers.image.{name}")].as_str().unwrap();
    assert_eq!(annotation("version"), "1.2.3");
    assert_eq!(annotation("revision"), COMMIT);
    assert_eq!(annotation("licenses"), "BSD-3-Clause");
    assert_eq!(annotation("source"), "https://example.com/team/x");
    for arch in ARCHES {
        let config = tool("skopeo", &["--override-arch", go(arch), "inspect", "--config", &layout]);
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!((&config["architecture"], &config["os"]), (&Value::from(go(arch)), &Value::from("linux")));
        assert_eq!(config["created"], "1970-01-01T00:00:00Z");
        let folder = tempfile::tempdir().unwrap();
        check_root(&unpacked(&layout, go(arch), folder.path()), &dist, arch);
    }
}

#[test]
fn one_architecture_and_the_layers_with_relay_have_images_of_their_own() {
    let dist = Dist::new("relay").with_relay(1000, &["python3.14"]);
    let run = image(&dist, &["--relay", "--arch", "arm64", "--json"]).expect(0).json();
    assert_eq!((run["tag"].as_str(), run["images"].as_array().unwrap().len()), (Some("1.2.3-relay"), 1));
    let folder = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}:1.2.3-relay", dist.path().join("image-relay").display());
    let root = unpacked(&layout, "arm64", folder.path());
    assert!(root.join("opt/relay/relay").exists() && root.join("opt/relay/config.yml").exists());
    image(&Dist::new("no relay"), &["--relay"])
        .expect(1)
        .says("lists no zip with Relay")
        .says("--relay PATH");

    fs::write(dist.path().join("image"), "mine").unwrap();
    image(&dist, &[]).expect(1).says("is something else than an image layout").says("--out");
    assert_eq!(fs::read_to_string(dist.path().join("image")).unwrap(), "mine");
}

#[test]
fn a_registry_gets_the_image_once_and_others_read_it() {
    let registry = ImageRegistry::open();
    let front = Front::new(&registry, |_, _| Reply::Forward);
    let dist = Dist::new("push");
    let name = format!("{}/team/extension", front.address());
    let run = image(&dist, &["--push", &name, "--json"]).expect(0).json();
    assert_eq!(run["pushed"]["reference"], format!("{name}:1.2.3"));
    assert_eq!((&run["pushed"]["uploaded"], &run["pushed"]["existing"]), (&Value::from(7), &Value::from(0)));
    let digest = run["digest"].as_str().unwrap();
    let stored = registry.get("team/extension/manifests/1.2.3").unwrap();
    assert_eq!(stored.header("docker-content-digest"), Some(digest));

    let source = format!("docker://{}/team/extension:1.2.3", registry.address());
    for arch in ARCHES {
        let folder = tempfile::tempdir().unwrap();
        check_root(&unpacked(&source, go(arch), folder.path()), &dist, arch);
    }
    let sent = front.requests("PUT ").len();
    let again = image(&dist, &["--push", &format!("{name}:1.2.3")]).expect(0);
    again.says("0 sent, 7 were there").says(&format!("COPY --from={name}:1.2.3@{digest} /opt/ /opt/"));
    assert_eq!(front.requests("PUT ").len(), sent, "something was sent twice");
    assert!(front.requests("POST ").len() == 4, "one upload for each blob");

    // Another tag needs the index alone.
    image(&dist, &["--push", &format!("{name}:latest")]).expect(0).says("1 sent, 6 were there");
}

#[test]
fn the_dockerfile_names_the_image_and_what_is_in_it() {
    let owner = Account::new(ministack());
    let registry = ImageRegistry::open();
    let dist = Dist::new("dockerfile").with_relay(1000, &["python3.14"]);
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    for more in [&[][..], &["--relay"]] {
        let arn = [&["arn", "--format", "dockerfile"], more].concat();
        let text = Publisher::new().run(&dist, &arn).expect(0).stdout;
        assert!(text.starts_with("# Sentry Lambda extension 1.2.3"), "{text}");
        // The second line is the command that makes the image.
        let command = text.lines().nth(1).unwrap().split('`').nth(1).unwrap();
        let command = command.replace("REGISTRY", registry.address());
        let command: Vec<&str> = command.split(' ').skip(1).collect();
        Publisher::new().run(&dist, &command).expect(0);
        let words = |instruction: &str| {
            let line = text.lines().find(|line| line.starts_with(instruction)).unwrap();
            line.split([' ', '"']).map(str::to_owned).collect::<Vec<_>>()
        };
        let image = words("FROM REGISTRY")[1].replace("REGISTRY", registry.address());
        let folder = tempfile::tempdir().unwrap();
        let root = unpacked(&format!("docker://{image}"), "arm64", folder.path());
        let copied = words("COPY --from=sentry-lambda-extension");
        assert_eq!((copied[2].as_str(), copied[3].as_str()), ("/opt/", "/opt/"));
        assert!(root.join(copied[2].trim_start_matches('/')).is_dir());
        let started = words("ENTRYPOINT")[2].clone();
        assert!(root.join(started.trim_start_matches('/')).symlink_metadata().unwrap().is_symlink());
        assert_eq!(root.join("opt/relay").exists(), !more.is_empty());
    }
}

#[test]
fn a_tag_is_moved_only_if_asked_for() {
    let registry = ImageRegistry::open();
    let name = format!("{}/x", registry.address());
    let (first, second) = (Dist::new("first"), Dist::new("second"));
    image(&first, &["--push", &name]).expect(0);
    let digest =
        || registry.get("x/manifests/1.2.3").unwrap().header("docker-content-digest").unwrap().to_owned();
    let before = digest();
    let refused = image(&second, &["--push", &name]).expect(1);
    refused.says(&format!("the tag 1.2.3 is another image ({before})")).says("--replace");
    assert_eq!(digest(), before);
    // An image of one architecture is another one.
    image(&first, &["--arch", "arm64", "--push", &name]).expect(1).says("is another image");
    image(&second, &["--push", &name, "--replace"]).expect(0);
    assert_ne!(digest(), before);
}

#[test]
fn names_that_are_no_images_are_refused() {
    let dist = Dist::new("names");
    for (name, says) in [
        ("extension", "the host of the registry"),
        ("team/extension", "the host of the registry"),
        ("ghcr.io/Team/x", "in lower case"),
        ("ghcr.io/team/x@sha256:00", "names a digest"),
        ("https://ghcr.io/team/x", "is not the name of an image"),
    ] {
        image(&dist, &["--push", name]).expect(2).says(says);
    }
    image(&dist, &["--replace"]).expect(2).says("--push");
    assert!(!dist.path().join("image").exists());
}

#[test]
fn a_registry_in_trouble_is_asked_again_and_not_for_ever() {
    let registry = ImageRegistry::open();
    let dist = Dist::new("trouble");
    // Each kind of request fails once: by a refusal, and by a connection that is cut.
    let mut seen = std::collections::HashSet::new();
    let front = Front::new(&registry, move |request, number| {
        let method = line(request).split(' ').next().unwrap().to_owned();
        let is_manifest = line(request).contains("/manifests/");
        if !seen.insert((method, is_manifest)) {
            return Reply::Forward;
        }
        if number % 2 == 0 {
            Reply::Cut
        } else {
            Reply::Answer(503, "retry-after: 0\r\n".to_owned(), String::new())
        }
    });
    image(&dist, &["--push", &format!("{}/x", front.address())]).expect(0).says("7 sent");

    let front =
        Front::new(&registry, |_, _| Reply::Answer(503, "retry-after: 0\r\n".to_owned(), String::new()));
    let run = image(&dist, &["--push", &format!("{}/x", front.address())]).expect(1);
    run.says("answered 503").says("run the same command again");
    assert_eq!(front.requests("").len(), 5);

    let gone = format!("127.0.0.1:{}/x", crate::support::emulator::free_port());
    image(&dist, &["--push", &gone]).expect(1).says("cannot reach http://127.0.0.1:");
}

#[test]
fn an_image_that_is_not_read_back_as_it_was_sent_is_an_error() {
    let registry = ImageRegistry::open();
    let dist = Dist::new("read back");
    let mut stored = false;
    let front = Front::new(&registry, move |request, _| {
        stored |= line(request).starts_with("PUT /v2/x/manifests/1.2.3");
        let is_index = line(request).starts_with("GET /v2/x/manifests/1.2.3");
        if stored && is_index { Reply::Rewrite(b"{}".to_vec()) } else { Reply::Forward }
    });
    let run = image(&dist, &["--push", &format!("{}/x", front.address())]).expect(1);
    run.says("the registry has 1.2.3 with other bytes").says("do not use the image");

    let mut uploads = 0;
    let front = Front::new(&registry, move |request, _| {
        uploads += usize::from(line(request).starts_with("POST "));
        let is_blob = line(request).starts_with("HEAD ");
        if is_blob && uploads == 4 {
            Reply::Answer(404, String::new(), String::new())
        } else {
            Reply::Forward
        }
    });
    let run = image(&dist, &["--push", &format!("{}/y", front.address())]).expect(1);
    run.says("which it has accepted");
}
