"""Uploads over a slow line: `publisher publish` with its defaults, compared with fixed numbers of uploads at once."""

import json
import os
import subprocess
import sys

from figures import Figure
from place import ROOT, SCRATCH
from rows.publisher import PUBLISHER

# A network namespace of its own, so that no other row is slowed down. Packets are as small as on a real line.
ENTER = """
ip link set lo mtu 1500
ip link set lo up
tc qdisc add dev lo root tbf rate "$1" burst 16kb latency 500ms
shift
exec "$@"
"""
RATE = "4mbit"
# What is compared with the defaults.
FIXED = [4, 16]


def measure(_quick):
    script = [sys.executable, "-B", str(ROOT / "ci/bench.d/slow_line.py"), str(PUBLISHER), str(SCRATCH)]
    command = ["unshare", "--net", "sh", "-ec", ENTER, "sh", RATE, *script, *map(str, FIXED)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=1200)
    label = "62 uploads at 4 Mbit/s: defaults, ratio to the best fixed number at once"
    if done.returncode != 0 and "qdisc" in done.stderr:
        yield Figure("publisher.slow_line", label, None, "x", "the kernel cannot limit the rate of a link")
        return
    if done.returncode != 0:
        raise RuntimeError(f"uploads: {done.stderr.strip()[-2000:]}")
    seconds = json.loads(done.stdout)
    fixed = {at_once: took for at_once, took in seconds.items() if at_once != "defaults"}
    best = min(fixed, key=fixed.get)
    comparison = f"defaults {seconds['defaults']:.0f} s; " + ", ".join(f"{n} at once {fixed[n]:.0f} s" for n in fixed)
    ratio = seconds["defaults"] / fixed[best]
    yield Figure("publisher.slow_line", label, ratio, "x", comparison, {"seconds": seconds})
