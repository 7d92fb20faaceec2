"""With 7 % of a CPU, which is what a function of 128 MB has: init, and the first envelope."""

import pathlib
import secrets
import shutil

from figures import Figure, median
from place import EXTENSION, MADE
from rows.start import start

# As Lambda meters: so much of every 20 ms.
PERIOD_US, SHARE = 20_000, 0.07
NAME = f"sentry-extension-bench-{secrets.token_hex(4)}"
ENTER = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'


def group():
    """A control group with that share, and what made it; (None, why) where there is none."""
    quota = int(PERIOD_US * SHARE)
    ways = {
        "/sys/fs/cgroup": {"cpu.max": f"{quota} {PERIOD_US}"},
        "/sys/fs/cgroup/cpu": {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota)},
    }
    for parent, settings in ways.items():
        folder = pathlib.Path(parent) / NAME
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for name, value in settings.items():
                if not (folder / name).exists():
                    raise OSError(f"{name}: no CPU controller here")
                (folder / name).write_text(value)
            return folder, f"cgroup, {quota / 1000} of every {PERIOD_US / 1000:.0f} ms"
        except OSError:
            folder.rmdir()
    return None, "no control group for CPU time can be made"


def measure(_quick):
    folder, how = group()
    if folder:
        prefix = ["/bin/sh", "-ec", ENTER, "sh", str(folder)]
    elif shutil.which("cpulimit"):
        prefix, how = [shutil.which("cpulimit"), "-q", "-f", "-l", str(int(SHARE * 100)), "--"], "cpulimit"
    else:
        yield Figure("slow.init", "at 7 % of a CPU", None, "ms", f"{how}, and there is no cpulimit")
        return
    try:
        programs = {"extension": [*prefix, str(EXTENSION)], "floor": [*prefix, str(MADE / "floor")]}
        seen = start({"floor": programs["floor"]}, runs=20) | start({"extension": programs["extension"]}, runs=20, post=True)
    finally:
        if folder:
            folder.rmdir()
    times = lambda name, key: [run[key] / 1000 for run in seen[name]]
    init, floor, first = times("extension", "wall_us"), times("floor", "wall_us"), times("extension", "first_accept_us")
    comparison = f"the floor {median(floor):.1f} ms; by {how}"
    yield Figure("slow.init", "at 7 % of a CPU: start → first /next, median", median(init), "ms", comparison)
    yield Figure("slow.first", "at 7 % of a CPU: first envelope accepted, median", median(first), "ms", f"least {min(first):.2f} ms")
