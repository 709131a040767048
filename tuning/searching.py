"""Search a family's hyperparameters: check, read the pictures once, start workers, sum up."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol

from keras_cnns._checks import unknown
from keras_cnns.registry import MODELS
from tuning import spaces
from tuning.errors import BadInput
from tuning.terminal import FAILED, INTERRUPTED, OK, python

ENGINES = ("asha", "random", "bayesian", "hyperband", "grid")
OBJECTIVES = ("val_accuracy", "val_loss", "accuracy", "loss")
_LEAST = {"epochs": 1, "trials": 1, "workers": 1, "keep": 1, "image_size": 1, "seed": 0}
_IN_A_ROW = 10  # trials that fail one after the other, and end a search
_TOO_LARGE = 50  # configurations that are too large before any was trained, and end it, too
_LAST_WORD = 10.0  # seconds in which workers elsewhere that wait learn that it is over
_RESTARTS = 5  # of a worker, before the search goes on without it


class Watcher(Protocol):
    """Whoever looks at a search, such as `tuning.screen.Screen`."""

    def show(self, result: dict[str, Any]) -> None:
        """Called about once a second."""

    def close(self) -> None:
        """Called at the end."""


class Nobody:
    """Looks away."""

    def show(self, result: dict[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Asked:
    """What a search is asked for.

    Attributes:
        family: A family of `tuning.spaces.FAMILIES`, or a registered network, whose own arguments are fixed.
        data: As `tuning.pictures.read` takes it.
        trials: Configurations to try at most, without those that are too large; None for no limit.
        budget: Seconds that it may take, over all times that it is taken up; None for no limit.
        epochs: Of a whole training.
        engine: One of ENGINES.
        objective: One of OBJECTIVES.
        fix: A value for each hyperparameter that is not to be searched.
        ranges: The least and the largest value of some.
        space: Another space, made of `tuning.spaces.space`; None for the family's own.
        max_parameters: Of a network; a larger one is not trained. None for no limit.
        max_macs: Multiply-adds for one picture, in the same way.
        max_latency: Milliseconds for one picture, measured here, in the same way.
        workers: Processes that train side by side on this machine, one GPU each where there are.
        memory: Bytes that a trial may hold; None for no limit.
        seed: Of the val part, the engine and each training.
        mirror: Whether pictures may be mirrored; None for yes, but for digits.
        image_size: Side of the network's input; None for the network's own.
        fit: "resize" or "pad"; see `keras_cnns.training.preprocess.Preprocess`.
        keep: Best trials whose checkpoint and network stay on disk.
        output: Folder of the search; None for searches/DATA-FAMILY.
        gpus: What CUDA_VISIBLE_DEVICES says of the GPUs to use; None for what it is now.
    """

    family: str = "lenet"
    data: Any = "digits"
    trials: int | None = 30
    budget: float | None = None
    epochs: int = 9
    engine: str = "asha"
    objective: str = "val_accuracy"
    fix: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    space: spaces.Space | None = None
    max_parameters: float | None = None
    max_macs: float | None = None
    max_latency: float | None = None
    workers: int = 1
    memory: int | None = None
    seed: int = 0
    mirror: bool | None = None
    image_size: int | None = None
    fit: str = "resize"
    keep: int = 3
    output: Path | str | None = None
    gpus: str | None = None


def check(asked: Asked) -> spaces.Space:
    """Refuse what no search can have, before anything heavy is imported.

    Returns:
        The space that is searched.

    Raises:
        BadInput: Names the argument, what came and what is allowed.
    """
    if asked.engine not in ENGINES:
        raise BadInput(str(unknown("--engine", asked.engine, ENGINES)))
    if asked.objective not in OBJECTIVES:
        raise BadInput(str(unknown("--objective", asked.objective, OBJECTIVES)))
    if asked.fit not in ("resize", "pad"):
        raise BadInput(str(unknown("--fit", asked.fit, ("resize", "pad"))))
    for name, least in _LEAST.items():
        value = getattr(asked, name)
        if value is not None and value < least:
            raise BadInput(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
    for name in ("max_parameters", "max_macs", "max_latency", "budget", "memory"):
        value = getattr(asked, name)
        if value is not None and not 0 < value < math.inf:
            raise BadInput(f"--{name.replace('_', '-')} must be above 0, not {value:g}")
    if asked.seed >= 2**32:
        raise BadInput(f"--seed must be below 2**32, not {asked.seed}")
    whole = asked.space or spaces.space(asked.family, mirror=_mirror(asked))
    searched = spaces.narrow(whole, asked.fix, asked.ranges)
    if not searched.searched():
        raise BadInput("every hyperparameter is fixed, and nothing is left to search")
    return searched


def search(
    family: str | None = None,
    data: Any = None,
    *,
    asked: Asked | None = None,
    watcher: Watcher | None = None,
    command: str = "",
    **options: Any,
) -> dict[str, Any]:
    """Search, or go on with a search that was broken off, as `search("resnet", "photos", trials=30)`.

    Args:
        family: As in `Asked`.
        data: As in `Asked`.
        asked: What is asked for, over which the other arguments stand.
        watcher: Is shown the result about once a second.
        command: How to take the search up again, for the report.
        **options: Fields of `Asked`, such as `trials=30, fix={"depth": 20}, ranges={"lr": (1e-4, 1e-1)}`.

    Returns:
        The result as its `result.json` holds it: "best" is the id of the best trial, "trials" has all of
        them, "outcome" is "finished", "budget", "interrupted" or "failed".

    Raises:
        BadInput: Something was asked for that cannot be done; the text is one sentence.
        TypeError: There is no such option.
    """
    if family is not None:
        options["family"] = family
    if data is not None:
        options["data"] = data
    asked = dataclasses.replace(asked or Asked(), **options)
    searched = check(asked)
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = _gpus(before if asked.gpus is None else asked.gpus)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # this process reads pictures and must not hold a GPU
    try:
        with _quiet():
            import keras_tuner  # noqa: F401  # brings TensorFlow
        return _search(asked, searched, gpus, watcher or Nobody(), command)
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def _search(
    asked: Asked, searched: spaces.Space, gpus: Sequence[str], watcher: Watcher, command: str
) -> dict[str, Any]:
    from tuning import chief, engines, pages, pictures, result
    from tuning import settings as kept
    from tuning import worker as other

    role = chief.role()
    found = pictures.read(asked.data, asked.seed)
    folder = Path(asked.output or f"searches/{found.title}-{asked.family}")
    if role is not None and role[0] != "chief":
        _wait_for(folder / kept.FILE)
        code = other.serve(folder, asked.memory, gpus[0] if gpus else None)
        return {"outcome": "worker", "code": code, "output": str(folder)}
    with _held(folder) as fresh:
        settings = _settings(asked, searched, found, folder, fresh)
        oracle = engines.oracle(
            asked.engine, settings.searched, objective=asked.objective, epochs=asked.epochs,
            most=asked.trials, seed=asked.seed, folder=folder,
        )  # fmt: skip
        if not oracle.trials:
            _probe(asked, settings, folder, oracle, gpus)
        began = datetime.now(timezone.utc).isoformat(timespec="seconds")

        def so_far() -> dict[str, Any]:
            return {
                **result.so_far(oracle, settings, folder), "outcome": "running", "sentence": "",
                "started": began, "budget_seconds": asked.budget, "workers": asked.workers,
                "command": command, "versions": result.versions(), "next": "",
            }  # fmt: skip

        told = -1

        def look() -> None:
            nonlocal told
            found = so_far()
            if len(oracle.end_order) != told:  # `show` and `report` read it, also while the search runs
                told = len(oracle.end_order)
                pages.replace(folder / "result.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
            watcher.show(found)

        run = _Run(asked, settings, oracle, folder, gpus, role)
        try:
            with contextlib.closing(watcher):
                outcome = run.until_over(look)
                watcher.show(so_far())
        finally:
            oracle.save()
        whole = so_far()
        whole.update(_summed_up(whole, outcome, run.why, asked, folder))
        result.write(whole, folder)
        return whole


class _Run:
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

    def until_over(self, look: Any) -> str:
        """Work until the search is over; returns its outcome."""
        try:
            with _interruptible():
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

    def _beside(self, look: Any) -> str:
        """One worker, in a thread of this process."""
        from tuning import settings as kept
        from tuning.children import Children, Interrupted
        from tuning.work import Beside, work

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

    def _with_processes(self, look: Any) -> str:
        """A chief, and workers that are started anew where they die."""
        from tuning import chief

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

    def _judge(self, look: Any) -> str:
        """The outcome where the search must end now, else nothing; time passes and the disk is tidied."""
        self._spend()
        self._tidy()
        look()
        if self.asked.budget is not None and self.oracle.spent >= self.asked.budget:
            return "budget"
        ended = [self.oracle.trials[name] for name in list(self.oracle.end_order)[self._ended_before :]]
        failed = [one for one in ended if not (one.message or "").startswith("pruned: ")]
        last = failed[-_IN_A_ROW:]
        if len(last) == _IN_A_ROW and all(one.status == "FAILED" for one in last):
            self.why = f"{_IN_A_ROW} trials failed one after the other, the last one: {last[-1].message}"
            return "failed"
        if len(ended) >= _TOO_LARGE and not failed:
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


def _settings(asked: Asked, searched: spaces.Space, found: Any, folder: Path, fresh: bool) -> Any:
    """The search's settings, held against those of its folder."""
    from keras_cnns.training.preprocess import Preprocess
    from tuning import pictures
    from tuning import settings as kept

    first = spaces.plan(searched, searched.defaults(), asked.epochs)
    side = asked.image_size or MODELS[first.model].input_shape[0]
    how = Preprocess(side, side, found.channels, asked.fit)
    parts = folder / "data" if fresh else folder / ".data"
    try:
        described = pictures.keep(found, how, parts, asked.seed)
        plain = {key: value for key, value in dataclasses.asdict(how).items() if key not in ("low", "high")}
        settings = kept.Settings(
            family=asked.family, space=searched.rows(), parts=described, title=found.title,
            classes=found.classes, preprocess=plain, engine=asked.engine, objective=asked.objective,
            epochs=asked.epochs, seed=asked.seed, mirror=_mirror(asked, found.digits),
            limits={
                "parameters": asked.max_parameters, "macs": asked.max_macs, "latency_ms": asked.max_latency,
            },
            recipes=hashlib.blake2b(repr(first.recipe).encode(), digest_size=12).hexdigest(),
        )  # fmt: skip
        if not fresh:
            settings = _with_parts_in(settings, folder / "data")
        kept.keep(settings, folder)
    except BadInput:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        if not fresh:
            shutil.rmtree(parts, ignore_errors=True)
    return settings


