"""A confusion matrix, as a table or, of many classes, as a picture."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from tuning.pages.tags import Html, join, row_classes, scroll, tag

MAX_CELLS = 200  # side of the dense matrix; more classes share cells

FEW_CLASSES = 20  # up to here every class has its row and every cell its count

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
    shape = row_classes("matrix long" if max(map(len, labels)) > 3 else "matrix", labels)
    parts = (tag("thead", head), tag("tbody", *rows))
    table = scroll(tag("table", *parts, class_=shape, aria_label="Confusion matrix"))
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
