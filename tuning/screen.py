"""What a person sees while a search runs: a table that moves, or in a log a line for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuning.errors import printable
from tuning.findings import (
    ENDED,
    Configuration,
    as_score,
    as_setting,
    begun,
    best_trial,
    changed,
    configurations,
    counts,
    score_of,
    trained,
    varying,
)
from tuning.pages.charts import brief
from tuning.pages.words import as_duration, finite_or_none, several

Part = dict[str, Any]

_BEST = 8  # configurations in the table
_RUNNING = 4
_SETTINGS = 6  # hyperparameters in the table, where there is room
_WIDEST = 14  # of a column


class Screen:
    """Draws a search; silent when asked to be.

    Args:
        console: Where to draw; without a terminal each trial that ended is one plain line.
        silent: Draw nothing.
    """

    def __init__(self, console: Console, silent: bool = False) -> None:
        self._console, self._silent = console, silent
        self._live: Live | None = None
        self._told: set[str] = set()

    def show(self, result: Part) -> None:
        """How the search stands; called about once a second with its result so far."""
        if self._silent:
            return
        if not self._console.is_terminal:
            for trial in result["trials"]:
                if trial["status"] in ENDED and trial["id"] not in self._told:
                    self._told.add(trial["id"])
                    self.line(_told(result, trial))
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        self._live.update(_whole(result, self._console.width), refresh=True)

    def line(self, text: str) -> None:
        """One line above the table."""
        if not self._silent:
            self._console.print(Text(printable(text)), soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was; the last table stays."""
        if self._live:
            self._live.stop()
            self._live = None


def _told(result: Part, trial: Part) -> str:
    """A trial that ended, in a line of a log."""
    settings = " · ".join(changed(result, trial.get("values") or {})) or "all as by default"
    parts = [trial["id"], f"{trial['status']:<9}"]
    if score_of(trial) is not None:
        parts.append(f"{result['objective']} {as_score(trial['score'])}")
    if trial["status"] != "pruned":
        parts.append(_epochs(trial))
        parts.append(_time(trial.get("seconds")))
    return "  ".join([*parts, settings, trial.get("reason") or ""]).rstrip()


def _time(seconds: Any) -> str:
    return as_duration(seconds).replace("\u00a0", " ")


def _epochs(trial: Part) -> str:
    last = (trial.get("first_epoch") or 0) + trained(trial)
    if trial.get("first_epoch"):
        return f"epochs {trial['first_epoch'] + 1}–{last}"
    return several(last, "epoch", "epochs")


def _whole(result: Part, width: int) -> Group:
    """All that a terminal shows, no line of it wider than the terminal."""
    parts: list[Any] = [_cut(" · ".join(_header(result)), width, "bold"), *_figures(result, width)]
    ranked = [one for one in configurations(result) if one.score is not None]
    if ranked:
        parts += [Text(), _table(result, ranked[:_BEST], width)]
    running = [one for one in result["trials"] if one["status"] == "running"]
    if running:
        parts += [Text(), *(_moving(result, one, width) for one in running[:_RUNNING])]
    if len(running) > _RUNNING:
        parts.append(_cut(f"and {len(running) - _RUNNING} more run", width, "dim"))
    parts += _broken(result, width)
    return Group(*parts)


def _header(result: Part) -> list[str]:
    return [result["family"], result["data"], result["engine"]]


def _figures(result: Part, width: int) -> list[Text]:
    """Figures of the search, in as many lines as they need."""
    best = best_trial(result)
    told = begun(result)
    asked = result["trials_asked"]
    parts = [
        several(told, "configuration", "configurations") if asked is None
        else f"{told:,} of {several(asked, 'configuration', 'configurations')}"
    ]  # fmt: skip
    parts += [several(result["epochs_trained"], "epoch", "epochs"), _time(result["seconds"])]
    if result.get("budget_seconds"):
        left = max(0.0, result["budget_seconds"] - result["seconds"])
        parts.append(f"{_time(left)} left")
    if best:
        parts.append(f"best {result['objective']} {as_score(best['score'])}")
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        if cell_len(joined) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = joined
    return [_cut(line, width) for line in lines]


