"""How long an SDK waits for its answer, beside a minimal hyper server that only answers 200.

Both are asked in turns, request by request, each time a millisecond after everything is delivered, as an SDK comes back: whoever
answers was asleep. The same without the millisecond is recorded: caches are warm then, and nobody has to wake up.

With --quick, p99 is recorded only: on a machine that does other things it is theirs.
"""

from budgets import ATTEMPTS, LIMITS
from figures import Figure, median
from place import EXTENSION, PEERS, peers

KINDS = {"kept": "kept connection", "fresh": "new connection"}
WHO = "extension", "server"
CHUNK = 100


class Times:
    """What each of the two took, by kind of connection, µs."""

    def __init__(self, pause_us):
        self.pause_us = pause_us
        self.all = {(who, kind): [] for who in WHO for kind in KINDS}

    def add(self, requests):
        environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
        server = {"server": [str(PEERS), "answer"], "server_address": "127.0.0.1:9100"}
        numbers = {"requests": requests, "pause_us": self.pause_us}
        seen = peers("accept", extension=[str(EXTENSION)], env=environment, **server, **numbers)
        for who in WHO:
            for kind, times in zip(KINDS, seen[who]):
                self.all[who, kind] += times

    def p50(self, who, kind):
        return median(self.all[who, kind])

    def p99(self, who, kind):
        """Of the quietest hundred: over all of them, it is the machine's and not the server's."""
        times = self.all[who, kind]
        chunks = (sorted(times[at : at + CHUNK]) for at in range(0, len(times), CHUNK))
        return min(chunk[CHUNK * 98 // 100] for chunk in chunks)

    def ratios(self):
        """By kind and quantile: the extension's, the server's, how they compare."""
        for kind in KINDS:
            for name, quantile in ("p50", self.p50), ("p99", self.p99):
                extension, server = (quantile(who, kind) for who in WHO)
                yield kind, name, extension, server, extension / server


def judged_by(quick):
    return ["p50"] if quick else ["p50", "p99"]


def measure(quick):
    paced = Times(pause_us=1000)
    for _ in range(ATTEMPTS):
        paced.add(requests=300 if quick else 1500)
        judged = [(LIMITS[f"accept.{kind}.{name}"], ratio) for kind, name, _, _, ratio in paced.ratios() if name in judged_by(quick)]
        if all(ratio <= limit for limit, ratio in judged):
            break
    hot = Times(pause_us=0)
    hot.add(requests=500 if quick else 2000)
    for times, suffix, words in (paced, "", "answer to 5 KB"), (hot, ".hot", "the same, hot"):
        for kind, quantile, extension, server, ratio in times.ratios():
            comparison = f"{extension:.0f} µs, minimal server {server:.0f} µs"
            detail = {"extension_us": extension, "server_us": server, "requests": len(times.all["server", kind])}
            label = f"{words}, {KINDS[kind]}, {quantile}"
            judged = quantile in judged_by(quick)
            yield Figure(f"accept.{kind}.{quantile}{suffix}", label, ratio, "x", comparison, detail, judged=judged)
