"""The instructions and the CPU time from the start to the first /next, measured against a scripted Lambda."""

from figures import Figure, median
from place import DSN, EXTENSION, MADE, PATH, counted, peers

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
