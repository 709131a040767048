"""The workers of a search: beside the oracle or in processes, watched, and tidied up after."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tuning import chief
from tuning import settings as kept
from tuning.asha import was_pruned
from tuning.asked import IP, PORT, TUNER_ID, Asked
from tuning.children import Children, Interrupted
from tuning.terminal import interruptible
from tuning.work import Beside, work

_IN_A_ROW = 10  # trials that fail one after the other, and end a search
_TOO_LARGE = 50  # configurations that are too large before any was trained, and end it, too
_LAST_WORD = 15.0  # seconds in which workers elsewhere learn that it is over
_CALLED_EVERY = 60.0  # seconds between two calls for workers
_RESTARTS = 5  # of a worker while no trial ends, before the search goes on without it


class Workers:
    """The workers of a search, and when it is over."""

    def __init__(
        self, asked: Asked, settings: Any, oracle: Any, folder: Path, gpus: Sequence[str], role: Any
    ) -> None:
        self.asked, self.settings, self.oracle, self.folder = asked, settings, oracle, folder
        self.gpus, self.role, self.why = gpus, role, ""
        self._began, self._before = time.monotonic(), oracle.spent
        self._ended_before = len(oracle.end_order)
        self._over = threading.Event()
        self._called = time.monotonic()

    def until_over(self, look: Callable[[], None]) -> str:
        """Work until the search is over; returns its outcome."""
        try:
            with interruptible():
                if self.asked.workers > 1 or self.role is not None:
                    return self._with_processes(look)
                return self._beside(look)
        except KeyboardInterrupt:
            return "interrupted"
        except OSError as error:  # the state could not be written: what lies there is the one before
            self.why = f"{error.filename or self.folder}: {error.strerror}"
            return "failed"
        finally:
            self._over.set()
            with contextlib.suppress(OSError):
                self._spend()
            with contextlib.suppress(OSError):
                for worker in list(self.oracle.ongoing_trials):  # who is to be taken up again does not run
                    self.oracle.give_back(worker)
                self._tidy()

    def _beside(self, look: Callable[[], None]) -> str:
        """One worker, in a thread of this process."""
        children = Children(self.folder / "log.txt", self.asked.memory, self.gpus[0] if self.gpus else None)
        broken: list[BaseException] = []

        def go() -> None:
            try:
                work(
                    Beside(self.oracle), "worker0", children,
                    lambda trial, values: kept.request(self.settings, self.folder, trial, values),
                    self._over.is_set,
                )  # fmt: skip
            except Interrupted:
                pass
            except BaseException as error:
                broken.append(error)

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                outcome = self._judge(look)
                if outcome:
                    return outcome
                thread.join(0.5)
        finally:
            self._over.set()
            thread.join()
            children.close()
        if broken:
            raise broken[0]
        return "finished"

    def _with_processes(self, look: Callable[[], None]) -> str:
        """A chief, and workers that are started anew where they die."""
        address = "127.0.0.1:0" if self.role is None else self.role[1]
        with chief.serving(self.oracle, address) as port:
            ours = 0 if self.role is not None and self.asked.workers == 1 else self.asked.workers
            names = [f"worker{index}" for index in range(ours)]
            workers = {name: self._start(name, address, port) for name in names}
            restarts, ended = dict.fromkeys(workers, 0), len(self.oracle.end_order)
            try:
                while True:
                    if len(self.oracle.end_order) > ended:
                        restarts, ended = dict.fromkeys(names, 0), len(self.oracle.end_order)
                    outcome = self._judge(look)
                    if outcome:
                        return outcome
                    for name, process in list(workers.items()):
                        if process.poll() is None:
                            continue
                        self.oracle.give_back(name)
                        del workers[name]
                        if process.returncode != 0 and restarts[name] < _RESTARTS:
                            restarts[name] += 1
                            workers[name] = self._start(name, address, port)
                    if self.oracle.finished:
                        return "finished"
                    if ours and not workers and self.role is None:
                        self.why = "every worker died again and again; the log says why"
                        return "failed"
                    self._call_for_workers(bool(workers), address)
                    time.sleep(0.5)
            finally:
                self._dismiss(workers)

    def _call_for_workers(self, ours: bool, address: str) -> None:
        """Say now and again that nobody is there, since a chief would wait forever without a word."""
        now = time.monotonic()
        if ours or self.oracle.ongoing_trials:
            self._called = now
        elif now - self._called > _CALLED_EVERY:
            self._called = now
            print(f"no worker is there; {address} waits for one", file=sys.stderr, flush=True)

    def _dismiss(self, workers: dict[str, subprocess.Popen[bytes]]) -> None:
        """Let workers elsewhere learn that it is over, and end those of this machine."""
        self.oracle.closed = True
        end = time.monotonic() + (0.0 if self.role is None else _LAST_WORD)
        # One that works asks every few seconds; one that died meanwhile never will.
        while self.oracle.tuner_ids - set(workers) and time.monotonic() < end:
            time.sleep(0.1)
        for process in workers.values():
            process.kill()
        for process in workers.values():
            process.wait()

    def _start(self, name: str, address: str, port: int) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ, TUNER_ID: name, "CUDA_VISIBLE_DEVICES": "",
            IP: address.rpartition(":")[0], PORT: str(port),
        }  # fmt: skip
        words = [sys.executable, "-m", "tuning.worker", str(self.folder.resolve())]
        if self.asked.memory is not None:
            words += ["--memory", str(self.asked.memory)]
        if self.gpus:
            words += ["--gpus", self.gpus[int(name.removeprefix("worker")) % len(self.gpus)]]
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment,
                cwd=Path(__file__).parents[1],
            )  # fmt: skip

    def _judge(self, look: Callable[[], None]) -> str:
        """The outcome where the search must end now, else nothing; time passes and the disk is tidied."""
        self._spend()
        self._tidy()
        look()
        if self.asked.budget is not None and self.oracle.spent >= self.asked.budget:
            return "budget"
        ended = [self.oracle.trials[name] for name in list(self.oracle.end_order)[self._ended_before :]]
        trained = [one for one in ended if not was_pruned(one)]
        last = trained[-_IN_A_ROW:]
        if len(last) == _IN_A_ROW and all(one.status == "FAILED" for one in last):
            self.why = f"{_IN_A_ROW} trials failed one after the other, the last one: {last[-1].message}"
            return "failed"
        if len(ended) >= _TOO_LARGE and not trained:
            self.why = f"{len(ended)} networks were too large, the last one: {ended[-1].message}"
            return "failed"
        return ""

    def _spend(self) -> None:
        self.oracle.spend(self._before + time.monotonic() - self._began)

    def _tidy(self) -> None:
        """Remove the checkpoints of trials that are neither among the best nor may be trained further."""
        root = self.folder / "trials"
        there = list(root.iterdir()) if root.is_dir() else []
        # What lay there before is judged by what is known after: a trial that begins meanwhile has a parent.
        wanted = self.oracle.needed(self.asked.keep)
        for one in there:
            if one.name not in wanted and one.name in self.oracle.end_order:
                shutil.rmtree(one, ignore_errors=True)
