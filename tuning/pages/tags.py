"""HTML of a page that is one file: whatever is not Html already is escaped on its way in."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WHOLE = 14  # letters of a name that stay in one line

MAX_ROWS = 1000  # of a table that is folded away


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
    return scroll(tag("table", *parts, class_=row_classes(class_, names)))


def scroll(table: Html) -> Html:
    """A table that scrolls by itself where the page is too narrow for it."""
    return tag("div", table, class_="scroll")


def row_classes(own: str, names: Sequence[str]) -> str | None:
    """Classes of a table; where all names of its rows are short, none of them is broken."""
    whole = all(len(name) <= WHOLE and not isinstance(name, Html) for name in names)
    return " ".join(filter(None, (own, "whole" if whole else ""))) or None


def _head(column: Column) -> Html:
    if not column.title:
        return tag("td", class_=column.kind)
    return tag("th", column.title, scope="col", class_=column.kind)


def fold(summary: str, content: Html) -> Html:
    """Content that is folded away until it is asked for."""
    return tag("details", tag("summary", summary), content)


def subsection(title: str, *content: str, class_: str | None = None) -> Html:
    """A smaller heading and what belongs to it."""
    return tag("div", tag("h3", title), *content, class_=class_)
