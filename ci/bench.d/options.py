"""What `ci/bench` can be asked for. Run by itself, it checks the arguments, before anything is built for them."""

import argparse

# In the order of the table; each is a file in rows/. Cheap and certain ones first.
ROWS = ["size", "start", "memory", "init", "accept", "flush", "envelopes", "delivery", "slow", "publisher", "node", "build"]
# Too long for every commit, or nothing that could fail; to `publisher` the publisher's own tests hold too.
NOT_QUICK = ["slow", "publisher", "node", "build"]


def parse():
    parser = argparse.ArgumentParser(prog="ci/bench", description="Measures the released binary, and fails where a budget is broken.")
    parser.add_argument("--quick", action="store_true", help=f"under a minute: fewer samples, and none of {', '.join(NOT_QUICK)}")
    parser.add_argument("--with-build", action="store_true", help="with --quick: time a clean build of both architectures all the same")
    parser.add_argument("--record", action="store_true", help="write the instruction counts to ci/bench-baseline.json")
    parser.add_argument("--only", metavar="ROW", action="append", choices=ROWS, help=f"this row, repeatable: {', '.join(ROWS)}")
    parser.add_argument("--json", action="store_true", help="print dist/bench.json instead of the table")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    return parser.parse_args()


def chosen(wanted):
    """The rows to measure."""
    left_out = set(NOT_QUICK if wanted.quick else []) - set(["build"] if wanted.with_build else [])
    return [name for name in ROWS if (name in wanted.only if wanted.only else name not in left_out)]


if __name__ == "__main__":
    parse()
