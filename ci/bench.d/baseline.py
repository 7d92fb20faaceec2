"""The committed baseline of instruction counts. Each toolchain has its own counts, because each compiles another
program.
"""

import json
import subprocess

from budgets import DRIFTS
from place import BUILD, ROOT

FILE = ROOT / "ci/bench-baseline.json"


def key():
    """Returns everything but the sources that the counts depend on: architecture, compiler, standard library and
    valgrind.
    """
    toolchain = BUILD["toolchain"]
    rustc = " ".join(toolchain["rustc"].split()[:2])
    counter = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"x86_64, {rustc}, std {toolchain['std']}, {counter}"


def load():
    """Returns the baseline of this toolchain, or None if there is none."""
    return load_document()["baselines"].get(key())


def load_document():
    return json.loads(FILE.read_text()) if FILE.exists() else {"schema": 1, "baselines": {}}


def record(figures):
    """Writes the measured counts into the baseline. Figures that were not measured keep their old counts."""
    document = load_document()
    counts = {figure.id: figure.value for figure in figures if figure.id in DRIFTS and figure.value is not None}
    document["baselines"].setdefault(key(), {}).update(counts)
    temporary = FILE.with_suffix(".json.new")
    temporary.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    temporary.replace(FILE)
    return counts
