"""The resident memory when idle, after 200 envelopes of 5 KB, and the maximum with a body of 20 MB; and what the
extension's own reports add to it.
"""

from figures import Figure
from place import EXTENSION, peers

NOTHING = {"SENTRY_EXTENSION_FAULTS": "false", "SENTRY_EXTENSION_SPANS": "off"}
EVERYTHING = {
    "SENTRY_EXTENSION_FAULTS": "true",
    "SENTRY_EXTENSION_ERRORS": "true",
    "SENTRY_EXTENSION_FUNCTION_LOGS": "trace",
    "SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET": "1GiB",
    "SENTRY_EXTENSION_SPANS": "1.0",
    "SENTRY_EXTENSION_METRICS": "true",
    "SENTRY_EXTENSION_MONITOR": "nightly|rate(5 minutes)",
}


def after_invocations(settings, lines):
    """Returns the memory after a hundred invocations, each with an envelope and so many lines of the function."""
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_NAME": "f"} | settings
    specification = {"extension": [str(EXTENSION)], "env": environment, "invocations": 100, "last_ms": 0}
    return peers("invocation", **specification, lines=lines)["memory"]


def measure(_quick):
    # The buffer of a function with 1 GB is large enough for such a body.
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
    seen = peers("memory", extension=[str(EXTENSION)], env=environment, envelopes=200)
    yield Figure("memory.idle", "RSS, idle", seen["idle"] / 1e6, "MB")
    yield Figure("memory.worked", "RSS after 200 envelopes of 5 KB", seen["worked"] / 1e6, "MB")
    comparison = f"{seen['after'] / 1e6:.1f} MB afterwards"
    yield Figure("memory.peak", "RSS at most, body of 20 MB", seen["peak"] / 1e6, "MB", comparison)
    # Without logs, Lambda does not hand over the function's lines.
    off, on = after_invocations(NOTHING, lines=0), after_invocations(EVERYTHING, lines=20)
    comparison = f"{on / 1e6:.2f} MB after 100 invocations of 20 lines; {off / 1e6:.2f} MB with everything off"
    label = "RSS that logs, errors, spans, metrics, a monitor and faults add"
    yield Figure("memory.everything", label, (on - off) / 1e6, "MB", comparison)
