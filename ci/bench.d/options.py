"""The options of `ci/bench`. As a program it only checks the arguments, so that a mistake is found before the build."""

import argparse

# The rows in the order of the table, the quick and stable ones first. Each is a file in rows/.
ROWS = [
    "size",
    "start",
    "memory",
    "init",
    "accept",
    "flush",
    "envelopes",
    "invocation",
    "logs",
    "delivery",
    "load",
    "soak",
    "slow",
    "relay",
    "publisher",
    "uploads",
    "node",
    "build",
]
# These rows take too long for every commit, or they have no budget. The publisher's own tests also check what
# `publisher` checks.
NOT_QUICK = ["slow", "relay", "publisher", "uploads", "node", "build"]


def parse():
    description = "Measures the released binary and fails if a figure exceeds its budget."
    parser = argparse.ArgumentParser(prog="ci/bench", description=description)
    flags = {
        "--quick": f"take fewer samples, judge no times, leave out {', '.join(NOT_QUICK)}; takes about two minutes",
        "--with-build": "with --quick: also time a clean build of both architectures",
        "--record": "write the instruction counts to ci/bench-baseline.json",
        "--json": "print dist/bench.json instead of the table",
        "--markdown": "print the table as Markdown, as in docs/performance.md",
    }
    for flag, text in flags.items():
        parser.add_argument(flag, action="store_true", help=text)
    rows = f"measure only this row (repeatable): {', '.join(ROWS)}"
    parser.add_argument("--only", metavar="ROW", action="append", choices=ROWS, help=rows)
    return parser.parse_args()


def chosen(arguments):
    """Returns the rows to measure."""
    left_out = set(NOT_QUICK if arguments.quick else []) - set(["build"] if arguments.with_build else [])
    return [name for name in ROWS if (name in arguments.only if arguments.only else name not in left_out)]


if __name__ == "__main__":
    parse()
