//! Two publishers that run at the same time, and versions that another user publishes meanwhile.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, layer_name, other_zip},
    emulator::ministack,
    gate::Gate,
    proxy::{Proxy, Verdict},
};

const REGION: &str = "eu-west-1";
const ARGS: [&str; 4] = ["publish", "--execute", "--regions", REGION];

/// Runs two publishers. Both look for the version before either of them publishes it, which is the worst case.
fn publish_on_two_machines(may_delete: bool) -> (Account, [Dist; 2], [crate::support::cli::Run; 2]) {
    let owner = Account::new(ministack());
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() {
            return Verdict::Hold(hold.clone());
        }
        if seen.line.starts_with("DELETE ") && !may_delete {
            return Verdict::error(403, "AccessDeniedException");
        }
        Verdict::Forward
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let seed = format!("at once {may_delete}");
    let dists = [Dist::new(&seed), Dist::new(&seed)];
    let running = [&dists[0], &dists[1]].map(|dist| publisher.spawn(dist, &ARGS));
    gate.reached_by(4);
    gate.open(true);
    let runs = running.map(|running| running.wait().expect(0));
    (owner, dists, runs)
}

#[test]
fn two_machines_agree_on_one_version() {
    let (owner, dists, _) = publish_on_two_machines(true);
    for arch in ARCHES {
        assert_eq!(owner.versions(REGION, &layer_name(arch)).len(), 1, "{arch}");
        let arn = |dist: &Dist| dist.layers()["layers"][arch]["regions"][REGION]["arn"].clone();
        assert_eq!(arn(&dists[0]), arn(&dists[1]));
    }
    for dist in &dists {
        Publisher::at(&ministack().url(), &owner.key).run(dist, &["verify"]).expect(0);
    }
}

#[test]
fn without_the_permission_to_delete_two_machines_agree_and_report_the_duplicate() {
    let (owner, dists, runs) = publish_on_two_machines(false);
    for arch in ARCHES {
        let versions = owner.versions(REGION, &layer_name(arch));
        let granted = versions.iter().filter(|number| {
            let path = format!("layers/{}/versions/{number}/policy", layer_name(arch));
            owner.get(REGION, &path).0 == 200
        });
        assert_eq!((versions.len(), granted.count()), (2, 1), "{arch}: one is for everybody");
        let arn = |dist: &Dist| dist.layers()["layers"][arch]["regions"][REGION]["arn"].clone();
        assert_eq!(arn(&dists[0]), arn(&dists[1]));
    }
    let said = runs.map(|run| run.stdout).join("\n");
    assert!(said.contains("version 2 has the same bytes and could not be deleted"), "{said}");
    // A later run with the permission to delete removes the duplicates without grants.
    let tidy = Publisher::at(&ministack().url(), &owner.key);
    for arch in ARCHES {
        owner.publish(REGION, &layer_name(arch), arch, &other_zip("newer"), "newer");
    }
    tidy.run(&dists[0], &["prune", "--keep", "0", "--execute", "--regions", REGION]).expect(0);
    for arch in ARCHES {
        assert_eq!(owner.versions(REGION, &layer_name(arch)), [1, 3]);
    }
}

#[test]
fn a_second_run_on_the_same_folder_is_refused() {
    let owner = Account::new(ministack());
    let dist = Dist::new("one folder");
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() { Verdict::Hold(hold.clone()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let running = publisher.spawn(&dist, &ARGS);
    gate.reached();
    let run = publisher.run(&dist, &ARGS).expect(1);
    run.says("another publisher is using").says("wait until it has ended");
    gate.open(true);
    running.wait().expect(0);
    for arch in ARCHES {
        assert_eq!(owner.versions(REGION, &layer_name(arch)), [1]);
    }
}

#[test]
fn an_equal_version_that_appears_after_the_plan_is_adopted() {
    for same in [true, false] {
        let owner = Account::new(ministack());
        let dist = Dist::new("in between");
        let other = owner.clone();
        let zip = std::fs::read(dist.zip("arm64")).unwrap();
        let digest = {
            use sha2::{Digest, Sha256};
            let digest = Sha256::digest(&zip);
            digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
        };
        let mut lists = 0;
        let proxy = Proxy::start(ministack().address(), move |seen| {
            if seen.line.starts_with("GET ") && seen.line.contains("arm64/versions") {
                lists += 1;
            }
            // The other user publishes after the plan, right before the last list request.
            if lists == 2 {
                lists += 1;
                let other_bytes = other_zip("other bytes");
                let zip = if same { &zip } else { &other_bytes };
                other.publish(REGION, &layer_name("arm64"), "arm64", zip, &format!("sha256 {digest}"));
            }
            Verdict::Forward
        });
        Publisher::at(&proxy.url(), &owner.key).run(&dist, &ARGS).expect(0);
        let publishes = proxy.requests().iter().filter(|s| s.publishes() && s.line.contains("arm64")).count();
        let expected = if same { (vec![1], 0) } else { (vec![1, 2], 1) };
        assert_eq!((owner.versions(REGION, &layer_name("arm64")), publishes), expected);
        assert_eq!(owner.copies(REGION, &layer_name("arm64"), &dist.code_sha256("arm64")).len(), 1);
    }
}
