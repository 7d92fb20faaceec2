"""The instructions and the CPU time from the start to the first /next, measured against a scripted Lambda."""

import os
import time

from figures import Figure, median
from place import DSN, EXTENSION, MADE, PATH, SCRATCH, background, close, counted, peers, wait_for

# Runs a program with a layer of its own in /opt.
ENTER = ["unshare", "--mount", "sh", "-ec", 'mount --bind "$1" /opt; shift; exec "$@"', "sh"]
WRAPPER = MADE / "layer/sentry-exec-wrapper"
ENVIRONMENT = {"PATH": PATH, "SENTRY_DSN": DSN, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}


def start(programs, runs, settle_ms=20, post=False):
    return peers("start", programs=programs, runs=runs, env=ENVIRONMENT, settle_ms=settle_ms, post=post)


def instructions(program):
    """Returns the instructions of three runs. They differ by less than a thousandth."""
    counts = []
    for _ in range(3):
        command, total = counted([program])
        start({"counted": command}, runs=1, settle_ms=200)
        counts.append(total())
    return counts


def with_relay(runs):
    """Returns the shortest milliseconds to the first /next, without Sentry's Relay in the layer and with it."""
    commands = {}
    for name in "without", "with":
        layer = SCRATCH / f"layer-{name}-relay"
        layer.mkdir()
        commands[name] = [*ENTER, str(layer), str(EXTENSION)]
    # It never becomes ready. What it does is not part of a start.
    relay = SCRATCH / "layer-with-relay/relay/relay"
    relay.parent.mkdir()
    relay.write_text("#!/bin/sh\nexec sleep 60\n")
    relay.chmod(0o755)
    seen = start(commands, runs)
    return [min(run["wall_us"] for run in seen[name]) / 1000 for name in ("without", "with")]


def with_wrapper(runs):
    """Returns the shortest milliseconds of a program that does nothing, started directly and by the wrapper."""
    least = {}
    # The wrapper changes the DSN only if the extension has the port.
    extension = background([EXTENSION, "--standalone"], env=ENVIRONMENT)
    try:
        wait_for(5333, "/api/relay/healthcheck/live/")
        for _ in range(runs):
            for command in ["/bin/true"], [str(WRAPPER), "/bin/true"]:
                began = time.monotonic()
                os.waitpid(os.posix_spawn(command[0], command, ENVIRONMENT), 0)
                took = 1000 * (time.monotonic() - began)
                least[len(command)] = min(took, least.get(len(command), took))
    finally:
        close(extension)
    return least[1], least[2]


def measure(quick):
    counts = instructions(EXTENSION)
    floor = min(instructions(MADE / "floor"))
    comparison = f"the floor takes {floor:,}"
    detail = {"runs": counts, "floor": floor}
    yield Figure("start.instructions", "instructions to the first /next", min(counts), "", comparison, detail)
    programs = {"extension": [str(EXTENSION)], "floor": [str(MADE / "floor")]}
    seen = start(programs, runs=20 if quick else 100)
    cpu = {name: [run["cpu_us"] / 1000 for run in runs] for name, runs in seen.items()}
    wall = {name: min(run["wall_us"] for run in runs) / 1000 for name, runs in seen.items()}
    detail = {"median": median(cpu["extension"]), "floor": min(cpu["floor"]), "wall": wall}
    comparison = f"the floor takes {detail['floor']:.2f} ms"
    yield Figure("start.cpu", "CPU time to the first /next", min(cpu["extension"]), "ms", comparison, detail)
    comparison = f"the floor takes {wall['floor']:.2f} ms"
    yield Figure("start.wall", "start → first /next, scripted Lambda", wall["extension"], "ms", comparison)
    without, relay = with_relay(20 if quick else 100)
    comparison = f"{relay:.2f} ms, without {without:.2f} ms"
    yield Figure("start.relay", "what Sentry's Relay in the layer adds to that", relay - without, "ms", comparison)
    direct, wrapped = with_wrapper(200 if quick else 1000)
    comparison = f"{wrapped:.2f} ms, without {direct:.2f} ms"
    yield Figure("start.wrapper", "what sentry-exec-wrapper adds to a start", wrapped - direct, "ms", comparison)
