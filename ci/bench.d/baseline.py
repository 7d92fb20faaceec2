"""The committed baseline of instruction counts, kept for each toolchain apart: another compiler makes another program."""

import json
import subprocess

from budgets import DRIFTS
from place import BUILD, ROOT

FILE = ROOT / "ci/bench-baseline.json"


def key():
    """What the counts depend on beside the sources: compiler, standard library, architecture, and who counts."""
    toolchain = BUILD["toolchain"]
    rustc = " ".join(toolchain["rustc"].split()[:2])
    counter = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"x86_64, {rustc}, std {toolchain['std']}, {counter}"


def load():
    """The baseline of this toolchain, or None."""
    return everything()["baselines"].get(key())


def everything():
    return json.loads(FILE.read_text()) if FILE.exists() else {"schema": 1, "baselines": {}}


def record(figures):
    """Writes what was measured now. Rows that were not measured stay as they are."""
    document = everything()
    counts = {figure.id: figure.value for figure in figures if figure.id in DRIFTS and figure.value is not None}
    document["baselines"].setdefault(key(), {}).update(counts)
    aside = FILE.with_suffix(".json.new")
    aside.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    aside.replace(FILE)
    return counts
