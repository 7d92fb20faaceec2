"""200 clients that send an envelope of 5 KB a second each, in one invocation, with an upstream that takes 50 ms, fails
for 1 % of the requests and takes a second for 5 %."""

from figures import Figure
from place import EXTENSION, peers

# The function's memory in MB. The buffer for envelopes is a sixteenth of it.
MEMORY = 256
BUFFER = MEMORY * 1024 * 1024 // 16
CLIENTS = 200


def measure(quick):
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY)}
    numbers = {"clients": CLIENTS, "seconds": 15 if quick else 60, "pause_ms": 1000, "seed": 1}
    upstream = {"delay_ms": 50, "slow_ms": 1000}
    seen = peers("load", extension=[str(EXTENSION)], env=environment, **numbers, **upstream)
    lost = 1 - seen["delivered"] / seen["accepted"]
    sent = f"{seen['accepted']:,} accepted, {seen['delivered']:,} delivered, {seen['refused']} refused"
    yield Figure("load.lost", f"{CLIENTS} clients: share that is not delivered", lost, "", sent, seen)
    beyond = (seen["rss_most"] - BUFFER) / 1024 / 1024
    comparison = f"{seen['rss_most'] / 1e6:.1f} MB at most"
    yield Figure("load.memory", f"{CLIENTS} clients: RSS beyond the buffer", beyond, "MiB", comparison)
    median = f"median {seen['p50_us'] / 1000:.2f} ms"
    yield Figure("load.p99", f"{CLIENTS} clients: answer, p99", seen["p99_us"] / 1000, "ms", median)
