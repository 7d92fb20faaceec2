"""`ci/bench`: measures the released binary, compares with the budgets, and fails where one is broken."""

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

def measured(names, quick, before):
    """All figures of these rows. A row that cannot be measured is a failure that names itself, and the others go on."""
    for name in names:
        began = time.monotonic()
        try:
            row = importlib.import_module(f"rows.{name}")
            found = [figure.judge(before) for figure in row.measure(quick)]
        except Exception as error:
            traceback.print_exc()
            label = f"{name}: {type(error).__name__}, see above"
            found = [figures.Figure(name, label, None, "", verdict=BROKEN)]
        took = time.monotonic() - began
        print(f"{name}: {took:.1f} s", file=sys.stderr, flush=True)
        yield from found


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": os.uname().release, "load": os.getloadavg()[0]}


def main():
    wanted = options.parse()
    names, before = options.chosen(wanted), baseline.load()
    all = list(measured(names, wanted.quick, before))
    document = {
        "schema": 1,
        "version": BUILD["version"],
        "commit": BUILD["commit"],
        "toolchain": BUILD["toolchain"],
        "baseline": baseline.key(),
        "quick": wanted.quick,
        "machine": machine(),
        "left_out": [name for name in options.ROWS if name not in names],
        "figures": [figure.as_json() for figure in all],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    aside = DIST / "bench.json.new"
    aside.write_text(text)
    aside.replace(DIST / "bench.json")
    print(text if wanted.json else figures.markdown(all) if wanted.markdown else figures.table(all))
    say = lambda words: print(words, file=sys.stderr)
    if document["left_out"]:
        say(f"left out: {', '.join(document['left_out'])}")
    say("wrote dist/bench.json")
    if wanted.record:
        recorded = baseline.record(all)
        say(f"recorded {len(recorded)} figures for {baseline.key()} in ci/bench-baseline.json: commit it with the reason")
    broken = [figure for figure in all if figure.verdict == BROKEN]
    if wanted.record:
        broken = [figure for figure in broken if figure.id not in recorded]
    elif any(figure.verdict == NOT_COMPARABLE for figure in all):
        say(f"WARNING: ci/bench-baseline.json has nothing for this toolchain ({baseline.key()}): no instruction count was compared.")
        say("         ci/bench --record adds it.")
    for figure in all:
        if figure.verdict == NOT_MEASURED:
            say(f"WARNING: not measured: {figure.label}: {figure.comparison}")
        if figure.verdict == CHEAPER and not wanted.record:
            say(f"cheaper than the baseline: {figure.label}. ci/bench --record keeps it so.")
    for figure in broken:
        say(f"error: {figure.label}: {figures.number(figure.value)} {figure.unit}, {figure.budget or 'not measured'} ({figure.id})")
    return 1 if broken else 0


sys.exit(main())
