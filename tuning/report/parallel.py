"""All configurations in one picture: an axis for each hyperparameter, a line for each configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning.findings import Configuration, Part, as_score, as_setting, configurations, varying
from tuning.pages.charts import axis, brief
from tuning.pages.tags import Html, join, scroll, tag
from tuning.pages.words import several

APART, TOP, HIGH, BELOW = 104, 52, 270, 40  # of the axes, in the picture's own pixels
LEFT, RIGHT = 64, 56
LETTERS = 15  # of an axis's name
FEW = 8  # choices that are all named
CROWD = 60  # configurations, beyond which lines become thin
LANE = 24  # how far below an axis lies what does not apply


@dataclass(frozen=True)
class _Upright:
    """An axis: its name, marks as (share, label), and where values lie from 0 (below) to 1."""

    name: str
    marks: tuple[tuple[float, str], ...]
    one: Part

    def share(self, values: Part) -> float | None:
        """Where a configuration crosses it, or None where the hyperparameter does not apply."""
        if self.one["name"] not in values:
            return None
        value: Any = values[self.one["name"]]
        if self.one["kind"] == "choice":
            choices = self.one["values"]
            return choices.index(value) / (len(choices) - 1) if value in choices else None
        return _along(self.one, float(value))


def _along(one: Part, value: float) -> float:
    low, high = float(one["low"]), float(one["high"])
    if one.get("log"):
        low, high, value = math.log(low), math.log(high), math.log(value)
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _upright(one: Part) -> _Upright:
    if one["kind"] == "choice":
        count = len(one["values"])
        shown = range(count) if count <= FEW else (0, count // 2, count - 1)
        marks = [(index / (count - 1), _short(as_setting(one["values"][index]))) for index in shown]
        return _Upright(one["name"], tuple(marks), one)
    inside = axis("", (one["low"], one["high"]), bool(one.get("log")), 3)
    found = [
        (_along(one, mark), label)
        for mark, label in zip(inside.marks, inside.labels, strict=True)
        if one["low"] < mark < one["high"]
    ]
    between = [(share, label) for share, label in found if 0.1 < share < 0.9]
    ends = [(0.0, brief(one["low"])), (1.0, brief(one["high"]))]
    return _Upright(one["name"], (ends[0], *between, ends[1]), one)


def _short(text: str, letters: int = 9) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def parallel(result: Part) -> Html:
    """The picture with its legend, which scrolls by itself where the page is too narrow."""
    scored = [one for one in configurations(result) if one.score is not None]
    axes = [_upright(one) for one in varying(result)]
    scores = [one.score for one in scored if one.score is not None]
    up = axis(result["objective"], scores, count=5)
    width = LEFT + RIGHT + APART * len(axes)
    places = [LEFT + APART * index for index in range(len(axes) + 1)]
    marks = [
        *(_axis(places[index], one.name, one.marks, index) for index, one in enumerate(axes)),
        _axis(places[-1], result["objective"], [
            (up.share(mark), label) for mark, label in zip(up.marks, up.labels, strict=True)
        ], len(axes)),
    ]  # fmt: skip
    uprights = [tag("line", x1=x, x2=x, y1=TOP, y2=TOP + HIGH, class_="axis") for x in places]
    groups = _groups(scored)
    lines = [_lines(class_, members, axes, places, up.share) for class_, _, members in reversed(groups)]
    missing = any(one.share(each.values) is None for one in axes for each in scored)
    lane = tag("text", "not used", x=4, y=TOP + HIGH + LANE + 18) if missing else Html("")
    label = (
        f"{several(len(scored), 'configuration', 'configurations')}, each a line over "
        f"{', '.join(one.name for one in axes)} and its {result['objective']}; "
        f"the best has {as_score(scored[0].score)}"
    )
    chart = tag(
        "svg", *uprights, *lines, *marks, lane, viewBox=f"0 0 {width} {TOP + HIGH + BELOW + 4}",
        class_="parallel crowded" if len(scored) > CROWD else "parallel", role="img", aria_label=label,
        style=f"min-width:{120 + 84 * len(axes)}px",
    )  # fmt: skip
    legend = [tag("span", _key(class_), text) for class_, text, _ in groups]
    return tag("figure", tag("figcaption", *legend), scroll(chart))


def _groups(scored: Sequence[Configuration]) -> list[tuple[str, str, Sequence[Configuration]]]:
    """The best one, and the others in thirds: class, what the legend says, members.

    Of a crowd the best tenth would be lost in a third.
    """
    names = ("best tenth", "upper half", "lower half")
    first, second = math.ceil(len(scored) / 10), math.ceil(len(scored) / 2)
    if len(scored) <= CROWD:
        names = ("best third", "middle third", "last third")
        first, second = math.ceil((len(scored) + 2) / 3), math.ceil(2 * (len(scored) + 1) / 3)
    parts = (("second", "the best", scored[:1]), ("first", names[0], scored[1:first]),
             ("middle", names[1], scored[max(1, first) : second]),
             ("pale", names[2], scored[max(1, second) :]))  # fmt: skip
    return [(class_, _ranged(text, members), members) for class_, text, members in parts if members]


def _ranged(text: str, members: Sequence[Configuration]) -> str:
    scores = sorted(one.score for one in members if one.score is not None)
    first, last = as_score(scores[0]), as_score(scores[-1])
    return f"{text}, {first}" if first == last else f"{text}, {first}–{last}"


def _key(class_: str) -> Html:
    line = tag("g", tag("polyline", points="0,5 22,5"), class_=class_)
    return tag("svg", line, class_="parallel-key", width=22, height=10, aria_hidden="true")


def _axis(x: int, name: str, marks: Sequence[tuple[float, str]], index: int) -> Html:
    place = 16 if index % 2 else 34  # neighbours on two heights, or long names would meet
    head = tag("text", tag("title", name), _short(name, LETTERS), x=x, y=place, text_anchor="middle",
               class_="axis-name")  # fmt: skip
    labels = [
        tag("text", label, x=x - 6, y=round(TOP + HIGH * (1 - share) + 4, 1), text_anchor="end")
        for share, label in marks
    ]
    return join(head, *labels)


def _lines(
    class_: str, members: Sequence[Configuration], axes: Sequence[_Upright], places: Sequence[int], up: Any
) -> Html:
    drawn = []
    for one in reversed(members):
        shares = [each.share(one.values) for each in axes]
        heights = [HIGH + LANE if share is None else HIGH * (1 - share) for share in shares]
        heights.append(HIGH * (1 - up(one.score)))
        points = " ".join(f"{x},{TOP + y:.0f}" for x, y in zip(places, heights, strict=True))
        drawn.append(tag("polyline", tag("title", f"{one.name}: {as_score(one.score)}"), points=points))
        if class_ == "second":
            drawn += [
                tag("circle", cx=x, cy=round(TOP + y), r=4) for x, y in zip(places, heights, strict=True)
            ]
    return tag("g", *drawn, class_=class_)
