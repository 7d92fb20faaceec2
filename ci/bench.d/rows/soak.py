"""What many invocations leave behind in memory: with freezes, faults of the function and of upstream, and deadlines as
of a clock that jumps. The seed is printed; the environment variable BENCH_SEED sets it."""

import json
import os
import secrets
import sys

from figures import Figure
from place import EXTENSION, SCRATCH, peers


def slope(points):
    """Returns the slope of the line through the points, by least squares."""
    count = len(points)
    x_mean, y_mean = (sum(values) / count for values in zip(*points))
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)


def soak(invocations, seed):
    """Returns the growth in MB per 1,000 invocations, its description, and the counts of the last line of the log."""
    print(f"soak: BENCH_SEED={seed}", file=sys.stderr, flush=True)
    log = SCRATCH / "soak.log"
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}
    numbers = {"invocations": invocations, "every": 50, "seed": seed}
    seen = peers("soak", extension=[str(EXTENSION)], env=environment, log=str(log), **numbers)
    # At first, the memory grows: caches and connections are made.
    settled = [(number, bytes / 1e6) for number, bytes in seen["resident"] if number > invocations / 4]
    growth = slope(settled) * 1000
    comparison = f"{settled[0][1]:.2f} MB after {settled[0][0]:,}, {settled[-1][1]:.2f} MB after {settled[-1][0]:,}"
    counts = [json.loads(line) for line in log.read_text().splitlines() if '"envelopes"' in line][-1]
    ended = sum(counts[name] for name in ("delivered", "rejected", "spooled", "dropped"))
    if counts["accepted"] != ended:
        raise RuntimeError(f"seed {seed}: the counts do not balance: {counts}")
    return growth, f"{comparison}; seed {seed}", counts


def measure(quick):
    seed = int(os.environ.get("BENCH_SEED", secrets.randbits(32)))
    invocations, name = (10_000, "soak.growth.short") if quick else (20_000, "soak.growth")
    growth, comparison, counts = soak(invocations, seed)
    yield Figure(name, f"RSS per 1,000 invocations, of {invocations:,}", growth, "MB", comparison)
    comparison = f"{counts['accepted']:,} accepted; {counts['reasons']}"
    yield Figure("soak.lost", "share that is dropped", counts["dropped"] / counts["accepted"], "", comparison)
