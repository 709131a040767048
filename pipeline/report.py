"""The report of a run: one HTML file that a person opens to see what came out and why.

Everything comes from `result.json` and the pictures beside it. The page carries its style, charts and
pictures in itself, has no script, and its content policy forbids every request, so it reads the same offline,
in an e-mail or on paper. Only the standard library is imported: a light process writes the report.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

SCHEMA = 1
MAX_PICTURES = 20  # of samples, and as many of mistakes: 40 on the page
MAX_PICTURE_BYTES = 200_000
FEW_CLASSES = 20  # up to here every class has its row and every cell its count
MAX_CELLS = 200  # side of the dense matrix; more classes share cells
WHOLE = 14  # letters of a name that stay in one line
MAX_ROWS = 1000  # of a table that is folded away
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

Part = dict[str, Any]


def write(folder: Path) -> Path:
    """Write `report.html` into the folder of a run, from the `result.json` that lies there.

    Args:
        folder: Folder of one run. Pictures are named in `result.json` relative to it; one that is missing,
            lies outside, is neither PNG nor JPEG, or is larger than 200 kB is replaced by a few words.

    Returns:
        The path of the report. It replaces an older one in a single step.

    Raises:
        FileNotFoundError: The folder holds no `result.json`.
        ValueError: `result.json` is not JSON, or of a schema that this version does not read.
    """
    source = folder / "result.json"
    if not source.is_file():
        raise FileNotFoundError(f"folder {folder}: it holds no result.json; give the folder that a run made")
    try:
        result = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{source}: not readable as JSON: {error}") from None
    schema = result.get("schema") if isinstance(result, dict) else None
    if schema != SCHEMA:
        raise ValueError(
            f"{source}: schema must be {SCHEMA}, not {schema!r}; it was written by another version"
        )
    target, partial = folder / "report.html", folder / "report.html.part"
    partial.write_text(render(result, folder), encoding="utf-8")
    return partial.replace(target)


def render(result: Part, folder: Path) -> str:
    """The report as HTML text; `folder` is where the pictures named in `result` lie."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{result['name']}: {result['outcome']}"),
        tag("style", Html(style)),
    )
    sections = (
        _section("came-out", "What came out", _came_out(result, folder)),
        _section("learned", "How it learned", _learned(result)),
        _section("given", "What it was given", _given(result, folder)),
        _section("made", "How it was made", _made(result)),
    )
    body = tag("body", _header(result), tag("main", *sections))
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


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


def _section(anchor: str, title: str, content: Html) -> Html:
    return tag(
        "section",
        tag("h2", title, id=f"{anchor}-title"),
        content,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def _facts(pairs: Iterable[tuple[str, str]], class_: str = "facts") -> Html:
    return tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in pairs), class_=class_)


@dataclass(frozen=True)
class Column:
    """Head of a table column; `kind` is "text", "word" (never broken), "number" or "bar"."""

    title: str
    kind: str = "text"


