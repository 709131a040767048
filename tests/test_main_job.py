"""The main job end to end: what it prints, what it leaves, and what the next run makes of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lines import Ran, cached, pipeline

STEPS = [
    "examples", "statistics", "schema", "validate", "gate", "train", "evaluate", "serving check", "push",
]  # fmt: skip
ROOT = Path(__file__).parents[1]


def result_of(home: Path, name: str = "digits-lenet5") -> dict:
    return json.loads((home / "runs" / name / "result.json").read_text(encoding="utf-8"))


def versions(home: Path) -> list[str]:
    """What a server finds there, besides the file that says which one to take."""
    return sorted({path.name for path in (home / "models" / "digits-lenet5").iterdir()} - {"latest.json"})


def test_prints_a_line_for_each_step_and_nothing_else(main_job: Ran) -> None:
    header, *steps, outcome, following = main_job.out.splitlines()
    assert header == "digits · 1,797 images · 10 classes · lenet5 · runs/digits-lenet5"
    assert [line[:19].rstrip() for line in steps] == [
        f" {number}/9  {name}" for number, name in enumerate(STEPS, start=1)
    ]
    assert "1,437 train · 360 test" in steps[0]
    assert re.search(r"epoch 12/12 · accuracy 0\.\d{3} +\d+\.\d s$", steps[5])
    assert re.search(r"accuracy 0\.\d{3} \[0\.\d{3}–[01]\.\d{3}\] ≥ 0\.950 · worst: \d ", steps[6])
    assert "3 signatures · equal to the trained model" in steps[7]
    assert "models/digits-lenet5/1" in steps[8]
    assert re.match(r"blessed and pushed in \d+ s +report runs/digits-lenet5/report\.html$", outcome)
    assert following.startswith("next: ")
    assert main_job.err == ""


def test_the_next_command_works_as_printed(home: Path, main_job: Ran) -> None:
    command = main_job.out.splitlines()[-1].removeprefix("next: ")
    done = subprocess.run(command, shell=True, cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    picture = shlex.split(command)[-1]
    label = Path(picture).name.split("-")[0]
    assert re.match(rf"{re.escape(picture)} +{label} [01]\.\d{{3}} ", done.stdout)


def test_leaves_one_readable_folder_and_a_pushed_model(home: Path, main_job: Ran) -> None:
    assert {path.name for path in home.iterdir()} == {"runs", "models"}
    run = home / "runs" / "digits-lenet5"
    assert {path.name for path in run.iterdir() if not path.name.startswith(".")} >= {
        "run.toml", "result.json", "report.html", "log.txt", "metadata.db", "tfx", "samples", "mistakes",
    }  # fmt: skip
    version = home / "models" / "digits-lenet5" / "1"
    assert {path.name for path in version.iterdir()} >= {
        "saved_model.pb", "variables", "model.keras", "labels.txt", "recipe.json",
    }  # fmt: skip
    assert (version / "labels.txt").read_text().split() == list("0123456789")
    assert json.loads((version / "recipe.json").read_text())["model"] == "lenet5"
    assert not [path for path in version.parent.iterdir() if path.name.startswith(".")]


def test_the_result_agrees_with_itself(home: Path, main_job: Ran) -> None:
    result = result_of(home)
    found = result["evaluation"]
    confusion = found["confusion"]
    assert sum(map(sum, confusion)) == found["count"] == 360
    assert sum(confusion[i][i] for i in range(10)) / 360 == pytest.approx(found["accuracy"], abs=1e-6)
    assert [sum(row) for row in confusion] == result["dataset"]["splits"]["test"]["per_class"]
    assert found["accuracy"] >= found["threshold"] == 0.95
    assert found["baseline"] is None
    assert result["training"]["history"][-1]["val_accuracy"] == pytest.approx(found["accuracy"], abs=0.004)
    assert len(result["training"]["history"]) == 12
    assert result["serving"]["importable"] == []
    assert result["serving"]["max_difference"] < 1e-5
    assert all((home / "runs" / "digits-lenet5" / one["file"]).is_file() for one in found["mistakes"])


def test_a_second_run_is_served_from_the_cache_and_says_so(home: Path, main_job: Ran) -> None:
    again = pipeline(home, "run", "--config", "runs/digits-lenet5/run.toml")
    assert again.code == 0, again.err
    lines = again.out.splitlines()
    assert all(line.endswith(" cached") for line in lines[1:9])
    assert "models/digits-lenet5/1 is this model" in lines[9]
    assert lines[10].startswith("nothing changed: every step came from the cache")
    assert versions(home) == ["1"]
    assert result_of(home)["outcome"] == "unchanged"


def test_changed_model_code_is_not_served_from_the_cache(home: Path, main_job: Ran, tmp_path: Path) -> None:
    for package in ("keras_cnns", "pipeline"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    same = pipeline(home, "run", "--json", PYTHONPATH=str(tmp_path)).json
    assert same["outcome"] == "unchanged", "the code lies elsewhere, and is the same"
    with (tmp_path / "keras_cnns" / "lenet.py").open("a") as file:
        file.write("\n# changed\n")
    changed = pipeline(home, "run", "--json", PYTHONPATH=str(tmp_path)).json
    assert cached(changed) == {"examples", "statistics", "schema", "validate", "gate"}
    assert changed["outcome"] == "pushed"
    assert changed["evaluation"]["baseline"]["version"] == "models/digits-lenet5/1"
    assert changed["evaluation"]["baseline"]["accuracy"] == pytest.approx(changed["evaluation"]["accuracy"])


def test_a_model_that_misses_its_threshold_is_not_pushed(home: Path, main_job: Ran) -> None:
    before = versions(home)
    ran = pipeline(home, "run", "--epochs", 1, "--min-accuracy", 0.999)
    assert ran.code == 1
    assert re.search(
        r"^not blessed: accuracy 0\.\d{3} is below --min-accuracy 0\.999; nothing was pushed", ran.out, re.M
    )
    result = result_of(home)
    assert result["outcome"] == "not blessed"
    assert result["pushed"] is None
    assert cached(result) == {"examples", "statistics", "schema", "validate", "gate"}
    assert versions(home) == before
    assert "not blessed" in (home / "runs" / "digits-lenet5" / "report.html").read_text(encoding="utf-8")


def test_a_worse_model_than_the_last_blessed_one_is_not_pushed(home: Path, main_job: Ran) -> None:
    before = versions(home)
    ran = pipeline(home, "run", "--epochs", 1, "--min-accuracy", 0.05, "--json")
    assert ran.code == 1
    assert "is below the last blessed model's" in ran.json["sentence"]
    assert ran.json["evaluation"]["baseline"]["version"] == f"models/digits-lenet5/{max(before)}"
    assert versions(home) == before


@pytest.mark.slow
def test_a_model_from_the_cache_is_compared_with_what_was_blessed_meanwhile(
    home: Path, main_job: Ran
) -> None:
    poor = ("run", "--epochs", 1, "--min-accuracy", 0, "--json")
    assert pipeline(home, *poor, "--max-drop", 1).json["outcome"] == "pushed"
    good = pipeline(home, "run", "--json").json
    assert "train" in cached(good)
    assert good["outcome"] == "pushed", "the good model replaces the poor one, though it was trained before"
    before = versions(home)
    again = pipeline(home, *poor)
    assert "train" in cached(again.json)
    assert (again.code, again.json["outcome"]) == (1, "not blessed")
    assert versions(home) == before


def test_a_disk_that_fills_up_during_the_push_leaves_nothing(home: Path, main_job: Ran) -> None:
    """Of the model; the run's own folder tells of this run, and no more of the one before."""
    small = home / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        small.rmdir()
        pytest.skip("mounting a small tmpfs needs root")
    run = home / "runs" / "digits-lenet5"
    before = {name: (run / name).read_bytes() for name in ("result.json", "run.toml", "report.html")}
    try:
        ran = pipeline(home, "run", "--models", "small")
        assert ran.code == 2
        sentence = r"push failed after \d+ s: --models .*small.*: the disk is full; nothing was pushed"
        assert re.match(sentence, ran.out.splitlines()[-3]), ran.out
        result = result_of(home)
        assert (result["outcome"], result["pushed"]) == ("failed", None)
        assert re.match(sentence, result["sentence"])
        assert [step["name"] for step in result["steps"] if step["state"] != "done"] == ["push"]
        assert result["evaluation"]["blessed"] is True, "what was learned until then"
        report = (run / "report.html").read_text(encoding="utf-8")
        assert "the disk is full; nothing was pushed" in report
        kept = result_of(home)
        refused = pipeline(home, "run", "--models", "small", "--max-bad-images", -1)
        assert (refused.code, result_of(home)) == (2, kept), "what cannot begin leaves the folder as it was"
        assert "Traceback" not in ran.out + ran.err
        assert list(small.rglob("*.pb")) == []
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
        small.rmdir()
        for name, text in before.items():  # other tests look at the run
            (run / name).write_bytes(text)


def test_ctrl_c_leaves_a_folder_that_the_next_run_goes_on_from(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "pipeline", "run", "--epochs", "40", "--min-accuracy", "0.5",
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # CI may ignore it
    )
    states = tmp_path / "runs" / "digits-lenet5" / "checkpoints"
    deadline = time.monotonic() + 300
    while not list(states.glob("*/state.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert re.search(r"^interrupted in train after \d+ s; the same command goes on from there", out, re.M)
    assert "Traceback" not in out + err
    assert not (tmp_path / "models").exists()
    time.sleep(1)
    places = [str(cwd.readlink()) for cwd in Path("/proc").glob("[0-9]*/cwd") if os.access(cwd, os.R_OK)]
    assert places, "this test can see processes"
    assert str(tmp_path) not in places, "no process of the run is left"
    again = pipeline(tmp_path, *command[3:], "--json")
    assert again.code == 0, again.err
    assert cached(again.json) == {"examples", "statistics", "schema", "validate", "gate"}
    training = again.json["training"]
    assert 1 <= training["resumed_after"] < 40, "training went on from the state that was left"
    assert [row["epoch"] for row in training["history"]] == list(range(1, 41))
