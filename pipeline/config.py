"""One frozen configuration: options, TOML keys, fields and labels in the report are the same words."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from keras_cnns._checks import unknown
from keras_cnns.recipes import RECIPE_NAMES, Recipe, recipe_for
from keras_cnns.registry import MODELS
from pipeline import schema
from pipeline.changes import CHANGES, accepted
from tuning.asked import ENGINES, role
from tuning.errors import BadInput

# Data whose pictures mean something else in a mirror.
UNMIRRORED = ("digits", "mnist", "emnist", "kmnist", "svhn_cropped", "omniglot", "binary_alpha_digits")
# Options that take one of a few words.
_WORDS = {
    "fit": ("resize", "pad"),
    "recipe": RECIPE_NAMES,
    "mirror": ("yes", "no"),
    "weights": ("last", "loss", "accuracy"),
    "class_weights": ("equal", "balanced"),
    "precision": ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    "xla": ("auto", "on", "off"),
}

# Beam's own; another one is given by its dotted path.
RUNNERS = (
    "FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "PrismRunner", "FlinkRunner", "SparkRunner",
    "DataflowRunner", "PortableRunner",
)  # fmt: skip


def _option(default: Any, text: str, metavar: str | None = None, least: float | None = None) -> Any:
    return field(default=default, metadata={"help": text, "metavar": metavar, "least": least})


@dataclass(frozen=True)
class Config:
    """What a run is asked to do; a None is filled in by `resolve`, from the data and the recipe."""

    data: str = _option(
        "digits", "data set: digits, a TFDS name, or a folder of class folders or TFRecords", "NAME|FOLDER"
    )
    data_dir: str | None = _option(None, "folder that holds prepared TFDS data sets", "FOLDER")
    train_split: str | None = _option(None, "part of a TFDS data set to train on: train[:80%%]", "SPLIT")
    val_split: str | None = _option(
        None, "part of it to choose by during training (default: validation, beside a test)", "SPLIT"
    )
    test_split: str | None = _option(None, "part of it to evaluate on: train[80%%:] (default: test)", "SPLIT")
    model: str = _option("lenet5", "network, a name that `python -m keras_cnns list` shows", "NAME")
    recipe: str = _option("paper", "how it is trained: paper, as its own, or modern, as today", "NAME")
    epochs: int | None = _option(None, "passes over the training images (default: the recipe's)", "N", 1)
    batch_size: int | None = _option(None, "images a step (default: the recipe's)", "N", 1)
    learning_rate: float | None = _option(None, "at the first step (default: the recipe's)", "RATE", 0)
    mirror: str | None = _option(
        None, "may pictures be mirrored, yes or no (default: no for digits, else as the recipe does)",
        "WORD",
    )  # fmt: skip
    patience: int = _option(
        0, "epochs without a better loss on val, or test, that end the training, 0 for none", "N", 0
    )
    weights: str | None = _option(
        None, "exported weights: last, or best by loss or accuracy (default: last, or loss with --patience)",
        "WHICH",
    )  # fmt: skip
    class_weights: str = _option("equal", "what an image counts: equal, or balanced over the classes", "HOW")
    accumulate: int = _option(1, "batches whose gradients make one step", "N", 1)
    precision: str = _option(
        "auto", "auto (16 bits where a GPU is), float32, mixed_bfloat16 or mixed_float16", "NAME"
    )
    xla: str = _option("auto", "compile the steps: on, off, or auto, as measured on this machine", "WHEN")
    warm_start: str | None = _option(
        None, "begin with a pushed model's weights: latest (if there is one), or its folder", "latest|PATH"
    )
    tune: int = _option(0, "configurations of hyperparameters to try before the training, 0 for none", "N", 0)
    tune_space: str | None = _option(
        None, "family or network whose hyperparameters are searched (default: the network's own)", "NAME"
    )
    tune_engine: str = _option("asha", f"how it is searched: {', '.join(ENGINES)}", "NAME")
    tune_epochs: int | None = _option(
        None, "passes of a whole training in the search (default: the run's)", "N", 1
    )
    tune_workers: int = _option(1, "trials that run side by side, one GPU each where there are", "N", 1)
    tune_fix: str | None = _option(
        None, "hyperparameters that are not searched, or a choice's values: width=1,depth=20|32", "NAME=VALUE"
    )
    tune_range: str | None = _option(None, "less of some: lr=1e-4:1e-1,width=0.5:1", "NAME=LOW:HIGH")
    tune_max_parameters: float | None = _option(None, "parameters of the largest network to train", "N", 1)
    tune_max_macs: float | None = _option(None, "its multiply-adds for a picture", "N", 1)
    tune_max_latency: float | None = _option(None, "what it may take for a picture, where it is tuned", "MS")
    hyperparameters: str | None = _option(
        None, "take them from a search's hyperparameters.json instead of searching", "FILE.json"
    )
    image_size: int | None = _option(
        None, "side of the network's input (default: the network's)", "PIXELS", 1
    )
    fit: str | None = _option(None, "resize pictures to the input, or pad them (default: by the data)", "HOW")
    test_share: float = _option(
        0.2, "share held out for evaluation where the data has no test part", "SHARE", 0
    )
    val_share: float = _option(
        0.0, "share of the training images to choose by, where the data has no val part, 0 for none", "SHARE",
        0,
    )  # fmt: skip
    min_accuracy: float | None = _option(
        None, "accuracy that blesses a model (default: 0.95 for digits, 0.98 for mnist, or above guessing)",
        "SHARE", 0,
    )  # fmt: skip
    max_drop: float = _option(0.01, "accuracy that a model may lose against the last blessed one", "SHARE", 0)
    min_slice_accuracy: float | None = _option(
        None, "accuracy that a model must reach in each class, and for each size and origin of the pictures",
        "SHARE", 0,
    )  # fmt: skip
    max_bad_images: int = _option(0, "unreadable images to leave out before the run is refused", "N", 0)
    beam_runner: str = _option(
        "FnApiRunner",
        "Beam's runner for reading, statistics and evaluation, and its options; a process pool on one "
        "machine: 'DirectRunner --direct_running_mode=multi_processing --direct_num_workers=N'",
        "RUNNER",
    )
    seed: int = _option(0, "of the split, the weights and the order", "N", 0)
    schema: str | None = _option(
        None, "schema to hold the data to, an edited schema.pbtxt of an earlier run (default: inferred)",
        "FILE.pbtxt",
    )  # fmt: skip
    accept: str | None = _option(
        None, "changes to let through the gate, with commas between them, by the names that it prints "
        f"({', '.join(CHANGES)})", "NAMES",
    )  # fmt: skip
    output: str | None = _option(None, "folder of the run (default: runs/DATA-MODEL)", "FOLDER")
    models: str = _option("models", "folder that models are pushed to", "FOLDER")
    name: str | None = _option(None, "name of the pushed model (default: DATA-MODEL)", "NAME")
    keep: int = _option(10, "pushed versions to keep, or 0 for all", "N", 0)

    @property
    def training(self) -> Recipe:
        """The network's recipe with what this configuration changes."""
        chosen = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        given: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
        found = recipe_for(self.model, self.recipe)
        return dataclasses.replace(found, mirror=found.mirror and self.mirror != "no", **given)


