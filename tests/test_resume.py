"""A training that is killed goes on to the very same end, and says what went wrong where it cannot."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
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


@pytest.mark.parametrize("recipe", ["modern", "paper"])
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
