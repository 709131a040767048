"""`--warm-start`: which model is meant, and what is refused before anything starts; options and the cache."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from lines import Ran, pipeline

from pipeline import config, graph, warm
from pipeline.config import Config
from pipeline.run import resolve
from pipeline.sources import Dataset
from tuning.errors import BadInput

DATA = Dataset("folder", "pets", ("cat", "dog"), 20, 3, "x", (), 0.5, 0.6)
HOW = {"height": 32, "width": 32, "channels": 3}


def push(folder: Path, version: int, model: str = "cifar_resnet20", labels: str = "cat\ndog\n") -> Path:
    made = folder / "pets-cifar_resnet20" / str(version)
    made.mkdir(parents=True)
    (made / "model.keras").write_bytes(str(version).encode())
    (made / "saved_model.pb").touch()
    (made / "labels.txt").write_text(labels)
    (made / "recipe.json").write_text(json.dumps({"model": model, "preprocess": HOW}))
    return made


def asked(models: Path, **changes: object) -> Config:
    given = Config(data="pets", model="cifar_resnet20", models=str(models), warm_start="latest")
    return dataclasses.replace(given, **changes)  # type: ignore[arg-type]


def test_latest_is_the_version_that_is_served(tmp_path: Path) -> None:
    assert resolve(asked(tmp_path), DATA).warm_start is None, "nothing was pushed yet: begin anew"
    push(tmp_path, 9)
    newest = push(tmp_path, 10)
    assert resolve(asked(tmp_path), DATA).warm_start == str(newest / "model.keras")
    (newest.parent / "latest.json").write_text('{"version": 9}')
    found = resolve(asked(tmp_path), DATA)
    assert found.warm_start == str(newest.parent / "9" / "model.keras"), "rolled back"
    assert resolve(found, DATA) == found, "run.toml repeats the run"


def test_a_run_goes_on_from_the_last_blessed_model(home: Path, main_job: Ran, tmp_path: Path) -> None:
    shutil.copytree(home / "models" / "digits-lenet5" / "1", tmp_path / "models" / "digits-lenet5" / "1")
    words = ("--epochs", 1, "--learning-rate", 1e-5, "--max-drop", 1, "--json")
    made = pipeline(tmp_path, "run", "--warm-start", "latest", *words).json
    assert made["outcome"] == "pushed"
    assert made["pushed"] == "models/digits-lenet5/2"
    assert made["config"]["warm_start"].endswith("models/digits-lenet5/1/model.keras")
    assert made["training"]["history"][0]["val_accuracy"] > 0.95, "after one epoch of tiny steps"
    assert (tmp_path / "models" / "digits-lenet5" / "2" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("made", "changes", "sentence"),
    [
        (
            {"model": "lenet5_modern"},
            {},
            "is a lenet5_modern, not a cifar_resnet20; give --model lenet5_modern",
        ),
        ({"labels": "cat\nhare\n"}, {}, r"knows other classes \(new: dog; gone: hare\)"),
        ({"labels": "dog\ncat\n"}, {}, r"knows other classes \(in another order\)"),
        ({}, {"image_size": 48}, "takes 32x32x3 pixels, not 48x48x3"),
        ({}, {"warm_start": "nowhere"}, "--warm-start nowhere: there is no model.keras"),
    ],
)
def test_another_model_is_refused(
    tmp_path: Path, made: dict[str, str], changes: dict[str, object], sentence: str
) -> None:
    push(tmp_path, 1, **made)
    with pytest.raises(BadInput, match=sentence):
        resolve(asked(tmp_path, **changes), DATA)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipe": "modrn"}, "--recipe='modrn' is not known. Did you mean 'modern'?"),
        ({"model": "lenet5", "recipe": "modern"}, "--recipe modern: recipe='modern' does not fit lenet5"),
        ({"patience": 3, "weights": "last"}, "--weights is loss or accuracy, not last"),
        ({"model": "lenet5_modern", "mirror": "yes"}, "--recipe modern does"),
        ({"precision": "float16"}, "--precision='float16' is not known"),
        ({"accumulate": 0}, "--accumulate must be at least 1, not 0"),
        ({"class_weights": "balance"}, "Did you mean 'balanced'?"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        config.check(dataclasses.replace(Config(), **changes))  # type: ignore[arg-type]
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("title", "mirror", "resolved"), [("pets", None, "yes"), ("pets", "no", "no"), ("mnist", None, "no"),
                                      ("mnist", "yes", "yes")],
)  # fmt: skip
def test_digits_are_not_mirrored_unless_asked(title: str, mirror: str | None, resolved: str) -> None:
    data = dataclasses.replace(DATA, title=title)
    given = Config(data=title, model="cifar_resnet20", mirror=mirror)
    found = resolve(given, data)
    assert found.mirror == resolved
    assert found.training.mirror is (resolved == "yes")


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": "modern"}, {"mirror": "no"}, {"patience": 2}, {"weights": "accuracy"},
        {"class_weights": "balanced"}, {"accumulate": 2}, {"precision": "float32"}, {"xla": "off"},
        {"warm_start": "latest"}, {"epochs": 3}, {"seed": 1},
    ],
)  # fmt: skip
def test_a_changed_option_is_never_served_from_the_cache(tmp_path: Path, changes: dict[str, object]) -> None:
    push(tmp_path, 1)
    place = graph.Place(tmp_path / "tfx", tmp_path / "state", tmp_path / "models")
    plain = asked(tmp_path, warm_start=None)
    one, other, again = (
        graph._trainer_config(resolve(dataclasses.replace(plain, **each), DATA), DATA, place)  # type: ignore[arg-type]
        for each in ({}, changes, {})
    )
    assert one == again
    assert one != other


def test_another_model_under_the_same_name_is_another_start(tmp_path: Path) -> None:
    file = push(tmp_path, 1) / "model.keras"
    before = warm.digest(str(file))
    file.write_bytes(b"another")
    assert warm.digest(str(file)) != before
    assert warm.digest(None) == ""
