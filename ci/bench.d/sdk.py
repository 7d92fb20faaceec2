"""The SDK's side of rows/flush.py. The Python that has the SDK installed runs it: `sdk.py TARGETS ROUNDS`."""

import json
import sys
import time

import sentry_sdk


def flush():
    """Sends an error and a transaction, as an SDK does at the end of a failed invocation. Returns the milliseconds of
    the flush.
    """
    with sentry_sdk.start_transaction(name="invocation", op="function"):
        try:
            raise ValueError("measured")
        except ValueError:
            sentry_sdk.capture_exception()
    began = time.perf_counter()
    sentry_sdk.flush(timeout=5)
    return (time.perf_counter() - began) * 1000


def init(dsn, **options):
    sentry_sdk.init(dsn=dsn, traces_sample_rate=1.0, default_integrations=False, **options)


def flush_new_client(dsn):
    """Flushes a new client, whose first request opens the connection, as in a cold start."""
    init(dsn)
    duration = flush()
    sentry_sdk.get_client().close(timeout=0)
    return duration


def flushes_of_one_client(dsn, rounds):
    """Flushes one client again and again, as in warm invocations. `keep_alive` sets options on the SDK's sockets, and so
    replaces those of its HTTP library, among them TCP_NODELAY.
    """
    init(dsn, keep_alive=True)
    durations = []
    for _ in range(rounds):
        time.sleep(0.1)
        durations.append(flush())
    sentry_sdk.get_client().close(timeout=0)
    return durations


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
                times[target].append(flush_new_client(targets[target]))
    for target in "extension", "server":
        times[f"{target}, kept"] = flushes_of_one_client(targets[target], rounds)
    print(json.dumps(times))


main()
