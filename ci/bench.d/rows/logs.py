"""The cost of the function's own lines: instructions compared with parsing them, and CPU time and memory at 20,000 lines
a second.
"""

import json
import subprocess

from figures import Figure
from place import EXTENSION, MADE, PATH, counted, peers

REQUEST = "8442603f-da10-42d2-bf58-c33a31978aad"
RECORDS = {
    "text": f"[INFO]\t2026-01-01T00:00:00.000Z\t{REQUEST}\tcart 4711 has three items and was paid by card\n",
    "json": {
        "timestamp": "2026-01-01T00:00:00.000Z",
        "level": "INFO",
        "message": "cart 4711 has three items and was paid by card",
        "requestId": REQUEST,
        "service": "orders",
        "cart": 4711,
    },
}
ENVIRONMENT = {
    "PATH": PATH,
    "AWS_LAMBDA_FUNCTION_NAME": "orders",
    "SENTRY_EXTENSION_FUNCTION_LOGS": "info",
    "SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET": "1GiB",
}
# The queue holds all lines, and no delivery ends before the measurement does.
KEPT = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "4096", "SENTRY_EXTENSION_TIMEOUT": "3600s"}
LINES = 100
RATE = 20_000


def run(command, kind, batches, env, lines=LINES, rate=0, answers=True):
    specification = {"record": json.dumps(RECORDS[kind]), "lines": lines, "batches": batches}
    command = [str(word) for word in command]
    return peers("logs", extension=command, env=ENVIRONMENT | env, rate=rate, answers=answers, **specification)


def taken(kind, batches, env, answers):
    """Returns the instructions of the extension for so many batches."""
    command, total = counted([EXTENSION])
    run(command, kind, batches, env, answers=answers)
    return total()


def parsed(kind, batches):
    """Returns the instructions of a program that only parses them."""
    command, total = counted([MADE / "parse", json.dumps(RECORDS[kind]), LINES, batches])
    subprocess.run(command, check=True, timeout=600)
    return total()


def measure(quick):
    few, many = (5, 25) if quick else (20, 120)
    per_line = (many - few) * LINES
    for kind in RECORDS:
        alone = (parsed(kind, many) - parsed(kind, few)) / per_line
        count = (taken(kind, many, KEPT, answers=False) - taken(kind, few, KEPT, answers=False)) / per_line
        comparison = f"{count:,.0f}, serde_json alone {alone:,.0f}"
        label = f"instructions of a line of {kind} into the queue, beside parsing it"
        yield Figure(f"logs.{kind}", label, count / alone, "x", comparison)
        if not quick:
            whole = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "4096"}
            count = taken(kind, many, whole, answers=True) - taken(kind, few, whole, answers=True)
            label = f"instructions of a line of {kind} until it is delivered"
            yield Figure(f"logs.{kind}.delivered", label, round(count / per_line), "", "a hundred lines an envelope")
    one_core = ["taskset", "-c", "1", EXTENSION]
    small = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}
    seconds = 3 if quick else 15
    # Lambda hands over what has come within 25 ms, or more.
    lines = RATE // 40
    seen = run(one_core, "text", seconds * 40, small, lines=lines, rate=RATE)
    late = seen["wall_us"] / 1e6 / seconds
    comparison = f"{seen['sent']:,} lines in {seen['wall_us'] / 1e6:.1f} s"
    yield Figure("logs.lost", "lines lost at 20,000/s on one core", seen["sent"] - seen["arrived"], "", comparison)
    busy = seen["cpu_us"] / seen["wall_us"] * max(late, 1)
    each = f"{seen['cpu_us'] / seen['sent']:.1f} µs CPU a line"
    yield Figure("logs.busy", "part of one core that 20,000 lines/s take", busy, "x", each)
    growth = (seen["late"] - seen["early"]) / 1e6
    comparison = f"{seen['early'] / 1e6:.1f} MB after a tenth of them, {seen['late'] / 1e6:.1f} MB at the end"
    yield Figure("logs.growth", "RSS that grows meanwhile", growth, "MB", comparison)
    if not quick:
        seen = run(one_core, "text", 400, small, lines=lines)
        rate = seen["sent"] / (seen["cpu_us"] / 1e6)
        yield Figure("logs.rate", "lines/s that one core could take", rate, "/s", "by the CPU time, as fast as taken")
