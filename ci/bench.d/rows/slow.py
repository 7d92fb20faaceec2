"""The init and the first envelope with 7 % of a CPU, which is the share of a function with 128 MB."""

import pathlib
import secrets
import shutil

from figures import Figure, median
from place import EXTENSION, MADE
from rows.start import start

# Lambda limits the CPU in the same way: a share of every 20 ms.
PERIOD_US, SHARE = 20_000, 0.07
NAME = f"sentry-extension-bench-{secrets.token_hex(4)}"
ENTER = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'


def group(share=SHARE):
    """Creates a control group with that share. Returns its folder and a description, or None and the reason."""
    quota = int(PERIOD_US * share)
    interfaces = {
        "/sys/fs/cgroup": {"cpu.max": f"{quota} {PERIOD_US}"},
        "/sys/fs/cgroup/cpu": {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota)},
    }
    for parent, settings in interfaces.items():
        folder = pathlib.Path(parent) / NAME
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for name, value in settings.items():
                if not (folder / name).exists():
                    raise OSError(f"{name}: this group has no CPU controller")
                (folder / name).write_text(value)
            return folder, f"cgroup, {quota / 1000} of every {PERIOD_US / 1000:.0f} ms"
        except OSError:
            folder.rmdir()
    return None, "no control group for CPU time can be created"


def measure(_quick):
    folder, method = group()
    if folder:
        prefix = ["/bin/sh", "-ec", ENTER, "sh", str(folder)]
    elif shutil.which("cpulimit"):
        prefix = [shutil.which("cpulimit"), "-q", "-f", "-l", str(int(SHARE * 100)), "--"]
        method = "cpulimit"
    else:
        yield Figure("slow.init", "at 7 % of a CPU", None, "ms", f"{method}, and cpulimit is not installed")
        return
    try:
        programs = {"extension": [*prefix, str(EXTENSION)], "floor": [*prefix, str(MADE / "floor")]}
        seen = start({"floor": programs["floor"]}, runs=20)
        seen |= start({"extension": programs["extension"]}, runs=20, post=True)
    finally:
        if folder:
            folder.rmdir()
    init = [run["wall_us"] / 1000 for run in seen["extension"]]
    floor = [run["wall_us"] / 1000 for run in seen["floor"]]
    first = [run["first_accept_us"] / 1000 for run in seen["extension"]]
    comparison = f"the floor {median(floor):.1f} ms; by {method}"
    yield Figure("slow.init", "at 7 % of a CPU: start → first /next, median", median(init), "ms", comparison)
    comparison = f"least {min(first):.2f} ms"
    yield Figure("slow.first", "at 7 % of a CPU: first envelope accepted, median", median(first), "ms", comparison)
