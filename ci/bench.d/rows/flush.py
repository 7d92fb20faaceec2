"""How long `flush()` of Sentry's Python SDK takes for an error and a transaction.

It is measured with the extension, whose upstream takes 100 ms, and with a local server that answers at once.
"""

import json
import re
import subprocess

from budgets import ATTEMPTS, LIMITS
from figures import Figure, median
from place import EXTENSION, PEERS, ROOT, SCRATCH, background, close, wait_for

KEY = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718"
TARGETS = {
    "extension": f"http://{KEY}@127.0.0.1:9000/42",
    "server": f"http://{KEY}@127.0.0.1:9100/42",
    "without": f"http://{KEY}@127.0.0.1:9101/42",
}


def samples(rounds):
    """Returns the milliseconds of each flush by target. The flushes alternate between the targets."""
    python = ROOT / ".tools/test/bin/python"
    command = [python, ROOT / "ci/bench.d/sdk.py", json.dumps(TARGETS), str(rounds)]
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
        raise RuntimeError("the extension did not start; another program answers on port 9000")
    times_by_target = {target: [] for target in TARGETS}
    for _ in range(ATTEMPTS):
        for target, times in samples(20 if quick else 100).items():
            times_by_target[target] += times
        # The SDK's threads and two servers share a few cores, so a minimum would be luck. Medians are compared.
        medians = {target: median(times) for target, times in times_by_target.items()}
        ratio = medians["extension"] / medians["server"]
        if ratio <= LIMITS["flush.sdk"]:
            break
    # The log tells how many envelopes the extension accepted. Not all are delivered, because upstream is slower.
    extension.terminate()
    extension.wait(timeout=20)
    close(upstream, server)
    taken = re.search(r'"accepted":"(\d+)","delivered":"[1-9]', log.read_text())
    if not taken or int(taken[1]) != 2 * len(times_by_target["extension"]):
        sent = 2 * len(times_by_target["extension"])
        raise RuntimeError(f"{sent} envelopes were sent, but: {log.read_text()[-500:]}")
    comparison = (
        f"{medians['extension']:.2f} ms, server that answers at once {medians['server']:.2f} ms, "
        f"without either {medians['without']:.0f} ms"
    )
    detail = {"median_ms": medians, "least_ms": {target: min(times) for target, times in times_by_target.items()}}
    yield Figure("flush.sdk", "Python SDK, flush of error + transaction", ratio, "x", comparison, detail)
