"""The time that the extension adds to an init under AWS's emulator, compared with a minimal extension (the floor).

Three emulators run side by side: without an extension, with the floor, and with the extension. Their inits
alternate. The function ends itself, which forces another init. Minima are compared, because noise only makes an
init longer.
"""

import os
import re
import shutil
import time

from budgets import ATTEMPTS, LIMITS
from figures import Figure, median
from place import DSN, MADE, ROOT, SCRATCH, EXTENSION, answers, background, close, wait_for

REPORT = re.compile(r"INIT RTDONE\(status: success\)\n.*INIT REPORT\(durationMs: ([\d.]+)\)")
ENTER = 'mount --bind "$1" /opt; mount -o remount,bind,ro /opt; shift; exec "$@"'


class Emulator:
    """The emulator with a layer that contains this extension, or none, and `more` files. `prefix` starts it."""

    def __init__(self, name, extension, port, more={}, prefix=[]):
        self.port = port
        layer = SCRATCH / f"layer-{name}"
        (layer / "extensions").mkdir(parents=True)
        if extension:
            shutil.copy2(extension, layer / "extensions" / extension.name)
        for file, source in more.items():
            (layer / file).parent.mkdir(exist_ok=True)
            shutil.copy2(source, layer / file)
        self.log = SCRATCH / f"rie-{name}.log"
        environment = {
            "PATH": "/usr/bin:/bin",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "SENTRY_DSN": DSN,
            # The function ends itself here, which would be a fault to report, and the DSN leads nowhere.
            "SENTRY_EXTENSION_FAULTS": "timeout",
        }
        # The emulator runs in its own process namespace. When it is killed, no process is left that uses the
        # extension's ports.
        command = [*prefix, "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        command += ["--mount-proc"]
        command += ["sh", "-ec", ENTER, "sh", layer]
        command += [ROOT / ".tools/rie/aws-lambda-rie-x86_64", "--log-level", "info"]
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{port + 1}", MADE / "bootstrap"]
        with open(self.log, "w") as log:
            self.process = background(command, env=environment, stdout=log, stderr=log)
        wait_for(port + 1, "/2018-06-01/ping", self.log)

    def inits(self):
        """Returns the durations of all successful inits so far."""
        return [float(duration) for duration in REPORT.findall(self.log.read_text(errors="replace"))]

    def init(self):
        """Ends the function, so that it starts again, and returns the duration of that init."""
        before = len(self.inits())
        self.invoke('"exit"')
        status = self.invoke('"go"')
        deadline = time.monotonic() + 60
        while len(self.inits()) <= before:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no init after status {status}; see the log:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.002)
        return self.inits()[-1]

    def invoke(self, event):
        status, _ = answers(self.port, "/2015-03-31/functions/function/invocations", "POST", event)
        return status


def measure(quick):
    if os.uname().machine != "x86_64":
        yield Figure("init.over_floor", "init overhead beyond the floor", None, "ms", "x86_64 only")
        return
    programs = [("none", None), ("floor", MADE / "floor"), ("extension", EXTENSION)]
    emulators = {name: Emulator(name, program, 8200 + 10 * n) for n, (name, program) in enumerate(programs)}
    samples = {name: [] for name in emulators}
    # The first inits read the files from disk, so they do not count.
    for emulator in emulators.values():
        emulator.invoke('"go"')
    for _ in range(ATTEMPTS):
        for _ in range(20 if quick else 60):
            for name, emulator in emulators.items():
                samples[name].append(emulator.init())
        least = {name: min(all) for name, all in samples.items()}
        over = least["extension"] - least["floor"]
        if quick or over <= LIMITS["init.over_floor"]:
            break
    close(*(emulator.process for emulator in emulators.values()))
    medians = {name: median(all) for name, all in samples.items()}
    detail = {"least": least, "median": medians, "samples": len(samples["none"])}
    floor = least["floor"] - least["none"]
    overhead = least["extension"] - least["none"]
    comparison = f"no extension: {least['none']:.2f} ms"
    yield Figure("init.floor", "init overhead of the floor", floor, "ms", comparison, detail)
    comparison = f"{least['extension']:.2f} ms in all"
    yield Figure("init.extension", "init overhead of the extension", overhead, "ms", comparison, detail)
    comparison = f"minima of {detail['samples']} inits each"
    yield Figure("init.over_floor", "init overhead beyond the floor", over, "ms", comparison)
