"""How long an SDK waits for its response, compared with a minimal hyper server that only answers 200.

The requests alternate between the two. Each is sent a millisecond after everything is delivered, as an SDK would
send it, so that the server must wake up. The rows "hot" are recorded without the millisecond: caches are warm and
no server must wake up.
"""

from budgets import ATTEMPTS, LIMITS
from figures import Figure, median
from place import EXTENSION, PEERS, peers

KINDS = {"kept": "kept connection", "fresh": "new connection"}
SERVERS = "extension", "server"
CHUNK = 100


class Times:
    """The response times of the extension and the server by kind of connection, in µs."""

    def __init__(self, pause_us):
        self.pause_us = pause_us
        self.all = {(server_name, kind): [] for server_name in SERVERS for kind in KINDS}

    def add(self, requests):
        environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
        server = {"server": [str(PEERS), "answer"], "server_address": "127.0.0.1:9100"}
        numbers = {"requests": requests, "pause_us": self.pause_us}
        seen = peers("accept", extension=[str(EXTENSION)], env=environment, **server, **numbers)
        for server_name in SERVERS:
            for kind, times in zip(KINDS, seen[server_name]):
                self.all[server_name, kind] += times

    def p50(self, server_name, kind):
        return median(self.all[server_name, kind])

    def p99(self, server_name, kind):
        """Returns the p99 of the quietest hundred requests. Over all requests it would show the machine and not the
        server.
        """
        times = self.all[server_name, kind]
        chunks = (sorted(times[at : at + CHUNK]) for at in range(0, len(times), CHUNK))
        return min(chunk[CHUNK * 98 // 100] for chunk in chunks)

    def ratios(self):
        """Yields kind, quantile, the extension's value, the server's value and their ratio."""
        for kind in KINDS:
            for name, quantile in ("p50", self.p50), ("p99", self.p99):
                extension, server = (quantile(server_name, kind) for server_name in SERVERS)
                yield kind, name, extension, server, extension / server


def measure(quick):
    paced = Times(pause_us=1000)
    for _ in range(ATTEMPTS):
        paced.add(requests=300 if quick else 1500)
        if quick or all(ratio <= LIMITS[f"accept.{kind}.{name}"] for kind, name, _, _, ratio in paced.ratios()):
            break
    hot = Times(pause_us=0)
    hot.add(requests=500 if quick else 2000)
    for times, suffix, words in (paced, "", "answer to 5 KB"), (hot, ".hot", "the same, hot"):
        for kind, quantile, extension, server, ratio in times.ratios():
            comparison = f"{extension:.0f} µs, minimal server {server:.0f} µs"
            detail = {"extension_us": extension, "server_us": server, "requests": len(times.all["server", kind])}
            label = f"{words}, {KINDS[kind]}, {quantile}"
            yield Figure(f"accept.{kind}.{quantile}{suffix}", label, ratio, "x", comparison, detail)