@dataclass(frozen=True)
class _Column:
    title: str
    cells: tuple[str, ...]
    right: bool = True

    @property
    def width(self) -> int:
        """Cells of a terminal that it takes."""
        return min(_WIDEST, max(cell_len(one) for one in (self.title, *self.cells)))


def _table(result: Part, ranked: Sequence[Configuration], width: int) -> Table:
    """The best configurations, with as many columns as there is room for."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, width=None)
    columns = _fitting(_columns(result, ranked), width)
    for column in columns:
        table.add_column(
            Text(column.title), justify="right" if column.right else "left", width=column.width,
            no_wrap=True, overflow="ellipsis", header_style="dim",
        )  # fmt: skip
    for index in range(len(ranked)):
        cells = [Text(column.cells[index]) for column in columns]
        table.add_row(*cells, style="bold green" if index == 0 else "")
    return table


def _columns(result: Part, ranked: Sequence[Configuration]) -> list[tuple[int, _Column]]:
    """Each column with its rank: where there is no room for all, the highest ranks are left out."""
    trials = [one.trial for one in ranked]
    latency = [finite_or_none(one.get("latency_ms")) for one in trials]
    names = [one["name"] for one in varying(result)]
    told = [name for name in names if len({str(one["values"].get(name)) for one in result["trials"]}) > 1]
    found = [
        (0, _Column("trial", tuple(one["id"] for one in trials), right=False)),
        (0, _Column("score", tuple(as_score(one["score"]) for one in trials))),
        (1, _Column("epochs", tuple(str(one.get("until") or "—") for one in trials))),
    ]
    for rank, name in enumerate((told or names)[:_SETTINGS]):
        cells = tuple(
            printable(as_setting(one.values[name])) if name in one.values else "·" for one in ranked
        )
        found.append((2 if rank < 4 else 4, _Column(printable(name), cells)))
    if any(one.get("parameters") for one in trials):
        cells = tuple(brief(one["parameters"], 3) if one.get("parameters") else "—" for one in trials)
        found.append((3, _Column("params", cells)))
    if any(one is not None for one in latency):
        cells = tuple("—" if one is None else f"{one:.3g}" for one in latency)
        found.append((3, _Column("ms", cells)))
    return found


def _fitting(columns: Sequence[tuple[int, _Column]], width: int) -> list[_Column]:
    left, chosen = width, set()
    for index in sorted(range(len(columns)), key=lambda index: columns[index][0]):
        left -= columns[index][1].width + 2
        if left + 2 < 0:
            break
        chosen.add(index)
    return [column for index, (_, column) in enumerate(columns) if index in chosen]


def _moving(result: Part, trial: Part, width: int) -> Table:
    """A trial that runs: how far it is, its last score, who trains it, and what."""
    history = trial.get("history") or ()
    first, until = trial.get("first_epoch") or 0, trial.get("until") or result["epochs"]
    done = first + len(history)
    text = f"epoch {done} of {until}"
    last = finite_or_none(history[-1].get(result["objective"])) if history else None
    if last is not None:
        text += f" · {as_score(last)}"
    if trial.get("worker"):
        text += f" · {trial['worker']}"
    text += "".join(f" · {one}" for one in changed(result, trial.get("values") or {}))
    grid = Table.grid(padding=(0, 1))
    name = Text(printable(trial["id"]))
    bar = ProgressBar(total=max(1, until - first), completed=done - first, width=12)
    grid.add_row(name, bar, _cut(text, max(8, width - cell_len(name.plain) - 15)))
    return grid


def _broken(result: Part, width: int) -> list[Text]:
    """How many failed and were pruned, and why the last one did."""
    found = counts(result)
    parts = [f"{found[status]} {status}" for status in ("failed", "pruned", "waiting") if found[status]]
    if not parts:
        return []
    last = [one for one in result["trials"] if one["status"] in ("failed", "pruned") and one.get("reason")]
    last.sort(key=lambda one: one.get("ended") or "")
    why = f"; last, {last[-1]['id']}: {last[-1]['reason']}" if last else ""
    return [Text(), _cut(", ".join(parts) + why, width, "yellow" if found["failed"] else "dim")]


def _cut(text: str, width: int, style: str = "") -> Text:
    """A text in one line of a terminal."""
    line = Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line
