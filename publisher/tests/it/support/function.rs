//! Lambda functions in an emulated account. They are created and read without the publisher's code.

use super::{account::Account, dist};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// A function that exists.
pub struct Function<'a> {
    pub account: &'a Account,
    pub region: &'a str,
    pub name: &'a str,
}

impl<'a> Function<'a> {
    /// Creates a function from a zip. The fields in `more` are added to its configuration.
    pub fn new(account: &'a Account, region: &'a str, name: &'a str, more: &Value) -> Self {
        let role = account.role(region);
        let mut body = json!({
            "FunctionName": name, "Runtime": "python3.13", "Handler": "index.handler",
            "Role": role,
            "Code": {"ZipFile": STANDARD.encode(dist::other_zip("code"))}
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let function = Self { account, region, name };
        let (status, answer) = function.call("POST", "/2015-03-31/functions", &body);
        assert_eq!(status, 201, "{answer}");
        function
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = serde_json::to_vec(body).unwrap();
        let answer = self.account.call("lambda", self.region, method, path, "application/json", &body);
        (answer.status(), answer.json())
    }

    pub fn configuration(&self) -> Value {
        let path = format!("/2015-03-31/functions/{}/configuration", self.name);
        let answer = self.account.call("lambda", self.region, "GET", &path, "application/json", b"");
        assert_eq!(answer.status(), 200, "{}", answer.json());
        answer.json()
    }

    /// Changes the function's configuration directly, without the publisher.
    pub fn configure(&self, change: &Value) {
        let path = format!("/2015-03-31/functions/{}/configuration", self.name);
        let (status, answer) = self.call("PUT", &path, change);
        assert_eq!(status, 200, "{answer}");
    }

    pub fn arn(&self) -> String {
        self.configuration()["FunctionArn"].as_str().unwrap().to_owned()
    }

    pub fn layers(&self) -> Vec<String> {
        let configuration = self.configuration();
        let layers = configuration["Layers"].as_array().cloned().unwrap_or_default();
        layers.iter().map(|layer| layer["Arn"].as_str().unwrap().to_owned()).collect()
    }

    pub fn variables(&self) -> Value {
        self.configuration()["Environment"]["Variables"].clone()
    }
}

impl Account {
    /// Creates the role that the functions have. It is no error if the role exists already.
    fn role(&self, region: &str) -> String {
        let policy = form_encoded(r#"{"Version":"2012-10-17","Statement":[]}"#);
        let form = format!(
            "Action=CreateRole&Version=2010-05-08&RoleName=function&AssumeRolePolicyDocument={policy}"
        );
        let answer = self.form("iam", region, &form);
        assert!([200, 409].contains(&answer.status()), "{answer:?}");
        let partition = if region.starts_with("cn-") { "aws-cn" } else { "aws" };
        format!("arn:{partition}:iam::{}:role/function", self.number())
    }

    /// The account's number. It is not always the access key: moto has one number for all keys.
    pub fn number(&self) -> String {
        let answer = self.form("sts", "us-east-1", "Action=GetCallerIdentity&Version=2011-06-15");
        let text = String::from_utf8(answer.body).unwrap();
        let number = text.split("<Account>").nth(1).and_then(|rest| rest.split('<').next());
        number.unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    /// Sends a request in the older protocol of AWS, with a form as the body.
    pub fn form(&self, service: &str, region: &str, form: &str) -> super::http::Message {
        self.call(service, region, "POST", "/", "application/x-www-form-urlencoded", form.as_bytes())
    }

    /// Publishes a layer that does not contain the extension. Returns its ARN.
    pub fn other_layer(&self, region: &str, name: &str) -> String {
        let version = self.publish(region, name, "arm64", &dist::other_zip(name), name);
        format!("arn:aws:lambda:{region}:{}:layer:{name}:{version}", self.number())
    }
}

/// Percent-encodes a value for a form.
pub fn form_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}