def option_name(key: str) -> str:
    """The command-line form of a field: `data_dir` is `--data-dir`."""
    return "--" + key.replace("_", "-")


def load(path: Path) -> dict[str, Any]:
    """The values of a TOML file, checked: unknown keys and wrong types are refused."""
    values = toml(f"--config {path}", path)
    values.pop("made_with", None)
    values.pop("kubeflow", None)  # is for kubeflow/compile.py
    known = {one.name: one for one in fields(Config)}
    for key, value in values.items():
        if key not in known:
            raise BadInput(f"--config {path}: {unknown('key', key, list(known))}")
        wanted = kind(known[key].type)
        if not isinstance(value, (int, float) if wanted is float else wanted) or isinstance(value, bool):
            raise BadInput(f"--config {path}: {key} must be {wanted.__name__}, not {value!r}")
    return values


def toml(what: str, path: Path) -> dict[str, Any]:
    """A TOML file's values.

    Args:
        what: The option that names it, for the error.
        path: The file.

    Raises:
        BadInput: It cannot be read.
    """
    from pipeline.lanes import tomllib  # not of the standard library on Python 3.10

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{what}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{what}: {error}") from None


def kind(annotation: Any) -> type:
    """The plain type of a field's annotation: `int | None` is int."""
    return {"str": str, "int": int, "float": float}[str(annotation).split(" ")[0]]


