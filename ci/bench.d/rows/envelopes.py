"""The cost of an envelope from the SDK's connection to Sentry's response: instructions, CPU time, and envelopes per
second.
"""

from figures import Figure
from place import EXTENSION, PATH, SCRATCH, counted, peers

KINDS = {"identity": ("identity5k", "5 KB"), "gzip": ("gzip2k", "2 KB gzip")}
ENVIRONMENT = {"PATH": PATH, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "4096"}


def run(command, kind, transport, envelopes, senders):
    specification = {"kind": KINDS[kind][0], "envelopes": envelopes, "senders": senders}
    if transport == "tls":
        specification["ca_file"] = str(SCRATCH / "ca.pem")
    return peers("cost", extension=[str(word) for word in command], env=ENVIRONMENT, **specification)


def instructions(kind, transport, few, many):
    """Returns the instructions of one envelope. It is the difference between two runs with different numbers of
    envelopes, so that it does not contain start, handshake and warm-up.
    """
    totals = []
    for envelopes in few, many:
        command, total = counted([EXTENSION])
        run(command, kind, transport, envelopes, senders=0)
        totals.append(total())
    return (totals[1] - totals[0]) / (many - few)


def measure(quick):
    few, many = (20, 120) if quick else (100, 600)
    for kind, (_, size) in KINDS.items():
        for transport in "plain", "tls":
            label = f"{size}, upstream {'TLS' if transport == 'tls' else 'plain'}"
            count = round(instructions(kind, transport, few, many))
            figure = f"envelope.{kind}.{transport}"
            yield Figure(f"{figure}.instructions", f"instructions per envelope, {label}", count, "")
            if quick:
                continue
            alone = run([EXTENSION], kind, transport, envelopes=1000, senders=0)
            cpu = alone["cpu_us"] / 1000
            yield Figure(f"{figure}.cpu", f"CPU per envelope, {label}", cpu, "µs", "one after the other")
            one_core = ["taskset", "-c", "1", EXTENSION]
            best = max((run(one_core, kind, transport, 4000, senders=4) for _ in range(3)), key=rate)
            busy = best["cpu_us"] / best["wall_us"]
            comparison = f"{best['cpu_us'] / 4000:.0f} µs CPU each, busy {busy:.0%} of the time"
            yield Figure(f"{figure}.rate", f"envelopes/s on one core, {label}", rate(best), "/s", comparison)


def rate(seen):
    return 4000 / seen["wall_us"] * 1e6
