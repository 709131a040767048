"""The search as a tuner of KerasTuner: what TFX's Tuner and scripts written for KerasTuner call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_tuner.engine.base_tuner import BaseTuner

from tuning import engines, searching
from tuning import settings as kept
from tuning.asked import Asked, check
from tuning.errors import BadInput


class Tuner(BaseTuner):
    """KerasTuner's tuner, whose trials run in processes of their own and survive any kill.

    `search` takes no pictures: they stand in what is asked for. After it, `get_best_hyperparameters`,
    `oracle` and `results_summary` answer as KerasTuner's do.

    Args:
        asked: What is searched on what, with an `output`.
        watcher: Is shown the result about once a second.

    Raises:
        BadInput: As `tuning.asked.check`, and where there is no `output`.
    """

    def __init__(self, asked: Asked, watcher: searching.Watcher | None = None) -> None:
        self.asked, self._watcher = asked, watcher
        self.result: dict[str, Any] = {}
        space = check(asked)
        if asked.output is None:
            raise BadInput("output must be the folder of the search, not None")
        folder = Path(asked.output)
        super().__init__(self._oracle(space, folder), directory=str(folder), project_name="state")

    def search(self, *_: Any, **options: Any) -> None:
        """Search, or go on with a search that was broken off; where KERASTUNER_* says so, be its worker.

        Args:
            *_: Nothing.
            **options: Fields of `Asked`, such as `workers=4`.

        Raises:
            RuntimeError: The search failed or was interrupted; the text says why.
        """
        self.result = searching.search(asked=self.asked, watcher=self._watcher, **options)
        folder = Path(self.result["output"])
        self.oracle = self._oracle(kept.load(folder).searched, folder)
        if self.result["outcome"] == "worker":  # the result is the chief's
            if self.result["code"]:
                raise RuntimeError(f"the chief does not answer any more; {folder / 'log.txt'} may say why")
        elif self.result["outcome"] not in ("finished", "budget") or self.result["best"] is None:
            raise RuntimeError(self.result["sentence"])

    def _oracle(self, space: Any, folder: Path) -> Any:
        asked = self.asked
        return engines.oracle(
            asked.engine, space, objective=asked.objective, epochs=asked.epochs, most=asked.trials,
            seed=asked.seed, folder=folder,
        )  # fmt: skip
