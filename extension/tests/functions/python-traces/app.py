"""A function whose SDK traces every invocation, as transactions or as streamed spans."""

import os

import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

sentry_sdk.init(
    integrations=[AwsLambdaIntegration()],
    traces_sample_rate=float(os.environ["SAMPLE_RATE"]),
    trace_lifecycle=os.environ["LIFECYCLE"],
)


def handler(event, context):
    return event
