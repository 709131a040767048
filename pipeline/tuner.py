"""What TFX's Tuner calls: a search over the training examples, compared on val."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tfx.components.tuner.component import TunerFnResult

from pipeline import tuned, workers
from pipeline.components.example_gen import FACTS
from pipeline.config import Config
from pipeline.progress import report
from tuning import findings


class _Teller:
    """Tells the terminal how far the search is."""

    def show(self, result: dict[str, Any]) -> None:
        """The search calls this about once a second."""
        ended = [one for one in result["trials"] if one["status"] in ("completed", "failed")]
        best = findings.best_trial(result)
        report(
            configurations=findings.begun(result), of=result["trials_asked"], trials=len(ended),
            best=best and best["score"],
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is left to do."""


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """The search that `pipeline.graph` described in `custom_config`.

    Args:
        fn_args: TFX's FnArgs.

    Returns:
        A tuner of KerasTuner and the number of its workers.
    """
    from tuning import searching
    from tuning.tuner import Tuner

    given = fn_args.custom_config
    config = Config(**given["config"])
    data = _data(fn_args, given)
    # Another search must not go on from this one's state, but one for more configurations does; other
    # examples lie in another folder.
    whole = {**given, "config": {**given["config"], "tune": None}}
    key = hashlib.blake2b(json.dumps([whole, fn_args.train_files], sort_keys=True).encode(), digest_size=8)
    folder = Path(given["folder"]) / key.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    tuned.announce(folder)
    gpus = ",".join(searching.visible_gpus(workers.VISIBLE))  # this process hides them from itself
    tuner = Tuner(tuned.asked(config, data, folder, gpus), _Teller())
    return TunerFnResult(tuner, {"workers": config.tune_workers})


def _data(fn_args: Any, given: dict[str, Any]) -> Any:
    """The training examples and those of val; without a val part, a share of the training ones."""
    from keras_cnns.training.data import Records
    from tuning import pictures

    def records(patterns: list[str], part: str) -> Records:
        files = sorted(
            str(file) for pattern in patterns for file in Path(pattern).parent.glob(Path(pattern).name)
        )
        return Records(tuple(files), facts["splits"][part]["count"])

    examples = Path(fn_args.train_files[0]).parents[1]
    facts = json.loads((examples / FACTS).read_text(encoding="utf-8"))
    train = records(fn_args.train_files, "train")
    val = records(fn_args.eval_files, "val") if given["measured"] == "val" else None
    return pictures.Data("examples", tuple(facts["classes"]), given["channels"], train, val)
