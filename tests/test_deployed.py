"""The compiled pipeline as one machine runs it: every container command, end to end, to a pushed model."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from deployed import PLAIN, ROOT, compiled, refused, script
from lines import Ran
from searching import family, until, words

pytestmark = pytest.mark.xdist_group("deployed")

TABLE = """
[kubeflow]
mlmd = "sqlite:metadata.db"
every_node = {backoff = "1s"}
"""
MODEL = "digits-lenet5"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployed")
    ran = compiled(folder, PLAIN + TABLE)
    assert ran.code == 0, ran.err
    return folder


def local(place: Path, run: str, *arguments: object) -> Ran:
    return script("run_local", place, "pipeline.yaml", "--work", "work", "--run-id", run, *arguments)


@pytest.fixture(scope="module")
def first(place: Path) -> Ran:
    ran = local(place, "first")
    assert ran.code == 0, ran.out + ran.err + logs(place, "first")
    return ran


@pytest.fixture(scope="module")
def volume(place: Path, first: Ran) -> Path:
    return place / "work" / "volumes" / "keras-cnns"


@pytest.fixture(scope="module")
def second(place: Path, volume: Path) -> tuple[Ran, dict[str, Any]]:
    """Another run with more epochs, whose Trainer is killed in the middle; with what was seen then."""
    seen: dict[str, Any] = {}

    def kill() -> None:
        checkpoints = volume / MODEL / "checkpoints"

        def reached() -> list[Path]:
            return [one for one in checkpoints.glob("*/state.json") if epochs(one) in range(1, 30)]

        state = until(reached, 300, 0.02)[0]
        victim = until(lambda: [one for one in family(os.getpid()) if "--node Trainer" in words(one)], 10)[-1]
        seen.update(epochs=epochs(state), victim=victim)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    ran = local(place, "second", "--param", "epochs=30")
    killer.join()
    assert ran.code == 0, ran.out + ran.err + logs(place, "second")
    return ran, seen


def epochs(state: Path) -> int:
    try:
        return len(json.loads(state.read_text(encoding="utf-8"))["rows"])
    except (OSError, ValueError, KeyError):
        return 0


def logs(place: Path, run: str) -> str:
    return "".join(one.read_text()[-1500:] for one in (place / "work" / "runs" / run).glob("*/log.txt"))


def result(volume: Path, run: str) -> dict[str, Any]:
    return json.loads((volume / MODEL / "runs" / run / "result.json").read_text(encoding="utf-8"))


def states(volume: Path, run: str) -> dict[str, str]:
    """From the metadata store: each node's executions in a run."""
    names = {3: "complete", 4: "failed", 5: "cached", 2: "running"}
    with sqlite3.connect(volume / "metadata.db") as store:
        rows = store.execute(
            "select n.name, e.last_known_state from Execution e "
            "join Association a on a.execution_id = e.id join Context r on r.id = a.context_id "
            "join Association b on b.execution_id = e.id join Context n on n.id = b.context_id "
            "join Type t on t.id = n.type_id "
            "where r.name = ? and t.name = 'node'", [run],
        ).fetchall()  # fmt: skip
    assert len(rows) == len({name for name, _ in rows}), "a retried step made another execution"
    return {name.rpartition(".")[2]: names[state] for name, state in rows}


def test_every_step_runs_to_a_pushed_model(first: Ran, volume: Path) -> None:
    assert states(volume, "first") == dict.fromkeys(
        ("ImageExampleGen", "StatisticsGen", "BaselineStatistics", "SchemaGen", "ExampleValidator", "Gate",
         "Trainer", "Baseline", "Evaluator", "ServingCheck", "Pusher"), "complete",
    )  # fmt: skip
    assert sorted(one.name for one in (volume / "models" / MODEL).iterdir()) == ["1", "latest.json"]
    assert f"{volume}/models/{MODEL}/1" in first.out
    assert "11 of 11" in first.out
    latest = json.loads((volume / "models" / MODEL / "latest.json").read_text(encoding="utf-8"))
    assert latest["run"] in {f"{volume}/{MODEL}/runs/{run}" for run in ("first", "second")}


def test_predict_loads_what_it_pushed(place: Path, volume: Path) -> None:
    from lines import pipeline

    picture = next((volume / MODEL / "runs" / "first" / "samples").iterdir())
    ran = pipeline(place, "predict", volume / "models" / MODEL, picture, "--json")
    assert ran.code == 0, ran.err
    [answer] = ran.json
    assert answer["label"] in set("0123456789")


