"""The publisher when nothing has changed: the time of a build, and a publish, which may read but must not write."""

import collections
import contextlib
import http.client
import http.server
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import time

from figures import Figure
from place import DIST, ROOT, SCRATCH, background, close, wait_for

PUBLISHER = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "debug/publisher")
EMULATOR, COUNTER = 9200, 9201
# An access key of twelve digits is an account for the emulator.
ACCOUNT = "123456789012"
REGIONS = ["eu-central-1", "us-east-1", "ap-southeast-2"]
# Requests that change nothing. Some of them use POST.
READS = re.compile(
    r"^(GET|HEAD) |^POST /(listRegions|getRegionOptStatus)$|^POST .*Action=(GetCallerIdentity|DescribeRegions)\b"
)


def owner():
    """Returns arguments and environment that run a program as the user who called sudo. That user owns the
    repository, so a program that writes into it must not run as root.
    """
    if "SUDO_UID" not in os.environ:
        return {}, {}
    user = pwd.getpwuid(int(os.environ["SUDO_UID"]))
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}, {"HOME": user.pw_dir, "USER": user.pw_name}


class Counter(http.server.BaseHTTPRequestHandler):
    """Forwards every request to the emulator and counts it by method, path and form."""

    protocol_version = "HTTP/1.1"
    seen = collections.Counter()

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        form = body.decode(errors="replace") if "x-www-form-urlencoded" in self.headers.get("content-type", "") else ""
        self.seen[f"{self.command} {self.path.split('?')[0]}{'?' + form if form else ''}"] += 1
        emulator = http.client.HTTPConnection("127.0.0.1", EMULATOR, timeout=60)
        emulator.request(self.command, self.path, body, dict(self.headers))
        answer = emulator.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        emulator.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = pass_on

    def log_message(self, *_):
        pass


def run(command, dist, regions, *arguments):
    """Runs `publisher COMMAND --execute` with its own home folder. Returns the counted requests and the duration."""
    Counter.seen.clear()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(dist),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{COUNTER}",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
    }
    command = [PUBLISHER, command, "--dist", dist, "--regions", ",".join(regions), "--execute", *arguments]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"publisher {command[1]}: {done.stderr.strip()[-2000:]}")
    return dict(Counter.seen), time.monotonic() - began


@contextlib.contextmanager
def emulated():
    """Runs the emulator and, in front of it, the counter. Gives a copy of dist/ that was published nowhere."""
    environment = {**os.environ, "GATEWAY_PORT": str(EMULATOR), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1"}
    log = SCRATCH / "ministack.log"
    with open(log, "w") as output:
        ministack = ROOT / ".tools/aws/bin/ministack"
        emulator = background([ministack], env=environment, cwd=SCRATCH, stdout=output, stderr=output)
    wait_for(EMULATOR, "/_ministack/health", log)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", COUNTER), Counter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="bench-dist-") as folder:
        dist = pathlib.Path(folder)
        for file in DIST.iterdir():
            if file.suffix in (".zip", ".json") or file.name == "SHA256SUMS":
                shutil.copy2(file, dist)
        (dist / "layers.json").unlink(missing_ok=True)
        yield dist
    close(emulator)
    server.shutdown()
    server.server_close()


def writes(requests):
    """Returns the number of requests that may have changed something."""
    return sum(count for request, count in requests.items() if not READS.search(request))


def unchanged():
    """Returns the seconds of a `publisher build` when nothing has changed: the best of five."""
    times = []
    for _ in range(5):
        began = time.monotonic()
        user, environment = owner()
        environment = os.environ | environment
        done = subprocess.run([PUBLISHER, "build"], cwd=ROOT, env=environment, capture_output=True, text=True, **user)
        times.append(time.monotonic() - began)
        if done.returncode != 0:
            raise RuntimeError(f"publisher build: {done.stderr.strip()[-2000:]}")
    return min(times)


def measure(_quick):
    yield Figure("publisher.unchanged", "publisher build, nothing changed", unchanged(), "s")
    with emulated() as dist:
        first, _ = run("publish", dist, REGIONS)
        if not writes(first):
            raise RuntimeError(f"the first publish wrote nothing, so the second cannot prove anything: {first}")
        again, took = run("publish", dist, REGIONS)
    reads = sum(again.values()) - writes(again)
    comparison = f"{reads} reads in {took:.1f} s, {len(REGIONS)} regions; the first run wrote {writes(first)} times"
    detail = {"requests": again}
    yield Figure("publisher.writes", "publish with nothing to do: writes", writes(again), "", comparison, detail)
