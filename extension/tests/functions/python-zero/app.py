"""A function that leaves everything to the environment."""

import os

import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

if "INTEGRATION" in os.environ:
    sentry_sdk.init(integrations=[AwsLambdaIntegration()])
else:
    sentry_sdk.init()


def handler(event, context):
    marker = event["marker"]
    if event["fails"]:
        raise RuntimeError(marker)
    try:
        raise RuntimeError(marker)
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    return {"marker": marker}
