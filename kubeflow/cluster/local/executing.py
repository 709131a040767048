"""Runs the tasks: so many at a time, again where they fail, and nothing behind one that has failed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from cluster.local import exchange, paths
from cluster.local.exchange import TaskFailed
from cluster.local.paths import Paths
from cluster.local.plan import Node, Plan
from cluster.local.screen import Screen
from cluster.local.start import Guard, Start, begin, end, guarded
from cluster.local.state import Done, State

_LOOKED = 0.05  # seconds between two looks at what runs
_SHOWN = 160  # characters of a log's last line


class Runner(Protocol):
    """What knows how tasks are started."""

    def start(self, node: Node, paths: Paths, given: Mapping[str, Any], folder: Path, attempt: int) -> Start:
        """How to start an attempt at a task."""


@dataclass(frozen=True)
class Run:
    """A run that can begin.

    Attributes:
        id: Its id.
        folder: Its folder; each task has one of its name below.
        plan: The tasks.
        parameters: The pipeline's inputs.
        volumes: The folder of each PersistentVolumeClaim.
        runner: Starts tasks.
        parallel: How many tasks may run at a time.
    """

    id: str
    folder: Path
    plan: Plan
    parameters: Mapping[str, Any]
    volumes: Mapping[str, Path]
    runner: Runner
    parallel: int

    def log(self, name: str) -> Path:
        """Where a task's output goes, all attempts one after the other."""
        return self.folder / name / "log.txt"

    def paths(self, name: str) -> Paths:
        """Where the folders of a task's pod lie here."""
        return paths.of_pod(self.plan.nodes[name].pod, name, self.folder, self.volumes)


@dataclass
class _Attempt:
    """A task that runs."""

    process: subprocess.Popen[bytes]
    start: Start
    given: Mapping[str, Any]
    began: float


@dataclass
class _Tasks:
    """Where each task is; one that is in none of these has not begun."""

    running: dict[str, _Attempt] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # why
    attempts: dict[str, int] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)  # when the first attempt began
    again: dict[str, float] = field(default_factory=dict)  # when the next may begin


def execute(run: Run, state: State, screen: Screen) -> dict[str, str]:
    """Run all tasks that have not succeeded yet.

    Args:
        run: What to run.
        state: What has succeeded; grows.
        screen: Where it is told.

    Returns:
        Why tasks failed, by their names; empty when all succeeded.

    Raises:
        KeyboardInterrupt: Somebody stopped it; nothing runs any more.
    """
    tasks = _Tasks()
    for name in run.plan.nodes:
        if name in state.done:
            screen.task(name, "done before", state.done[name].seconds)
    with guarded() as guard:
        try:
            while _go_on(run, state, screen, tasks, guard):
                time.sleep(_LOOKED)
        except BaseException:
            for attempt in tasks.running.values():
                end(attempt.process, attempt.start, guard)
            raise
    return tasks.failed


def behind(plan: Plan, failed: Mapping[str, str]) -> dict[str, str]:
    """The tasks that cannot run because of others: the name of one that failed, by their names."""
    found: dict[str, str] = {}
    for node in plan.nodes.values():
        for before in node.upstream:
            if before in failed or before in found:
                found.setdefault(node.name, before if before in failed else found[before])
    return found


def _go_on(run: Run, state: State, screen: Screen, tasks: _Tasks, guard: Guard) -> bool:
    """Look at what runs, start what can start; whether anything is left to wait for."""
    for name in list(tasks.running):
        _look(run, state, screen, tasks, guard, name)
    now = time.monotonic()
    waiting = False
    for name, node in run.plan.nodes.items():
        if name in state.done or name in tasks.failed or name in tasks.running:
            continue
        if not all(before in state.done for before in node.upstream):
            continue
        waiting = True
        if len(tasks.running) < run.parallel and tasks.again.get(name, 0.0) <= now:
            _start(run, state, screen, tasks, guard, node)
    return waiting or bool(tasks.running)


def _start(run: Run, state: State, screen: Screen, tasks: _Tasks, guard: Guard, node: Node) -> None:
    name, now = node.name, time.monotonic()
    number = tasks.attempts[name] = tasks.attempts.get(name, 0) + 1
    tasks.first.setdefault(name, now)
    folder = run.folder / name
    for left in ("outputs", "scratch"):  # of an attempt that failed, or was killed with its run
        shutil.rmtree(folder / left, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with run.log(name).open("a", encoding="utf-8") as log:
        log.write(f"--- attempt {number}, {datetime.now(timezone.utc).isoformat(timespec='seconds')}\n")
    screen.task(name, "starts" if number == 1 else f"starts, attempt {number} of {node.retry.count + 1}")
    try:
        results = {one: done.result for one, done in state.done.items()}
        given = exchange.executor_input(node, run.plan.name, run.id, run.parameters, results)
        here = run.paths(name)
        exchange.prepare(here.here(given))
        start = run.runner.start(node, here, given, folder, number)
        tasks.running[name] = _Attempt(begin(start, run.log(name), guard), start, here.here(given), now)
    except (TaskFailed, ValueError, OSError) as error:
        _failed(screen, tasks, node, f"it cannot start: {error}", 0.0)


def _look(run: Run, state: State, screen: Screen, tasks: _Tasks, guard: Guard, name: str) -> None:
    attempt, node = tasks.running[name], run.plan.nodes[name]
    seconds = time.monotonic() - attempt.began
    limit = node.pod.deadline
    late = limit is not None and seconds > limit
    if attempt.process.poll() is None and not late:
        return
    end(attempt.process, attempt.start, guard)
    del tasks.running[name]
    why = (
        f"ended after {limit} s, its time limit (activeDeadlineSeconds)"
        if late
        else _how(attempt.process.returncode)
    )
    if not why:
        try:
            result = exchange.result(node, attempt.given)
        except TaskFailed as error:
            why = str(error)
    if why:
        last = last_line(run.log(name))
        _failed(screen, tasks, node, why + (f": {last}" if last else ""), seconds)
        return
    there = run.paths(name).there
    left = exchange.Result(there(result.parameters), there(result.artifacts))
    state.add(name, Done(left, round(seconds, 1), tasks.attempts[name]))
    screen.task(name, "done", seconds)


def _failed(screen: Screen, tasks: _Tasks, node: Node, why: str, seconds: float) -> None:
    """Plan the next attempt, or have the task failed."""
    name, retry, now = node.name, node.retry, time.monotonic()
    number = tasks.attempts[name]
    wait = retry.wait * retry.factor ** (number - 1)
    screen.task(name, f"failed, {why}", seconds)
    if number > retry.count:
        tasks.failed[name] = why
    # As Argo does, which runs KFP's pods: no attempt begins outside the window, however many are left.
    elif now + wait > tasks.first[name] + retry.window:
        tasks.failed[name] = f"{why} (not tried again: its backoffMaxDuration of {retry.window:g} s is over)"
    else:
        tasks.again[name] = now + wait
        screen.task(name, f"again in {wait:.1f} s")


def _how(code: int) -> str:
    if code == 0:
        return ""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def last_line(log: Path) -> str:
    """What a task said last, at most 160 characters of it."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and not line.startswith("--- attempt ")]
    return said[-1][:_SHOWN] if said else ""
