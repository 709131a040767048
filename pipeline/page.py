"""Parts of a page that is one file: escaped HTML, words and numbers, pictures, and charts as inline SVG."""

from __future__ import annotations

import base64
import html
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

MAX_PICTURE_BYTES = 200_000
MAX_CELLS = 200  # side of the dense matrix; more classes share cells
WHOLE = 14  # letters of a name that stay in one line

Part = dict[str, Any]


# ---- HTML: whatever is not Html already is escaped on its way in


class Html(str):
    """Text that is HTML already. Every other string is escaped when it enters a tag."""

    __slots__ = ()


VOID = frozenset({"meta", "link", "img", "br"})


def tag(element: str, /, *children: str, **attributes: str | float | None) -> Html:
    """One element; `class_` stands for class, `aria_label` for aria-label; None leaves an attribute out."""
    given = {
        key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None
    }
    head = "".join(f' {key}="{html.escape(_plain(value))}"' for key, value in given.items())
    if element in VOID:
        return Html(f"<{element}{head}>")
    return Html(f"<{element}{head}>{join(*children)}</{element}>")


def join(*children: str) -> Html:
    """Several pieces one after the other."""
    return Html("".join(one if isinstance(one, Html) else html.escape(one, quote=False) for one in children))


def _plain(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def section(anchor: str, title: str, content: Html) -> Html:
    """A part of the page with a heading that a link can lead to."""
    return tag(
        "section",
        tag("h2", title, id=f"{anchor}-title"),
        content,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def facts(pairs: Iterable[tuple[str, str]], class_: str = "facts") -> Html:
    """Pairs of a term and what it is."""
    return tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in pairs), class_=class_)


@dataclass(frozen=True)
class Column:
    """Head of a table column; `kind` is "text", "word" (never broken), "number" or "bar"."""

    title: str
    kind: str = "text"


def data_table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], header: int = 0, class_: str = ""
) -> Html:
    """A table whose column `header` names the rows."""
    head = tag("tr", *map(_head, columns))
    body = [
        tag("tr", *(
            tag("th", cell, scope="row", class_=column.kind)
            if index == header
            else tag("td", cell, class_=column.kind)
            for index, (column, cell) in enumerate(zip(columns, row, strict=True))
        ))
        for row in rows
    ]  # fmt: skip
    parts = (tag("caption", caption), tag("thead", head), tag("tbody", *body))
    names = [row[header] for row in rows]
    return _scroll(tag("table", *parts, class_=_classes(class_, names)))


def _scroll(table: Html) -> Html:
    return tag("div", table, class_="scroll")


def _classes(own: str, names: Sequence[str]) -> str | None:
    """Classes of a table; where all names of its rows are short, none of them is broken."""
    whole = all(len(name) <= WHOLE and not isinstance(name, Html) for name in names)
    return " ".join(filter(None, (own, "whole" if whole else ""))) or None


def _head(column: Column) -> Html:
    return tag("th", column.title, scope="col", class_=column.kind) if column.title else tag("td")


def fold(summary: str, content: Html) -> Html:
    """Content that is folded away until it is asked for."""
    return tag("details", tag("summary", summary), content)


def subsection(title: str, *content: str, class_: str | None = None) -> Html:
    """A smaller heading and what belongs to it."""
    return tag("div", tag("h3", title), *content, class_=class_)


# ---- words and numbers


def finite_or_none(value: Any) -> float | None:
    """The value as a float, or None where it is no finite number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def as_share(value: Any) -> str:
    """A share with three digits, or a dash where there is none."""
    number = finite_or_none(value)
    return "—" if number is None else f"{number:.3f}"


def as_interval(interval: Any) -> str:
    """Both ends of an interval of shares, or a dash."""
    return f"{as_share(interval[0])}–{as_share(interval[1])}" if interval else "—"


def as_duration(seconds: Any) -> str:
    """Seconds as a person says them."""
    number = finite_or_none(seconds)
    if number is None:
        return "—"
    if number < 100:
        return f"{number:.1f}\u00a0s"
    minutes, rest = divmod(round(number), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def as_moment(text: str) -> Html:
    """A time in ISO form as a person reads it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return tag("time", text)
    zone = f" {moment.tzname()}" if moment.tzinfo else ""
    return tag("time", f"{moment.day} {moment:%B %Y, %H:%M}{zone}", datetime=text)


