"""The trials of a search as CSV, a row each."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from tuning import folders
from tuning.errors import printable

Part = dict[str, Any]

FIRST = ("id", "configuration", "rung", "status", "score", "first_epoch", "until")
LAST = ("parameters", "macs", "latency_ms", "seconds", "worker", "reason")
FORMULAS = ("=", "+", "-", "@", "\t")  # OWASP, "CSV Injection": how spreadsheets know a formula


def write_csv(result: Part, file: Path) -> Path:
    """Write one row a trial, in the order in which they began, in one step.

    Args:
        result: A search's result.
        file: What is written. Its columns are FIRST, each hyperparameter of the space, and LAST; what is not
            known, or does not apply, is empty. Text that a spreadsheet would take for a formula begins with
            an apostrophe.

    Returns:
        The file.
    """
    names = [one["name"] for one in result["space"]]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([_cell(name) for name in (*FIRST, *names, *LAST)])
    for trial in result["trials"]:
        values = trial.get("values") or {}
        row = [*map(trial.get, FIRST), *map(values.get, names), *map(trial.get, LAST)]
        rows.writerow([_cell(one) for one in row])
    return folders.replace(file, text.getvalue())


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = printable(str(value), keep="\n\t")  # a bare end of line would be one of the table
    return f"'{text}" if text.lstrip(" \n").startswith(FORMULAS) else text
