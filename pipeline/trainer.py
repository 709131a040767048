"""What TFX's Trainer calls: it hands the training to a process that holds neither TFX nor Beam."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline import code, tuned, workers
from pipeline.components.example_gen import FACTS
from pipeline.progress import send
from tuning import folders


def run_fn(fn_args: Any) -> None:
    """Train, export to `fn_args.serving_model_dir`, and leave history and reference in `model_run_dir`.

    Args:
        fn_args: TFX's FnArgs; `custom_config` holds what `pipeline.graph` put there.

    Raises:
        RuntimeError: The training failed; the text says why.
    """
    given = fn_args.custom_config
    if fn_args.hyperparameters:
        given = tuned.applied(given, fn_args.hyperparameters["values"])
    train_files, measured_files = _files(fn_args.train_files), _files(fn_args.eval_files)
    examples = Path(train_files[0]).parents[1]
    facts = json.loads((examples / FACTS).read_text(encoding="utf-8"))
    measured = Path(measured_files[0]).parent.name.removeprefix("Split-")  # "val" where there is one
    task = {
        "model": given["model"], "arguments": given["arguments"],
        "labels": facts["classes"], "seed": given["seed"],
        "train_files": train_files, "train_count": facts["splits"]["train"]["count"],
        "measured_files": measured_files, "measured_count": facts["splits"][measured]["count"],
        "preprocess": given["preprocess"], "recipe": given["recipe"], "options": given["options"],
    }  # fmt: skip
    key = _key(task, given["code"] + given["warm_start"])
    request = {
        "task": task,
        "test_files": _files([str(examples / "Split-test" / "*")]),
        "test_count": facts["splits"]["test"]["count"],
        "export_to": fn_args.serving_model_dir,
        "run_folder": fn_args.model_run_dir,
        "checkpoints": str(Path(given["checkpoints"]) / key),
        "logs": str(Path(given["tensorboard"]) / f"{given['model']}-{key}"),
        "recipe": {"data": given["data"], "seed": given["seed"], "versions": code.versions()},
    }
    # Two runs of a cluster may train the very same at the same time; checkpoints are of one of them.
    with folders.held(Path(request["checkpoints"]), "training", patient=True):
        workers.do("train", request, lambda event: send("progress", **event))


def _key(task: dict[str, Any], code: str) -> str:
    """Names the state of an unfinished training: another task must not go on from it."""
    return hashlib.blake2b(json.dumps([task, code], sort_keys=True).encode(), digest_size=8).hexdigest()


def _files(patterns: list[str]) -> list[str]:
    """TFX gives patterns such as …/Split-train/*."""
    return sorted(str(file) for pattern in patterns for file in Path(pattern).parent.glob(Path(pattern).name))
