"""Options, TOML keys and fields are the same words, and what is written beside a run repeats it."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from lines import Ran, pipeline

import keras_cnns.layers  # noqa: F401  # those that the model is made of
from pipeline.commands import _options
from pipeline.config import Config, kind, load, option_name, to_toml

VALUES: dict[type, list[Any]] = {
    str: ['ä "quoted" \\ name', "", "7", "true", "a\nb\t", "-x"],
    int: [7, 0, 2**31],
    float: [0.125, 1e-9, 3.0],
    bool: [True],
}
EVERY = [(one.name, value) for one in fields(Config) for value in VALUES[kind(one.type)]]


def parsed(*arguments: str) -> Config:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    _options.add_config(parser)
    return _options.config_of(parser.parse_args(arguments))


@pytest.mark.parametrize(("name", "value"), EVERY)
def test_every_option_survives_the_file(tmp_path: Path, name: str, value: Any) -> None:
    config = Config(**{name: value})
    file = tmp_path / "run.toml"
    file.write_text(to_toml(config, {"python": "3"}), encoding="utf-8")
    assert Config(**load(file)) == config
    assert parsed("--config", str(file)) == config


@pytest.mark.parametrize(("name", "value"), EVERY)
def test_every_option_can_be_typed(name: str, value: Any) -> None:
    given = option_name(name) if value is True else f"{option_name(name)}={value}"
    assert parsed(given) == Config(**{name: value})


def test_all_of_them_together_and_options_stand_above_the_file(tmp_path: Path) -> None:
    config = Config(**{one.name: VALUES[kind(one.type)][0] for one in fields(Config)})
    file = tmp_path / "all.toml"
    file.write_text(to_toml(config, {"python": "3"}), encoding="utf-8")
    assert parsed("--config", str(file)) == config
    assert parsed("--config", str(file), "--seed", "9") == dataclasses.replace(config, seed=9)


def test_whole_numbers_of_shares_stay_shares(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("max_drop = 1\n")
    assert Config(**load(file)).max_drop == 1


def test_what_lies_beside_the_run_is_all_of_its_options(home: Path, main_job: Ran) -> None:
    file = home / "runs" / "digits-lenet5" / "run.toml"
    before = file.read_text(encoding="utf-8")
    config = Config(**load(file))
    unset = {one.name for one in fields(Config) if getattr(config, one.name) is None}
    assert not unset & {"epochs", "batch_size", "learning_rate", "image_size", "fit", "min_accuracy", "name"}
    ran = pipeline(home, "run", "--config", file)
    assert ran.code in (0, 1), ran.err  # other tests change what is blessed meanwhile
    assert file.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_the_file_alone_makes_the_same_model_somewhere_else(
    home: Path, main_job: Ran, tmp_path: Path
) -> None:
    """Nothing from a cache: another folder, a new process, and the very same weights."""
    file = tmp_path / "run.toml"
    shutil.copy(home / "runs" / "digits-lenet5" / "run.toml", file)
    made = pipeline(tmp_path, "run", "--config", file, "--json").json
    assert made["outcome"] == "pushed"
    assert {step["cached"] for step in made["steps"]} == {False}
    one, other = (
        keras.models.load_model(place / "models" / "digits-lenet5" / "1" / "model.keras", compile=False)
        for place in (home, tmp_path)
    )
    assert len(one.weights) == 13
    for weight, same in zip(one.weights, other.weights, strict=True):
        assert np.array_equal(weight.numpy(), same.numpy()), weight.path
