//! The choice of the regions, the account and the credentials.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::Dist,
    emulator::ministack,
    proxy::{Proxy, Verdict},
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpListener,
};

fn planned_regions(run: &Run) -> Vec<String> {
    let rows = run.json()["regions"].as_array().unwrap().clone();
    rows.iter().step_by(2).map(|row| row["region"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn patterns_and_exclusions_select_regions() {
    let owner = Account::new(ministack());
    let dist = Dist::new("patterns");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let plan = |more: &[&str]| publisher.run(&dist, &[["publish", "--json"].as_slice(), more].concat());
    let run = plan(&["--regions", "us-*", "--exclude", "us-west-?"]).expect(0);
    assert_eq!(planned_regions(&run), ["us-east-1", "us-east-2"]);
    let run = plan(&["--regions", "eu-west-1", "--optional-regions", "eu-west-*"]).expect(0);
    assert_eq!(planned_regions(&run), ["eu-west-1", "eu-west-2", "eu-west-3"]);
    assert!(run.json()["regions"].as_array().unwrap().iter().all(|row| row["required"] == false));
    plan(&["--regions", "mars-*"]).expect(1).says("`mars-*` matches no region");
    plan(&["--exclude", "us-esat-1"])
        .expect(1)
        .says("there is no region `us-esat-1`: did you mean us-east-1?");
    plan(&["--regions", "cn-*"]).expect(1).says("cn-* is in the partition aws-cn");
    plan(&["--regions", "eu-west-1", "--exclude", "*"]).expect(1).says("no region is left");
}

#[test]
fn the_region_list_is_read_to_its_last_page_and_its_failure_is_reported() {
    let owner = Account::new(ministack());
    let dist = Dist::new("pages");
    let mut page = 0;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.service != "account" {
            return Verdict::Forward;
        }
        page += 1;
        let region = |name: &str| json!({"RegionName": name, "RegionOptStatus": "ENABLED"});
        let answer = if page == 1 {
            json!({"Regions": [region("eu-west-1")], "NextToken": "more"})
        } else {
            json!({"Regions": [region("us-east-1")]})
        };
        Verdict::Answer(200, answer.to_string())
    });
    let run = Publisher::at(&proxy.url(), &owner.key).run(&dist, &["publish", "--json"]).expect(0);
    assert_eq!(planned_regions(&run), ["eu-west-1", "us-east-1"]);

    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.service == "account" {
            Verdict::error(403, "AccessDeniedException")
        } else {
            Verdict::Forward
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let run = publisher.run(&dist, &["publish", "--regions", "eu-west-1"]).expect(0);
    run.says("warning: the account's list of regions cannot be read");
}

#[test]
fn an_unexpected_account_is_refused_before_any_request_to_lambda() {
    let owner = Account::new(ministack());
    let dist = Dist::new("expected");
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", "eu-west-1", "--expect-account"];
    let run = publisher.run(&dist, &[args.as_slice(), &["999999999999"]].concat()).expect(1);
    run.says(&format!("these credentials belong to account {}, not to 999999999999", owner.key));
    assert!(proxy.requests().iter().all(|seen| seen.service == "sts"));
    publisher.run(&dist, &[args.as_slice(), &[&owner.key]].concat()).expect(0);
}

#[test]
fn missing_code_storage_is_found_before_the_upload() {
    let owner = Account::new(ministack());
    let dist = Dist::new("room");
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.line.ends_with("/account-settings") && seen.region == "eu-west-1" {
            let limit =
                json!({"AccountLimit": {"TotalCodeSize": 100}, "AccountUsage": {"TotalCodeSize": 90}});
            return Verdict::Answer(200, limit.to_string());
        }
        Verdict::Forward
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let run = publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1,us-east-1"]).expect(3);
    run.says("eu-west-1 arm64: the region has room for 10 more bytes").says("2 published, 2 failed");
    assert!(proxy.requests().iter().all(|seen| !(seen.publishes() && seen.region == "eu-west-1")));
}

#[test]
fn credentials_that_expire_during_the_run_are_renewed() {
    let (first, second) = (Account::new(ministack()), Account::new(ministack()));
    let dist = Dist::new("renewed");
    let (old, mut asked) = (first.key.clone(), 0);
    let proxy = Proxy::start(ministack().address(), move |seen| {
        asked += usize::from(seen.service == "lambda");
        if asked > 5 && seen.key == old {
            Verdict::error(403, "ExpiredTokenException")
        } else {
            Verdict::Forward
        }
    });
    let publisher = Publisher::new().env("AWS_ENDPOINT_URL", &proxy.url()).env("AWS_PROFILE", "short");
    let keys = |key: &str| json!({"Version": 1, "AccessKeyId": key, "SecretAccessKey": "x"}).to_string();
    publisher.home_file("1.json", &keys(&first.key));
    publisher.home_file("2.json", &keys(&second.key));
    // The process returns one key at first, and then another one. It belongs to another account, so that the requests
    // show which key was used.
    let process = "sh -c 'cd $HOME; cat 1.json; cp 2.json 1.json'";
    publisher.home_file(".aws/config", &format!("[profile short]\ncredential_process = {process}\n"));
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    let all = |owner: &Account| owner.versions("eu-west-1", "SentryLambdaExtension-arm64").len();
    assert_eq!(all(&first) + all(&second), 1);
    assert!(proxy.requests().iter().any(|seen| seen.key == second.key && seen.service == "lambda"));
}

#[test]
fn proxies_in_the_environment_are_used() {
    let owner = Account::new(ministack());
    let dist = Dist::new("proxy");
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at("http://aws.invalid", &owner.key).env("HTTP_PROXY", &proxy.url());
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    assert!(proxy.requests().iter().any(|seen| seen.line.contains("http://aws.invalid/")));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 403 no\r\n\r\n").unwrap();
        String::from_utf8(line).unwrap()
    });
    let https = Publisher::at("https://aws.invalid", &owner.key).env("HTTPS_PROXY", &url);
    let run = https.run(&dist, &["publish", "--timeout", "2", "--regions", "eu-west-1"]).expect(1);
    run.says("cannot reach AWS at https://aws.invalid");
    assert_eq!(asked.join().unwrap(), "CONNECT aws.invalid:443 HTTP/1.1\r\n");
}
