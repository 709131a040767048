"""Scales and charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any

from tuning.pages.tags import Html, join, tag
from tuning.pages.words import finite_or_none


def ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """Some `count` + 1 numbers around `low` and `high`, in steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        pad = abs(low) / 10 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def tick_labels(marks: Sequence[float]) -> list[str]:
    """The marks of an axis, all with as many decimals as their distance needs."""
    decimals = max(0, -math.floor(math.log10(marks[1] - marks[0]) + 1e-9))
    return [f"{mark:,.{decimals}f}" if decimals <= 4 else f"{mark:.2g}" for mark in marks]


@dataclass(frozen=True)
class Scale:
    """A horizontal axis of shares, in per cent of its width, so that a chart stretches without its text."""

    marks: tuple[float, ...]

    def at(self, value: float) -> str:
        """Where a value lies; values outside stand at the edge."""
        low, high = self.marks[0], self.marks[-1]
        return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.2f}%"


def scale_of(values: Iterable[Any]) -> Scale:
    """A scale that holds all of the values."""
    numbers = [number for number in map(finite_or_none, values) if number is not None] or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    if high == low:
        low, high = max(0.0, low - 0.1), min(1.0, high + 0.1)
    return Scale(ticks(low, high, 3))


def interval_strip(
    scale: Scale, value: Any, interval: Any, threshold: Any = None, baseline: Any = None, axis: bool = False
) -> Html:
    """A share, its interval and what it is measured against, on a scale; the page says the same in words."""
    height, middle = (46, 14) if axis else (18, 9)
    marks = [_stroke("0", "100%", middle, middle, "rule")]
    if axis:
        marks += [
            _axis_mark(scale, mark, label, middle)
            for mark, label in zip(scale.marks, tick_labels(scale.marks), strict=True)
        ]
    if finite_or_none(threshold) is not None:
        place = scale.at(threshold)
        marks.append(_stroke(place, place, middle - 9, middle + 9, "threshold"))
    if interval:
        marks.append(_stroke(scale.at(interval[0]), scale.at(interval[1]), middle, middle, "interval"))
    if finite_or_none(baseline) is not None:
        marks.append(tag("circle", cx=scale.at(baseline), cy=middle, r=4, class_="baseline"))
    if finite_or_none(value) is not None:
        marks.append(tag("circle", cx=scale.at(value), cy=middle, r=6 if axis else 4, class_="dot"))
    return tag("svg", *marks, class_="strip", width="100%", height=height, aria_hidden="true")


def _stroke(x1: str, x2: str, y1: int, y2: int, class_: str) -> Html:
    return tag("line", x1=x1, x2=x2, y1=y1, y2=y2, class_=class_)


def _axis_mark(scale: Scale, mark: float, label: str, middle: int) -> Html:
    anchor = "start" if mark == scale.marks[0] else "end" if mark == scale.marks[-1] else "middle"
    place = scale.at(mark)
    line = _stroke(place, place, middle - 4, middle + 4, "rule")
    return join(line, tag("text", label, x=place, y=middle + 26, text_anchor=anchor))


def bar(value: float, largest: float, class_: str = "first") -> Html:
    """A bar as long as its share of the largest value."""
    width = f"{100 * value / largest if largest else 0:.2f}%"
    return tag(
        "svg",
        tag("rect", width=width, height="100%"),
        class_=f"bar {class_}",
        width="100%",
        height=10,
        aria_hidden="true",
    )


@dataclass(frozen=True)
class Series:
    """One line of a chart: (x, y) points in order of x, and its look.

    Attributes:
        name: What the legend calls it.
        points: Its points.
        class_: "first" to "fifth", or "pale", for its colour and dash.
        shape: "line", "step" (a value lasts until the next point) or "dots"; `line_chart` draws lines only.
        tips: What each point says under a pointer; none where that would be too many.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    class_: str = "first"
    shape: str = "line"
    tips: tuple[str, ...] = ()


@dataclass(frozen=True)
class Axis:
    """What a chart's points are measured on, from its first mark to its last.

    Attributes:
        name: What is measured, with its unit.
        marks: At least two rising numbers.
        labels: What stands at each.
        log: Equal factors are equally far; the marks must be above 0.
    """

    name: str
    marks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, from 0 at the first mark to 1 at the last; values outside stand at the edge."""
        low, high = self.marks[0], self.marks[-1]
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def axis(name: str, values: Iterable[float], log: bool = False, count: int = 4) -> Axis:
    """An axis that holds all of the values; with `log` its marks are 1, 2 or 5 times powers of ten."""
    numbers = list(values) or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    if not log or low <= 0:
        marks = ticks(low, high, count)
        return Axis(name, marks, tuple(map(brief, tick_labels(marks))))
    wide = high / low > 10 ** (count / 2)
    factors = (1.0,) if wide else (1.0, 2.0, 5.0)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [factor * 10.0**power for power in powers for factor in factors]
    first = max(index for index, mark in enumerate(every) if mark <= low * (1 + 1e-9))
    last = min(
        (index for index, mark in enumerate(every) if mark >= high * (1 - 1e-9)), default=len(every) - 1
    )
    marks = tuple(every[first : max(last, first + 1) + 1])
    return Axis(name, marks, tuple(map(brief, marks)), log=True)


def brief(number: float | str, digits: int = 6) -> str:
    """A number with k and M for thousands and millions, and at most so many digits."""
    value = float(str(number).replace(",", ""))
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 10 or (abs(value) >= unit and value % (unit / 10) == 0):
            return f"{value / unit:.{digits}g}{letter}"
    return number if isinstance(number, str) else f"{value:.3g}"


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 220, 48, 10, 10, 36


