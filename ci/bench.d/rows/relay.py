"""What Sentry's Relay in the layer costs: nothing in the init, and a start and memory beside the function afterwards.

The init is that of a native function under AWS's emulator, with the plain layer and with one that has Sentry's Relay,
which take turns. The start is that of the program alone, until it says that it is ready, with the layer's configuration
and an upstream on loopback, as the extension starts it.
"""

import http.server
import shutil
import subprocess
import threading
import time

from figures import Figure, median
from place import EXTENSION, ROOT, SCRATCH, answers, background, close
from rows.init import Emulator
from rows.slow import ENTER, SHARE, group

PROGRAM = ROOT / ".tools/sentry-relay-binary"
CONFIG = ROOT / "publisher/relay-config.yml"
INITS = 30
STARTS = 10
ENVELOPES = 200
# The share of a CPU that a process gets, and how long Sentry's Relay starts with it at the most, in seconds.
SHARES = {"whole": ("a whole CPU", None, 0.2), "small": ("a function of 128 MB", SHARE, 2)}
DSN_KEY = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718"


class Door(http.server.BaseHTTPRequestHandler):
    """Takes whatever Sentry's Relay sends, in place of the extension."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.do_GET()

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class DoorServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Sentry's Relay is killed at the end, with its connections."""


def prefix(folder):
    return ["/bin/sh", "-ec", ENTER, "sh", str(folder)] if folder else []


def memory(process, field):
    with open(f"/proc/{process}/status") as status:
        line = next(line for line in status if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


def start(door, folder, port):
    """Starts Sentry's Relay once. Returns the milliseconds until it is ready, and its memory: idle, and after work."""
    config = SCRATCH / "relay-config"
    config.mkdir(exist_ok=True)
    shutil.copy2(CONFIG, config / "config.yml")
    command = [*prefix(folder), PROGRAM, "run", "--mode=proxy", f"--upstream=http://127.0.0.1:{door}/"]
    command += ["--host=127.0.0.1", f"--port={port}", "--shutdown-timeout=1", f"--config={config}"]
    began = time.monotonic()
    process = background(command)
    try:
        while True:
            try:
                if answers(port, "/api/relay/healthcheck/ready/", timeout=5)[0] == 200:
                    break
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > began + 60:
                raise RuntimeError(f"Sentry's Relay was not ready after {time.monotonic() - began:.1f} s")
            time.sleep(0.002)
        ready = (time.monotonic() - began) * 1000
        idle = memory(process.pid, "VmRSS")
        body = b'{"dsn":"http://%s@127.0.0.1/42"}\n{"type":"event"}\n{"message":"%s"}\n' % (
            DSN_KEY.encode(), b"x" * 2000)
        for _ in range(ENVELOPES):
            status, _ = answers(port, f"/api/42/envelope/?sentry_key={DSN_KEY}", "POST", body)
            assert status == 200, status
        return ready, idle, memory(process.pid, "VmRSS")
    finally:
        close(process)


def starts(key, name, share):
    folder, method = group(share) if share else (None, "no limit")
    if share and not folder:
        yield Figure(f"relay.{key}.ready", f"Sentry's Relay: start → ready, {name}", None, "ms", method)
        return
    server = DoorServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        runs = [start(server.server_address[1], folder, 8300 + n) for n in range(STARTS)]
    finally:
        server.shutdown()
        if folder:
            folder.rmdir()
    ready, idle, worked = zip(*runs)
    comparison = f"least {min(ready):.0f} ms of {STARTS}; {method}"
    yield Figure(f"relay.{key}.ready", f"Sentry's Relay: start → ready, {name}, median", median(ready), "ms", comparison)
    comparison = f"{median(worked):.1f} MB after {ENVELOPES} envelopes of 2 KB"
    yield Figure(f"relay.{key}.memory", f"Sentry's Relay: RSS, idle, {name}", median(idle), "MB", comparison)


def inits(key, name, share, pause, port):
    folder, method = group(share) if share else (None, "no limit")
    if share and not folder:
        yield Figure(f"relay.{key}.init", f"init with Sentry's Relay in the layer, {name}", None, "ms", method)
        return
    layers = {"plain": {}, "relay": {"relay/relay": PROGRAM, "relay/config.yml": CONFIG}}
    emulators = {
        kind: Emulator(f"{kind}-{port + 10 * n}", EXTENSION, port + 10 * n, more=more, prefix=prefix(folder))
        for n, (kind, more) in enumerate(layers.items())
    }
    samples = {kind: [] for kind in emulators}
    try:
        for emulator in emulators.values():
            emulator.invoke('"go"')
        for _ in range(INITS):
            for kind, emulator in emulators.items():
                samples[kind].append(emulator.init())
                # What starts after the init must not disturb the next one.
                time.sleep(pause)
    finally:
        close(*(emulator.process for emulator in emulators.values()))
        if folder:
            time.sleep(1)
            folder.rmdir()
    medians = {kind: median(all) for kind, all in samples.items()}
    comparison = f"plain layer {medians['plain']:.2f} ms; medians of {INITS}; {method}"
    label = f"init with Sentry's Relay in the layer, {name}"
    yield Figure(f"relay.{key}.init", label, medians["relay"], "ms", comparison, samples)


def measure(_quick):
    if not PROGRAM.exists():
        yield Figure("relay.size", "Sentry's Relay", None, "MB", "it is not built: ci/relay")
        return
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=60).stdout.strip()
    yield Figure("relay.size", f"Sentry's Relay ({said})", PROGRAM.stat().st_size / 1e6, "MB", "unpacked")
    for n, (key, (name, share, pause)) in enumerate(SHARES.items()):
        yield from starts(key, name, share)
        yield from inits(key, name, share, pause, 8400 + 50 * n)
