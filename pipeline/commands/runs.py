"""`python -m pipeline runs`."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import Any

SUMMARY = "list the runs that were made"
DESCRIPTION = "List the runs below a folder, the newest first."


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER",
        help="where to look (default: runs)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(given: argparse.Namespace) -> int:
    """Find and print."""
    from pipeline import past
    from pipeline.commands import _table

    rows = past.runs(given.folder)
    if given.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    elif rows:
        head = ("run", "name", "when", "outcome", "accuracy", "seconds")
        print(_table.text(head, [_cells(row) for row in rows], right=(4, 5)))
    else:
        print(f"no runs below {given.folder}")
    return 0


def _cells(row: dict[str, Any]) -> list[str]:
    accuracy, seconds = row["accuracy"], row["seconds"]
    return [
        row["run"], row["name"] or "—", _moment(row["when"]), row["outcome"] or "—",
        "—" if accuracy is None else f"{accuracy:.3f}", "—" if seconds is None else f"{seconds:.0f}",
    ]  # fmt: skip


def _moment(text: str | None) -> str:
    """A time in ISO form as the clock here says it, to the minute."""
    try:
        return f"{datetime.fromisoformat(text or '').astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return text or "—"
