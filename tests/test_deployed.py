"""The compiled pipeline as one machine runs it: every container command, end to end, to a pushed model."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import deployed
import pytest
from deployed import PLAIN, ROOT, compiled, epochs, refused, script
from lines import Ran
from searching import family, until, words

from cluster import lines, told
from pipeline.components.example_gen import FACTS

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


def logs(place: Path, run: str) -> str:
    return "".join(one.read_text()[-1500:] for one in (place / "work" / "runs" / run).glob("*/log.txt"))


def result(volume: Path, run: str, model: str = MODEL) -> dict[str, Any]:
    return json.loads((volume / model / "runs" / run / "result.json").read_text(encoding="utf-8"))


def states(volume: Path, run: str) -> dict[str, str]:
    return deployed.states(volume / "metadata.db", run)


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


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> tuple[Path, Ran]:
    """A run whose gate refuses the data, since the schema does not know one of the three classes."""
    folder = tmp_path_factory.mktemp("stopped")
    data = folder / "work" / "volumes" / "keras-cnns" / "data" / "stripes"
    shutil.copytree(photos, data)
    (folder / "two.pbtxt").write_text(
        'feature { name: "label_text" type: BYTES string_domain { value: "across" value: "down" } }'
    )
    line = f'data = "{data}"\nmodel = "lenet5"\nschema = "two.pbtxt"\n'
    given = 'data = "/mnt/keras-cnns/data/stripes"\nnodes.Gate = {retries = 0}\n'
    made = compiled(folder, line + TABLE + given)
    assert made.code == 0, made.err
    return folder, local(folder, "stopped")


def test_a_step_that_fails_stops_what_follows_it(stopped: tuple[Path, Ran]) -> None:
    folder, ran = stopped
    assert ran.code == 1, ran.out + ran.err
    assert "failed: gate · 5 of 11 tasks" in ran.out
    assert "not run: trainer, baseline, evaluator, serving-check, pusher (behind gate)" in ran.out
    volume = folder / "work" / "volumes" / "keras-cnns"
    before = ("ImageExampleGen", "StatisticsGen", "BaselineStatistics", "SchemaGen", "ExampleValidator")
    assert states(volume, "stopped") == {**dict.fromkeys(before, "complete"), "Gate": "failed"}
    found = result(volume, "stopped", "stripes-lenet5")
    assert found["outcome"] == "refused"
    assert "new class plain" in found["sentence"]
    assert not (volume / "models").exists()


def test_a_run_is_not_taken_up_with_data_that_has_changed(stopped: tuple[Path, Ran]) -> None:
    """TFX would take the examples of the old data for those of the new."""
    folder, _ = stopped
    picture = next((folder / "work/volumes/keras-cnns/data/stripes/down").glob("*.png"))
    shutil.copy(picture, picture.with_name("another.png"))
    ran = node(folder, "ImageExampleGen", "--run-id", "stopped")
    assert (ran.code, ran.out) == (2, "")
    *_, sentence = ran.err.splitlines()
    assert "--run-id stopped: the run was begun with other data than " in sentence
    assert "a new run needs another run_id, or none" in sentence
    assert "Traceback" not in ran.err


def test_examples_that_are_gone_are_one_sentence(stopped: tuple[Path, Ran]) -> None:
    folder, _ = stopped
    [facts] = folder.glob(f"work/volumes/keras-cnns/stripes-lenet5/tfx/ImageExampleGen/examples/*/{FACTS}")
    away = facts.rename(facts.with_name("away"))
    try:
        ran = node(folder, "ImageExampleGen", "--run-id", "stopped")
    finally:
        away.rename(facts)
    assert ran.code == 1
    *_, sentence = ran.err.splitlines()
    assert sentence.startswith("ImageExampleGen failed: ")
    assert FACTS in sentence


@pytest.mark.slow
def test_a_training_that_fails_is_tried_again(place: Path, volume: Path) -> None:
    """Its loss is no number, each time."""
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
    ran = node(place, "ImageExampleGen", "--run-id", "first", "--summary", place / "summary.md")
    assert ran.code == 0, ran.out + ran.err
    assert states(volume, "first") == before
    assert "| state | complete |" in (place / "summary.md").read_text()


def test_a_run_is_not_taken_up_with_other_parameters(place: Path, volume: Path) -> None:
    """TFX would take its Trainer, of 2 epochs, for complete."""
    before = states(volume, "first")
    sentence = refused(node(place, "Trainer", "--run-id", "first", "--param", "epochs=9"))
    assert "--run-id first: the run was begun with epochs=2, not 9; a new run needs another" in sentence
    assert states(volume, "first") == before


def test_a_run_is_not_taken_up_with_another_line(place: Path, volume: Path, tmp_path: Path) -> None:
    text = (place / "pipeline.ir.json").read_text(encoding="utf-8")
    (tmp_path / "line.json").write_text(text.replace('"min_accuracy": 0.2', '"min_accuracy": 0.9'))
    sentence = refused(
        node(place, "Trainer", "--run-id", "first", "--ir", tmp_path / "line.json", root=volume)
    )
    assert "the run was begun with another compiled line (IR " in sentence


EACH = """\
import sys
import node
for name in sys.argv[1].split(","):
    code = node.main(["--node", name, *sys.argv[2:]])
    assert code == 0, name
"""


def test_a_model_that_is_not_blessed_is_not_pushed_and_the_last_step_says_why(
    volume: Path, second: object, tmp_path: Path
) -> None:
    """Nothing fails, as with TFX on any orchestrator."""
    pushed = sorted((volume / "models" / MODEL).iterdir())
    assert compiled(tmp_path, PLAIN.replace("0.2", "1.0") + TABLE).code == 0
    names = ",".join(name for name in lines.NODES if name != "Tuner")
    place, summary = tmp_path / "model-uri", tmp_path / "summary.md"
    ran = subprocess.run(
        [sys.executable, "-c", EACH, names, "--root", volume, "--ir", tmp_path / "pipeline.ir.json", "--mlmd",
         "sqlite:metadata.db", "--run-id", "strict", "--model-uri", place, "--summary", summary],
        cwd=ROOT / "kubeflow", capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert states(volume, "strict")["Pusher"] == "complete"
    *_, last = ran.stdout.splitlines()
    assert re.fullmatch(
        r"Pusher complete in [\d.]+ s: not blessed: accuracy 0\.\d+ is below --min-accuracy 1.000; "
        "nothing was pushed", last,
    )  # fmt: skip
    assert "is below --min-accuracy 1.000; nothing was pushed" in summary.read_text()
    assert place.read_text() == ""
    assert sorted((volume / "models" / MODEL).iterdir()) == pushed


def test_kfp_gets_no_metrics_that_its_launcher_refuses(tmp_path: Path) -> None:
    """Its JSON has neither NaN nor infinities; a step that is complete would fail."""
    file = tmp_path / "executor_output.json"
    given = {"outputs": {
        "outputFile": str(file), "artifacts": {"metrics": {"artifacts": [{"name": "metrics", "uri": "/m"}]}},
    }}  # fmt: skip
    told.executor_output(
        json.dumps(given), {"accuracy": 0.5, "loss": math.nan, "val_loss": math.inf, "more": -math.inf}
    )
    [one] = json.loads(file.read_text())["artifacts"]["metrics"]["artifacts"]
    assert one["metadata"] == {"accuracy": 0.5}


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
