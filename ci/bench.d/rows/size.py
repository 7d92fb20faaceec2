"""The sizes of binary and zip. A cold start downloads and reads every byte."""

from figures import Figure
from place import BUILD


# Releases build std from source. Without its source, a build uses the prebuilt std, which makes the binary larger.
RELEASED = BUILD["toolchain"]["std"] == "source"


def measure(_quick):
    about = {"judged": RELEASED, "comparison": "" if RELEASED else "not as released: built with the prebuilt std"}
    for artifact in BUILD["artifacts"]:
        # A layer with Sentry's Relay is skipped, because most of its size is Sentry's Relay.
        if artifact.get("relay"):
            continue
        arch = artifact["arch"]
        yield Figure(f"size.binary.{arch}", f"binary, {arch}", artifact["binary_size"] / 1e6, "MB", **about)
        yield Figure(f"size.zip.{arch}", f"zip, {arch}", artifact["size"] / 1e6, "MB", **about)
