"""The instructions of a whole invocation: INVOKE, the platform's records, an envelope of 5 KB, and the next /next."""

from figures import Figure
from place import EXTENSION, PATH, counted, peers

ENVIRONMENT = {"PATH": PATH, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "4096"}
WITHOUT_FAULTS = {"SENTRY_EXTENSION_FAULTS": "false"}
# The extension takes a sample after each half second of an invocation that uses little memory.
SAMPLES = 10


def run(settings, invocations, last_ms=0):
    """Returns the instructions of a process with so many invocations, the last of which takes this long."""
    command, total = counted([EXTENSION])
    peers("invocation", extension=command, env=ENVIRONMENT | settings, invocations=invocations, last_ms=last_ms)
    return total()


def instructions(settings, few, many):
    """Returns the instructions of one invocation, without start and warm-up."""
    return (run(settings, many) - run(settings, few)) / (many - few)


def measure(quick):
    few, many = (10, 110) if quick else (100, 600)
    count = round(instructions({}, few, many))
    yield Figure("invocation.instructions", "instructions per invocation with 5 KB", count, "")
    without = instructions(WITHOUT_FAULTS, few, many)
    comparison = f"{without:,.0f} with SENTRY_EXTENSION_FAULTS=false"
    yield Figure("invocation.faults", "what faults make of that", count / without, "x", comparison)
    if quick:
        return
    # Half a pause more than the samples take, so that the last one is surely taken.
    long = run({}, few, last_ms=500 * SAMPLES + 250)
    sample = round((long - run({}, few)) / SAMPLES)
    yield Figure("invocation.sample", "instructions per sample of memory", sample, "", "at most 2 a second at first")
