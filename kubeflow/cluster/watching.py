"""Watching a run on a server: a line for each change of a task, until the run ends or the time is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.client import Server
from cluster.refusals import ServerError, short

FINAL = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_SOON, _LATE, _LATEST = (
    0.5,
    10.0,
    30.0,
)  # seconds between two questions: after a change, at rest, after errors
_GROWS = 1.5
_OWN = ("root", "executor")  # what the backend adds to a pipeline's tasks, beside a NAME-driver for each


@dataclass(frozen=True)
class Watched:
    """What became of a run.

    Args:
        run_id: The run.
        state: Its state when it was last seen, as the API names it.
        tasks: The state of each task of the pipeline, by name, in order of appearance.
        culprits: The tasks for which a run did not succeed.
        error: The server's own words for it, "" where it has none.
        seconds: How long it was watched.
    """

    run_id: str
    state: str
    tasks: dict[str, str]
    culprits: list[str]
    error: str
    seconds: float

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.state in FINAL


def watch(
    server: Server,
    run_id: str,
    say: Callable[[str], None],
    limit: float = math.inf,
    sleep: Callable[[float], None] = time.sleep,
) -> Watched:
    """Ask for a run again and again; more seldom while nothing changes.

    Args:
        server: Where it runs.
        run_id: The run.
        say: Takes a line: a task and its new state, or a server that cannot be asked just now.
        limit: Seconds after which to stop watching.
        sleep: Waits.

    Returns:
        What was seen last.

    Raises:
        ServerError: The server refuses for good: an error that passes by itself is waited for instead.
    """
    began = time.monotonic()
    run: Any = None
    states: dict[str, str] = {}
    pause, troubled = _SOON, False
    while True:
        try:
            run = server.ask("get_run", run_id)
        except ServerError as error:
            if not error.passing:
                raise
            if not troubled:
                say(f"{error} The run goes on; asking again …")
            troubled, pause = True, min(2 * pause, _LATEST)
        else:
            if troubled:
                say(f"{server.host} answers again")
            now = _states(run)
            for name in (name for name in now if states.get(name) != now[name]):
                say(f"{_moment(began)}  {name}  {now[name]}")
            troubled, pause = False, _SOON if now != states else min(_GROWS * pause, _LATE)
            states = now
            if run.state in FINAL:
                return _watched(run_id, run, states, began)
        left = limit - (time.monotonic() - began)
        if left <= 0:
            return _watched(run_id, run, states, began)
        sleep(min(pause, left))


def _watched(run_id: str, run: Any, states: dict[str, str], began: float) -> Watched:
    seconds = time.monotonic() - began
    state = (run and run.state) or "PENDING"
    if state not in FINAL or state == "SUCCEEDED":
        return Watched(run_id, state, states, [], "", seconds)
    worst = next((one for one in ("FAILED", "CANCELED", "SKIPPED") if one in states.values()), "")
    culprits = [name for name, found in states.items() if found == worst]
    tasks = [task for task in _tasks(run) if task.display_name in culprits] or _tasks(run)
    said = next(filter(None, (_error(one) for one in [*tasks, run])), "")
    return Watched(run_id, state, states, culprits, short(said), seconds)


def _tasks(run: Any) -> list[Any]:
    return list((run.run_details and run.run_details.task_details) or [])


def _states(run: Any) -> dict[str, str]:
    """Each task's state; one of the backend's own only where it failed and nothing else tells why."""
    found = {task.display_name: task.state for task in _tasks(run) if task.display_name and task.state}
    own = {name for name in found if name in _OWN or name.endswith("-driver")}
    return {name: state for name, state in found.items() if name not in own or _tells(name, found, own)}


def _tells(name: str, found: dict[str, str], own: set[str]) -> bool:
    others = [state for other, state in found.items() if other not in own]
    return name != "root" and found[name] == "FAILED" and "FAILED" not in others


def _error(of: Any) -> str:
    """The words of a run's or a task's error; the last of its history where it has none itself."""
    statuses = [of.error, *(one.error for one in reversed(of.state_history or []))]
    return next((status.message for status in statuses if status and status.message), "")


def _moment(began: float) -> str:
    seconds = round(time.monotonic() - began)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
