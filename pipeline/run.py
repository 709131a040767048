"""Run the line from a terminal: check, start the process that works, draw what it tells, sum up."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from keras_cnns.registry import MODELS
from pipeline import code, report, sources, warm
from pipeline.config import UNMIRRORED, Config, check, to_toml
from pipeline.console import Screen
from tuning import folders, lean
from tuning.errors import BadInput
from tuning.terminal import BAD_INPUT, FAILED, INTERRUPTED, OK, interruptible, python, shown

# As it was before TensorFlow was made silent in this process: the log is to have warnings.
_LOG_LEVEL = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")


def run(config: Config, screen: Screen, command: str, *, train: bool = True) -> tuple[dict[str, Any], int]:
    """Run the line; without training as far as its gate, in the same folder and with the same cache.

    Args:
        config: What is asked for.
        screen: Where steps are drawn.
        command: The command as it was typed, for the report.
        train: Whether to go on behind the gate.

    Returns:
        The result, as `result.json` (`validation.json` without training) holds it, and the exit code: 0
        pushed, unchanged or passed, 1 refused, not blessed or failed, 2 bad input that a step found behind
        another, 130 interrupted.

    Raises:
        BadInput: Of a new run whose training was not done nothing is left behind, and an older one's folder
            is as it was; where a step has changed that, the result says what failed instead.
    """
    began, started = time.monotonic(), datetime.now(timezone.utc)
    check(config)
    dataset = inspect(config)
    config = resolve(config, dataset)
    output = Path(str(config.output))
    if train:
        _check_models(Path(config.models))
    with _run_folder(output) as fresh:
        what = [f"{dataset.title} · {dataset.images:,} images · {len(dataset.classes)} classes"]
        screen.header(" · ".join([*what, *([config.model] if train else []), str(config.output)]))
        result, exit_code = _listen(config, dataset, output, screen, train)
        done = [step["name"] for step in screen.steps]
        if exit_code == BAD_INPUT and not ("train" in done if fresh else done):
            if fresh:
                shutil.rmtree(output, ignore_errors=True)
            raise BadInput(result["failed"])
        result = complete(result, exit_code, config, dataset, screen) | {
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - began, 1),
            "command": command,
        }
        exit_code = FAILED if result["outcome"] == "not blessed" else exit_code
        result["sentence"] = result["sentence"].format(seconds=f"{result['seconds']:.0f} s")
        result["next"] = _next_command(result, config) if train else _behind_validation(result)
        if train:
            (output / "run.toml").write_text(to_toml(config, code.versions()), encoding="utf-8")
        kept, page = ("result.json", "report.html") if train else ("validation.json", "validation.html")
        text = json.dumps(result, indent=1, ensure_ascii=False)
        (output / kept).write_text(text, encoding="utf-8")
        result["report"] = str(report.write(output, kept, page))
    return result, exit_code


def inspect(config: Config) -> sources.Dataset:
    """What the data is. TensorFlow, which reads TFRecord files, sees no GPU.

    Raises:
        BadInput: There is no such data.
    """
    with lean.without_gpus():
        return sources.inspect(config)


def resolve(config: Config, dataset: sources.Dataset) -> Config:
    """The configuration with every default filled in, so that it repeats the run."""
    name = config.name or f"{dataset.title}-{config.model}"
    recipe = config.training
    resolved = dataclasses.replace(
        config,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        image_size=config.image_size or MODELS[config.model].input_shape[0],
        fit=config.fit or dataset.fit,
        min_accuracy=dataset.min_accuracy if config.min_accuracy is None else config.min_accuracy,
        output=config.output or f"runs/{dataset.title}-{config.model}",
        name=name,
        mirror="yes" if recipe.mirror and (config.mirror or dataset.title not in UNMIRRORED) else "no",
        weights=config.weights or ("loss" if config.patience else "last"),
    )
    return dataclasses.replace(resolved, warm_start=warm.find(resolved, dataset))


@contextlib.contextmanager
def _run_folder(output: Path) -> Iterator[bool]:
    """Make and hold the run's folder; yields whether it is new.

    Raises:
        BadInput: It cannot be written, or another run is at work in it.
    """
    fresh = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    with folders.held(output, "run"):
        yield fresh


def _check_models(models: Path) -> None:
    """Find out before the training whether there will be a place for the model."""
    place = models.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise BadInput(f"--models {models}: cannot be written")


def _listen(
    config: Config, dataset: sources.Dataset, output: Path, screen: Screen, train: bool
) -> tuple[dict[str, Any], int]:
    """Start the working process and follow its events until it ends."""
    request = {
        "config": dataclasses.asdict(config), "dataset": dataclasses.asdict(dataset),
        "output": str(output.resolve()), "models": str((Path(config.models) / str(config.name)).resolve()),
    }  # fmt: skip
    result: dict[str, Any] = {}
    reads, writes = os.pipe()
    with (output / "log.txt").open("a", encoding="utf-8") as log, interruptible():
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.line", str(writes), *([] if train else ["validate"])],
            stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[writes], text=True,
            env=_environment(), start_new_session=True,
        )  # fmt: skip
        os.close(writes)
        try:
            screen.waits("starting TFX")
            assert process.stdin is not None  # a pipe was asked for
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            with os.fdopen(reads, encoding="utf-8") as events:
                for line in events:
                    result |= _show(json.loads(line), screen)
            exit_code = process.wait()
        except KeyboardInterrupt:
            exit_code = INTERRUPTED
        finally:
            screen.close()
            _end(process)
    if exit_code not in (OK, INTERRUPTED) and "failed" not in result:
        how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
        result["failed"] = f"the process that runs the line ended early ({how})"
    return result, exit_code


def _show(event: dict[str, Any], screen: Screen) -> dict[str, Any]:
    """Draw one event; returns what it adds to the result."""
    match event.pop("event"):
        case "start":
            screen.starts(event["step"])
        case "progress":
            screen.goes_on(event)
        case "done":
            screen.ends(**event)
        case "failed":
            return {"failed": event["sentence"]}
        case "result":
            return event["result"]
    return {}


def complete(
    result: dict[str, Any], exit_code: int, config: Config, dataset: sources.Dataset, screen: Screen
) -> dict[str, Any]:
    """The result with its outcome, its sentence and everything that the report names."""
    step = screen.running
    if exit_code != OK:
        screen.fails()
    failed = result.pop("failed", "")
    if exit_code == INTERRUPTED:
        outcome = "interrupted"
        where = f" in {step}" if step else ""
        sentence = f"interrupted{where} after {{seconds}}; the same command goes on from there"
    elif exit_code != OK and step == "gate" and "validation" in result:
        outcome, sentence = "refused", _braces(failed)
    elif exit_code != OK:
        outcome = "failed"
        sentence = f"{step or 'the run'} failed after {{seconds}}: {_braces(failed)}"
    elif "pushed" not in result:  # a line that ended at the gate
        outcome, sentence = "passed", "the data passed in {seconds}"
    elif result["pushed"] is None:
        outcome = "not blessed"
        sentence = f"not blessed: {_braces(_why_not(result))}; nothing was pushed"
    else:
        outcome = "pushed" if result["executed"] else "unchanged"
        sentence = (
            "blessed and pushed in {seconds}" if result["executed"]
            else "nothing changed: every step came from the cache, in {seconds}"
        )  # fmt: skip
    pushed = result.get("pushed")
    result["pushed"] = shown(Path(pushed)) if pushed else None
    return {
        "schema": 1, "name": str(config.name), "data": config.data, "model": config.model,
        "outcome": outcome, "sentence": sentence, "output": str(config.output), **result,
        "steps": screen.all_steps(), "versions": code.versions(), "git": code.git(),
        "config": {k: v for k, v in dataclasses.asdict(config).items() if v is not None},
    }  # fmt: skip


def _why_not(result: dict[str, Any]) -> str:
    found, serving = result["evaluation"], result["serving"]
    if found["accuracy"] < found["threshold"]:
        return f"accuracy {found['accuracy']:.3f} is below --min-accuracy {found['threshold']:.3f}"
    if found["too_low"]:
        low = min(found["too_low"], key=lambda one: one["accuracy"])
        return (
            f"accuracy {low['accuracy']:.3f} of {low['feature']} {low['value'] or 'none'} is below "
            f"--min-slice-accuracy {result['evaluation']['slice_threshold']:.3f}"
        )
    if not found["blessed"] and found["baseline"]:
        return (
            f"accuracy {found['accuracy']:.3f} is below the last blessed model's "
            f"{found['baseline']['accuracy']:.3f} by more than --max-drop allows"
        )
    return serving["why"] or "the Evaluator gave no blessing"


def _next_command(result: dict[str, Any], config: Config) -> str:
    """A command that works as printed, in the shell that this one came from."""
    samples = result.get("dataset", {}).get("samples", [])
    if result["pushed"] and samples:
        words = ["predict", f"{config.models}/{config.name}", f"{config.output}/{samples[0]['file']}"]
    else:
        words = ["run", "--config", f"{config.output}/run.toml"]
    return shlex.join([python(), "-m", "pipeline", *words])


def _behind_validation(result: dict[str, Any]) -> str:
    """What was typed, as a run where the data passed."""
    goal = "run" if result["outcome"] == "passed" else "validate"
    return shlex.join([python(), "-m", "pipeline", goal, *shlex.split(result["command"])[4:]])


def _environment() -> dict[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": _LOG_LEVEL}


def _end(process: subprocess.Popen[str]) -> None:
    """Take the working process and its workers down, if they still are."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