def check(config: Config) -> None:
    """Refuse values that no run can have, before anything is started.

    Raises:
        BadInput: Names the option, what came and what is allowed.
    """
    if config.model not in MODELS:
        raise BadInput(str(unknown("--model", config.model, list(MODELS))))
    for one in fields(Config):
        value, least = getattr(config, one.name), one.metadata["least"]
        if value is not None and least is not None and value < least:
            raise BadInput(f"{option_name(one.name)} must be at least {least}, not {value}")
    for key in ("test_share", "min_accuracy", "max_drop", "min_slice_accuracy"):
        value = getattr(config, key)
        if value is not None and value > 1:
            raise BadInput(f"{option_name(key)} is a share between 0 and 1, not {value}")
    if not 0 < config.test_share < 1:
        raise BadInput(f"--test-share must lie between 0 and 1, not {config.test_share}")
    if config.val_share >= 1:
        raise BadInput(f"--val-share must be below 1, not {config.val_share}")
    if config.learning_rate is not None and not 0 < config.learning_rate < math.inf:
        raise BadInput(f"--learning-rate must be above 0, not {config.learning_rate}")
    if config.seed >= 2**32:
        raise BadInput(f"--seed must be below 2**32, not {config.seed}")
    for key, words in _WORDS.items():
        if getattr(config, key) not in (None, *words):
            raise BadInput(str(unknown(option_name(key), getattr(config, key), words)))
    _check_training(config)
    _check_tuning(config)
    accepted(config.accept)
    if config.schema is not None:
        schema.load(Path(config.schema))
    beam_options(config)
    if config.name is not None and (Path(config.name).name != config.name or config.name in ("", "..")):
        raise BadInput(f"--name is one folder name, not {config.name!r}")


def _check_training(config: Config) -> None:
    """Refuse what does not go together."""
    try:
        training = config.training
    except ValueError as error:
        raise BadInput(f"--recipe {config.recipe}: {error}") from None
    if config.patience and config.weights == "last":
        raise BadInput(
            "--patience ends the training after the best epoch: --weights is loss or accuracy, not last"
        )
    if config.mirror == "yes" and not training.mirror:
        raise BadInput(
            f"--mirror yes: the {config.recipe} recipe of {config.model} does not; --recipe modern does"
        )


def _check_tuning(config: Config) -> None:
    """Refuse a search that cannot be."""
    from pipeline import tuned

    if config.tune and config.hyperparameters is not None:
        raise BadInput("--tune searches what --hyperparameters gives; leave one out")
    if (config.tune or config.hyperparameters is not None) and config.warm_start is not None:
        raise BadInput("--warm-start begins with another network's weights; leave it out with --tune")
    if config.tune_engine not in ENGINES:
        raise BadInput(str(unknown("--tune-engine", config.tune_engine, ENGINES)))
    for name in ("tune_max_parameters", "tune_max_macs", "tune_max_latency"):
        most = getattr(config, name)
        if most is not None and not 0 < most < math.inf:
            raise BadInput(f"{option_name(name)} must be above 0 and finite, not {most}")
    if config.tune:
        role()
        if not tuned.space_of(config).searched():
            raise BadInput("--tune: every hyperparameter is fixed, and nothing is left to search")
    else:
        _check_unused(config)
    tuned.from_file(config)


def _check_unused(config: Config) -> None:
    """Refuse what narrows a search that nobody asked for."""
    for one in fields(Config):
        used = one.name == "tune_space" and config.hyperparameters is not None
        if one.name.startswith("tune_") and getattr(config, one.name) != one.default and not used:
            raise BadInput(f"{option_name(one.name)} is for a search; give --tune, too, or leave it out")


def beam_options(config: Config) -> list[str]:
    """What Beam is told: its runner, and what stands behind that, as `SparkRunner --spark_master_url=…`.

    Raises:
        BadInput: There is no such runner.
    """
    words = shlex.split(config.beam_runner)
    if not words or not (words[0] in RUNNERS or _is_module(words[0].rpartition(".")[0])):
        raise BadInput(str(unknown("--beam-runner", words[0] if words else "", list(RUNNERS))))
    stray = [word for word in words[1:] if not word.startswith("--")]
    if stray:
        raise BadInput(
            f"--beam-runner {config.beam_runner}: options are written --name=value, not {stray[0]}"
        )
    return [f"--runner={words[0]}", *words[1:]]


def _is_module(name: str) -> bool:
    try:
        return bool(name) and importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def to_toml(config: Config, versions: dict[str, str]) -> str:
    """The text of `run.toml`: every value that is set, and what it was made with."""
    import tomli_w

    values = {key: value for key, value in dataclasses.asdict(config).items() if value is not None}
    text = tomli_w.dumps({**values, "made_with": versions})
    return "# Repeat this run: python -m pipeline run --config FILE, where FILE is this one.\n" + text
