"""The budgets: every number that can fail `ci/bench`, in one place.

A unit of "x" is a ratio to what is named in the figure's comparison. MB are 1,000,000 bytes.
"""

# Most that a figure may be.
LIMITS = {
    # Milliseconds that the extension adds to an init, beyond what one adds that does nothing.
    "init.over_floor": 0.6,
    # Milliseconds, user and system.
    "start.cpu": 3.0,
    # MB
    "memory.idle": 3.0,
    "memory.worked": 6.0,
    "memory.peak": 44.0,
    "size.binary.x86_64": 2.5,
    "size.binary.arm64": 2.5,
    "size.zip.x86_64": 1.2,
    "size.zip.arm64": 1.2,
    # Ratios
    "accept.kept.p50": 1.3,
    "accept.kept.p99": 1.3,
    "accept.fresh.p50": 1.3,
    "accept.fresh.p99": 1.3,
    # 1.1 was the aim; medians are 1.15 to 1.35. The SDK compresses, and what is in an envelope has to be known before it is
    # answered (400, 413, 429): inflating what that server only reads is most of it.
    "flush.sdk": 1.5,
    "delivery.warm": 1.1,
    "delivery.first": 3.2,
    # Seconds
    "publisher.unchanged": 2.0,
    # Requests
    "publisher.writes": 0,
}

# How far a figure may be from the committed baseline, either way; what got cheaper is recorded on purpose too.
DRIFTS = {
    "start.instructions": 0.02,
    "envelope.identity.plain.instructions": 0.05,
    "envelope.identity.tls.instructions": 0.05,
    "envelope.gzip.plain.instructions": 0.05,
    "envelope.gzip.tls.instructions": 0.05,
}

# How often a row whose figures depend on what else the machine does may be measured again before it fails. Samples add up,
# and minima are compared.
ATTEMPTS = 3
