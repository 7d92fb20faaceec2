//! Old versions go, but never one that a manifest names.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, other_zip},
    emulator::ministack,
    proxy::{Proxy, Verdict},
};

const REGION: &str = "eu-west-1";

fn layer(arch: &str) -> String {
    format!("SentryLambdaExtension-{arch}")
}

#[test]
fn the_newest_and_the_named_stay() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let releases: Vec<Dist> = (1..=5).map(|n| Dist::new(&format!("release {n}"))).collect();
    for dist in &releases {
        publisher.run(dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    }
    let current = &releases[4];
    let old = releases[1].path().join("layers.json");
    let args = ["prune", "--keep", "2", "--regions", REGION, "--manifest", old.to_str().unwrap()];
    let plan = publisher.run(current, &args).expect(0);
    plan.says("4 superfluous versions, nothing was deleted")
        .says("eu-west-1  SentryLambdaExtension-arm64   5         2 5");
    assert_eq!(owner.versions(REGION, &layer("arm64")), [1, 2, 3, 4, 5]);

    publisher.run(current, &[&args, ["--execute"].as_slice()].concat()).expect(0).says("4 of 4 superfluous");
    for arch in ARCHES {
        assert_eq!(owner.versions(REGION, &layer(arch)), [2, 4, 5]);
    }
    publisher.run(&releases[1], &["verify"]).expect(0);
    publisher.run(current, &[&args, ["--execute"].as_slice()].concat()).expect(0).says("0 of 0");
    // Of the current release alone, even when nothing is to be kept.
    publisher.run(current, &["prune", "--keep", "0", "--execute", "--regions", REGION]).expect(0);
    assert_eq!(owner.versions(REGION, &layer("arm64")), [5]);
}

#[test]
fn without_a_manifest_or_the_right_to_it_nothing_goes() {
    let owner = Account::new(ministack());
    let dist = Dist::new("no manifest");
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.line.starts_with("DELETE ") {
            Verdict::error(403, "AccessDeniedException")
        } else {
            Verdict::Forward
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["prune", "--keep", "1", "--execute", "--regions", REGION];
    publisher.run(&dist, &args).expect(1).says("there is no").says("layers.json");
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    let broken = dist.path().join("broken.json");
    std::fs::write(&broken, "{").unwrap();
    let with = [args.as_slice(), &["--manifest", broken.to_str().unwrap()]].concat();
    publisher.run(&dist, &with).expect(1).says("nothing was deleted");
    owner.publish(REGION, &layer("arm64"), "arm64", &other_zip("another"), "another");
    owner.publish(REGION, &layer("arm64"), "arm64", &other_zip("and another"), "another");
    let run = publisher.run(&dist, &args).expect(3);
    run.says("DeleteLayerVersion: AccessDeniedException").says("lambda:DeleteLayerVersion");
    assert_eq!(owner.versions(REGION, &layer("arm64")), [1, 2, 3]);
    let named = [args.as_slice(), &["--layer-name", "x-{arch}-{major}"]].concat();
    publisher.run(&dist, &named).expect(2).says("versions of one release only");
}
