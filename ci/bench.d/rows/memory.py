"""The resident memory when idle, after 200 envelopes of 5 KB, and the maximum with a body of 20 MB."""

from figures import Figure
from place import EXTENSION, peers


def measure(_quick):
    # The buffer of a function with 1 GB is large enough for such a body.
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
    seen = peers("memory", extension=[str(EXTENSION)], env=environment, envelopes=200)
    yield Figure("memory.idle", "RSS, idle", seen["idle"] / 1e6, "MB")
    yield Figure("memory.worked", "RSS after 200 envelopes of 5 KB", seen["worked"] / 1e6, "MB")
    comparison = f"{seen['after'] / 1e6:.1f} MB afterwards"
    yield Figure("memory.peak", "RSS at most, body of 20 MB", seen["peak"] / 1e6, "MB", comparison)