def _with_parts_in(settings: Any, folder: Path) -> Any:
    """The settings with the pictures that lie there already."""
    parts = {
        part: {**one, "file": str((folder / Path(one["file"]).name).resolve())} if "file" in one else one
        for part, one in settings.parts.items()
    }
    return dataclasses.replace(settings, parts=parts)


def _probe(asked: Asked, settings: Any, folder: Path, oracle: Any, gpus: Sequence[str]) -> None:
    """Train the default configuration for a moment, so that what cannot work is refused at once.

    Raises:
        BadInput: It cannot be built or trained, the objective is not measured, or the budget is too small.
    """
    from tuning import settings as kept
    from tuning.children import Children

    values = settings.searched.defaults()
    children = Children(folder / "log.txt", asked.memory, gpus[0] if gpus else None)
    try:
        answer = children.run(
            {**kept.request(settings, folder, "probe", values), "probe": True}, lambda _: None, spare=False
        )
    finally:
        children.close()
    try:
        if "done" not in answer:
            raise BadInput(
                f"{asked.family}: the default configuration cannot be trained: {answer.get('failed')}"
            )
        found = answer["done"]
        if asked.objective not in found["measured"]:
            raise BadInput(str(unknown("--objective", asked.objective, found["measured"])))
        least = getattr(oracle, "rungs", (asked.epochs,))[0]
        seconds = None if found["seconds"] is None else found["seconds"] * least
        if asked.budget is not None and seconds is not None and seconds > asked.budget:
            raise BadInput(
                f"--budget of {asked.budget:g} s cannot hold one trial: {least} epoch{'s' * (least > 1)} of "
                f"the default configuration take about {seconds:.1f} s"
            )
    except BadInput:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _summed_up(
    found: Mapping[str, Any], outcome: str, why: str, asked: Asked, folder: Path
) -> dict[str, Any]:
    """Outcome, sentence and what to type next."""
    trials = found["trials"]
    begun = len({one["configuration"] for one in trials if one["status"] != "pruned"})
    best = next((one for one in trials if one["id"] == found["best"]), None)
    if outcome == "finished" and best is None:
        reasons = [one["reason"] for one in trials if one["reason"]]
        outcome, why = "failed", f"no trial was completed: {reasons[-1] if reasons else 'none began'}"
    head = f"{begun} configuration{'s' * (begun != 1)} in {len(trials)} trials and {found['seconds']:.0f} s"
    tail = f"{found['objective']} {best['score']:.4f}" if best else "nothing was completed"
    sentence = {
        "finished": f"{head}: {tail}",
        "budget": f"the budget is used up after {head}: {tail}; the same command with more goes on",
        "interrupted": f"interrupted after {head}: {tail}; the same command goes on from there",
        "failed": f"failed: {why}",
    }[outcome]
    program = shlex.quote(python())
    following = f"{program} -m tuning report {shlex.quote(str(folder))}"
    if best is not None:
        following = f"{program} -m tuning show {shlex.quote(str(folder))}"
    return {"outcome": outcome, "sentence": sentence, "next": following}