def _table(
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


def _fold(summary: str, content: Html) -> Html:
    return tag("details", tag("summary", summary), content)


def _subsection(title: str, *content: str, class_: str | None = None) -> Html:
    return tag("div", tag("h3", title), *content, class_=class_)


# ---- words and numbers


def _finite(value: Any) -> float | None:
    """The value as a float, or None where it is no finite number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def _share(value: Any) -> str:
    number = _finite(value)
    return "—" if number is None else f"{number:.3f}"


def _range(interval: Any) -> str:
    return f"{_share(interval[0])}–{_share(interval[1])}" if interval else "—"


def _duration(seconds: Any) -> str:
    number = _finite(seconds)
    if number is None:
        return "—"
    if number < 100:
        return f"{number:.1f}\u00a0s"
    minutes, rest = divmod(round(number), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _moment(text: str) -> Html:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return tag("time", text)
    zone = f" {moment.tzname()}" if moment.tzinfo else ""
    return tag("time", f"{moment.day} {moment:%B %Y, %H:%M}{zone}", datetime=text)


def _value(value: Any) -> str:
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
        return ", ".join(map(_value, value)) or "—"
    return str(value)


def _several(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _missing(result: Part, what: str) -> Html:
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


def _picture(folder: Path, file: str, alt: str) -> Html:
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


def _gallery(items: Sequence[tuple[Html, Html]]) -> Html:
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


def _labels(marks: Sequence[float]) -> list[str]:
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


def _scale(values: Iterable[Any]) -> Scale:
    numbers = [number for number in map(_finite, values) if number is not None] or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    if high == low:
        low, high = max(0.0, low - 0.1), min(1.0, high + 0.1)
    return Scale(ticks(low, high, 3))


def _strip(
    scale: Scale, value: Any, interval: Any, threshold: Any = None, baseline: Any = None, axis: bool = False
) -> Html:
    """A share, its interval and what it is measured against, on a scale; the page says the same in words."""
    height, middle = (46, 14) if axis else (18, 9)
    marks = [_stroke("0", "100%", middle, middle, "rule")]
    if axis:
        marks += [
            _axis_mark(scale, mark, label, middle)
            for mark, label in zip(scale.marks, _labels(scale.marks), strict=True)
        ]
    if _finite(threshold) is not None:
        place = scale.at(threshold)
        marks.append(_stroke(place, place, middle - 9, middle + 9, "threshold"))
    if interval:
        marks.append(_stroke(scale.at(interval[0]), scale.at(interval[1]), middle, middle, "interval"))
    if _finite(baseline) is not None:
        marks.append(tag("circle", cx=scale.at(baseline), cy=middle, r=4, class_="baseline"))
    if _finite(value) is not None:
        marks.append(tag("circle", cx=scale.at(value), cy=middle, r=6 if axis else 4, class_="dot"))
    return tag("svg", *marks, class_="strip", width="100%", height=height, aria_hidden="true")


def _stroke(x1: str, x2: str, y1: int, y2: int, class_: str) -> Html:
    return tag("line", x1=x1, x2=x2, y1=y1, y2=y2, class_=class_)


def _axis_mark(scale: Scale, mark: float, label: str, middle: int) -> Html:
    anchor = "start" if mark == scale.marks[0] else "end" if mark == scale.marks[-1] else "middle"
    place = scale.at(mark)
    line = _stroke(place, place, middle - 4, middle + 4, "rule")
    return join(line, tag("text", label, x=place, y=middle + 26, text_anchor=anchor))


def _bar(value: float, largest: float, class_: str = "first") -> Html:
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
        _level_mark(place(min(xs), mark)[1], label) for mark, label in zip(marks, _labels(marks), strict=True)
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


# ---- the top of the page

BADGES = {"pushed": "good", "unchanged": "calm", "interrupted": "calm"}


def _header(result: Part) -> Html:
    what = f"{result['data']} · {result['model']} · "
    kicker = tag("p", what, _moment(result["started"]), class_="kicker")
    badge = tag("span", result["outcome"], class_=f"badge {BADGES.get(result['outcome'], 'bad')}")
    title = tag("div", tag("h1", result["name"]), badge, class_="title")
    links = (
        ("came-out", "What came out"),
        ("learned", "How it learned"),
        ("given", "What it was given"),
        ("made", "How it was made"),
    )
    contents = tag(
        "nav", *(tag("a", text, href=f"#{anchor}") for anchor, text in links), aria_label="Sections"
    )
    answers = tag("div", _headline(result), _answers(result), class_="answers")
    return tag(
        "header",
        kicker,
        title,
        tag("p", result["sentence"], class_="lead"),
        _problems(result),
        answers,
        contents,
    )


def _headline(result: Part) -> Html:
    found = result.get("evaluation")
    if not found:
        return tag("div", _missing(result, "accuracy"), class_="headline")
    baseline, interval = found.get("baseline"), found.get("interval")
    versus = baseline["accuracy"] if baseline else None
    scale = _scale([found["accuracy"], found.get("threshold"), versus, *(interval or ())])
    number = tag(
        "p",
        tag("strong", _share(found["accuracy"])),
        f" accuracy on {_several(found.get('count') or 0, 'test image', 'test images')}",
    )
    keys = [("threshold", f"needed {_share(found.get('threshold'))}")]
    if interval:
        keys.insert(0, ("interval", f"95\u00a0% interval {_range(interval)}"))
    if baseline:
        keys.append(("baseline", f"last blessed {_share(versus)}"))
    strip = _strip(scale, found["accuracy"], interval, found.get("threshold"), versus, axis=True)
    legend = tag("p", *(tag("span", _symbol(kind), text) for kind, text in keys), class_="legend")
    return tag("div", number, strip, legend, class_="headline")


def _symbol(kind: str) -> Html:
    shapes = {
        "interval": tag("line", x1=1, x2=17, y1=7, y2=7, class_="interval"),
        "threshold": tag("line", x1=9, x2=9, y1=0, y2=14, class_="threshold"),
        "baseline": tag("circle", cx=9, cy=7, r=4, class_="baseline"),
    }
    return tag("svg", shapes[kind], class_="strip", width=18, height=14, aria_hidden="true")


def _answers(result: Part) -> Html:
    pushed = result.get("pushed")
    where = tag("code", pushed) if pushed else "nothing was pushed"
    following = tag("code", result["next"]) if result.get("next") else "—"
    pairs = (
        ("Where is the model", where),
        ("How long did it take", _duration(result["seconds"])),
        ("What next", following),
    )
    return _facts(pairs, "questions")


def _problems(result: Part) -> Html:
    """What stopped a run at the gate, where the eye falls first."""
    anomalies = (result.get("validation") or {}).get("anomalies") or ()
    errors = [one for one in anomalies if one["severity"] == "error"]
    if not errors:
        return Html("")
    shown = [tag("li", tag("code", one["feature"]), " ", one["what"]) for one in errors[:5]]
    if len(errors) > 5:
        shown.append(tag("li", f"and {len(errors) - 5:,} more, under What it was given"))
    return tag("ul", *shown, class_="problems")


# ---- what came out


def _came_out(result: Part, folder: Path) -> Html:
    found = result.get("evaluation")
    if not found:
        if not result.get("serving"):
            return _missing(result, "evaluation and no serving check")
        return join(_missing(result, "evaluation"), _serving(result))
    labels, counts = _labels_of(result, found), found.get("confusion") or []
    confusions = _confusions(labels, counts)
    parts = [tag("p", " ".join((_verdict(found), *_weakest(found, confusions))), class_="takeaway")]
    columns = [_per_class(found)] if found.get("per_class") else []
    if counts:
        columns.append(_matrix(labels, counts, confusions))
    few = len(labels) <= 12
    parts.append(tag("div", *columns, class_="columns" if few else None))
    parts.append(_mistakes(found, folder))
    parts.append(_serving(result))
    return join(*parts)


def _labels_of(result: Part, found: Part) -> list[str]:
    """Names of the matrix's rows: the data set's classes, else those of the table, else numbers."""
    classes = (result.get("dataset") or {}).get("classes") or ()
    rated = [one["label"] for one in found.get("per_class") or ()]
    size = len(found.get("confusion") or classes or rated)
    named = next((names for names in (classes, rated) if len(names) == size), range(size))
    return [str(name) for name in named]


def _verdict(found: Part) -> str:
    said = "Blessed" if found.get("blessed") else "Not blessed"
    accuracy, threshold = _finite(found.get("accuracy")), _finite(found.get("threshold"))
    if accuracy is not None and threshold is not None:
        meets = accuracy >= threshold
        digits = 3 if meets or _share(accuracy) != _share(threshold) else 5
        verb = "reaches" if meets else "is below"
        said += f": {accuracy:.{digits}f} {verb} the {threshold:.{digits}f} asked for"
    baseline = found.get("baseline")
    if not baseline:
        return f"{said}. There was no blessed model to compare it with."
    return f"{said}. {_comparison(accuracy, baseline)}"


def _comparison(accuracy: float | None, baseline: Part) -> str:
    before = _finite(baseline["accuracy"])
    last = f"the last blessed model, {baseline['version']}"
    if accuracy is None or before is None:
        return f"It cannot be compared with {last}."
    change = round(accuracy - before, 3)
    if not change:
        return f"It equals {last}."
    return f"It is {abs(change):.3f} {'above' if change > 0 else 'below'} {last}."


def _weakest(found: Part, confusions: Sequence[tuple[str, str, int, int]]) -> list[str]:
    sentences = []
    rated = [one for one in (found.get("per_class") or ()) if _finite(one.get("accuracy")) is not None]
    if rated:
        worst = min(rated, key=lambda one: one["accuracy"])
        sentences.append(
            f"The weakest class is {worst['label']}: {_share(worst['accuracy'])} of {worst['count']:,}."
        )
    if confusions:
        true, taken, count, _ = confusions[0]
        sentences.append(
            f"The most frequent mistake is {true} taken for {taken}, {_several(count, 'time', 'times')}."
        )
    return sentences


def _confusions(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, str, int, int]]:
    """Every mistake as (true, predicted, times, images of the true class), the most frequent first."""
    pairs = [
        (labels[row], labels[column], count, sum(line))
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if count and row != column
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


CLASS_NOTE = (
    "Accuracy: how many of the class's images were recognised, with its 95\u00a0% interval. "
    "Precision: how many of the answers with this name were right. "
    "The upright line is the accuracy that was asked of the whole."
)


def _per_class(found: Part) -> Html:
    rated = sorted(found["per_class"], key=lambda one: (_finite(one.get("accuracy")) or 0.0, one["label"]))
    threshold = found.get("threshold")
    ends = [value for one in rated for value in (one.get("accuracy"), *(one.get("interval") or ()))]
    scale = _scale([*ends, threshold])
    edges = _labels(scale.marks)
    axis = tag("span", tag("span", edges[0]), tag("span", edges[-1]), class_="ends")
    columns = [Column("class"), Column(axis, "bar")]
    columns += [Column(title, "number") for title in ("accuracy", "precision", "images")]
    rows = []
    for one in rated:
        strip = _strip(scale, one.get("accuracy"), one.get("interval"), threshold)
        numbers = (_share(one.get("accuracy")), _share(one.get("precision")), f"{one['count']:,}")
        rows.append((str(one["label"]), strip, *numbers))
    note = tag("p", CLASS_NOTE, class_="note")
    if len(rows) <= FEW_CLASSES:
        return _subsection("Each class", _table("Weakest class first", columns, rows), note)
    weakest = _table("The ten weakest classes", columns, rows[:10])
    others = _table("From weak to strong", columns, rows[10:MAX_ROWS])
    return _subsection("Each class", weakest, _fold(f"The other {len(rows) - 10:,} classes", others), note)


def _matrix(
    labels: Sequence[str], counts: Sequence[Sequence[int]], confusions: Sequence[tuple[str, str, int, int]]
) -> Html:
    if len(labels) <= FEW_CLASSES:
        return _subsection("What was taken for what", heat_map(labels, counts))
    columns = (Column("true"), Column("taken for"), Column("times", "number"), Column("of", "number"))
    rows = [(true, taken, f"{times:,}", f"{total:,}") for true, taken, times, total in confusions[:15]]
    table = _table("The most frequent mistakes", columns, rows)
    return _subsection("What was taken for what", tag("div", dense_matrix(counts), table, class_="columns"))


def _mistakes(found: Part, folder: Path) -> Html:
    mistakes = found.get("mistakes")
    if not mistakes:
        return Html("")
    items = []
    for one in mistakes[:MAX_PICTURES]:
        true, taken = str(one["true"]), str(one["predicted"])
        picture = _picture(folder, one["file"], f"a picture of {true} that was taken for {taken}")
        sure = tag("span", f"{_share(one.get('probability'))} sure", class_="muted")
        items.append((picture, join(tag("strong", taken), tag("br"), f"is {true}", tag("br"), sure)))
    intro = tag("p", "What the model said, what it is, and how sure the model was.", class_="note")
    return _subsection("The worst mistakes", intro, _gallery(items))


def _serving(result: Part) -> Html:
    found = result.get("serving")
    if not found:
        return _subsection("As it will be served", _missing(result, "serving check"))
    equal = "yes" if found.get("equal") else "no"
    pairs = [
        ("equal to the trained model", f"{equal}, largest difference {_value(found.get('max_difference'))}")
    ]
    pairs.append(("time an image", f"{_value(found.get('milliseconds'))} ms"))
    names = [
        join(*([", "] if index else []), tag("code", name))
        for index, name in enumerate(found.get("signatures") or ())
    ]
    pairs.append(("signatures", join(*names)))
    return _subsection("As it will be served", _facts(pairs))


# ---- how it learned


def _learned(result: Part) -> Html:
    found = result.get("training")
    if not found:
        return _missing(result, "training")
    history = found.get("history") or []
    varied = len({one.get("learning_rate") for one in history}) > 1
    names = ("accuracy", "loss", "learning_rate") if varied else ("accuracy", "loss")
    charts = [chart for chart in (_curve(history, name) for name in names) if chart]
    pairs = [
        ("parameters", _value(found.get("parameters"))),
        ("speed", _speed(found.get("images_per_second"))),
        ("device", _value(found.get("device"))),
    ]
    parts = [
        tag("p", _progress(history), class_="takeaway"),
        tag("div", *charts, class_="charts"),
        _facts(pairs),
    ]
    if history:
        parts.append(_fold("Every epoch in numbers", _epochs(history)))
    return join(*parts)


def _speed(value: Any) -> str:
    number = _finite(value)
    return "—" if number is None else f"{number:,.0f} images/s"


def _points(history: Sequence[Part], key: str) -> tuple[tuple[float, float], ...]:
    pairs = ((float(one["epoch"]), _finite(one.get(key))) for one in history)
    return tuple((epoch, value) for epoch, value in pairs if value is not None)


def _curve(history: Sequence[Part], name: str) -> Html | None:
    """The chart of a value and its validation twin, or None where there is no course to show."""
    both = (
        Series("training" if name != "learning_rate" else "rate", _points(history, name)),
        Series("validation", _points(history, f"val_{name}"), "second"),
    )
    lines = [line for line in both if len(line.points) > 1]
    return line_chart(name.replace("_", " "), lines) if lines else None


def _progress(history: Sequence[Part]) -> str:
    if not history:
        return "The epochs were not recorded."
    total = _several(len(history), "epoch", "epochs")
    lost = next((one["epoch"] for one in history if _finite(one.get("loss")) is None), None)
    if lost is not None:
        return f"{total}; the loss was no longer a number from epoch {lost} on."
    twin = _points(history, "val_accuracy")
    points = twin or _points(history, "accuracy")
    if not points:
        return f"{total}."
    first, best, last = (_share(value) for value in (points[0][1], max(y for _, y in points), points[-1][1]))
    epoch = next(epoch for epoch, value in points if _share(value) == best)
    which = "Validation" if twin else "Training"
    if len(points) == 1:
        return f"{total}. {which} accuracy was {best}."
    ended = "" if last == best else f" and ended at {last}"
    return (
        f"{total}. {which} accuracy began at {first}, reached its best, {best}, at epoch {epoch:.0f}{ended}."
    )


def _epochs(history: Sequence[Part]) -> Html:
    keys = list(dict.fromkeys(key for one in history for key in one))
    rows = [[_value(one.get(key)) for key in keys] for one in history[:MAX_ROWS]]
    return _table("Every epoch", [Column(key, "number") for key in keys], rows)


# ---- what it was given


def _given(result: Part, folder: Path) -> Html:
    found = result.get("dataset")
    if not found:
        return join(_missing(result, "description of the data"), _validation(result))
    splits = found.get("splits") or {}
    parts = [tag("p", _holdings(found, splits), class_="takeaway"), _facts(_properties(found))]
    parts += [_validation(result), _bad(found), _balance(found, splits), _samples(found, folder)]
    return join(*parts)


def _holdings(found: Part, splits: Part) -> str:
    classes = found["classes"]
    parts = ", ".join(f"{split['count']:,} {name}" for name, split in splits.items())
    text = f"{_several(found['images'], 'image', 'images')} in {_several(len(classes), 'class', 'classes')}"
    text = f"{text}: {parts}." if parts else f"{text}."
    if not splits:
        return text
    name, split = next(iter(splits.items()))
    counts = split.get("per_class") or ()
    if len(counts) != len(classes):
        return text
    least, most = min(counts), max(counts)
    if least == most:
        return f"{text} Every class has {least:,} in {name}."
    small, large = classes[counts.index(least)], classes[counts.index(most)]
    return f"{text} In {name}, the smallest class is {small} ({least:,}), the largest {large} ({most:,})."


def _properties(found: Part) -> list[tuple[str, str]]:
    pairs = []
    for title, counted in (("sizes in pixels", found.get("sizes")), ("formats", found.get("formats"))):
        ranked = sorted((counted or {}).items(), key=lambda item: -item[1])
        text = ", ".join(f"{name} ({count:,})" for name, count in ranked[:4])
        pairs.append((title, text + (f" and {len(ranked) - 4:,} more" if len(ranked) > 4 else "") or "—"))
    pairs.append(("fingerprint", tag("code", _value(found.get("fingerprint")))))
    return pairs


def _validation(result: Part) -> Html:
    found = result.get("validation")
    if not found:
        return _subsection("Checks of the data", _missing(result, "checks"))
    anomalies = found.get("anomalies") or []
    said = "The data passed the gate." if found.get("passed") else "The data did not pass the gate."
    if not anomalies:
        return _subsection("Checks of the data", tag("p", f"{said} Nothing was found to object to."))
    columns = (Column("feature"), Column("severity"), Column("what was found"))
    rows = [(tag("code", one["feature"]), one["severity"], one["what"]) for one in anomalies[:MAX_ROWS]]
    table = _table("Anomalies", columns, rows)
    return _subsection("Checks of the data", tag("p", said), table, class_="narrow")


def _bad(found: Part) -> Html:
    bad = found.get("bad") or []
    if not bad:
        return Html("")
    rows = [(tag("code", str(one["path"])), str(one["why"])) for one in bad]
    columns = (Column("file"), Column("why"))
    shown = _table("Images that could not be read", columns, rows[:10])
    rest = (
        _fold(f"The other {len(rows) - 10:,}", _table("Further images", columns, rows[10:MAX_ROWS]))
        if rows[10:]
        else Html("")
    )
    return _subsection(f"{_several(len(bad), 'image', 'images')} left out", shown, rest)


def _balance(found: Part, splits: Part) -> Html:
    classes = found["classes"]
    named = {
        name: split["per_class"]
        for name, split in splits.items()
        if len(split.get("per_class") or ()) == len(classes)
    }
    if not named:
        return Html("")
    columns = [
        Column("class"),
        *(one for name in named for one in (Column(name, "number"), Column("", "bar"))),
    ]
    rows = []
    for index, label in enumerate(classes[:MAX_ROWS]):
        row: list[str] = [str(label)]
        for order, counts in enumerate(named.values()):
            row += [f"{counts[index]:,}", _bar(counts[index], max(counts), "second" if order else "first")]
        rows.append(row)
    table = _table("Images of each class", columns, rows)
    if len(classes) <= FEW_CLASSES:
        return _subsection("Balance of the classes", table, class_="narrow")
    name, counts = next(iter(named.items()))
    return _subsection(
        "Balance of the classes", _profile(name, counts), _fold("Every class in numbers", table)
    )


def _profile(name: str, counts: Sequence[int]) -> Html:
    """The sizes of many classes as one silhouette, the largest class first."""
    ranked, top = sorted(counts, reverse=True), max(counts) or 1
    steps = "".join(f"V{100 - 100 * count / top:.1f}h1" for count in ranked)
    label = f"Sizes of {len(counts)} classes in {name}, from {ranked[0]:,} down to {ranked[-1]:,} images"
    shape = tag("path", d=f"M0 100{steps}V100z")
    chart = tag(
        "svg",
        shape,
        viewBox=f"0 0 {len(ranked)} 100",
        preserveAspectRatio="none",
        class_="profile",
        role="img",
        aria_label=label,
    )
    return tag("figure", tag("figcaption", f"{label}."), chart)


def _samples(found: Part, folder: Path) -> Html:
    samples = found.get("samples")
    if not samples:
        return Html("")
    seen: dict[str, int] = {}
    ranked = []
    for one in samples:
        seen[one["label"]] = seen.get(one["label"], 0) + 1
        ranked.append((seen[one["label"]], one))
    ranked.sort(key=lambda pair: pair[0])  # stable: the first of every class before the second of any
    items = [
        (_picture(folder, one["file"], f"a picture of {one['label']}"), join(str(one["label"])))
        for _, one in ranked[:MAX_PICTURES]
    ]
    return _subsection("Some of the images", _gallery(items))


# ---- how it was made


def _made(result: Part) -> Html:
    recipe = (result.get("training") or {}).get("recipe")
    lists = (
        ("Recipe", recipe, "recipe"),
        ("Configuration", result.get("config"), "configuration"),
        ("Versions", _versions(result), "versions"),
    )
    cards = [_subsection(title, _listed(values) or _missing(result, what)) for title, values, what in lists]
    command = tag("pre", tag("code", result["command"]))
    place = tag("p", "Results are in ", tag("code", result["output"]), ".", class_="note")
    again = _subsection("To do it again", command, place)
    return join(_steps(result), tag("div", *cards, class_="columns three"), again)


def _listed(values: Part | None) -> Html | None:
    """Keys stand as they are: the same word is the option, the key in run.toml and the label here."""
    if not values:
        return None
    return _facts(((key, _value(value)) for key, value in values.items()), "list")


def _versions(result: Part) -> Part:
    versions = dict(result.get("versions") or {})
    git = result.get("git")
    if git:
        changed = ", with changes that are not committed" if git.get("dirty") else ""
        versions["git"] = f"{git['revision']}{changed}"
    return versions


def _steps(result: Part) -> Html:
    steps = result.get("steps")
    if not steps:
        return _missing(result, "steps")
    longest = max((_finite(step.get("seconds")) or 0.0 for step in steps), default=0.0)
    columns = (
        Column("", "number"),
        Column("step"),
        Column("state", "word"),
        Column("time", "number"),
        Column("", "bar"),
    )
    rows = []
    for step in steps:
        state = "cached" if step.get("cached") else step["state"]
        shown = tag("strong", state, class_="failed") if state == "failed" else state
        name = join(step["name"], tag("span", step.get("detail") or "", class_="detail"))
        seconds = _finite(step.get("seconds"))
        rows.append((str(step["number"]), name, shown, _duration(seconds), _bar(seconds or 0.0, longest)))
    table = _table("Steps", columns, rows, header=1, class_="steps")
    return join(tag("p", _course(result, steps), class_="takeaway"), table)


def _course(result: Part, steps: Sequence[Part]) -> str:
    ran = [step for step in steps if step["state"] != "not run"]
    if not ran:
        return "No step ran."
    longest = max(ran, key=lambda step: _finite(step.get("seconds")) or 0.0)
    total = _several(len(ran), "step", "steps")
    count = total if len(ran) == len(steps) else f"{len(ran)} of {len(steps)} steps"
    text = f"{count} in {_duration(result['seconds'])}"
    text += f"; the longest was {longest['name']}, {_duration(longest.get('seconds'))}."
    cached = sum(bool(step.get("cached")) for step in steps)
    return f"{text} From the cache of an earlier run: {cached}." if cached else text
