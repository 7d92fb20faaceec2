"""Sizes of binary and zip: every byte is downloaded and read in a cold start."""

from figures import Figure
from place import BUILD


# What releases are made with. Without std's sources a build falls back to the prebuilt one, which is larger.
RELEASED = BUILD["toolchain"]["std"] == "source"


def measure(_quick):
    about = {"judged": RELEASED, "comparison": "" if RELEASED else "not as released: with the prebuilt std"}
    for artifact in BUILD["artifacts"]:
        # With Sentry's Relay in it, it is mostly Relay's.
        if artifact.get("relay"):
            continue
        arch = artifact["arch"]
        yield Figure(f"size.binary.{arch}", f"binary, {arch}", artifact["binary_size"] / 1e6, "MB", **about)
        yield Figure(f"size.zip.{arch}", f"zip, {arch}", artifact["size"] / 1e6, "MB", **about)
