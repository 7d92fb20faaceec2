"""`publisher attach` for five hundred functions in ten regions, compared with one function: requests and time."""

import base64
import concurrent.futures
import io
import json
import urllib.parse
import zipfile

from figures import Figure
from place import answers
from rows.publisher import ACCOUNT, EMULATOR, emulated, run

REGIONS = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "sa-east-1",
]
EACH = 50
ROLE = f"arn:aws:iam::{ACCOUNT}:role/function"


def call(service, region, path, body, kind="application/json"):
    """Sends one request to the emulator, which checks no signature."""
    scope = f"Credential={ACCOUNT}/20260101/{region}/{service}/aws4_request"
    headers = {"authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0", "content-type": kind}
    status, answer = answers(EMULATOR, path, "POST", body, headers=headers)
    if status not in (200, 201):
        raise RuntimeError(f"{service} {path}: {status} {answer[:500]}")


def create(region, name):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return {}")
    function = {
        "FunctionName": name,
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": ROLE,
        "Code": {"ZipFile": base64.b64encode(code.getvalue()).decode()},
    }
    call("lambda", region, "/2015-03-31/functions", json.dumps(function))


def measure(_quick):
    with emulated() as dist:
        run("publish", dist, REGIONS)
        trust = urllib.parse.quote('{"Version":"2012-10-17","Statement":[]}')
        form = f"Action=CreateRole&Version=2010-05-08&RoleName=function&AssumeRolePolicyDocument={trust}"
        call("iam", "us-east-1", "/", form, "application/x-www-form-urlencoded")
        functions = [("eu-west-1", "single")] + [(region, f"orders-{n}") for region in REGIONS for n in range(EACH)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda function: create(*function), functions))
        one, short = run("attach", dist, ["eu-west-1"], "single")
        many, long = run("attach", dist, REGIONS, "--match", "orders-*")
    count = EACH * len(REGIONS)
    requests, single = sum(many.values()), sum(one.values())
    label = f"attach to {count} functions: requests a function, ratio to one alone"
    comparison = f"{requests} requests in {len(REGIONS)} regions; one alone {single}"
    yield Figure("attach.requests", label, requests / count / single, "x", comparison)
    comparison = f"{long:.1f} s, at most 10 requests a second in a region; one alone {short:.2f} s"
    yield Figure("attach.time", f"attach to {count} functions: time, ratio to one alone", long / short, "x", comparison)