def as_value(value: Any) -> str:
    """Any value of a configuration or recipe as a person writes it."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(as_value, value)) or "—"
    return str(value)


def several(count: int, one: str, more: str) -> str:
    """A count with its word, in the singular or the plural."""
    return f"{count:,} {one if count == 1 else more}"


def why_missing(result: Part, what: str) -> Html:
    """One sentence that says why a part of the report is not there."""
    failed = next((step for step in (result.get("steps") or ()) if step["state"] == "failed"), None)
    if failed:
        why = f"the run stopped at step {failed['number']}, {failed['name']}"
    elif result["outcome"] == "interrupted":
        why = "the run was interrupted before it got there"
    elif result["outcome"] == "unchanged":
        why = "nothing had changed, so the step did not run again"
    else:
        why = "this run did not record it"
    return tag("p", f"No {what}: {why}.", class_="missing")


# ---- pictures


def picture_tag(folder: Path, file: str, alt: str) -> Html:
    """A picture inside the page, or a few words where it cannot be shown."""
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        return tag("span", "picture missing", class_="nothing")
    if path.stat().st_size > MAX_PICTURE_BYTES:
        return tag("span", "picture too large to carry", class_="nothing")
    data = path.read_bytes()
    kind = "png" if data.startswith(b"\x89PNG\r\n") else "jpeg" if data.startswith(b"\xff\xd8") else None
    if kind is None:
        return tag("span", "neither PNG nor JPEG", class_="nothing")
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return tag(
        "img", src=source, alt=alt, width=96, height=96, class_="pixels" if _width(data) <= 64 else None
    )


def _width(data: bytes) -> int:
    """Width of a PNG or JPEG in pixels; small pictures are shown with their pixels, not blurred."""
    if data.startswith(b"\x89PNG"):
        return int.from_bytes(data[16:20], "big")
    frame = re.search(rb"\xff[\xc0-\xc2]\x00[\x0b\x11]\x08..(..)", data, re.DOTALL)
    return int.from_bytes(frame[1], "big") if frame else 10_000


def gallery(items: Sequence[tuple[Html, Html]]) -> Html:
    """Pictures side by side, each with its caption."""
    return tag(
        "div", *(tag("figure", picture, tag("figcaption", text)) for picture, text in items), class_="gallery"
    )


# ---- scales and charts


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
    """One line of a chart: (x, y) points in order of x, and "first" or "second" for its colour and dash."""

    name: str
    points: tuple[tuple[float, float], ...]
    class_: str = "first"


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 220, 48, 10, 10, 36


def line_chart(title: str, lines: Sequence[Series]) -> Html:
    """Lines over the epochs, with axes, ticks and a legend that names the last values.

    Args:
        title: What is drawn, such as "loss".
        lines: At least one series, each with at least one point.
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
    name = tag("text", "epoch", x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle")
    drawn = [_line(line, [place(*point) for point in line.points]) for line in lines]
    chart = tag(
        "svg", *grid, *below, name, *drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="chart", role="img", aria_label=_summary(title, lines),
    )  # fmt: skip
    legend = [tag("span", _key(line.class_), f"{line.name} {line.points[-1][1]:.4g}") for line in lines]
    return tag("figure", tag("figcaption", tag("strong", title), *legend), chart)


def _level_mark(y: float, label: str) -> Html:
    line = tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
    return join(line, tag("text", label, x=LEFT - 6, y=y + 4, text_anchor="end"))


def _line(line: Series, places: Sequence[tuple[float, float]]) -> Html:
    path = tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places))
    dots: list[Html] = []
    if len(places) <= 60:  # beyond, dots would hide the line
        for (epoch, value), (x, y) in zip(line.points, places, strict=True):
            tip = tag("title", f"epoch {epoch:.0f}: {line.name} {value:.6g}")
            dots.append(tag("circle", tip, cx=x, cy=y, r=2.5))
    return tag("g", path, *dots, class_=line.class_)


