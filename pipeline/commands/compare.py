"""`python -m pipeline compare`."""

from __future__ import annotations

import argparse
import json
from typing import Any

SUMMARY = "hold two runs against each other"
DESCRIPTION = "Show options, data, recipe, metrics, classes and versions of two runs, only what differs."
_MOST = 20  # rows of a part
_WIDEST = 48  # characters of a cell


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    for name in ("a", "b"):
        parser.add_argument(name, metavar=name.upper(), help="folder of a run, or its name below runs")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(given: argparse.Namespace) -> int:
    """Compare and print."""
    from pipeline import past
    from pipeline.commands import _table

    folders = [past.find(word) for word in (given.a, given.b)]
    one, other = map(past.read, folders)
    found = past.compare(one, other)
    if given.json:
        held = {
            part: {name: {"a": a, "b": b} for name, (a, b) in rows.items()} for part, rows in found.items()
        }
        print(json.dumps({"a": str(folders[0]), "b": str(folders[1]), **held}, indent=1, ensure_ascii=False))
        return 0
    if not found:
        print(f"{folders[0]} and {folders[1]} do not differ")
        return 0
    rows: list[list[str]] = []
    for part, pairs in found.items():
        rows += [["", "", "", ""], [part, "", "", ""]]
        shown = _first(_widest(pairs) if part == "classes" else pairs)
        rows += [[f"  {name}", _word(a), _word(b), _change(a, b)] for name, (a, b) in shown.items()]
        if len(shown) < len(pairs):
            rows.append([f"  … {len(pairs) - len(shown)} more (--json has all)", "", "", ""])
    print(_table.text(["", str(folders[0]), str(folders[1]), "change"], rows, right=(3,)))
    if "accuracy" in found.get("metrics", {}) and past.overlap(one, other):
        print("\nThe intervals of the accuracies overlap: their difference may be chance.")
    return 0


def _widest(pairs: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """The classes that differ most come first."""
    order = sorted(pairs, key=lambda name: -abs((pairs[name][0] or 0) - (pairs[name][1] or 0)))
    return {name: pairs[name] for name in order}


def _first(pairs: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return dict(list(pairs.items())[:_MOST])


def _word(value: Any) -> str:
    """A value on one line, cut where it is long."""
    from tuning.pages.words import as_value

    text = " ".join(as_value(value).split())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1].rstrip() + "…"


def _change(a: Any, b: Any) -> str:
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (a, b))
    return f"{b - a:+.4g}" if numbers else ""
