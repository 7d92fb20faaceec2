"""A function's side of rows/flush.py, run by the Python that has the SDK: `sdk.py WAYS ROUNDS`."""

import json
import sys
import time

import sentry_sdk


def flush(dsn):
    """What an SDK does at the end of an invocation that failed. The client is new each time, as in a cold start: its first
    request opens the connection."""
    sentry_sdk.init(dsn=dsn, traces_sample_rate=1.0, default_integrations=False)
    with sentry_sdk.start_transaction(name="invocation", op="function"):
        try:
            raise ValueError("measured")
        except ValueError:
            sentry_sdk.capture_exception()
    began = time.perf_counter()
    sentry_sdk.flush(timeout=5)
    took = (time.perf_counter() - began) * 1000
    sentry_sdk.get_client().close(timeout=0)
    return took


def main():
    ways, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    times = {way: [] for way in ways}
    for round in range(rounds):
        # As long as upstream takes for two: nobody is still busy with what came before.
        time.sleep(0.1)
        # Whoever comes second finds warm caches, so they take turns in that too.
        for way in sorted(ways, reverse=round % 2 == 1):
            # The one that upstream answers by itself is the slow one, and there to be seen, not compared.
            if way != "without" or round < 3:
                times[way].append(flush(ways[way]))
    print(json.dumps(times))


main()
