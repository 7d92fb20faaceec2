"""The figures, their verdicts and the tables that show them."""

from dataclasses import dataclass, field

from budgets import DRIFTS, LIMITS, TIMES

OK = "ok"
BROKEN = "BROKEN"
RECORDED = "recorded"
CHEAPER = "cheaper"
NOT_COMPARABLE = "NOT COMPARABLE"
NOT_MEASURED = "NOT MEASURED"


@dataclass
class Figure:
    """One figure, which is one line of the table."""

    id: str
    label: str
    value: float | None
    unit: str
    comparison: str = ""
    detail: dict = field(default_factory=dict)
    budget: str = ""
    verdict: str = RECORDED
    # Whether the figure can fail in this run.
    judged: bool = True

    def judge(self, baseline, quick):
        """Compares the figure with its limit or with the baseline, which is None if this toolchain has none."""
        if self.value is None:
            self.verdict = NOT_MEASURED
        elif self.id in LIMITS:
            limit = LIMITS[self.id]
            self.budget = f"≤ {limit:g} {self.unit}"
            if self.judged and not (quick and self.id in TIMES):
                self.verdict = OK if self.value <= limit else BROKEN
        elif self.id in DRIFTS:
            self.judge_drift(baseline, DRIFTS[self.id])
        return self

    def judge_drift(self, baseline, most):
        self.budget = f"baseline ± {most:.0%}"
        before = None if baseline is None else baseline.get(self.id)
        if before is None:
            self.verdict = NOT_COMPARABLE
            return
        drift = self.value / before - 1
        self.comparison = f"baseline {number(before)}: {drift:+.2%}"
        self.verdict = BROKEN if drift > most else CHEAPER if drift < -most else OK

    def as_json(self):
        return {
            "id": self.id,
            "label": self.label,
            "value": self.value,
            "unit": self.unit,
            "comparison": self.comparison,
            "budget": LIMITS.get(self.id, DRIFTS.get(self.id)),
            "verdict": self.verdict,
            "detail": self.detail,
        }


def number(value):
    if value is None:
        return "–"
    if value == int(value) and abs(value) >= 1000:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


HEADS = ["figure", "value", "comparison", "budget", "verdict"]


def cells(figures):
    return [[f.label, f"{number(f.value)} {f.unit}".strip(), f.comparison, f.budget, f.verdict] for f in figures]


def markdown(figures):
    """Returns the figures as the Markdown table of docs/performance.md."""
    rows = [f"| {' | '.join(row)} |" for row in [HEADS, *cells(figures)]]
    rows.insert(1, "|---|--:|---|--:|---|")
    return "\n".join(rows)


def table(figures):
    """Returns the figures as a text table with aligned columns."""
    rows = [HEADS, *cells(figures)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def median(values):
    values = sorted(values)
    return values[len(values) // 2]
