"""What an envelope costs from the SDK's connection to Sentry's answer: instructions, CPU time, and how many go through one core."""

from figures import Figure
from place import EXTENSION, PATH, SCRATCH, counted, peers

KINDS = {"identity": ("identity5k", "5 KB"), "gzip": ("gzip2k", "2 KB gzip")}
ENVIRONMENT = {"PATH": PATH, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "4096"}


def run(command, kind, way, envelopes, senders):
    specification = {"kind": KINDS[kind][0], "envelopes": envelopes, "senders": senders}
    if way == "tls":
        specification["ca_file"] = str(SCRATCH / "ca.pem")
    return peers("cost", extension=[str(word) for word in command], env=ENVIRONMENT, **specification)


def instructions(kind, way, few, many):
    """Of one envelope: the difference between two runs that are alike but for their number, so that start, handshake and
    warm-up drop out."""
    totals = []
    for envelopes in few, many:
        command, total = counted([EXTENSION])
        run(command, kind, way, envelopes, senders=0)
        totals.append(total())
    return (totals[1] - totals[0]) / (many - few)


def measure(quick):
    few, many = (20, 120) if quick else (100, 600)
    for kind, (_, size) in KINDS.items():
        for way in "plain", "tls":
            label = f"{size}, upstream {'TLS' if way == 'tls' else 'plain'}"
            count = round(instructions(kind, way, few, many))
            yield Figure(f"envelope.{kind}.{way}.instructions", f"instructions per envelope, {label}", count, "")
            if quick:
                continue
            alone = run([EXTENSION], kind, way, envelopes=1000, senders=0)
            yield Figure(f"envelope.{kind}.{way}.cpu", f"CPU per envelope, {label}", alone["cpu_us"] / 1000, "µs", "one after the other")
            crowd = max((run(["taskset", "-c", "1", EXTENSION], kind, way, 4000, senders=4) for _ in range(3)), key=rate)
            comparison = f"{crowd['cpu_us'] / 4000:.0f} µs CPU each, busy {crowd['cpu_us'] / crowd['wall_us']:.0%} of the time"
            yield Figure(f"envelope.{kind}.{way}.rate", f"envelopes/s on one core, {label}", rate(crowd), "/s", comparison)


def rate(seen):
    return 4000 / seen["wall_us"] * 1e6
