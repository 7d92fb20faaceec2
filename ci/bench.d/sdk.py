"""The SDK's side of rows/flush.py. The Python that has the SDK installed runs it: `sdk.py TARGETS ROUNDS`."""

import json
import sys
import time

import sentry_sdk


def flush(dsn):
    """Sends an error and a transaction, as an SDK does at the end of a failed invocation. Returns the milliseconds of
    the flush. The client is new each time, so that its first request opens the connection, as in a cold start.
    """
    sentry_sdk.init(dsn=dsn, traces_sample_rate=1.0, default_integrations=False)
    with sentry_sdk.start_transaction(name="invocation", op="function"):
        try:
            raise ValueError("measured")
        except ValueError:
            sentry_sdk.capture_exception()
    began = time.perf_counter()
    sentry_sdk.flush(timeout=5)
    duration = (time.perf_counter() - began) * 1000
    sentry_sdk.get_client().close(timeout=0)
    return duration


def main():
    targets, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    times = {target: [] for target in targets}
    for round in range(rounds):
        # Upstream takes this long for the two envelopes of a flush, so the servers have finished the previous work.
        time.sleep(0.1)
        # The second target finds warm caches, so the order alternates.
        for target in sorted(targets, reverse=round % 2 == 1):
            # `without` sends directly to the slow upstream. It is only shown and not compared, so three samples are
            # enough.
            if target != "without" or round < 3:
                times[target].append(flush(targets[target]))
    print(json.dumps(times))


main()
