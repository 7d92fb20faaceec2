//! Deploys the CloudFormation and SAM templates to an emulated account, and checks that their functions have the layer.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    function::{Function, form_encoded},
    snippet::{INSIGHTS, assert_insights, snippet},
};

#[test]
fn a_stack_of_a_template_has_the_layer_of_its_region_and_architecture() {
    let owner = Account::new(ministack());
    let dist = Dist::new("stack");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher
        .run(&dist, &["publish", "--execute", "--regions", "eu-west-1,eu-west-2,us-east-1,us-east-2"])
        .expect(0);
    // Each stack has a region of its own, so the region's only function belongs to it.
    for (region, arch, format) in [
        ("eu-west-1", "x86_64", "cloudformation"),
        ("us-east-1", "arm64", "cloudformation"),
        ("eu-west-2", "x86_64", "sam"),
        ("us-east-2", "arm64", "sam"),
    ] {
        let template = form_encoded(&snippet(&dist, format, &INSIGHTS));
        let name = arch.replace('_', "-");
        let form = format!(
            "Action=CreateStack&Version=2010-05-15&StackName={name}&TemplateBody={template}\
             &Parameters.member.1.ParameterKey=Architecture&Parameters.member.1.ParameterValue={arch}\
             &Parameters.member.2.ParameterKey=SentryDsn&Parameters.member.2.ParameterValue=x\
             &Capabilities.member.1=CAPABILITY_IAM&Capabilities.member.2=CAPABILITY_AUTO_EXPAND"
        );
        let answer = owner.form("cloudformation", region, &form);
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
        let list =
            owner.call("lambda", region, "GET", "/2015-03-31/functions/", "application/json", b"").json();
        let name =
            list["Functions"][0]["FunctionName"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
        let function = Function { account: &owner, region, name: &name };
        let arn = format!("arn:aws:lambda:{region}:{}:layer:SentryLambdaExtension-{arch}:1", owner.key);
        assert_eq!(function.layers(), [arn]);
        let variables = function.variables();
        assert_eq!(variables["AWS_LAMBDA_EXEC_WRAPPER"], "/opt/sentry-exec-wrapper");
        assert_insights(&variables);
    }
    println!("cloudformation, sam: deployed to ministack");
}
