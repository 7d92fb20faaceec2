"""A function with an SDK that still sends errors to /store/: no tracing, so no envelope."""

import os
from urllib.parse import urlsplit

import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

real = urlsplit(os.environ["SENTRY_DSN"])
sentry_sdk.init(
    dsn=f"http://{real.username}@localhost:{os.environ['EXTENSION_PORT']}{real.path}",
    integrations=[AwsLambdaIntegration()],
)


def handler(event, context):
    try:
        raise RuntimeError(event["marker"])
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    return {"marker": event["marker"]}