def test_the_report_is_the_local_runs(volume: Path, first: Ran) -> None:
    found = result(volume, "first")
    assert found["outcome"] == "pushed"
    assert [step["name"] for step in found["steps"]] == [
        "examples", "statistics", "schema", "validate", "gate", "train", "evaluate", "serving check", "push"
    ]  # fmt: skip
    assert {step["state"] for step in found["steps"]} == {"done"}
    assert found["evaluation"]["accuracy"] > 0.2
    assert found["versions"]["tfx"]
    page = (volume / MODEL / "runs" / "first" / "report.html").read_text(encoding="utf-8")
    assert "blessed and pushed" in page
    assert "Kubeflow Pipelines, run first" in page


def test_kfp_gets_summaries_metrics_the_report_and_the_models_place(place: Path, volume: Path) -> None:
    runs = place / "work" / "runs" / "first"
    summaries = list(runs.glob("*/**/summary"))
    assert len(summaries) == 11
    assert all(one.read_text().startswith("## ") for one in summaries)
    [page] = runs.glob("pusher/**/report")
    assert page.read_text() == (volume / MODEL / "runs" / "first" / "report.html").read_text()
    said = {
        task: json.loads(next(runs.glob(f"{task}/**/*output*.json")).read_text())["artifacts"]["metrics"]
        for task in ("trainer", "evaluator")
    }
    trained = said["trainer"]["artifacts"][0]["metadata"]
    found = result(volume, "first")
    assert trained["accuracy"] == found["training"]["history"][-1]["accuracy"]
    judged = said["evaluator"]["artifacts"][0]["metadata"]
    assert judged["accuracy"] == found["evaluation"]["accuracy"]
    assert judged["blessed"] == 1


def test_a_killed_step_is_retried_and_nothing_is_lost_or_repeated(
    volume: Path, second: tuple[Ran, dict[str, Any]]
) -> None:
    ran, seen = second
    assert seen["epochs"] >= 1
    found = result(volume, "second")
    history = found["training"]["history"]
    assert [row["epoch"] for row in history] == list(range(1, 31))
    assert found["training"]["resumed_after"] >= seen["epochs"]
    assert "killed" in ran.out, ran.out
    assert states(volume, "second")["Trainer"] == "complete"


def test_what_did_not_change_comes_from_tfxs_cache(volume: Path, second: tuple[Ran, dict[str, Any]]) -> None:
    found = states(volume, "second")
    assert {name for name, state in found.items() if state == "cached"} == {
        "ImageExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Gate"
    }  # fmt: skip
    assert {found[name] for name in ("Trainer", "Evaluator", "ServingCheck", "Pusher")} == {"complete"}
    assert sorted(one.name for one in (volume / "models" / MODEL).iterdir()) == ["1", "2", "latest.json"]
    assert result(volume, "second")["evaluation"]["baseline"]["version"].endswith(f"{MODEL}/1")


def test_a_run_that_is_done_is_told_again_and_not_done_again(
    place: Path, volume: Path, second: object
) -> None:
    before = states(volume, "second"), result(volume, "second")
    ran = local(place, "second", "--param", "epochs=30")
    assert ran.code == 0, ran.out + ran.err
    assert "starts" not in ran.out
    assert (states(volume, "second"), result(volume, "second")) == before


@pytest.mark.slow
def test_a_step_that_fails_stops_what_follows_it(place: Path, volume: Path) -> None:
    """A training whose loss is no number, each time that it is tried."""
    ran = local(place, "fourth", "--param", "learning_rate=10000000")
    assert ran.code == 1, ran.out + ran.err
    assert "failed: trainer" in ran.out
    assert "not run: baseline, evaluator, serving-check, pusher (behind trainer)" in ran.out
    found = states(volume, "fourth")
    assert found["Trainer"] == "failed"
    assert not {"Baseline", "Evaluator", "ServingCheck", "Pusher"} & set(found)
    told = result(volume, "fourth")
    assert told["outcome"] == "failed"
    assert "the loss is no longer a number" in told["sentence"]
    assert (place / "work/runs/fourth/trainer/log.txt").read_text().count("Trainer of run fourth") == 3


def node(place: Path, name: str, *arguments: object, root: Path | None = None) -> Ran:
    """A step by hand, as `kubeflow/manifests/step.yaml` runs one."""
    beside = place / "work" / "volumes" / "keras-cnns" if root is None else root
    return script(
        "node", place, "--node", name, "--root", beside, "--ir", place / "pipeline.ir.json", "--mlmd",
        "sqlite:metadata.db", *arguments,
    )  # fmt: skip


