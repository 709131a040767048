"""`report`, `runs`, `compare` and `doctor`: what they say, that they say it at once, and what they refuse."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lines import Ran, pipeline

from pipeline import doctor, past


def result(**changes: Any) -> dict[str, Any]:
    return {
        "schema": 1, "name": "cats-lenet5", "outcome": "pushed", "started": "2026-11-24T10:00:00+00:00",
        "seconds": 19.2, "config": {"data": "cats", "epochs": 12, "output": "runs/a"},
        "training": {
            "history": [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 0.5}],
            "recipe": {"optimizer": "adam", "learning_rate": 0.002, "policy": "trivial"},
        },
        "evaluation": {
            "accuracy": 0.98, "interval": [0.96, 0.99], "loss": 0.2, "baseline": {"accuracy": 0.97},
            "per_class": [{"label": "tabby", "accuracy": 0.99}, {"label": "siamese", "accuracy": 0.97}],
        },
        "versions": {"keras": "3.12.4"}, "git": {"revision": "abc", "dirty": False}, **changes,
    }  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Four runs: one that went well, one an hour later and worse, one without a result, and a broken one."""
    later = result(
        started="2026-11-24T11:00:00+00:00", seconds=119.6, outcome="not blessed",
        config={"data": "cats", "epochs": 3, "output": "runs/b"}, git={"revision": "abd", "dirty": True},
        training={**result()["training"],
                  "recipe": {"optimizer": "sgd", "learning_rate": 0.002, "policy": ""}},
        evaluation={**result()["evaluation"], "accuracy": 0.95, "interval": [0.92, 0.965],
                    "per_class": [{"label": "tabby", "accuracy": 0.99}, {"label": "manx", "accuracy": 0.9}]},
    )  # fmt: skip
    for name, text in {"a": json.dumps(result()), "deep/b": json.dumps(later), "broken": "{"}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "result.json").write_text(text)
    (tmp_path / "runs" / "begun").mkdir()
    (tmp_path / "runs" / "begun" / ".lock").touch()
    return tmp_path


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which importing a framework ends the command."""
    folder = tmp_path_factory.mktemp("heavy")
    for name in ("tensorflow", "keras", "tfx", "apache_beam"):
        (folder / f"{name}.py").write_text(f'raise SystemExit("{name} was imported")')
    return {"PYTHONPATH": str(folder)}


def test_runs_are_listed_newest_first(place: Path, light: dict[str, str]) -> None:
    ran = pipeline(place, "runs", TZ="UTC", **light)
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows[0] == ["run", "name", "when", "outcome", "accuracy", "seconds"]
    assert rows[1] == ["runs/deep/b", "cats-lenet5", "2026-11-24", "11:00", "not", "blessed", "0.950", "120"]
    assert rows[2] == ["runs/a", "cats-lenet5", "2026-11-24", "10:00", "pushed", "0.980", "19"]
    assert {tuple(row[:4]) for row in rows[3:]} == {
        ("runs/begun", "—", "—", "unfinished"), ("runs/broken", "—", "—", "unreadable"),
    }  # fmt: skip
    told = json.loads(pipeline(place, "runs", "--json", **light).out)
    assert told[1] == {
        "run": "runs/a", "name": "cats-lenet5", "when": "2026-11-24T10:00:00+00:00", "outcome": "pushed",
        "accuracy": 0.98, "seconds": 19.2,
    }  # fmt: skip
    assert pipeline(place, "runs", "runs/begun").out.split()[6:10] == ["runs/begun", "—", "—", "unfinished"]


def test_a_folder_in_which_only_validate_ran_says_what_came_out(place: Path) -> None:
    kept = result(outcome="refused", seconds=4.0)
    (place / "runs" / "begun" / "validation.json").write_text(json.dumps({**kept, "evaluation": None}))

    def row() -> dict[str, Any]:
        return next(row for row in past.runs(place / "runs") if row["run"].endswith("begun"))

    assert (row()["outcome"], row()["name"], row()["seconds"]) == ("refused", "cats-lenet5", 4.0)
    assert (row()["when"], row()["accuracy"]) == ("2026-11-24T10:00:00+00:00", None)
    log = place / "runs" / "begun" / "log.txt"
    log.touch()
    later = (place / "runs" / "begun" / "validation.json").stat().st_mtime + 1
    os.utime(log, (later, later))
    assert row()["outcome"] == "unfinished", "a run that was killed afterwards"
    (place / "runs" / "begun" / "result.json").write_text(json.dumps(result()))
    assert row()["outcome"] == "pushed"


def test_a_run_at_work_is_said_to_be(place: Path) -> None:
    with (place / "runs" / "begun" / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert {row["run"]: row["outcome"] for row in past.runs(place / "runs")}[
            str(place / "runs" / "begun")
        ] == "running"


def test_only_what_differs_is_compared(place: Path, light: dict[str, str]) -> None:
    ran = pipeline(place, "compare", "a", "runs/deep/b", **light)
    assert (ran.code, ran.err) == (0, "")
    rows = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert rows[0] == "runs/a runs/deep/b change"
    for row in ("epochs 12 3 -9", "optimizer adam sgd", "policy trivial —", "accuracy 0.98 0.95 -0.03",
                "manx — 0.9", "siamese 0.97 —", "git abc abd with changes",
                "seconds 19.2 119.6 +100.4"):  # fmt: skip
        assert row in rows
    for same in ("data cats", "learning_rate", "loss", "tabby", "keras", "baseline"):
        assert not [row for row in rows if row.startswith(same)]
    assert "their difference may be chance" in ran.out, "0.960 to 0.990 and 0.920 to 0.965 overlap"
    told = pipeline(place, "compare", "a", "deep/b", "--json", **light).json
    assert told["options"]["epochs"] == {"a": 12, "b": 3}
    assert told["classes"] == {"siamese": {"a": 0.97, "b": None}, "manx": {"a": None, "b": 0.9}}
    assert pipeline(place, "compare", "a", "a").out == "runs/a and runs/a do not differ\n"


def test_a_long_word_is_cut_where_people_read(place: Path) -> None:
    source = "Krizhevsky et al. 2012, section 5.\nAdam with cosine for SGD at 0.01 and a decay of 5e-4, " * 3
    (place / "runs" / "long").mkdir()
    (place / "runs" / "long" / "result.json").write_text(
        json.dumps(result(training={"recipe": {"optimizer": "adam", "source": source}}))
    )
    ran = pipeline(place, "compare", "a", "long")
    assert (ran.code, ran.err) == (0, "")
    assert "  source   " in ran.out
    assert "   Krizhevsky et al. 2012, section 5. Adam with co…\n" in ran.out
    assert max(map(len, ran.out.splitlines())) < 120
    told = pipeline(place, "compare", "a", "long", "--json").json
    assert told["recipe"]["source"] == {"a": None, "b": source}, "JSON has all of it"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "deep/c"], "deep/c: there is no such run; did you mean deep/b?"),
        (["report", "runs/begun"], "runs/begun holds no result.json; give the folder of a run that ended"),
        (["report", "broken"], "runs/broken: the report cannot be written: "),
        (["report", "a"], "runs/a/result.json is no result of a run (KeyError("),
        (["compare", "a", "broken"], "runs/broken/result.json cannot be read: "),
        (["compare", "a"], "the following arguments are required: B"),
        (["runs", "none"], "none: there is no such folder; `run` makes one below runs"),
    ],
)
def test_what_is_no_run_is_refused_in_one_sentence(place: Path, arguments: list[str], sentence: str) -> None:
    ran = pipeline(place, *arguments)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1), ran.err
    assert sentence in ran.err


def test_a_report_is_written_again(home: Path, main_job: Ran, light: dict[str, str]) -> None:
    report = home / "runs" / "digits-lenet5" / "report.html"
    # Other tests run the job in the same folder, the last one into a full disk, where no report is written.
    assert pipeline(home, "report", "digits-lenet5", **light).code == 0
    before = report.read_text(encoding="utf-8")
    assert "What came out" in before
    report.unlink()
    ran = pipeline(home, "report", "digits-lenet5", **light)
    assert (ran.code, ran.out) == (0, "runs/digits-lenet5/report.html\n"), ran.err
    assert report.read_text(encoding="utf-8") == before


def test_the_main_job_is_among_the_runs(home: Path, main_job: Ran) -> None:
    rows = [row for row in json.loads(pipeline(home, "runs", "--json").out) if row["name"] == "digits-lenet5"]
    assert rows[0]["outcome"] in ("pushed", "unchanged", "not blessed")  # other tests run it again
    assert rows[0]["seconds"] > 0


# ---- doctor


def named(ran: Ran) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in ran.json["findings"]}


def test_doctor_says_what_is_here(tmp_path: Path, light: dict[str, str]) -> None:
    ran = pipeline(tmp_path, "doctor", **light)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "the line can run here"
    found = named(pipeline(tmp_path, "doctor", "--json", **light))
    assert found["lane"]["facts"]["lane"] == ("everywhere" if sys.version_info < (3, 11) else "current")
    assert set(found["packages"]["facts"]) == set(doctor.PACKAGES)
    assert found["CPU"]["facts"]["cores"] >= 1
    assert 0 < found["memory"]["facts"]["free_gb"] <= found["memory"]["facts"]["total_gb"]
    assert found["disk"]["facts"]["free_gb"] == pytest.approx(
        shutil.disk_usage(tmp_path).free / 1024**3, abs=2
    )
    assert found["disk"]["facts"]["folder"] == str(tmp_path)


def test_doctor_knows_every_package_that_the_line_needs() -> None:
    """The list here is what pyproject.toml asks for, the tools that only tests use aside."""
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib
    from packaging.requirements import Requirement

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    asked = {Requirement(line).name for line in project["optional-dependencies"]["pipeline"]}
    looked_at = set(doctor.PACKAGES) | set(doctor.SERVING)
    brought = {"tensorflow-model-analysis", "tensorflow-data-validation", "ml-metadata"}  # by tfx
    assert asked - {"dill", "setuptools", "tomli"} == looked_at - brought


def program(folder: Path, name: str, prints: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_doctor_sees_gpus_and_what_they_lack(tmp_path: Path) -> None:
    program(
        tmp_path, "nvidia-smi", "NVIDIA H100 80GB HBM3, 81559, 570.1\nNVIDIA H100 80GB HBM3, 81559, 570.1"
    )
    found = named(pipeline(tmp_path, "doctor", "--json", PATH=f"{tmp_path}:{os.environ['PATH']}"))["GPUs"]
    assert [one["memory_mb"] for one in found["facts"]] == [81559, 81559]
    assert found["found"] == "NVIDIA H100 80GB HBM3 (80 GB), NVIDIA H100 80GB HBM3 (80 GB), driver 570.1"
    if found["state"] != "ok":  # where the GPU lock is not installed
        assert found["bring"] == "KERAS_CNNS_GPU=1 sh scripts/start true"


def test_doctor_names_what_is_missing_and_what_brings_it(tmp_path: Path) -> None:
    ran = pipeline(tmp_path, "doctor", "--json", PATH=str(tmp_path), CXX="")
    compiler = named(ran)["compiler"]
    assert ran.code == 0, "the line runs without a compiler"
    assert compiler["state"] == "missing"
    assert "g++" in compiler["bring"]
    told = pipeline(tmp_path, "doctor", PATH=str(tmp_path), CXX="").out
    assert "--  compiler  no C++ compiler\n" in told
    assert f"to install pyfarmhash, which has no wheel, when the lock changes: {compiler['bring']}" in told


def test_doctor_answers_where_nothing_is_installed(tmp_path: Path) -> None:
    """A Python without site packages: the line cannot run, and doctor says so instead of a trace."""
    root = Path(doctor.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-S", "-m", "pipeline", "doctor"], capture_output=True, text=True, cwd=root,
        env={"PATH": os.environ["PATH"]}, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert "sh scripts/start true" in done.stdout
    assert done.stdout.splitlines()[-1] == "the line cannot run here: packages"
