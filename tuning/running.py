"""The workers of a search: beside the oracle or in processes, watched, and tidied up after."""

from __future__ import annotations

import math
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
from tuning.asked import Asked
from tuning.children import Children, Interrupted
from tuning.terminal import interruptible
from tuning.work import Beside, work

_IN_A_ROW = 10  # trials that fail one after the other, and end a search
_TOO_LARGE = 50  # configurations that are too large before any was trained, and end it, too
_LAST_WORD = 10.0  # seconds in which workers elsewhere that wait learn that it is over
_RESTARTS = 5  # of a worker, before the search goes on without it


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
        self._quiet_since = math.inf

    def until_over(self, look: Callable[[], None]) -> str:
        """Work until the search is over; returns its outcome."""
        try:
            with interruptible():
                if self.asked.workers > 1 or self.role is not None:
                    return self._with_processes(look)
                return self._beside(look)
        except KeyboardInterrupt:
            return "interrupted"
        finally:
            self._over.set()
            for worker in list(self.oracle.ongoing_trials):  # who waits to be taken up again does not run
                self.oracle.give_back(worker)
            self._spend()
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
            restarts = dict.fromkeys(workers, 0)
            try:
                while True:
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
                    if ours and not workers:
                        if any(count >= _RESTARTS for count in restarts.values()):
                            self.why = "every worker died again and again; the log says why"
                            return "failed"
                        return "finished"
                    if not ours and self._nothing_left():
                        return "finished"
                    time.sleep(0.5)
            finally:
                for process in workers.values():
                    process.kill()
                for process in workers.values():
                    process.wait()

    def _nothing_left(self) -> bool:
        """Whether workers elsewhere were told that it is over, and none is at work."""
        if not self.oracle.told_over or self.oracle.ongoing_trials:
            self._quiet_since = math.inf
            return False
        self._quiet_since = min(self._quiet_since, time.monotonic())
        # One that waits asks twice a second; one that died meanwhile never will.
        return not self.oracle.tuner_ids or time.monotonic() - self._quiet_since > _LAST_WORD

    def _start(self, name: str, address: str, port: int) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ, "KERASTUNER_TUNER_ID": name, "CUDA_VISIBLE_DEVICES": "",
            "KERASTUNER_ORACLE_IP": address.rpartition(":")[0], "KERASTUNER_ORACLE_PORT": str(port),
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
        self.oracle.spent = self._before + time.monotonic() - self._began

    def _tidy(self) -> None:
        """Remove the checkpoints of trials that are neither among the best nor may be trained further."""
        root = self.folder / "trials"
        if not root.is_dir():
            return
        oracle = self.oracle
        under_way = [one.trial_id for one in list(oracle.ongoing_trials.values())] + list(oracle._retry_queue)
        wanted = {one.trial_id for one in oracle.get_best_trials(self.asked.keep)} | set(under_way)
        wanted |= {oracle.trials[name].hyperparameters.values.get("tuner/trial_id") for name in under_way}
        if not oracle.told_over:
            wanted |= oracle.continued()
        for one in root.iterdir():
            # A trial that begins this very moment is not among those under way yet.
            if one.name not in wanted and one.name in oracle.end_order:
                shutil.rmtree(one, ignore_errors=True)
