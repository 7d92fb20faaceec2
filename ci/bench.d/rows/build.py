"""The time of a clean build of both layers into an empty folder."""

import os
import subprocess
import time

from figures import Figure
from place import ROOT, SCRATCH
from rows.publisher import PUBLISHER, owner


def measure(_quick):
    target = SCRATCH / "target"
    target.mkdir()
    target.chmod(0o777)
    SCRATCH.chmod(0o755)
    environment = {**os.environ, **owner()[1], "CARGO_TARGET_DIR": str(target), "CARGO_NET_OFFLINE": "true"}
    command = [PUBLISHER, "build", "--out", target / "dist"]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, **owner()[0])
    duration = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"publisher build: {done.stderr.strip()[-2000:]}")
    comparison = f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    yield Figure("build.clean", "clean publisher build, both architectures", duration, "s", comparison)
