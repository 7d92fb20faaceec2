"""A function that ends as its event says, with no word of Sentry."""

import os
import signal
import time

if os.environ.get("FAULT") == "import":
    raise RuntimeError("this module cannot be imported")


def take_memory():
    taken = []
    while True:
        taken.append(bytearray(os.urandom(1)) * (1 << 20))
        # Slowly enough to be seen.
        time.sleep(0.002)


def fail():
    raise ValueError("the handler raises")


ENDS = {
    "timeout": lambda: time.sleep(60),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(1),
    "memory": take_memory,
    "raise": fail,
    "none": lambda: None,
}


def handler(event, context):
    ENDS[event["end"]]()
    return "done"
