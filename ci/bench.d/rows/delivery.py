"""Times over TLS with a round trip of 50 ms, on a new and on a kept connection: from the last envelope to its delivery,
and from a fault of the function to the arrival of its event.

The delivery is complete when the extension asks for the next event, because then the environment may freeze.
"""

import subprocess
import sys

from figures import Figure, median
from place import EXTENSION, ROOT, SCRATCH, background, close, peers

NEAR, FAR = "10.99.0.1", "10.99.0.2"


def measure(quick):
    command = [sys.executable, ROOT / "ci/bench.d/link.py", NEAR, FAR, "25"]
    link = background(command, stdout=subprocess.PIPE)
    try:
        if link.stdout.readline() != b"ready\n":
            comparison = "/dev/net/tun is missing, or no device may be created"
            for id in "delivery.warm", "delivery.first":
                yield Figure(id, "last envelope → delivered", None, "x", comparison)
            for id in "fault.warm", "fault.first":
                yield Figure(id, "fault → its event has arrived", None, "ms", comparison)
            return
        environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}
        numbers = {"starts": 4 if quick else 10, "invocations": 4 if quick else 6}
        ends = {"near": NEAR, "far": FAR, "ca_file": str(SCRATCH / "far-ca.pem")}
        seen = peers("delivery", extension=[str(EXTENSION)], env=environment, **numbers, **ends)
        faults = peers("fault", extension=[str(EXTENSION)], env=environment, **numbers, **ends)
    finally:
        close(link)
    trip = min(seen["round_trip_us"]) / 1000
    for which, label in ("warm", "kept connection"), ("first", "new TLS connection"):
        times = [time / 1000 for time in seen[f"{which}_us"]]
        comparison = f"{min(times):.1f} ms, round trip {trip:.1f} ms; median {median(times):.1f} ms"
        yield Figure(f"delivery.{which}", f"last envelope → delivered, {label}", min(times) / trip, "RTT", comparison)
    trip = min(faults["round_trip_us"]) / 1000
    for which, label in ("warm", "kept connection"), ("first", "new TLS connection"):
        times = [time / 1000 for time in faults[f"{which}_us"]]
        comparison = f"round trip {trip:.1f} ms; median {median(times):.1f} ms"
        yield Figure(f"fault.{which}", f"fault → its event has arrived, {label}", min(times), "ms", comparison)
