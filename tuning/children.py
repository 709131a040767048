"""Trials in processes of their own: one is under way, and the next one imports meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from tuning.asked import IP, PORT, TUNER_ID

_COMMAND = [sys.executable, "-m", "tuning.trial"]
OUT_OF_MEMORY = "out of memory"  # how the reason of such a failed trial begins
DIVERGED = "the loss is no longer a number"  # and of one whose learning rate was too large
_STILL = 600.0  # seconds without any processor time that end a trial
_LOOKED = 0.2  # seconds between two looks at memory, time and the wish to stop


class Interrupted(Exception):
    """The search was told to stop while a trial was under way."""


class Children:
    """Starts processes for trials.

    Args:
        log: Where frameworks print.
        memory: Bytes that a trial may hold; above, it is ended. None for no limit.
        gpus: What CUDA_VISIBLE_DEVICES is for them; None for what the machine has.
    """

    def __init__(self, log: Path, memory: int | None = None, gpus: str | None = None) -> None:
        self._log, self._memory, self._gpus = log, memory, gpus
        self._spare: subprocess.Popen[str] | None = None

    def run(
        self,
        request: Mapping[str, Any],
        on_event: Callable[[dict[str, Any]], None],
        stopped: Callable[[], bool] = lambda: False,
        spare: bool = True,
    ) -> dict[str, Any]:
        """Have a process of its own do what a request says.

        Args:
            request: What `tuning.trial` reads.
            on_event: Called with each answer before the last, in this thread.
            stopped: Asked several times a second.
            spare: Whether to start the next process once the first answer came.

        Returns:
            {"done": facts}, {"pruned": why} or {"failed": why}.

        Raises:
            Interrupted: `stopped` said so; the process is gone, its checkpoints stay.
        """
        if self._spare is not None and self._spare.poll() is not None:  # where memory is short, it goes first
            self.close()
        process, self._spare = self._spare or self._start(), None
        assert process.stdin is not None
        assert process.stdout is not None  # both were asked for
        answer: dict[str, Any] = {}
        why = ""
        lines, reader = _lines(process.stdout)
        guard = _Guard(process.pid, self._memory)
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            while True:
                with contextlib.suppress(queue.Empty):
                    line = lines.get(timeout=_LOOKED)
                    if line is None:
                        break
                    try:
                        answer = json.loads(line)
                    except ValueError:
                        break  # cut off by a kill
                    if not answer.keys() & {"done", "failed", "pruned"}:
                        # Not before the first answer: its imports would slow what is measured.
                        if spare and self._spare is None:
                            self._spare = self._start()
                        on_event(answer)
                if stopped():
                    raise Interrupted
                if found := guard.looked():
                    why = found
                    process.kill()
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            reader.join()
            process.stdout.close()
        if answer.keys() & {"done", "failed", "pruned"}:
            return answer
        return {"failed": why or _how(code)}

    def close(self) -> None:
        """End the process that waits."""
        if self._spare is not None:
            self._spare.kill()
            self._spare.communicate()
            self._spare = None

    def _start(self) -> subprocess.Popen[str]:
        environment = dict(os.environ)
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        for key in (TUNER_ID, IP, PORT):
            environment.pop(key, None)
        if self._gpus is None:
            environment.pop("CUDA_VISIBLE_DEVICES", None)  # this process hides them from itself
        else:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus
        with self._log.open("a", encoding="utf-8") as log:
            # In a session of its own: a signal to the search's whole group ends the search, and the trial is
            # broken off by the search, which takes it up again; it would be a failed trial otherwise.
            return subprocess.Popen(
                _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=environment, cwd=Path(__file__).parents[1], start_new_session=True,
            )  # fmt: skip


class _Guard:
    """Looks at a process again and again: why it must be ended, if it must."""

    def __init__(self, pid: int, memory: int | None) -> None:
        self._pid, self._memory = pid, memory
        self._worked, self._moved = 0, time.monotonic()

    def looked(self) -> str:
        held, worked = _resident(self._pid), _worked(self._pid)
        if self._memory is not None and held > self._memory:
            return f"{OUT_OF_MEMORY}: it held {_size(held)}, more than {_size(self._memory)}"
        if worked != self._worked:
            self._worked, self._moved = worked, time.monotonic()
        return f"it stood still for {_STILL:.0f} s" if time.monotonic() - self._moved > _STILL else ""


def _lines(stream: IO[str]) -> tuple[queue.Queue[str | None], threading.Thread]:
    """The lines of a stream as they come, with None at its end, and the thread that reads them."""
    found: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        with stream:
            for line in stream:
                found.put(line)
        found.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return found, reader


def _resident(pid: int) -> int:
    """Bytes that a process holds in memory; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _worked(pid: int) -> int:
    """Processor time that a process has used, in ticks; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def _how(code: int) -> str:
    if code == -9:
        return "killed by signal 9, probably for its memory"
    return f"ended by signal {-code}" if code < 0 else f"ended early with exit code {code}; the log says why"


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


def wait(seconds: float, stopped: Callable[[], bool]) -> None:
    """Sleep, but not after `stopped` says so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped():
        time.sleep(min(_LOOKED, seconds))