def _key(class_: str) -> Html:
    return tag(
        "svg",
        tag("g", tag("polyline", points="0,5 22,5"), class_=class_),
        width=22,
        height=10,
        aria_hidden="true",
    )


def _summary(title: str, lines: Sequence[Series]) -> str:
    parts = [f"{one.name} from {one.points[0][1]:.4g} to {one.points[-1][1]:.4g}" for one in lines]
    return f"{title} over the epochs: {', '.join(parts)}"


HIT_LEVELS = (0.25, 0.5, 0.75, 0.9)  # lower bounds of the four stronger shades of the diagonal
MISS_LEVELS = (0.02, 0.05, 0.1, 0.25)  # and of the mistakes, which are shares of a row too but far smaller


def _shade(count: float, total: float, hit: bool) -> str | None:
    """Class of a matrix cell, from its share of the row; an empty cell has none."""
    if not count or not total:
        return None
    level = 1 + bisect_right(HIT_LEVELS if hit else MISS_LEVELS, count / total)
    return f"cell {'hit' if hit else 'miss'}{level}"


def heat_map(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Html:
    """A confusion matrix with its counts, as a table, so that it can be read aloud, copied and scrolled.

    Args:
        labels: Names of the n classes.
        counts: n rows (true class) of n counts (predicted class).
    """
    head = tag("tr", tag("td"), *(tag("th", tag("span", label), scope="col") for label in labels))
    rows = [
        tag("tr", tag("th", label, scope="row"), *(
            tag("td", str(count) if count else "·", class_=_shade(count, sum(row), row_index == index))
            for index, count in enumerate(row)
        ))
        for row_index, (label, row) in enumerate(zip(labels, counts, strict=True))
    ]  # fmt: skip
    shape = _classes("matrix long" if max(map(len, labels)) > 3 else "matrix", labels)
    parts = (tag("thead", head), tag("tbody", *rows))
    table = _scroll(tag("table", *parts, class_=shape, aria_label="Confusion matrix"))
    return join(tag("p", "Rows are true classes, columns predicted ones.", class_="note"), table, SHADES)


SHADES = tag(
    "p",
    tag("span", class_="swatch cell hit4"),
    "recognised ",
    tag("span", class_="swatch cell miss4"),
    "mistaken; the stronger the colour, the larger the share of the true class.",
    class_="note",
)


def dense_matrix(counts: Sequence[Sequence[int]]) -> Html:
    """A confusion matrix of many classes as a picture; beyond 200 classes neighbours share a square."""
    side = math.ceil(len(counts) / MAX_CELLS)
    cells: dict[tuple[int, int], int] = {}
    totals: dict[int, int] = {}
    for row, line in enumerate(counts):
        totals[row // side] = totals.get(row // side, 0) + sum(line)
        for column, count in enumerate(line):
            if count:
                key = (row // side, column // side)
                cells[key] = cells.get(key, 0) + count
    paths: dict[str, list[str]] = {}
    for (row, column), count in cells.items():
        paths.setdefault(_shade(count, totals[row], row == column) or "", []).append(
            f"M{column} {row}h1v1h-1z"
        )
    edge = math.ceil(len(counts) / side)
    label = f"Confusion matrix of {len(counts)} classes; the largest mistakes are in the table beside it"
    drawn = (tag("path", d="".join(parts), class_=shade) for shade, parts in sorted(paths.items()))
    chart = tag("svg", *drawn, viewBox=f"0 0 {edge} {edge}", class_="dense", role="img", aria_label=label)
    shared = f" Each square is {side} × {side} classes." if side > 1 else ""
    caption = tag(
        "figcaption", f"Rows are true classes, columns predicted ones, in the order of the labels.{shared}"
    )
    return tag("div", tag("figure", chart, caption), SHADES)
