"""Epochs that searches need: our ASHA, KerasTuner's Hyperband, random search, Optuna's TPE with its pruner.

LeNet-5 on some of MNIST, over the training's part of the space of `python -m tuning search lenet5_modern`,
with the same number of epochs for each engine and seed. A configuration's accuracies depend on its values
and the seed alone, and an engine pays for each epoch that it asks for. What counts is the validation accuracy
that a trial had when it ended, was paused or pruned: the best network that the search could hand out by then.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _pairs

SHARE = 1 / 3  # of random search's epochs, after which ours is to be as good as it at its end
BEHIND = 0.002  # of accuracy: what counts as noise between the medians of two engines
ENGINES = ("random", "hyperband", "asha", "optuna")
MODEL, EPOCHS, FACTOR = "lenet5_modern", 9, 3
PRUNER = "halving"  # of Optuna; _optuna.py says why
SHARED = _pairs.ROOT.parent / "shared" / "data"
Curve = Callable[[dict[str, Any], int], float]  # accuracy of a configuration after an epoch


@dataclass(frozen=True)
class Search:
    """What a search found, and when.

    Attributes:
        steps: (epochs spent, accuracy) whenever a trial ended, was paused or pruned, in order.
        configurations: That it tried.
    """

    steps: tuple[tuple[int, float], ...]
    configurations: int

    def best(self, spent: float) -> float:
        """The best accuracy after so many epochs; 0 where nothing had ended yet."""
        return max((accuracy for when, accuracy in self.steps if when <= spent), default=0.0)

    def reached(self, accuracy: float) -> float:
        """The epochs after which it was as good; infinite if it never was."""
        return next((float(when) for when, found in self.steps if found >= accuracy), math.inf)


class Spent(Exception):
    """The budget is used up."""


class Purse:
    """Charges a search for each epoch, and notes what it found.

    Args:
        curve: Accuracy of a configuration after an epoch.
        budget: Epochs in all.
    """

    def __init__(self, curve: Curve, budget: int) -> None:
        self.curve, self.left, self.budget = curve, budget, budget
        self.steps: list[tuple[int, float]] = []
        self.seen: set[str] = set()

    def epoch(self, values: dict[str, Any], epoch: int) -> float:
        """The accuracy after one more epoch of a configuration.

        Raises:
            Spent: There is nothing left to pay it with.
        """
        if not self.left:
            raise Spent
        self.left -= 1
        self.seen.add(json.dumps(values, sort_keys=True))
        return self.curve(values, epoch)

    def ended(self, accuracy: float | None) -> None:
        """Note how good a configuration was when its training ended, at the end of the budget, too."""
        if accuracy is not None:
            self.steps.append((self.budget - self.left, accuracy))

    def search(self) -> Search:
        """All that was noted."""
        return Search(tuple(self.steps), len(self.seen))


def main(arguments: Sequence[str] | None = None) -> int:
    """Search with each engine, print the table and the figure, and return the exit code."""
    given = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    budget = given.trainings * EPOCHS
    found: dict[str, list[Search]] = {engine: [] for engine in ENGINES}
    python = given.optuna or _environment()
    from tuning import lean

    with lean.imports():
        from benchmarks._trials import Trials

    if given.cache is not None:
        given.cache.mkdir(parents=True, exist_ok=True)
    trials = Trials(space(), EPOCHS, given.data_dir, given.pictures, given.cache)
    for seed in given.seeds:
        trials.start(seed)
        for engine in ENGINES:
            purse = Purse(trials.accuracy, budget)
            search(engine, purse, seed, python)
            found[engine].append(purse.search())
            print(said(engine, seed, found[engine][-1], budget), flush=True)
    print("\n" + table(found, budget))
    return _pairs.finish(figure(found, budget), missed(found, budget), given.check)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data-dir", type=Path, default=SHARED / "tfds", help="folder of TFDS data sets")
    parser.add_argument(
        "--trainings", type=_pairs.positive, default=18, metavar="N",
        help=f"budget of each search: whole trainings, of {EPOCHS} epochs each (default: 18)",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="SEED", help="default: 0 to 4"
    )
    parser.add_argument(
        "--pictures", type=_pairs.positive, default=1024, metavar="N",
        help="to train on, a multiple of 256; twice as many others to validate on (default: 1024)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER",
        help="keep what was trained, so that nothing is trained twice; the epochs are counted all the same",
    )  # fmt: skip
    parser.add_argument(
        "--optuna", type=Path, metavar="PYTHON",
        help="a Python that has Optuna (default: .env-optuna's, which is made)",
    )  # fmt: skip
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    return parser


def _environment() -> Path:
    """Python of an environment of Optuna's own, made where it is missing."""
    place = _pairs.ROOT / ".env-optuna"
    python = place / "bin" / "python"
    if subprocess.run([str(python), "-c", "import optuna"], capture_output=True).returncode if (
        python.exists()
    ) else True:  # fmt: skip
        uv = ["sh", str(_pairs.ROOT / "scripts" / "start"), "--uv"]
        for words in (
            ["venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(place)],
            ["pip", "install", "--quiet", "--python", str(python), "optuna"],
        ):
            if subprocess.run([*uv, *words], capture_output=True).returncode:
                raise SystemExit(f"Optuna could not be installed in {place}; name a Python with it: --optuna")
    return python


# --- the searches -----------------------------------------------------------------------------------------


def space() -> Any:
    """The space of the network's training, for all engines."""
    from tuning import families, spaces

    whole = spaces.space(MODEL, mirror=False)
    training = {name: one for name, one in whole.dimensions.items() if one.of == families.RECIPE}
    return dataclasses.replace(whole, dimensions=training)


def search(engine: str, purse: Purse, seed: int, python: Path) -> None:
    """Spend the purse with one engine."""
    try:
        if engine == "optuna":
            _with_optuna(purse, seed, python)
        else:
            _with_oracle(engine, purse, seed)
    except Spent:
        pass


def _with_oracle(engine: str, purse: Purse, seed: int) -> None:
    """One of the engines of `tuning`, as one worker would ask it."""
    from tuning import engines

    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        oracle = engines.oracle(
            engine,
            space(),
            objective="val_accuracy",
            epochs=EPOCHS,
            most=None,
            seed=seed,
            folder=Path(folder),
        )
        while (trial := oracle.create_trial("worker")).status == "RUNNING":
            told = trial.hyperparameters.values
            values = {name: value for name, value in told.items() if not name.startswith("tuner/")}
            accuracy = None
            try:
                for epoch in range(told.get("tuner/initial_epoch", 0), told.get("tuner/epochs", EPOCHS)):
                    accuracy = purse.epoch(values, epoch + 1)
                    oracle.update_trial(trial.trial_id, {"val_accuracy": accuracy}, step=epoch + 1)
            finally:
                purse.ended(accuracy)
            oracle.ended(trial.trial_id, "COMPLETED", {})


def _with_optuna(purse: Purse, seed: int, python: Path) -> None:
    """Optuna in a process of its own, which asks for accuracies in lines of JSON."""
    rules = {"rows": space().rows(), "seed": seed, "epochs": EPOCHS, "factor": FACTOR, "pruner": PRUNER}
    command = [str(python), str(Path(__file__).with_name("_optuna.py")), json.dumps(rules)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        accuracy: float | None = None
        try:
            for line in process.stdout:
                asked = json.loads(line)
                if "values" not in asked:
                    purse.ended(accuracy)
                    accuracy = None
                    continue
                accuracy = purse.epoch(asked["values"], asked["epoch"])
                process.stdin.write(json.dumps(accuracy) + "\n")
                process.stdin.flush()
        finally:
            purse.ended(accuracy)
            process.kill()
    raise SystemExit(f"Optuna's process ended with exit code {process.returncode}")


# --- the report -------------------------------------------------------------------------------------------


def said(engine: str, seed: int, one: Search, budget: int) -> str:
    """A line for one search."""
    return (
        f"seed {seed}  {engine:10} {one.configurations:4} configurations in {budget} epochs, "
        f"best accuracy {one.best(budget):.4f}"
    )


def table(found: dict[str, list[Search]], budget: int) -> str:
    """A line an engine: medians over the seeds, and each seed's epochs until random search's accuracy."""
    parts = [budget / 3, 2 * budget / 3, budget]
    head = ["engine", *(f"after {part:.0f}" for part in parts), "epochs until random search's accuracy"]
    lines = [head]
    for engine, searches in found.items():
        best = [f"{statistics.median(one.best(part) for one in searches):.4f}" for part in parts]
        until = ", ".join(
            "never" if math.isinf(one) else f"{one:.0f}" for one in needed(engine, found, budget)
        )
        lines.append([engine, *best, until])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def needed(engine: str, found: dict[str, list[Search]], budget: int) -> list[float]:
    """For each seed the epochs after which an engine was as good as random search at its end."""
    return [
        one.reached(chance.best(budget)) for one, chance in zip(found[engine], found["random"], strict=True)
    ]


def share(found: dict[str, list[Search]], budget: int) -> float:
    """Our epochs until random search's accuracy, of its own: the median over the seeds."""
    return statistics.median(needed("asha", found, budget)) / budget


def ahead(found: dict[str, list[Search]], budget: int) -> float:
    """Our accuracy at the end less Optuna's of the same seed: the median over the seeds."""
    return statistics.median(
        ours.best(budget) - theirs.best(budget)
        for ours, theirs in zip(found["asha"], found["optuna"], strict=True)
    )


def figure(found: dict[str, list[Search]], budget: int) -> str:
    """Both figures in one line, with their targets."""
    return (
        f"random search's accuracy after {share(found, budget):.2f} of its epochs (target {SHARE:.2f}), "
        f"{ahead(found, budget):+.4f} of accuracy against Optuna (target at least -{BEHIND})"
    )


def missed(found: dict[str, list[Search]], budget: int) -> list[str]:
    """A sentence for each target that was missed."""
    sentences = []
    if (ours := share(found, budget)) > SHARE:
        when = f"takes {ours:.2f} of its epochs" if math.isfinite(ours) else "is never reached"
        sentences.append(f"random search's accuracy {when}, above {SHARE:.2f}")
    if (less := ahead(found, budget)) < -BEHIND:
        sentences.append(f"ours is {-less:.4f} of accuracy behind Optuna, more than {BEHIND}")
    return sentences


if __name__ == "__main__":
    sys.exit(main())
