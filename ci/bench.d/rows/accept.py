"""How long an SDK waits for its answer, beside a minimal hyper server that only answers 200.

Both take turns in one run. Requests come a millisecond apart, as from an SDK: whoever answers has gone to sleep in between. The
same without a pause is recorded: there each answer also waits for the delivery of the envelope before.
"""

from budgets import ATTEMPTS, LIMITS
from figures import Figure
from place import EXTENSION, PEERS, peers

KINDS = {"kept": "kept connection", "fresh": "new connection"}


def run(rounds, requests, pause_us):
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
    server = {"server": [str(PEERS), "answer"], "server_address": "127.0.0.1:9100"}
    numbers = {"rounds": rounds, "requests": requests, "pause_us": pause_us}
    return peers("accept", extension=[str(EXTENSION)], env=environment, **server, **numbers)


def compared(rounds):
    """The least of all rounds, by kind of connection and quantile: extension, server, ratio."""
    found = {}
    for kind in KINDS:
        for quantile in "p50", "p99":
            least = lambda who: min(seen[who][kind][quantile] for seen in rounds)
            found[kind, quantile] = least("extension"), least("server"), least("extension") / least("server")
    return found


def measure(quick):
    rounds = []
    for _ in range(ATTEMPTS):
        rounds += run(rounds=5 if quick else 15, requests=150 if quick else 300, pause_us=1000)
        found = compared(rounds)
        if all(ratio <= LIMITS[f"accept.{kind}.{quantile}"] for (kind, quantile), (_, _, ratio) in found.items()):
            break
    for (kind, quantile), (extension, server, ratio) in found.items():
        label = f"answer to 5 KB, {KINDS[kind]}, {quantile}"
        comparison = f"{extension:.0f} µs, minimal server {server:.0f} µs"
        detail = {"extension_us": extension, "server_us": server, "rounds": len(rounds)}
        yield Figure(f"accept.{kind}.{quantile}", label, ratio, "x", comparison, detail)
    for (kind, quantile), (extension, server, ratio) in compared(run(rounds=5, requests=500, pause_us=0)).items():
        label = f"the same back to back, {KINDS[kind]}, {quantile}"
        comparison = f"{extension:.0f} µs, minimal server {server:.0f} µs"
        yield Figure(f"accept.{kind}.{quantile}.back_to_back", label, ratio, "x", comparison)
