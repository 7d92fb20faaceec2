"""The paths of the benchmark, and functions that run the programs that measure."""

import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
# ci/bench fills this folder.
MADE = ROOT / ".tools/bench"
PEERS = ROOT / "target/release/bench-peers"
EXTENSION = MADE / "layer/extensions/sentry-lambda-extension"
BUILD = json.loads((DIST / "build.json").read_text())
# A DSN for runs that send nothing.
DSN = "https://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@o1.ingest.sentry.io/42"
PATH = os.environ["PATH"]

# A folder for the files of the experiments. It is deleted at the end.
_SCRATCH = tempfile.TemporaryDirectory(prefix="bench-")
SCRATCH = pathlib.Path(_SCRATCH.name)


def peers(experiment, **specification):
    """Runs one experiment of bench-peers and returns its measurements."""
    command = [PEERS, experiment, json.dumps(specification)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{experiment}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def counted(command):
    """Returns the command under callgrind, and a function that returns the number of instructions after the run."""
    out = pathlib.Path(tempfile.mktemp(dir=SCRATCH, prefix="callgrind-"))
    prefix = ["/usr/bin/valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]

    def total():
        lines = out.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("totals:")).split()[1])

    return [*prefix, *map(str, command)], total


def background(command, **more):
    """Starts a program that runs until `close`. At the latest it is killed with the process namespace of ci/bench."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([str(word) for word in command], **{**quiet, **more})


def close(*processes):
    for process in processes:
        process.kill()
        process.wait()


def answers(port, path="/", method="GET", body=None, timeout=60, headers=None):
    """Sends one request to loopback and returns status and body of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(port, path="/", log=None):
    """Waits until a server answers on the port. The error contains the end of the log, which tells why there is no
    answer.
    """
    deadline = time.monotonic() + 60
    while True:
        try:
            return answers(port, path, timeout=2)
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                log_end = log.read_text(errors="replace")[-2000:] if log else ""
                raise RuntimeError(f"no server answers on port {port}: {error}\n{log_end}") from None
            time.sleep(0.02)
