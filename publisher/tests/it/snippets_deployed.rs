//! The CloudFormation template as a stack in an emulated account: the function that comes of it has the layer.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist},
    emulator::moto,
    function::{Function, form_encoded},
    snippet::snippet,
};

#[test]
fn a_stack_of_the_cloudformation_template_has_the_layer_of_its_region_and_architecture() {
    let owner = Account::new(moto());
    let dist = Dist::new("stack");
    let publisher = Publisher::at(&moto().url(), &owner.key);
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1,us-east-1"]).expect(0);
    let template = form_encoded(&snippet(&dist, "cloudformation", &[]));
    for (region, arch) in [("eu-west-1", "x86_64"), ("us-east-1", "arm64")] {
        let form = format!(
            "Action=CreateStack&Version=2010-05-15&StackName={arch}&TemplateBody={template}\
             &Parameters.member.1.ParameterKey=Architecture&Parameters.member.1.ParameterValue={arch}\
             &Parameters.member.2.ParameterKey=SentryDsn&Parameters.member.2.ParameterValue=x\
             &Capabilities.member.1=CAPABILITY_IAM"
        );
        let answer = owner.form("cloudformation", region, &form);
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
        let list =
            owner.call("lambda", region, "GET", "/2015-03-31/functions/", "application/json", b"").json();
        let name =
            list["Functions"][0]["FunctionName"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
        let function = Function { account: &owner, region, name: &name };
        assert!(ARCHES.contains(&arch));
        let arn = format!("arn:aws:lambda:{region}:{}:layer:SentryLambdaExtension-{arch}:1", owner.key);
        assert_eq!(function.layers(), [arn]);
        assert_eq!(function.variables()["AWS_LAMBDA_EXEC_WRAPPER"], "/opt/sentry-exec-wrapper");
    }
    println!("cloudformation: deployed to moto");
}
