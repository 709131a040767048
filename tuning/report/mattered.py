"""What mattered: importance of each hyperparameter, and what accuracy costs."""

from __future__ import annotations

from collections.abc import Sequence

from tuning.findings import (
    Configuration,
    Part,
    as_score,
    as_setting,
    best_trial,
    configurations,
    front,
    varying,
)
from tuning.pages.charts import Series, axis, bar, plot
from tuning.pages.tags import MAX_ROWS, Column, Html, data_table, fold, join, subsection, tag
from tuning.pages.words import as_value, several
from tuning.report.came_out import spelt
from tuning.report.importance import FEW, REPEATS, TREES, Importance, importance

COSTS = (("latency_ms", "latency", "ms an image"), ("parameters", "parameters", "parameters"))
SHOWN = 8  # of the front, the best ones; the others are folded away
POOR = 0.3  # of the forest's fit, below which its numbers say little


def mattered(result: Part) -> Html:
    """The section, as far as trials were completed."""
    if best_trial(result) is None:
        return tag("p", "Nothing can be said: no trial was completed.", class_="missing")
    fronts = [one for one in (_front(result, *cost) for cost in COSTS) if one]
    return join(
        subsection("Importance of each hyperparameter", _importance(result), class_="narrow"),
        tag("div", *fronts, class_="columns"),
    )


def _importance(result: Part) -> Html:
    found = importance(result)
    if found is None:
        scored = sum(one.score is not None for one in configurations(result))
        told = f"only {several(scored, 'configuration has', 'configurations have')} a score"
        why = told if scored < FEW else "all scores are equal"
        return tag("p", f"It is not told: {why}, and it takes {FEW} that differ.", class_="missing")
    largest = max(share for _, share in found.shares)
    rows = [(spelt(name), bar(share, largest), f"{100 * share:.0f}\u00a0%") for name, share in found.shares]
    columns = (Column("hyperparameter"), Column("", "bar"), Column("share", "number"))
    table = data_table("The largest first", columns, rows)
    return join(tag("p", _said(found), class_="takeaway"), table, tag("p", _method(found), class_="note"))


def _said(found: Importance) -> str:
    first, *rest = [name for name, share in found.shares if share >= 0.1] or [found.shares[0][0]]
    text = f"The scores follow {first} most" + (f", then {' and '.join(rest[:2])}" if rest else "")
    if found.fit < POOR:
        return f"{text}; but so few scores are explained by it that this is hardly more than a guess."
    return f"{text}."


def _method(found: Importance) -> str:
    return (
        f"How much worse a random forest of {TREES} trees, which learned the scores of {found.count:,} "
        f"configurations, guesses them with one hyperparameter shuffled ({REPEATS} times; Breiman, 2001). "
        "The epochs that each was trained were told to it too. On configurations that a tree had not seen, "
        f"the forest explains R² = {found.fit:.2f} of the scores: 1 is all, 0 or less is nothing."
    )


def _front(result: Part, cost: str, word: str, unit: str) -> Html | None:
    """Score against a cost: chart, and the front as a table."""
    best, known = front(result, cost)
    if len(known) < 2:
        return None
    across = axis(f"{unit}, log" if _wide(known, cost) else unit, [one.trial[cost] for one in known],
                  _wide(known, cost))  # fmt: skip
    up = axis(result["objective"], [one.score or 0.0 for one in known])
    others = [one for one in known if one not in best]
    series = (
        Series("a configuration", _points(others, cost), "pale", "dots", _tips(others)),
        Series("", _points(best, cost), "second", "step"),
        Series("on the front", _points(best, cost), "second", "dots", _tips(best)),
    )
    label = (
        f"{result['objective']} against {word} of {len(known)} configurations; {len(best)} are on the front, "
        f"from {as_score(best[0].score)} to {as_score(best[-1].score)}"
    )
    chart = plot(
        f"{result['objective']} against {word}", across, up, [one for one in series if one.points], label
    )
    columns = (
        Column("configuration"), Column("score", "number"), Column(unit, "number"), Column("what it is")
    )  # fmt: skip
    rows = [
        (one.name, as_score(one.score), as_value(one.trial[cost]), _settings(result, one)) for one in best
    ]
    table = data_table("On the front: whatever is cheaper is worse", columns, rows[-SHOWN:])
    if rows[SHOWN:]:
        cheaper = data_table("Cheaper ones on the front", columns, rows[:-SHOWN][:MAX_ROWS])
        table = join(table, fold(f"{len(rows) - SHOWN:,} cheaper ones", cheaper))
    rest = [(one.name, as_score(one.score), as_value(one.trial[cost])) for one in others]
    every = fold(
        "The others in numbers", data_table("Not on the front", columns[:3], rest[:MAX_ROWS])
    ) if rest else Html("")  # fmt: skip
    return subsection(f"What {word} buys", chart, table, every, class_="front")


def _wide(known: Sequence[Configuration], cost: str) -> bool:
    values = [one.trial[cost] for one in known]
    return min(values) > 0 and max(values) / min(values) > 8


def _points(found: Sequence[Configuration], cost: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(one.trial[cost]), one.score or 0.0) for one in found)


def _tips(found: Sequence[Configuration]) -> tuple[str, ...]:
    return tuple(f"{one.name}: {as_score(one.score)}" for one in found)


def _settings(result: Part, one: Configuration) -> str:
    """The settings of the network: those of the recipe cost nothing."""
    names = [each["name"] for each in varying(result) if each.get("of") == "network"]
    return " · ".join(f"{name} {as_setting(one.values[name])}" for name in names if name in one.values) or "—"