def test_a_step_whose_inputs_are_not_there_fails(place: Path, volume: Path) -> None:
    """TFX's launcher returns normally then."""
    ran = node(place, "Evaluator", "--run-id", "third")
    assert ran.code == 1, ran.out + ran.err
    assert "Evaluator failed: " in ran.err
    assert "Traceback" not in ran.err.rpartition("Evaluator failed")[2]


def test_a_step_that_was_done_is_told_again(place: Path, volume: Path, second: object) -> None:
    """The pod that did it may have died before it could say so."""
    before = states(volume, "first")
    ran = node(place, "SchemaGen", "--run-id", "first", "--summary", place / "summary.md")
    assert ran.code == 0, ran.out + ran.err
    assert states(volume, "first") == before
    assert "| state | complete |" in (place / "summary.md").read_text()


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("Trainr", ["--run-id", "x"], "node='Trainr' is not known. Did you mean 'Trainer'?"),
        ("Trainer", [], "--run-id must be one word without /, not ''"),
        ("Trainer", ["--run-id", "../x"], "--run-id must be one word without /"),
        ("Trainer", ["--run-id", "x", "--param", "epochs"], "--param epochs: write NAME=VALUE"),
        ("Trainer", ["--run-id", "x", "--param", "epoch=3"], "Did you mean 'epochs'?"),
        ("Trainer", ["--run-id", "x", "--param", "epochs=many"], "epochs must be a whole number, not 'many'"),
        ("Trainer", ["--run-id", "x", "--param", "epochs=2.5"], "epochs must be a whole number, not '2.5'"),
        ("Trainer", ["--run-id", "x", "--param", "epochs=0"], "--epochs must be at least 1, not 0"),
        ("Trainer", ["--run-id", "x", "--param", "accept=nothing"], "nothing"),
        ("Trainer", ["--run-id", "x", "--ir", "none.json"], "there is no such file"),
        ("Trainer", ["--run-id", "x", "--executor-input", "no"], "--executor-input must be JSON, not 'no'"),
        ("Trainer", ["--run-id", "x", "--mlmd", "sqlite:/proc/x/y.db"], "cannot be made"),
        ("Trainer", ["--runid", "x"], "python kubeflow/node.py: "),
        ("Trainer", ["--run-id", "x", "--mlmd", "redis:x"], "must begin with sqlite:, mysql: or grpc:"),
        (
            "Trainer", ["--run-id", "x", "--mlmd", "mysql://me@127.0.0.1:1/db", "--patience", "0"],
            "--mlmd mysql://127.0.0.1:1/db cannot be reached: Connection refused; is the store running?",
        ),
        (
            "Trainer", ["--run-id", "x", "--mlmd", "grpc://127.0.0.1:1", "--patience", "0"],
            "--mlmd grpc://127.0.0.1:1 cannot be reached: Connection refused",
        ),
    ],
)  # fmt: skip
def test_a_wrong_call_of_a_step_is_refused(
    place: Path, tmp_path: Path, name: str, arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(node(place, name, *arguments, root=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_line_that_was_cut_off_is_refused(place: Path, tmp_path: Path) -> None:
    from cluster import bundle as bundles

    text = (place / "pipeline.ir.json").read_text(encoding="utf-8")
    file = tmp_path / f"{bundles.digest(text)}.json"
    file.write_text(text.replace('"epochs": 2', '"epochs": 3'), encoding="utf-8")
    ran = node(place, "Trainer", "--run-id", "x", "--ir", file, root=tmp_path)
    assert "its content is not what its name says" in refused(ran)


def test_data_that_has_other_classes_now_is_refused(place: Path, tmp_path: Path) -> None:
    held = json.loads((place / "pipeline.ir.json").read_text(encoding="utf-8"))
    held["dataset"]["classes"] = held["dataset"]["classes"][:9]
    (tmp_path / "line.json").write_text(json.dumps(held), encoding="utf-8")
    ran = node(place, "ImageExampleGen", "--run-id", "x", "--ir", tmp_path / "line.json", root=tmp_path)
    assert "its classes were 0, 1, 2, 3, 4, 5, 6, 7, 8 when it was compiled" in refused(ran)


def test_help_answers_at_once() -> None:
    for name in ("compile", "node", "run_local", "submit", "tuner_job", "tuner_pod"):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(ROOT / "kubeflow" / f"{name}.py"), "--help"], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert "usage: python kubeflow/" in done.stdout
        assert "tensorflow" not in done.stderr.lower()
        assert time.monotonic() - began < 10
