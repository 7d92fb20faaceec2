"""The program behind `ci/bench`. It measures the released binary and fails if a figure exceeds its budget."""

import importlib
import json
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True

import baseline
import figures
import options
from figures import BROKEN, CHEAPER, NOT_COMPARABLE, NOT_MEASURED
from place import BUILD, DIST


def measure(names, quick, recorded_before):
    """Yields the figures of these rows. A row that raises an error counts as broken, and the other rows are still
    measured.
    """
    for name in names:
        began = time.monotonic()
        try:
            row = importlib.import_module(f"rows.{name}")
            found = [figure.judge(recorded_before, quick) for figure in row.measure(quick)]
        except Exception as error:
            traceback.print_exc()
            label = f"{name}: {type(error).__name__}, see above"
            found = [figures.Figure(name, label, None, "", verdict=BROKEN)]
        duration = time.monotonic() - began
        print(f"{name}: {duration:.1f} s", file=sys.stderr, flush=True)
        yield from found


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": os.uname().release, "load": os.getloadavg()[0]}


def say(message):
    print(message, file=sys.stderr)


def main():
    arguments = options.parse()
    names, recorded_before = options.chosen(arguments), baseline.load()
    measurements = list(measure(names, arguments.quick, recorded_before))
    document = {
        "schema": 1,
        "version": BUILD["version"],
        "commit": BUILD["commit"],
        "toolchain": BUILD["toolchain"],
        "baseline": baseline.key(),
        "quick": arguments.quick,
        "machine": machine(),
        "left_out": [name for name in options.ROWS if name not in names],
        "figures": [figure.as_json() for figure in measurements],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    temporary = DIST / "bench.json.new"
    temporary.write_text(text)
    temporary.replace(DIST / "bench.json")
    if arguments.json:
        print(text)
    else:
        print(figures.markdown(measurements) if arguments.markdown else figures.table(measurements))
    if document["left_out"]:
        say(f"left out: {', '.join(document['left_out'])}")
    say("wrote dist/bench.json")
    if arguments.record:
        recorded = baseline.record(measurements)
        say(f"recorded {len(recorded)} figures for {baseline.key()} in ci/bench-baseline.json")
        say("Commit that file and give the reason for the change.")
    broken = [figure for figure in measurements if figure.verdict == BROKEN]
    if arguments.record:
        broken = [figure for figure in broken if figure.id not in recorded]
    elif any(figure.verdict == NOT_COMPARABLE for figure in measurements):
        say(f"WARNING: ci/bench-baseline.json has no figures for this toolchain ({baseline.key()}).")
        say("         No instruction count was compared. ci/bench --record adds the figures.")
    for figure in measurements:
        if figure.verdict == NOT_MEASURED:
            say(f"WARNING: not measured: {figure.label}: {figure.comparison}")
        if figure.verdict == CHEAPER and not arguments.record:
            say(f"cheaper than the baseline: {figure.label}. ci/bench --record makes this the new baseline.")
    for figure in broken:
        value, budget = f"{figures.number(figure.value)} {figure.unit}", figure.budget or "not measured"
        say(f"error: {figure.label}: {value}, {budget} ({figure.id})")
    return 1 if broken else 0


sys.exit(main())
