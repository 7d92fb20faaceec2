"""How long Sentry's Python SDK waits in `flush()` for an error and a transaction: with the extension, whose upstream takes 100 ms, and
with a local server that answers at once."""

import json
import re
import subprocess

from budgets import ATTEMPTS, LIMITS
from figures import Figure, median
from place import EXTENSION, PEERS, ROOT, SCRATCH, background, close, wait_for

KEY = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718"
WAYS = {
    "extension": f"http://{KEY}@127.0.0.1:9000/42",
    "server": f"http://{KEY}@127.0.0.1:9100/42",
    "without": f"http://{KEY}@127.0.0.1:9101/42",
}


def samples(rounds):
    """Milliseconds of each flush, the ways in turns."""
    python = ROOT / ".tools/test/bin/python"
    command = [python, ROOT / "ci/bench.d/sdk.py", json.dumps(WAYS), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"the SDK: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(quick):
    upstream = background([PEERS, "serve", json.dumps({"listen": "127.0.0.1:9101", "delay_ms": 100})])
    server = background([PEERS, "answer"])
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
    standalone = ["--standalone", "--listen", "127.0.0.1:9000", "--upstream", "http://127.0.0.1:9101"]
    log = SCRATCH / "standalone.log"
    with open(log, "w") as output:
        extension = background([EXTENSION, *standalone], env=environment, stdout=output)
    for port in 9000, 9100, 9101:
        wait_for(port)
    if extension.poll() is not None:
        raise RuntimeError("the extension did not start; who answers on port 9000 is another")
    all = {way: [] for way in [*WAYS, "extension, kept", "server, kept"]}
    for _ in range(ATTEMPTS):
        for way, times in samples(20 if quick else 100).items():
            all[way] += times
        # The SDK's threads and two servers on a few cores: what is least is luck.
        usual = {way: median(times) for way, times in all.items()}
        ratio = usual["extension"] / usual["server"]
        if quick or ratio <= LIMITS["flush.sdk"]:
            break
    # It says what it has taken. What upstream can take in a second is less, so some of it may still wait by then.
    extension.terminate()
    extension.wait(timeout=20)
    close(upstream, server)
    taken = re.search(r'"accepted":(\d+),"delivered":[1-9]', log.read_text())
    sent = 2 * (len(all["extension"]) + len(all["extension, kept"]))
    if not taken or int(taken[1]) != sent:
        raise RuntimeError(f"{sent} envelopes were sent, but: {log.read_text()[-500:]}")
    comparison = f"{usual['extension']:.2f} ms, server that answers at once {usual['server']:.2f} ms, without either {usual['without']:.0f} ms"
    detail = {"median_ms": usual, "least_ms": {way: min(times) for way, times in all.items()}}
    yield Figure("flush.sdk", "Python SDK, flush of error + transaction", ratio, "x", comparison, detail)
    comparison = f"the server that answers at once {usual['server, kept']:.2f} ms"
    label = "the same with keep_alive=True, kept connection, median"
    yield Figure("flush.keep_alive", label, usual["extension, kept"], "ms", comparison)