def exit_code(result: Mapping[str, Any]) -> int:
    """What a command ends with."""
    codes = {"finished": OK, "budget": OK, "interrupted": INTERRUPTED, "failed": FAILED}
    return result["code"] if result["outcome"] == "worker" else codes[result["outcome"]]


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Make and hold the search's folder; yields whether it is new.

    Raises:
        BadInput: It cannot be written, holds something else, or another search is at work in it.
    """
    try:
        new = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        names = {one.name for one in folder.iterdir()} - {".lock", "log.txt"}
        fresh = "search.json" not in names
        if fresh and names - {"data", "state", "search.new"}:
            raise BadInput(f"--output {folder}: it holds no search, but {sorted(names)[0]}; give another one")
        held = (folder / ".lock").open("w")
    except OSError as error:
        raise BadInput(f"--output {folder}: cannot be written ({error.strerror})") from None
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(f"--output {folder}: another search is at work there") from None
        try:
            yield fresh
        except BadInput:
            for one in new:
                with contextlib.suppress(OSError):  # it is not there any more, or holds something
                    one.rmdir()
            raise


def _wait_for(file: Path, seconds: float = 300) -> None:
    """A worker may be there before its chief."""
    end = time.monotonic() + seconds
    while not file.is_file():
        if time.monotonic() > end:
            raise BadInput(f"--output {file.parent}: no chief's search appeared within 5 minutes")
        time.sleep(1)


def _mirror(asked: Asked, digits: bool | None = None) -> bool:
    if asked.mirror is not None:
        return asked.mirror
    return not (str(asked.data) == "digits" if digits is None else digits)


def _gpus(visible: str | None) -> list[str]:
    """What CUDA_VISIBLE_DEVICES may be for one process each."""
    if visible is not None:
        return [one for one in visible.split(",") if one.strip()]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=10)
        return [str(index) for index, _ in enumerate(listed.stdout.splitlines())]
    return []


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Import frameworks without their remarks."""
    import warnings

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """A polite end (SIGTERM) is treated as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def best_values(folder: Path) -> dict[str, Any]:
    """The best configuration of a search, as its hyperparameters.json holds it."""
    return json.loads((folder / "hyperparameters.json").read_text(encoding="utf-8"))
