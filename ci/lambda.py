"""What the scripts of this folder ask of AWS Lambda beside `publisher`: usage: lambda.py COMMAND REGION ARGUMENT…

A command is the name of a function below; its parameters are the arguments. The environment names the credentials, and
AWS_ENDPOINT_URL an emulator.
"""
import base64
import io
import sys
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CONFIG = Config(connect_timeout=10, read_timeout=90, retries={"mode": "standard", "max_attempts": 3})


def create_function(client, name, role, arch, code, *layers):
    """Makes a Python function in place of an older one of that name; returns once it can be invoked."""
    try:
        client.delete_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        pass
    client.create_function(
        FunctionName=name, Role=role, Runtime="python3.13", Handler="app.handler", Timeout=15,
        Architectures=[arch], Layers=list(layers), Code={"ZipFile": archive({"app.py": code})},
    )
    client.get_waiter("function_active").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def invoke(client, name):
    """Prints what the function answers, and to stderr what it logged; fails if the function failed."""
    answer = client.invoke(FunctionName=name, LogType="Tail", Payload=b"{}")
    print(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"), file=sys.stderr)
    print(answer["Payload"].read().decode())
    if "FunctionError" in answer:
        sys.exit(1)


def layers_of(client, name):
    """Prints the ARNs of a function's layers."""
    for layer in client.get_function_configuration(FunctionName=name).get("Layers", []):
        print(layer["Arn"])


def delete_function(client, name):
    client.delete_function(FunctionName=name)


def publish_empty(client, layer):
    """Publishes a version of a layer that holds nothing."""
    print(client.publish_layer_version(LayerName=layer, Content={"ZipFile": archive({})})["Version"])


def versions(client, layer):
    """Prints the numbers of a layer's versions, the oldest first, on one line."""
    pages = client.get_paginator("list_layer_versions").paginate(LayerName=layer)
    print(*sorted(version["Version"] for page in pages for version in page["LayerVersions"]))


def revoke(client, layer, version):
    """Takes the public grant of a layer's version away."""
    client.remove_layer_version_permission(LayerName=layer, VersionNumber=int(version), StatementId="public")


def archive(files):
    """A zip whose files everybody may read."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zip_file:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            zip_file.writestr(entry, text)
    return content.getvalue()


COMMANDS = [create_function, invoke, layers_of, delete_function, publish_empty, versions, revoke]

if __name__ == "__main__":
    command, region, *arguments = sys.argv[1:]
    run = {command.__name__: command for command in COMMANDS}[command]
    try:
        run(boto3.client("lambda", region_name=region, config=CONFIG), *arguments)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{command} in {region}: {error}")
