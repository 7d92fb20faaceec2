//! `publisher doctor --aws` simulates what the steps of a release ask of AWS. The emulator evaluates the policies.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    emulator::ministack,
    function::form_encoded,
    proxy::{Proxy, Verdict},
};
use serde_json::{Value, json};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

/// An account with a role that somebody has assumed.
struct Case {
    owner: Account,
    proxy: Proxy,
}

impl Case {
    /// The role has these policies. `iam` may answer in the place of IAM.
    fn new(policies: &[&Value], path: &str, iam: fn() -> Verdict) -> Self {
        let owner = Account::new(ministack());
        let form = |form: &str| {
            let answer = owner.form("iam", "us-east-1", &format!("{form}&Version=2010-05-08"));
            assert_eq!(answer.status(), 200, "{answer:?}");
        };
        let trust = form_encoded(TRUST);
        form(&format!("Action=CreateRole&RoleName=release&Path={path}&AssumeRolePolicyDocument={trust}"));
        for (n, policy) in policies.iter().enumerate() {
            let document = form_encoded(&policy.to_string());
            form(&format!(
                "Action=PutRolePolicy&RoleName=release&PolicyName=policy-{n}&PolicyDocument={document}"
            ));
        }
        let arn = format!("arn:aws:sts::{}:assumed-role/release/a-session", owner.key);
        let proxy = Proxy::start(ministack().address(), move |seen| match seen.service.as_str() {
            "sts" => Verdict::Answer(200, caller(&arn)),
            "iam" => iam(),
            _ => Verdict::Forward,
        });
        Self { owner, proxy }
    }

    fn doctor(&self, more: &[&str]) -> Run {
        let args = ["doctor", "--aws", "--regions", "eu-west-1"];
        Publisher::at(&self.proxy.url(), &self.owner.key).run_bare(&[&args, more].concat())
    }
}

fn caller(arn: &str) -> String {
    let account = arn.split(':').nth(4).unwrap();
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{arn}</Arn><UserId>x</UserId><Account>{account}</Account></GetCallerIdentityResult>\
         </GetCallerIdentityResponse>"
    )
}

/// The policies that `iam-policy` prints, for whatever account.
fn policies() -> [Value; 2] {
    ["publish", "verify"].map(|step| {
        let policy =
            Publisher::new().run_bare(&["iam-policy", step, "--account", "123456789012"]).expect(0).json();
        serde_json::from_str(&policy.to_string().replace(":123456789012:", ":*:")).unwrap()
    })
}

fn check(report: &Value, action: &str) -> Value {
    let actions = report["rights"]["actions"].as_array().unwrap();
    actions
        .iter()
        .find(|check| check["action"] == action)
        .unwrap_or_else(|| panic!("{action}: {report}"))
        .clone()
}

#[test]
fn the_policies_that_iam_policy_prints_are_enough() {
    let [publish, verify] = policies();
    let case = Case::new(&[&publish, &verify], "/", || Verdict::Forward);
    let report = case.doctor(&["--json"]).expect(0).json();
    let rights = &report["rights"];
    assert_eq!(rights["principal"], format!("arn:aws:iam::{}:role/release", case.owner.key));
    assert_eq!(rights["for"], json!(["publish", "verify"]));
    assert_eq!(check(&report, "lambda:PublishLayerVersion")["allowed"], true, "{report}");
    assert!(rights["actions"].as_array().unwrap().iter().all(|check| check["allowed"] == true), "{report}");
    let text = case.doctor(&[]).expect(0);
    assert!(
        text.stdout.contains("lambda:PublishLayerVersion") && text.stdout.contains("eu-west-1"),
        "{text:?}"
    );
    // Other steps need more.
    let more = case.doctor(&["--for", "yank", "--json"]).expect(1);
    assert_eq!(check(&more.json(), "lambda:RemoveLayerVersionPermission")["allowed"], false);
}

#[test]
fn what_is_not_allowed_is_named_with_the_command_that_prints_the_policy() {
    let [publish, _] = policies();
    let mut without = publish.clone();
    for statement in without["Statement"].as_array_mut().unwrap() {
        statement["Action"]
            .as_array_mut()
            .unwrap()
            .retain(|action| action != "lambda:AddLayerVersionPermission");
    }
    let case = Case::new(&[&without], "/", || Verdict::Forward);
    let run = case.doctor(&[]).expect(1).says("not allowed: lambda:AddLayerVersionPermission\n");
    run.says(&format!("publisher iam-policy publish --account {}", case.owner.key))
        .says("no policy allows it");

    // A layer of another name is another resource.
    let run = case.doctor(&["--layer-name", "Team-{arch}", "--json"]).expect(1);
    let refused = check(&run.json(), "lambda:PublishLayerVersion")["refused"].clone();
    let arm64 = format!("arn:aws:lambda:eu-west-1:{}:layer:Team-arm64", case.owner.key);
    assert_eq!(refused[&arm64], "no policy allows it", "{refused}");

    let deny = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "lambda:PublishLayerVersion", "Resource": "*"}]});
    let case = Case::new(&[&publish, &deny], "/", || Verdict::Forward);
    case.doctor(&[]).expect(1).says("not allowed: lambda:PublishLayerVersion\n").says("a policy denies it");
}

#[test]
fn the_path_of_a_role_is_looked_up() {
    let case = Case::new(&[], "/team/", || Verdict::Forward);
    let report = case.doctor(&["--json"]).expect(1).json();
    assert_eq!(report["rights"]["principal"], format!("arn:aws:iam::{}:role/team/release", case.owner.key));
}

#[test]
fn without_the_right_to_simulate_the_regions_are_shown_all_the_same() {
    fn denied() -> Verdict {
        Verdict::Answer(
            403,
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform \
             iam:SimulatePrincipalPolicy</Message></Error></ErrorResponse>"
                .to_owned(),
        )
    }
    let case = Case::new(&[], "/", denied);
    let run = case.doctor(&[]).expect(0).says("the rights are not checked").says("SimulatePrincipalPolicy");
    assert!(run.stdout.contains("eu-west-1") && !run.stdout.contains("lambda:"), "{run:?}");
    let report = case.doctor(&["--json"]).expect(0).json();
    assert_eq!(report["rights"]["actions"], json!([]));
    assert!(report["rights"]["unknown"].as_str().unwrap().contains("AccessDenied"), "{report}");
}