def plot(title: str, across: Axis, up: Axis, series: Sequence[Series], summary: str) -> Html:
    """Lines and dots on two axes, with a legend.

    Args:
        title: What is drawn.
        across: The axis below.
        up: The axis on the left.
        series: What is drawn, the last on top; one without a name is not in the legend.
        summary: What somebody hears who cannot see it.
    """

    def place(x: float, y: float) -> tuple[float, float]:
        left = LEFT + across.share(x) * (WIDTH - LEFT - RIGHT)
        return left, HEIGHT - BOTTOM - up.share(y) * (HEIGHT - TOP - BOTTOM)

    grid = [
        _level_mark(place(across.marks[0], mark)[1], label)
        for mark, label in zip(up.marks, up.labels, strict=True)
    ]
    below = [_below(place(mark, up.marks[0])[0], label) for mark, label in _apart(across)]
    name = tag("text", across.name, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle")
    drawn = [_drawn(one, [place(*point) for point in one.points]) for one in series if one.points]
    chart = tag(
        "svg", *grid, *below, name, *drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="chart", role="img", aria_label=summary,
    )  # fmt: skip
    legend = [tag("span", _key(one.class_, one.shape), one.name) for one in series if one.name]
    return tag("figure", tag("figcaption", tag("strong", title), *legend), chart)


def _apart(across: Axis) -> list[tuple[float, str]]:
    """The marks whose labels have room beside each other."""
    shown: list[tuple[float, str]] = []
    for mark, label in zip(across.marks, across.labels, strict=True):
        if not shown or across.share(mark) - across.share(shown[-1][0]) > 0.09:
            shown.append((mark, label))
    return shown


def _below(x: float, label: str) -> Html:
    near = x > WIDTH - RIGHT - 14
    return tag(
        "text", label, x=WIDTH if near else x, y=HEIGHT - BOTTOM + 16, text_anchor="end" if near else "middle"
    )


def _drawn(one: Series, places: Sequence[tuple[float, float]]) -> Html:
    if one.shape == "dots":
        crowd = len(places) > 300
        tips = one.tips if one.tips and not crowd else [""] * len(places)
        dots = [_dot(x, y, 2 if crowd else 3.5, tip) for (x, y), tip in zip(places, tips, strict=True)]
        return tag("g", *dots, class_=f"{one.class_} dots")
    if one.shape == "step":
        corners = [(after[0], before[1]) for before, after in pairwise(places)]
        places = [each for pair in zip_longest(places, corners) for each in pair if each]
    path = tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places))
    return tag("g", path, class_=one.class_)


def _dot(x: float, y: float, radius: float, tip: str) -> Html:
    said = [tag("title", tip)] if tip else []
    return tag("circle", *said, cx=round(x, 1), cy=round(y, 1), r=radius)


def line_chart(title: str, lines: Sequence[Series], over: str = "epoch") -> Html:
    """Lines over the epochs, with axes, ticks and a legend that names the last values.

    Args:
        title: What is drawn, such as "loss".
        lines: At least one series, each with at least one point.
        over: What the axis below counts, in the singular.
    """
    xs = [x for line in lines for x, _ in line.points]
    marks = ticks(
        min(y for line in lines for _, y in line.points), max(y for line in lines for _, y in line.points), 4
    )

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - min(xs)) / (max(xs) - min(xs)) if max(xs) > min(xs) else 0.5
        up = (y - marks[0]) / (marks[-1] - marks[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    epochs = [x for x in ticks(min(xs), max(xs), 6) if x == int(x) and min(xs) <= x <= max(xs)]
    grid = [
        _level_mark(place(min(xs), mark)[1], label)
        for mark, label in zip(marks, tick_labels(marks), strict=True)
    ]
    below = [
        tag("text", f"{x:,.0f}", x=place(x, marks[0])[0], y=HEIGHT - BOTTOM + 16, text_anchor="middle")
        for x in epochs
    ]
    name = tag("text", over, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle")
    drawn = [_line(line, [place(*point) for point in line.points], over) for line in lines]
    chart = tag(
        "svg", *grid, *below, name, *drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="chart", role="img", aria_label=_summary(title, lines, over),
    )  # fmt: skip
    legend = [tag("span", _key(line.class_), f"{line.name} {line.points[-1][1]:.4g}") for line in lines]
    return tag("figure", tag("figcaption", tag("strong", title), *legend), chart)


def _level_mark(y: float, label: str) -> Html:
    line = tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
    return join(line, tag("text", label, x=LEFT - 6, y=y + 4, text_anchor="end"))


def _line(line: Series, places: Sequence[tuple[float, float]], over: str) -> Html:
    path = tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places))
    dots: list[Html] = []
    if len(places) <= 60:  # beyond, dots would hide the line
        for (mark, value), (x, y) in zip(line.points, places, strict=True):
            tip = tag("title", f"{over} {mark:.0f}: {line.name} {value:.6g}")
            dots.append(tag("circle", tip, cx=x, cy=y, r=2.5))
    return tag("g", path, *dots, class_=line.class_)


def _key(class_: str, shape: str = "line") -> Html:
    mark = tag("circle", cx=11, cy=5, r=3.5) if shape == "dots" else tag("polyline", points="0,5 22,5")
    return tag(
        "svg",
        tag("g", mark, class_=f"{class_} dots" if shape == "dots" else class_),
        width=22,
        height=10,
        aria_hidden="true",
    )


def _summary(title: str, lines: Sequence[Series], over: str) -> str:
    parts = [f"{one.name} from {one.points[0][1]:.4g} to {one.points[-1][1]:.4g}" for one in lines]
    return f"{title} over the {over}s: {', '.join(parts)}"
