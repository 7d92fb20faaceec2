"""A function that uses every kind of payload, with its DSN rewritten to the extension."""

import os
from urllib.parse import urlsplit

import sentry_sdk
from sentry_sdk.crons import monitor
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

real = urlsplit(os.environ["SENTRY_DSN"])
sentry_sdk.init(
    dsn=f"http://{real.username}@localhost:{os.environ['EXTENSION_PORT']}{real.path}",
    integrations=[AwsLambdaIntegration()],
    traces_sample_rate=1.0,
    enable_logs=True,
)


def handler(event, context):
    marker = event["marker"]
    if "messages" in event:
        for number in range(event["messages"]):
            sentry_sdk.capture_message(f"{marker} {number}")
        return {"marker": marker}

    sentry_sdk.set_tag("marker", marker)
    sentry_sdk.logger.info(marker)
    with monitor(monitor_slug=marker):
        try:
            raise RuntimeError(marker)
        except RuntimeError as error:
            sentry_sdk.capture_exception(error)
    return {"marker": marker}
