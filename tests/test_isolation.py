"""Who may hold a GPU, and that the training has given its memory back before the evaluation begins."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import run, sources
from pipeline.config import Config

GPUS = "CUDA_VISIBLE_DEVICES"


def processes(folder: Path) -> dict[str, dict[str, str]]:
    """The command lines of all processes that work in a folder, and the environment that each was given."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if (place / "cwd").readlink() == folder:
                words = (place / "environ").read_bytes().decode().split("\0")
                pairs = dict(word.partition("=")[::2] for word in words)
                found[(place / "cmdline").read_bytes().decode().replace("\0", " ")] = pairs
    return found


def test_only_the_training_sees_a_gpu_and_it_has_ended_before_the_evaluation(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", "--epochs", "1", "--min-accuracy", "0"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={**os.environ, GPUS: "7"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        seen = {line[6:20].strip(): processes(tmp_path) for line in process.stdout}
    assert process.returncode == 0

    def gpus(step: str, word: str) -> list[str]:
        return [env[GPUS] for command, env in seen[step].items() if word in command]

    assert gpus("gate", "pipeline.worker") == ["7"]
    assert gpus("gate", "serving_probe") == [""]
    assert gpus("train", "pipeline.worker") == [], "its process, and all its memory, is gone"
    assert gpus("train", "pipeline.line"), "while the line goes on"


@pytest.mark.parametrize("before", [None, "0,1"])
def test_a_look_at_the_data_sees_no_gpu_and_hides_none_from_the_training(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(GPUS, raising=False)
    if before is not None:
        monkeypatch.setenv(GPUS, before)
    meanwhile = []
    real = sources.inspect
    monkeypatch.setattr(
        sources, "inspect", lambda config: (meanwhile.append(os.environ[GPUS]), real(config))[1]
    )
    assert run.inspect(Config()).images == 1797
    assert (meanwhile, os.environ.get(GPUS)) == ([""], before)
