"""Sizes of binary and zip: every byte is downloaded and read in a cold start."""

from figures import Figure
from place import BUILD


def measure(_quick):
    for artifact in BUILD["artifacts"]:
        # With Sentry's Relay in it, it is mostly Relay's.
        if artifact.get("relay"):
            continue
        arch = artifact["arch"]
        yield Figure(f"size.binary.{arch}", f"binary, {arch}", artifact["binary_size"] / 1e6, "MB")
        yield Figure(f"size.zip.{arch}", f"zip, {arch}", artifact["size"] / 1e6, "MB")
