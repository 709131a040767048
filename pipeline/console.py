"""What a person sees while the line runs: a line per step, drawn by rich."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.steps import STEPS
from tuning.errors import printable

_NAMES = list(STEPS.values())
_WIDTH = 96
_LOGGED_EVERY = 60  # seconds between two lines of a step that lasts, without a terminal


class Screen:
    """Draws the steps; silent when asked to be.

    Args:
        console: Where to draw; without a terminal there are plain lines, one a minute while a step lasts.
        silent: Draw nothing of the steps.
        names: The steps that will run, in order.
    """

    def __init__(self, console: Console, silent: bool = False, names: Sequence[str] = _NAMES) -> None:
        self._console, self._silent, self._names = console, silent, list(names)
        self._live: Live | None = None
        self.steps: list[dict[str, Any]] = []
        self._running: str | None = None
        self._began = self._told = 0.0

    @property
    def running(self) -> str | None:
        """The step that is under way."""
        return self._running

    def header(self, text: str) -> None:
        """The run's first line."""
        if not self._silent:
            self._console.print(Text(printable(text), style="bold"), soft_wrap=True)

    def waits(self, text: str) -> None:
        """Something lasts before the first step."""
        self._draw(Spinner("dots", text=Text(f" {text}", style="dim")))

    def starts(self, step: str) -> None:
        """A step began."""
        self._running = step
        self._began = self._told = time.monotonic()
        self._draw(self._moving(step, Text("…")))

    def goes_on(self, facts: dict[str, Any]) -> None:
        """How far the running step is: images, epochs and their steps, or configurations of a search."""
        if self._running is None or self._silent:
            return
        if "epoch" in facts:
            done = facts["epoch"] - 1 + facts["step"] / max(1, facts["steps"])
            text = f"epoch {facts['epoch']}/{facts['epochs']} · accuracy {facts['accuracy']:.3f}"
            total = facts["epochs"]
        elif "configurations" in facts:
            done, total = facts["configurations"], max(1, facts["of"])
            best = "" if facts["best"] is None else f" · best {facts['best']:.4g}"
            text = (
                f"{facts['configurations']} of {facts['of']} configurations · {facts['trials']} trials{best}"
            )
        else:
            done, total = facts["images"], max(1, facts["of"])
            text = f"{facts['images']:,} of {facts['of']:,} images"
        if not self._console.is_terminal:
            self._tell(self._running, text)
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=total, completed=done, width=16), Text(text))
        self._draw(self._moving(self._running, grid))

    def ends(self, step: str, detail: str, seconds: float, cached: bool) -> None:
        """A step completed."""
        self._running = None
        self._note(step, detail, seconds, cached, "done")
        self._line(step, detail, "cached" if cached else f"{seconds:.1f} s")

    def fails(self) -> None:
        """The running step failed; the reason is told at the end."""
        if self._running:
            seconds = time.monotonic() - self._began
            self._note(self._running, "", seconds, False, "failed")
            self._line(self._running, "failed", f"{seconds:.1f} s")
        self._running = None
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live:
            self._live.stop()
            self._live = None

    def all_steps(self) -> list[dict[str, Any]]:
        """The steps for the report, those too that were not reached."""
        reached = {one["name"] for one in self.steps}
        rest = [
            {"number": self._names.index(name) + 1, "name": name, "detail": "", "seconds": None,
             "cached": False, "state": "not run"}
            for name in self._names
            if name not in reached
        ]  # fmt: skip
        return [*self.steps, *rest]

    def _note(self, step: str, detail: str, seconds: float, cached: bool, state: str) -> None:
        self.steps.append(
            {"number": self._names.index(step) + 1, "name": step, "detail": detail,
             "seconds": round(seconds, 2), "cached": cached, "state": state}
        )  # fmt: skip

    def _line(self, step: str, detail: str, right: str) -> None:
        self.close()
        if self._silent:
            return
        left = f"{self._label(step)}{printable(detail)}"
        width = min(self._console.width, _WIDTH) if self._console.is_terminal else _WIDTH
        gap = max(2, width - len(left) - len(right))
        line = Text(left)
        line.append(" " * gap + right if right else "", style="dim")
        self._console.print(line, soft_wrap=True, highlight=False)

    def _tell(self, step: str, text: str) -> None:
        """A line for a log, where nothing moves: not at once, and then now and again."""
        now = time.monotonic()
        if now - self._told >= _LOGGED_EVERY:
            self._told = now
            self._console.print(Text(f"{self._label(step)}{text}"), soft_wrap=True, highlight=False)

    def _label(self, step: str) -> str:
        return f" {self._names.index(step) + 1}/{len(self._names)}  {step:<14}"

    def _moving(self, step: str, body: Any) -> Table:
        grid = Table.grid()
        grid.add_row(Text(self._label(step)), body)
        return grid

    def _draw(self, content: Any) -> None:
        if self._silent or not self._console.is_terminal:
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=12)
            self._live.start()
        self._live.update(content)
