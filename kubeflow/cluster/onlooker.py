"""What the Tuner's step tells of its Job's pods and of their search."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster import job
from tuning import findings

_PROGRESS = 30.0  # seconds between two words about the search
_INDEX = "batch.kubernetes.io/job-completion-index"


class Onlooker:
    """Tells what changes: the pods' states, and how far the search is.

    Args:
        notice: Where the chief says where the search lies; see `job.notice`.

    Attributes:
        cause: Exit code and last words, with its title, of the pod that ended the Job, or else of the one
            with words that failed last; (0, "") while none did.
    """

    def __init__(self, notice: Path) -> None:
        self._notice = notice
        self._states: dict[str, str] = {}
        self._said, self._next = "", 0.0
        self._suspended = False
        self.cause = (0, "")

    def suspended(self, now: bool) -> None:
        """Whether the Job's pods may not begin yet."""
        if now and not self._suspended:
            print("the Job is suspended: it waits for its turn in the queue", flush=True)
        self._suspended = now

    def pods(self, found: list[dict[str, Any]]) -> None:
        """The Job's pods as they are now."""
        for one in found:
            name, state = one["metadata"]["name"], _state(one)
            if self._states.get(name) == state:
                continue
            self._states[name] = state
            print(f"{_title(one)} ({name}): {state}", flush=True)
            code, lines = _failure(one)
            for line in lines:  # with the pod they may be gone
                print(f"  {line}", flush=True)
            if (lines or code in job.FINAL) and self.cause[0] not in job.FINAL:
                self.cause = code, f"{_title(one)}: {lines[-1]}" if lines else ""

    def progress(self) -> None:
        """How far the search is, now and then."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PROGRESS
        said = _so_far(self._notice)
        if said and said != self._said:
            print(said, flush=True)
        self._said = said


def _so_far(notice: Path) -> str:
    """The search in a few words, from the file that its chief keeps on the volume."""
    try:
        found = json.loads((Path(job.told(notice)["folder"]) / "result.json").read_text(encoding="utf-8"))
    except (OSError, KeyError):
        return ""  # it has not begun
    ended = [one for one in found["trials"] if one["status"] in ("completed", "failed")]
    best = findings.best_trial(found)
    tail = "" if best is None else f", best {found['objective']} {best['score']:.4f}"
    return (
        f"{findings.begun(found)} of {found['trials_asked']} configurations, {len(ended)} trials ended{tail}"
    )


def _title(pod: Mapping[str, Any]) -> str:
    index = pod["metadata"].get("annotations", {}).get(_INDEX, "?")
    return "chief" if index == "0" else f"worker {index}"


def _state(pod: Mapping[str, Any]) -> str:
    """A pod's state in a few words, with the reason where it has one."""
    status = pod.get("status", {})
    for one in status.get("containerStatuses") or ():
        state = one.get("state", {})
        ended, waits = state.get("terminated"), state.get("waiting")
        if ended:
            return f"{ended.get('reason') or 'ended'}, exit code {ended['exitCode']}"
        if waits and waits.get("message"):
            return f"waits: {waits.get('reason')}, {waits['message']}"
    for one in status.get("conditions") or ():
        if one["type"] == "PodScheduled" and one["status"] == "False" and one.get("message"):
            return f"waits for a machine: {one['message']}"
    return str(status.get("phase", "Pending")).lower()


def _failure(pod: Mapping[str, Any]) -> tuple[int, list[str]]:
    """A failed container's exit code, and the last lines that it printed, of which Kubernetes keeps 2 kB."""
    for one in pod.get("status", {}).get("containerStatuses") or ():
        ended = one.get("state", {}).get("terminated") or {}
        if ended.get("exitCode"):
            return ended["exitCode"], str(ended.get("message") or "").strip().splitlines()
    return 0, []
