"""What a step tells: lines for its log, a summary and metrics for KFP's pages, the report at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cluster.bundle import Bundle
from tuning.errors import BadInput
from tuning.terminal import FAILED, OK


class Ear:
    """Hears the events that the line's code sends to a terminal's pipe, and prints those of this step."""

    def __init__(self) -> None:
        from pipeline import progress

        reads, writes = os.pipe()
        progress.open_pipe(writes)
        self.events: list[dict[str, Any]] = []
        self._quiet = True
        self._told = 0.0
        threading.Thread(target=self._listen, args=(reads,), daemon=True).start()

    def aloud(self, now: bool) -> None:
        """Whether to print what is heard from now on."""
        self._settle()
        self._quiet = not now

    def heard(self) -> list[dict[str, Any]]:
        """All that came, the last word too."""
        self._settle()
        return [one for one in self.events if one["event"] != "mark"]

    def _settle(self) -> None:
        """Wait until what was sent is heard."""
        from pipeline import progress

        before = sum(one["event"] == "mark" for one in self.events)
        progress.send("mark")
        while sum(one["event"] == "mark" for one in self.events) == before:
            time.sleep(0.01)

    def _listen(self, reads: int) -> None:
        with os.fdopen(reads, encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line)
                if event["event"] == "progress" and not self._quiet and time.monotonic() - self._told > 10:
                    self._told = time.monotonic()
                    facts = {key: value for key, value in event.items() if key != "event"}
                    print("  ".join(f"{key} {_short(value)}" for key, value in facts.items()), flush=True)
                if event["event"] != "progress":
                    self.events.append(event)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def result_of(
    bundle: Bundle, events: list[dict[str, Any]], run: str, seconds: float, failed: str, step: str
) -> dict[str, Any]:
    """The run so far as a local run's `result.json` holds it.

    Args:
        bundle: The line.
        events: What `Ear` heard of all steps.
        run: Its id.
        seconds: Since its first step began.
        failed: Why this step failed, or "".
        step: This step.
    """
    from rich.console import Console

    from pipeline import run as local
    from pipeline.console import Screen
    from pipeline.steps import steps_of

    screen = Screen(Console(), silent=True, names=steps_of(bundle.config.tune))
    found: dict[str, Any] = {}
    for event in events:
        facts = {key: value for key, value in event.items() if key != "event"}
        if event["event"] == "done":
            screen.starts(facts["step"])
            screen.ends(**facts)
        elif event["event"] == "result":
            found |= facts["result"]
    if failed:
        screen.starts(step)
        found["failed"] = failed
    whole = local.complete(found, FAILED if failed else OK, bundle.config, bundle.dataset, screen)
    started = datetime.fromtimestamp(time.time() - seconds, timezone.utc).isoformat(timespec="seconds")
    whole |= {
        "started": started, "seconds": round(seconds, 1), "next": "",
        "command": f"Kubeflow Pipelines, run {run}",
    }  # fmt: skip
    whole["sentence"] = whole["sentence"].format(seconds=f"{seconds:.0f} s")
    return whole


def keep(bundle: Bundle, made: Path, result: Mapping[str, Any], folder: Path) -> Path:
    """Write result, configuration and report of a run; the folder appears complete or not at all.

    Args:
        bundle: The line.
        made: Folder with the pictures of the report; it becomes the run's.
        result: What `result_of` made.
        folder: Of the run.

    Returns:
        The report.
    """
    from pipeline import code, report
    from pipeline.config import to_toml

    (made / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")
    config = dataclasses.replace(bundle.config, output=None)
    (made / "run.toml").write_text(to_toml(config, code.versions()), encoding="utf-8")
    report.write(made)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two steps that fail side by side both write it: each its own, and the last one stays.
    own = f"{os.uname().nodename}-{os.getpid()}"
    new, old = (folder.with_name(f".{folder.name}.{kind}.{own}") for kind in ("new", "old"))
    try:
        shutil.copytree(made, new)  # another file system than the pod's own
        with contextlib.suppress(FileNotFoundError):
            folder.replace(old)
        new.replace(folder)
    finally:
        for one in (new, old):
            shutil.rmtree(one, ignore_errors=True)
    return folder / "report.html"


def summary(node: str, detail: str, facts: Mapping[str, Any]) -> str:
    """A step as Markdown."""
    lines = [f"## {node}", "", detail.replace("|", "\\|"), "", "| | |", "|---|---|"]
    lines += [f"| {key} | {str(value).replace('|', chr(92) + '|')} |" for key, value in facts.items()]
    return "\n".join(lines) + "\n"


def metrics(node: str, result: Mapping[str, Any]) -> dict[str, float]:
    """Numbers for KFP's run comparison."""
    if node == "Trainer" and "training" in result:
        found = result["training"]
        last = found["history"][-1]
        return {
            **{key: last[key] for key in ("accuracy", "loss", "val_accuracy", "val_loss") if key in last},
            "images_per_second": found["images_per_second"], "parameters": found["parameters"],
        }  # fmt: skip
    if node == "Evaluator" and "evaluation" in result:
        found = result["evaluation"]
        low, high = found["interval"]
        return {
            "accuracy": found["accuracy"], "accuracy_low": low, "accuracy_high": high,
            "threshold": found["threshold"], "blessed": float(found["blessed"]),
        }  # fmt: skip
    return {}


def executor_output(given: str, metrics: Mapping[str, float]) -> None:
    """Hand metrics to KFP's launcher, which reads them from the file that it named.

    Args:
        given: KFP's ExecutorInput as JSON.
        metrics: Become the metadata of the artifact "metrics", but for NaN and infinities, for which the
            launcher, whose JSON has none, would fail the step.
    """
    outputs = json.loads(given).get("outputs", {})
    file, artifacts = outputs.get("outputFile"), outputs.get("artifacts", {}).get("metrics", {})
    if not file or not artifacts.get("artifacts"):
        return
    one = artifacts["artifacts"][0]
    finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
    said = {"artifacts": {"metrics": {"artifacts": [
        {"name": one.get("name", "metrics"), "uri": one["uri"], "metadata": finite}
    ]}}}  # fmt: skip
    put(file, json.dumps(said, allow_nan=False))


def put(file: str, text: str) -> None:
    """Write an output where KFP asked for it; nothing where it did not.

    Raises:
        BadInput: It cannot be written there.
    """
    if not file:
        return
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from None
