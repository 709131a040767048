"""A training that is killed goes on to the very same end, and says what went wrong where it cannot."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

CHILD = Path(__file__).parent / "training_child.py"
KILLS = 3


def start(recipe: str, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(CHILD), recipe, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=CHILD.parents[1],
    )  # fmt: skip


def result(folder: Path) -> tuple[dict, list[np.ndarray]]:
    with np.load(folder / "weights.npz") as held:
        weights = [held[name] for name in held.files]
    return json.loads((folder / "told.json").read_text()), weights


@pytest.mark.parametrize("recipe", [pytest.param("modern", marks=pytest.mark.slow), "paper"])
def test_a_killed_training_ends_as_an_unbroken_one(recipe: str, tmp_path: Path) -> None:
    """SIGKILL in the middle of the third epoch; then the same command again."""
    whole = start(recipe, tmp_path / "whole")
    whole.communicate(timeout=300)
    assert whole.returncode == 0

    process = start(recipe, tmp_path / "killed")
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["epoch"] == KILLS and event["step"] < event["steps"]:
            process.kill()
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "told.json").exists()

    again = start(recipe, tmp_path / "killed")
    again.communicate(timeout=300)
    assert again.returncode == 0
    (want, weights), (got, others) = result(tmp_path / "whole"), result(tmp_path / "killed")
    assert (want["resumed"], got["resumed"]) == (0, KILLS - 1)
    assert got["rows"] == want["rows"]
    assert got["kept"] == want["kept"]
    assert all(np.array_equal(one, other) for one, other in zip(weights, others, strict=True))


@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    """SIGKILL at random moments, while a state is written too, until it gets through."""
    whole = start("modern", tmp_path / "whole")
    whole.communicate(timeout=300)
    dice = random.Random(3)
    for _ in range(5):
        process = start("modern", tmp_path / "killed")
        assert process.stdout is not None
        process.stdout.readline()  # it trains
        time.sleep(dice.uniform(0, 0.5))
        process.kill()
        process.communicate()
    last = start("modern", tmp_path / "killed")
    last.communicate(timeout=300)
    assert last.returncode == 0
    (want, weights), (got, others) = result(tmp_path / "whole"), result(tmp_path / "killed")
    assert (got["rows"], got["kept"]) == (want["rows"], want["kept"])
    assert all(np.array_equal(one, other) for one, other in zip(weights, others, strict=True))


@pytest.mark.slow
def test_the_same_command_goes_on_after_kill_9(tmp_path: Path) -> None:
    """The whole line: its first process is killed in training, its others end with it."""
    words = [sys.executable, "-m", "pipeline", "run", "--model", "lenet5_modern", "--epochs", "40", "--json"]
    first = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    states = tmp_path / "runs" / "digits-lenet5_modern" / "checkpoints"
    until = time.monotonic() + 300
    while not list(states.glob("*/last-3.weights.h5")) and time.monotonic() < until:
        time.sleep(0.02)
    first.kill()
    first.wait()
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    result = json.loads(again.stdout)
    assert (again.returncode, result["outcome"]) == (0, "pushed")
    assert result["training"]["resumed_after"] >= 2
    assert [row["epoch"] for row in result["training"]["history"]] == list(range(1, 41))
    assert not states.exists(), "a run that is done needs no state"
