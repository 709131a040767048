"""Search a family's hyperparameters: read the pictures once, try a training out, set to work, sum up."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from keras_cnns._checks import unknown
from keras_cnns.recipes import recipe_for
from keras_cnns.registry import MODELS
from tuning import findings, folders, lean, spaces
from tuning.asked import TUNER_ID, Asked, check, mirrored
from tuning.asked import role as asked_role
from tuning.errors import BadInput
from tuning.families import FAMILIES
from tuning.terminal import FAILED, INTERRUPTED, OK, python

_OURS = ".search"  # marks a folder that was empty when its search began


class Watcher(Protocol):
    """Whoever looks at a search, such as `tuning.screen.Screen`."""

    def show(self, result: dict[str, Any]) -> None:
        """Called about once a second."""

    def close(self) -> None:
        """Called at the end."""


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
        them, "outcome" is "finished", "budget", "interrupted" or "failed". Where KERASTUNER_* makes this a
        worker, it has "outcome", which is "worker", "code" and "output" alone; the rest is the chief's.

    Raises:
        BadInput: Something was asked for that cannot be done; the text is one sentence.
        TypeError: There is no such option.
    """
    if family is not None or "space" in options:
        options["family"] = family or ""
    if data is not None:
        options["data"] = data
    asked = dataclasses.replace(asked or Asked(), **options)
    searched = check(asked)
    found = visible_gpus(os.environ.get(lean.GPUS) if asked.gpus is None else asked.gpus)
    with lean.without_gpus():  # this process reads pictures; its trials get the GPUs
        lean.tensorflow()
        with lean.imports():
            import keras_tuner  # noqa: F401  # before anything of ours asks for it
        return _search(asked, searched, found, watcher, command)


def _search(
    asked: Asked, searched: spaces.Space, gpus: Sequence[str], watcher: Watcher | None, command: str
) -> dict[str, Any]:
    from tuning import engines, pictures, result, running

    role = asked_role()
    if role is not None and role[0] != "chief":
        return _work_for_another(asked, gpus)
    found = pictures.read(asked.data, asked.seed)
    folder = Path(asked.output or f"searches/{found.title}-{asked.family}")
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
            news = len(oracle.end_order) != told
            if not news and watcher is None:
                return
            found = so_far()
            if news:
                told = len(oracle.end_order)
                result.note(found, folder)
            if watcher is not None:
                watcher.show(found)

        run = running.Workers(asked, settings, oracle, folder, gpus, role)
        with contextlib.nullcontext() if watcher is None else contextlib.closing(watcher):
            outcome = run.until_over(look)
            whole = so_far()
            if watcher is not None:
                watcher.show(whole)
        whole.update(_summed_up(whole, outcome, run.why, asked, folder))
        try:
            oracle.save()
            result.write(whole, folder)
        except OSError as error:
            why = f"{error.filename or folder}: {error.strerror}"
            whole.update(_summed_up(whole, "failed", run.why or why, asked, folder))
        return whole


def _work_for_another(asked: Asked, gpus: Sequence[str]) -> dict[str, Any]:
    """Be the worker that KERASTUNER_* says; what is searched, and how, the chief knows."""
    from tuning import pictures, worker
    from tuning import settings as kept

    if asked.workers > 1:
        raise BadInput(f"--workers {asked.workers}: this is one worker, by {TUNER_ID}; leave it out")
    title = "" if asked.output else pictures.read(asked.data, asked.seed).title
    folder = Path(asked.output or f"searches/{title}-{asked.family}")
    _wait_for(folder / kept.FILE)
    code = worker.serve(folder, asked.memory, gpus[0] if gpus else None)
    return {"outcome": "worker", "code": code, "output": str(folder)}


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
            epochs=asked.epochs, seed=asked.seed, mirror=mirrored(asked, found.digits),
            limits={
                "parameters": asked.max_parameters, "macs": asked.max_macs, "latency_ms": asked.max_latency,
            },
            recipes=_recipes(searched),
        )  # fmt: skip
        if not fresh:
            settings = _with_parts_in(settings, folder / "data")
        kept.keep(settings, folder)
    finally:
        if not fresh:
            shutil.rmtree(parts, ignore_errors=True)
    return settings


def _recipes(searched: spaces.Space) -> str:
    """A digest of the recipes of all networks that a space has."""
    builder = f"keras_cnns.{FAMILIES[searched.family].builder}"
    names = (
        [searched.model] if searched.model else [key for key, one in MODELS.items() if one.builder == builder]
    )
    return hashlib.blake2b(repr([recipe_for(name) for name in names]).encode(), digest_size=12).hexdigest()


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
    from tuning.children import DIVERGED, OUT_OF_MEMORY, Children

    values = settings.searched.defaults()
    children = Children(folder / "log.txt", asked.memory, gpus[0] if gpus else None)
    heard: list[Mapping[str, Any]] = []
    try:
        answer = children.run(
            {**kept.request(settings, folder, "probe", values), "probe": True}, heard.append, spare=False
        )
    finally:
        children.close()
    if heard and answer.get("failed", "").startswith((OUT_OF_MEMORY, DIVERGED)):
        return  # others may fit or learn; this one will be a failed trial like any other
    if "done" not in answer:
        raise BadInput(f"{asked.family}: the default configuration cannot be trained: {answer.get('failed')}")
    found = answer["done"]
    if asked.objective not in found["measured"]:
        raise BadInput(str(unknown("--objective", asked.objective, found["measured"])))
    least = oracle.least_epochs(asked.epochs)
    seconds = found["seconds"] * least
    if asked.budget is not None and seconds > asked.budget:
        raise BadInput(
            f"--budget of {asked.budget:g} s cannot hold one trial: {least} epoch{'s' * (least > 1)} of "
            f"the default configuration take about {seconds:.1f} s"
        )


def _summed_up(found: dict[str, Any], outcome: str, why: str, asked: Asked, folder: Path) -> dict[str, Any]:
    """Outcome, sentence and what to type next."""
    trials = found["trials"]
    begun, best = findings.begun(found), findings.best_trial(found)
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
    """Hold the search's folder; yields whether it is new. Of a refusal nothing new is left behind.

    Raises:
        BadInput: It cannot be written, holds something else, or another search is at work in it.
    """
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    # KerasTuner's own tuners make an empty folder for the state before their search.
    there = [one for one in folder.iterdir() if not _is_empty(one)] if folder.is_dir() else []
    names = {one.name for one in there} - {".lock"}
    fresh = "search.json" not in names
    if fresh and names and _OURS not in names:
        raise BadInput(f"--output {folder}: it holds no search, but {sorted(names)[0]}; give another one")
    with folders.held(folder, "search"):
        (folder / _OURS).touch()  # it was empty, so all that will be in it is the search's
        try:
            yield fresh
        except BadInput:
            if fresh:
                for one in list(folder.iterdir()):
                    shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink()
            for one in new:
                with contextlib.suppress(OSError):  # it holds something
                    one.rmdir()
            raise


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _wait_for(file: Path, seconds: float = 300) -> None:
    """A worker may be there before its chief."""
    end = time.monotonic() + seconds
    while not file.is_file():
        if time.monotonic() > end:
            raise BadInput(f"--output {file.parent}: no chief's search appeared within 5 minutes")
        time.sleep(1)


def visible_gpus(visible: str | None) -> list[str]:
    """What CUDA_VISIBLE_DEVICES may be for one process each; nothing where nobody knows of any."""
    if visible is not None:
        return [one for one in visible.split(",") if one.strip()] or [""]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=10)
        return [str(index) for index, _ in enumerate(listed.stdout.splitlines())]
    return []
