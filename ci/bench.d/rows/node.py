"""Sentry's own Node extension from its npm package, measured in the same run against the same scripted Lambda."""

import shutil

from figures import Figure, median
from place import EXTENSION, ROOT
from rows.start import start

NODE_EXTENSION = ROOT / "ci/node_modules/@sentry/aws-serverless/build/lambda-extension/index.mjs"


def measure(_quick):
    programs = {"extension": [str(EXTENSION)], "node": [shutil.which("node"), str(NODE_EXTENSION)]}
    seen = start(programs, runs=10, settle_ms=500)
    columns = [
        ("wall_us", "start → first /next", 1000, "ms"),
        ("cpu_us", "CPU until idle", 1000, "ms"),
        ("rss", "RSS, idle", 1e6, "MB"),
    ]
    for key, what, divisor, unit in columns:
        values = {name: [run[key] / divisor for run in runs] for name, runs in seen.items()}
        comparison = f"this extension {min(values['extension']):.2f} {unit}"
        detail = {name: {"least": min(all), "median": median(all)} for name, all in values.items()}
        figure = f"node.{key.split('_')[0]}"
        yield Figure(figure, f"Sentry's Node extension: {what}", min(values["node"]), unit, comparison, detail)
