"""TFX's Tuner in the line: it searches, feeds the Trainer, and what was trained is pushed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest
from lines import Ran, pipeline

from pipeline import tuned
from pipeline.config import Config, check
from tuning import families, spaces
from tuning.errors import BadInput

FIXED = "width=1,optimizer=sgd,lr=0.01,wd=1e-4,label_smoothing=0,augmentation=0,batch_size=32,schedule=cosine"
OPTIONS = (
    "run", "--model", "lenet5_modern", "--tune", "4", "--tune-epochs", "2", "--epochs", "3",
    "--tune-workers", "2",
    "--tune-fix", "batch_size=32,schedule=cosine,optimizer=adam", "--tune-range", "lr=1e-3:1e-2,width=0.5:2",
    "--min-accuracy", "0.2",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def first(place: Path) -> Ran:
    ran = pipeline(place, *OPTIONS)
    assert ran.code == 0, ran.out + ran.err
    return ran


@pytest.fixture(scope="module")
def result(place: Path, first: Ran) -> dict[str, Any]:
    """As the first run left it, before others ran in the folder."""
    return json.loads((place / "runs" / "digits-lenet5_modern" / "result.json").read_text(encoding="utf-8"))


pytestmark = pytest.mark.xdist_group("tuned")


def test_the_best_hyperparameters_are_what_was_trained(place: Path, result: dict[str, Any]) -> None:
    found = result["tuning"]
    best = next(one for one in found["trials"] if one["id"] == found["best"])
    recipe = result["training"]["recipe"]
    assert recipe["learning_rate"] == best["values"]["learning_rate"]
    assert recipe["weight_decay"] == best["values"]["weight_decay"]
    assert recipe["width"] == best["values"]["width"]
    assert (recipe["optimizer"], recipe["batch_size"], recipe["epochs"]) == ("adam", 32, 3)
    made = json.loads(
        (place / "models" / "digits-lenet5_modern" / "1" / "recipe.json").read_text(encoding="utf-8")
    )
    assert made["arguments"] == {"width": best["values"]["width"]}
    model = keras.models.load_model(
        place / "models" / "digits-lenet5_modern" / "1" / "model.keras", compile=False
    )
    assert model.count_params() == best["parameters"] == result["training"]["parameters"]


def test_the_search_is_told_and_its_report_shown(place: Path, first: Ran, result: dict[str, Any]) -> None:
    assert "6/10  tune" in first.out
    assert "4 configurations · val_accuracy" in first.out
    page = (place / "runs" / "digits-lenet5_modern" / "report.html").read_text(encoding="utf-8")
    assert "The search for hyperparameters" in page
    assert result["tuning"]["sentence"] in page
    assert {one["worker"] for one in result["tuning"]["trials"]} == {"worker0", "worker1"}


def test_the_search_looks_at_no_test_picture(result: dict[str, Any]) -> None:
    images = result["tuning"]["images"]
    assert images["train"] + images["val"] == result["dataset"]["splits"]["train"]["count"]


def test_tfxs_own_files_are_there(place: Path, result: dict[str, Any]) -> None:
    root = place / "runs" / "digits-lenet5_modern" / "tfx" / "Tuner"
    [best] = root.rglob("best_hyperparameters.txt")
    [rows] = root.rglob("tuner_results.json")
    values = json.loads(best.read_text(encoding="utf-8"))["values"]
    scores = [row["score"] for row in json.loads(rows.read_text(encoding="utf-8"))]
    assert values["learning_rate"] == result["training"]["recipe"]["learning_rate"]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) >= 1


def test_the_same_again_comes_from_the_cache(place: Path, result: dict[str, Any]) -> None:
    again = pipeline(place, *OPTIONS, "--json").json
    assert again["outcome"] == "unchanged"
    assert all(one["cached"] for one in again["steps"] if one["name"] in ("tune", "train"))
    assert again["tuning"]["best"] == result["tuning"]["best"]


def test_a_committed_file_stands_for_the_search(place: Path, result: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "hyperparameters.json"
    shutil.copy(place / "runs" / "digits-lenet5_modern" / "hyperparameters.json", file)
    made = pipeline(
        tmp_path, "run", "--model", "lenet5_modern", "--epochs", "3", "--min-accuracy", "0.2",
        "--hyperparameters", file, "--json",
    ).json  # fmt: skip
    assert made["outcome"] == "pushed"
    assert "tune" not in {one["name"] for one in made["steps"]}
    assert made["training"]["recipe"] == result["training"]["recipe"]
    one, other = (
        keras.models.load_model(root / "models" / "digits-lenet5_modern" / "1" / "model.keras", compile=False)
        for root in (place, tmp_path)
    )
    for weight, same in zip(one.get_weights(), other.get_weights(), strict=True):
        assert (weight == same).all()


@pytest.mark.slow
def test_a_killed_search_goes_on_in_the_line(tmp_path: Path) -> None:
    """kill -9 of the whole line in the middle of the search; the same command repeats no finished trial."""
    words = [sys.executable, "-m", "pipeline", *OPTIONS]
    process = subprocess.Popen(words, cwd=tmp_path, env=_environment(), start_new_session=True)
    state = lambda: list(tmp_path.glob("runs/*/tuning/*/state/oracle.json"))  # noqa: E731
    finished: list[dict[str, Any]] = []
    try:
        end = time.monotonic() + 240
        while not finished and time.monotonic() < end:
            time.sleep(0.3)
            for file in state():
                held = json.loads(file.read_text(encoding="utf-8"))
                finished = [one for one in held["trials"] if one["status"] == "COMPLETED"]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert finished
    ran = pipeline(tmp_path, *OPTIONS, "--json")
    assert ran.code == 0, ran.out + ran.err
    trials = {one["id"]: one for one in ran.json["tuning"]["trials"]}
    for one in finished:
        assert trials[one["trial_id"]]["score"] == one["score"]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.mark.parametrize(("options", "why"), [
    ({"tune": 3, "hyperparameters": "x.json"}, "leave one out"),
    ({"tune": 3, "tune_fix": "widht=1"}, "width"),
    ({"tune": 3, "tune_fix": "width"}, "NAME=VALUE"),
    ({"tune": 3, "tune_range": "lr=1e-1:1e-3"}, "inverted"),
    ({"tune": 3, "tune_range": "lr=a:b"}, "two numbers"),
    ({"tune": 3, "tune_space": "resnt"}, "resnet"),
    ({"tune": 3, "tune_engine": "ahsa"}, "asha"),
    ({"tune": 3, "warm_start": "latest"}, "--warm-start"),
    ({"hyperparameters": "nowhere.json"}, "nowhere.json"),
    ({"tune": 2, "tune_fix": FIXED}, "--tune: every hyperparameter is fixed"),
    ({"tune": 2, "tune_fix": "lr=0.01,lr=0.02"}, "--tune-fix lr is given twice"),
    ({"tune": 2, "tune_range": "lr=1e-3:1e-2,learning_rate=1e-3:1"}, "--tune-range learning_rate is given"),
    ({"tune": 2, "tune_max_parameters": float("inf")},
     "--tune-max-parameters must be above 0 and finite, not inf"),
    ({"tune": 2, "tune_max_parameters": float("nan")},
     "--tune-max-parameters must be above 0 and finite, not nan"),
    ({"tune": 2, "tune_max_macs": 0.5}, "--tune-max-macs must be at least 1, not 0.5"),
    ({"tune": 2, "tune_max_latency": 0.0}, "--tune-max-latency must be above 0 and finite, not 0.0"),
    ({"tune_max_latency": 3.0}, "--tune-max-latency is for a search"),
    ({"tune_fix": "width=1"}, "--tune-fix is for a search; give --tune, too"),
    ({"tune_range": "width=1:2"}, "--tune-range is for a search"),
    ({"tune_workers": 2}, "--tune-workers is for a search"),
    ({"tune_engine": "grid"}, "--tune-engine is for a search"),
    ({"tune_epochs": 3}, "--tune-epochs is for a search"),
    ({"tune_space": "lenet"}, "--tune-space is for a search"),
    ({"tune_fix": "width=1", "hyperparameters": "x.json"}, "--tune-fix is for a search"),
])  # fmt: skip
def test_what_cannot_be_searched_is_refused_in_a_sentence(options: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput) as refused:
        check(Config(model="lenet5_modern", **options))
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("held", "why"), [
    ({"learning_rat": 0.1}, "learning_rate"),
    ({"learning_rate": -7}, "learning_rate=-7 must be finite and above 0"),
    ({"learning_rate": None}, "learning_rate=None is outside"),
    ({"learning_rate": [1]}, "learning_rate=[1] is outside"),
    ({"width": True}, "width=True is outside"),
    ({"family": "resnet"}, "--tune-space resnet"),
    ({"family": ["x"]}, "are of ['x'], not of lenet5_modern"),
    ([1], "it must hold names and their values, not [1]"),
    (None, "it must hold names and their values, not None"),
    ({"values": [1]}, "it must hold names and their values, not [1]"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(held: Any, why: str, tmp_path: Path) -> None:
    file = tmp_path / "hyperparameters.json"
    file.write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        tuned.from_file(Config(model="lenet5_modern", hyperparameters=str(file)))
    assert why in str(refused.value)


def test_kerastuners_own_file_is_taken_too(tmp_path: Path) -> None:
    file = tmp_path / "best_hyperparameters.txt"
    values = {"learning_rate": 0.01, "tuner/epochs": 3}
    file.write_text(json.dumps({"space": [], "values": values}), encoding="utf-8")
    found = tuned.from_file(Config(model="lenet5_modern", hyperparameters=str(file)))
    assert found is not None
    assert found["learning_rate"] == 0.01
    assert found.keys() == spaces.space("lenet5_modern").defaults().keys()


def test_a_search_for_more_configurations_goes_on_and_another_does_not(tmp_path: Path) -> None:
    from pipeline.components.example_gen import FACTS
    from pipeline.tuner import tuner_fn

    facts = {"classes": ["a", "b"], "splits": {"train": {"count": 4}}}
    (tmp_path / FACTS).write_text(json.dumps(facts), encoding="utf-8")

    def folder(**options: Any) -> Path:
        config = Config(model="lenet5_modern", image_size=32, fit="resize", **options)
        wanted = {"config": dataclasses.asdict(config), "channels": 1, "measured": "train", "code": "a",
                  "folder": str(tmp_path / "tuning")}  # fmt: skip
        files = [str(tmp_path / "Split-train" / "data-*.gz")]
        found = tuner_fn(SimpleNamespace(custom_config=wanted, train_files=files, eval_files=files))
        return found.tuner.asked.output

    first = folder(tune=20)
    assert folder(tune=30) == first
    assert folder(tune=20, seed=1) != first
    assert folder(tune=20, tune_fix="width=1") != first


def test_what_a_widened_search_found_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "hyperparameters.json"
    file.write_text(json.dumps({"family": "lenet5_modern", "learning_rate": 0.8, "width": 8}))
    found = tuned.from_file(Config(model="lenet5_modern", hyperparameters=str(file)))
    assert found is not None
    assert (found["learning_rate"], found["width"]) == (0.8, 8.0)


def test_words_of_the_command_line_become_a_space() -> None:
    config = Config(tune=1, tune_space="resnet", tune_fix="width=1, depth=20|32,", tune_range="lr=1e-4:1e-2")
    space = tuned.space_of(config).dimensions
    assert space["width"] == families.Fixed(1.0)
    assert space["depth"] == families.Choice((20, 32), 20)
    assert space["learning_rate"] == families.Range(1e-4, 1e-2, 1e-2, log=True, of="recipe")
    assert tuned.space_of(Config(tune=1, tune_space="resnet")) == spaces.space("resnet")


def test_the_limits_of_a_search_reach_it(tmp_path: Path) -> None:
    limits = {"tune_max_parameters": 3e5, "tune_max_macs": 5e7, "tune_max_latency": 2.5}
    config = Config(model="lenet5_modern", tune=1, tune_epochs=1, **limits)
    asked = tuned.asked(config, None, tmp_path, "")
    assert (asked.max_parameters, asked.max_macs, asked.max_latency) == (3e5, 5e7, 2.5)


def test_a_half_set_worker_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "w1")
    with pytest.raises(BadInput, match="KERASTUNER_ORACLE_IP is not set"):
        check(Config(model="lenet5_modern", tune=2))
    check(Config(model="lenet5_modern"))
