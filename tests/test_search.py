"""Small real searches through the command line, and what kills, limits and changes do to them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from lines import Ran
from searching import begun, family, resident, result, state, tuning, until, words

# All searches here learn digits within an epoch or two, so that scores differ.
SMALL = (
    "search", "lenet5", "--fix", "optimizer=adam", "--range", "lr=1e-3:5e-3", "--fix", "augmentation=0",
    "--fix", "schedule=cosine", "--output", "s",
)  # fmt: skip
WHOLE = (*SMALL, "--epochs", "2", "--trials", "3", "--keep", "1")


def finished(folder: Path) -> dict[str, Any]:
    """The trials that ended, with what must never change about them."""
    told = state(folder)
    trials = {one["trial_id"]: one for one in told.get("trials", ())}
    return {
        name: (trials[name]["score"], trials[name]["hyperparameters"]["values"])
        for name in told.get("end_order", ())
    }


def epochs_on_disk(folder: Path) -> dict[str, int]:
    """Trials with a checkpoint, and after which epoch."""
    found = {}
    for file in folder.glob("trials/*/checkpoints/state.json"):
        try:
            found[file.parents[1].name] = len(json.loads(file.read_text())["rows"])
        except (OSError, ValueError, KeyError):  # is written at this moment
            continue
    return found


def under_way(folder: Path) -> list[str]:
    return list(state(folder).get("ongoing_trials", {}).values())


def trial_processes(pid: int) -> set[int]:
    return {one for one in family(pid) if "tuning.trial" in words(one)}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="session")
def small_search(place: Path) -> Ran:
    """One search, shared by all tests that look at what it leaves."""
    return tuning(place, *WHOLE)


@pytest.fixture
def copied(place: Path, small_search: Ran, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(place / "s", tmp_path / "s")
    return tmp_path


def test_a_search_says_what_it_found_and_what_to_type_next(small_search: Ran) -> None:
    assert small_search.code == 0, small_search.out + small_search.err
    assert "3 configurations in" in small_search.out
    for name in ("s/report.html", "model.keras", "s/hyperparameters.json", "-m tuning show s"):
        assert name in small_search.out
    assert "Traceback" not in small_search.err


def test_what_a_search_leaves(place: Path, small_search: Ran) -> None:
    folder = place / "s"
    found = result(folder)
    assert found["outcome"] == "finished"
    assert {one["status"] for one in found["trials"]} == {"completed"}
    assert len({one["configuration"] for one in found["trials"]}) == 3
    best = next(one for one in found["trials"] if one["id"] == found["best"])
    assert best["until"] == 2
    assert best["score"] == best["history"][-1]["val_accuracy"] > 0.3
    assert best["score"] == max(one["score"] for one in found["trials"] if one["until"] == 2)
    for one in found["trials"]:
        assert [row["epoch"] for row in one["history"]] == list(
            range(one["first_epoch"] + 1, one["until"] + 1)
        )
        assert one["parameters"] == 60840
        assert one["latency_ms"] > 0
    facts = state(folder)["facts"]
    assert any(one["first_epoch"] for one in found["trials"])
    for one in found["trials"]:  # who is trained further goes on from the checkpoint of the trial before
        assert facts[one["id"]]["resumed_after"] == one["first_epoch"]
    with (folder / "trials.csv").open(newline="") as rows:
        assert len(list(csv.DictReader(rows))) == len(found["trials"])
    chosen = json.loads((folder / "hyperparameters.json").read_text())
    assert chosen == {"family": "lenet5", **best["values"]}
    assert "<html" in (folder / "report.html").read_text()
    assert [str(one.relative_to(folder)) for one in folder.glob("trials/*/model.keras")] == [
        f"trials/{best['id']}/model.keras"
    ]
    assert [one.name for one in (folder / "trials").iterdir()] == [best["id"]]


def test_the_best_network_scores_on_val_what_the_search_says(place: Path, small_search: Ran) -> None:
    import keras
    import numpy as np

    import keras_cnns.layers  # noqa: F401  # names LeNet-5's own layers to Keras
    from keras_cnns.training import data, fit
    from keras_cnns.training.preprocess import Preprocess
    from tuning import pictures, settings

    folder = place / "s"
    best = next(one for one in result(folder)["trials"] if one["id"] == result(folder)["best"])
    network = keras.models.load_model(folder / "trials" / best["id"] / "model.keras")
    asked = settings.request(settings.load(folder), folder, best["id"], best["values"])
    val = pictures.source(asked["val"])
    answer = fit.predict(network, val, Preprocess(**asked["preprocess"]))
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-5)
    assert (answer.argmax(axis=1) == data.labels_of(val)).mean() == pytest.approx(best["score"], abs=1e-6)


def test_tensorboard_has_a_run_for_each_trial_and_nothing_else(place: Path, small_search: Ran) -> None:
    runs = {one.name for one in (place / "s" / "tensorboard").iterdir() if one.is_dir()}
    assert runs == {one["id"] for one in result(place / "s")["trials"]} | {"hparams"}


def test_show_and_report_read_what_it_left(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tuning.__main__ import main

    (copied / "s" / "report.html").unlink()
    assert main(["report", str(copied / "s")]) == 0
    assert (copied / "s" / "report.html").is_file()
    capsys.readouterr()
    assert main(["show", str(copied / "s")]) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    found = result(copied / "s")
    best = next(one for one in found["trials"] if one["id"] == found["best"])
    assert first == found["sentence"]
    assert len(rows) == 3
    scores = [float(row.split()[1]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert rows[0].startswith(f"{best['configuration']}  {best['score']:.4f} after epoch 2  ")
    assert f"batch_size {best['values']['batch_size']}" in rows[0]


def test_the_same_command_again_repeats_nothing(copied: Path) -> None:
    before = finished(copied / "s")
    ran = tuning(copied, *WHOLE)
    assert ran.code == 0, ran.out + ran.err
    assert finished(copied / "s") == before
    assert not (copied / "s" / ".data").exists()


def test_more_trials_go_on(copied: Path) -> None:
    before = finished(copied / "s")
    ran = tuning(copied, *WHOLE, "--trials", 4)
    assert ran.code == 0, ran.out + ran.err
    after = finished(copied / "s")
    assert {name: after[name] for name in before} == before
    found = result(copied / "s")
    assert len({one["configuration"] for one in found["trials"]}) == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ["--range", "wd=1e-5:1e-2"],
            "its space differs in weight_decay, which was 1e-06 to 0.1 and is 1e-05",
        ),
        (
            ["--fix", "batch_size=32"],
            "its space differs in batch_size, which was one of 32, 64, 128, 256",
        ),
        (["--seed", "1"], "--seed was 0 and is 1"),
        (["--epochs", "3"], "--epochs was 2 and is 3"),
        (["--engine", "random"], "--engine was asha and is random"),
        (["--objective", "accuracy"], "--objective was val_accuracy and is accuracy"),
        (["--max-parameters", "100k"], "its limit of cost was none and is parameters 100000"),
        (["--image-size", "36"], "--image-size or --fit was"),
        (["--mirror", "yes"], "--mirror was False and is True"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], change: list[str],
    sentence: str,
) -> None:  # fmt: skip
    from tuning.__main__ import main

    monkeypatch.chdir(copied)
    before = {file: file.read_bytes() for file in Path("s").rglob("*.json")}
    assert main([*WHOLE, "--quiet", *change]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("python -m tuning: ")]
    assert len(said) == 1
    assert sentence in said[0]
    assert {file: file.read_bytes() for file in Path("s").rglob("*.json")} == before


def test_other_pictures_are_refused(
    copied: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    from tuning.__main__ import main

    monkeypatch.chdir(copied)
    with np.load("s/data/train.npz") as held:
        images, labels = held["images"].squeeze(), held["labels"]
    np.savez("digits.npz", images=images, labels=labels)  # a part of them, by the same name
    assert main([*WHOLE, "--quiet", "--mirror", "no", "--data", "digits.npz"]) == 2
    assert "the data changed" in capfd.readouterr().err


def test_a_search_that_is_killed_goes_on(tmp_path: Path) -> None:
    """kill -9 in the middle of a trial; the same command then neither loses nor repeats a finished one."""
    command = (*SMALL, "--engine", "random", "--epochs", "12", "--trials", "3", "--fix", "batch_size=32")
    folder = tmp_path / "s"
    search = begun(tmp_path, *command)
    try:
        until(lambda: finished(folder))
        broken = until(lambda: next(
            (name for name in under_way(folder) if epochs_on_disk(folder).get(name, 0) >= 1), None
        ))  # fmt: skip
        children = family(search.pid)
        assert children
    finally:
        search.kill()
        search.wait()
    until(lambda: not any("tuning.trial" in words(one) for one in children), 120)
    assert not (folder / "report.html").exists()
    so_far = result(folder)  # `show` works after a kill, too
    assert so_far["outcome"] == "running"
    with (folder / "trials.csv").open(newline="") as rows:
        assert len(list(csv.DictReader(rows))) >= 1
    assert json.loads((folder / "hyperparameters.json").read_text())["family"] == "lenet5"
    before, reached = finished(folder), epochs_on_disk(folder)[broken]
    assert broken not in before
    ran = tuning(tmp_path, *command)
    assert ran.code == 0, ran.out + ran.err
    after = finished(folder)
    assert len(after) == 3
    assert {name: after[name] for name in before} == before
    facts = state(folder)["facts"]
    assert facts[broken]["resumed_after"] >= reached >= 1
    assert all(facts[name]["resumed_after"] == 0 for name in after if name != broken)
    trial = next(one for one in result(folder)["trials"] if one["id"] == broken)
    assert [row["epoch"] for row in trial["history"]] == list(range(1, 13))
    assert len(state(folder)["end_order"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["asha", "bayesian", "hyperband", "grid"])
def test_a_search_by_any_engine_goes_on_after_a_kill(tmp_path: Path, engine: str) -> None:
    command = (*SMALL, "--engine", engine, "--epochs", "9", "--trials", "4", "--fix", "batch_size=32")
    folder = tmp_path / "s"
    told: dict[str, Any] = {}
    for kills in range(3):
        search = begun(tmp_path, *command)
        try:
            until(lambda: len(finished(folder)) > len(told) or search.poll() is not None)  # noqa: B023
            until(lambda: any(epochs_on_disk(folder).get(one, 0) for one in under_way(folder))
                  or search.poll() is not None)  # fmt: skip  # noqa: B023
        finally:
            search.kill()
            search.wait()
        now = finished(folder)
        assert {name: now[name] for name in told} == told, kills
        told = now
    ran = tuning(tmp_path, *command)
    assert ran.code == 0, ran.out + ran.err
    after = finished(folder)
    assert {name: after[name] for name in told} == told
    order, facts = state(folder)["end_order"], state(folder)["facts"]
    assert len(order) == len(set(order)) == len(state(folder)["trials"])
    assert any(facts[one["id"]]["resumed_after"] > one["first_epoch"] for one in result(folder)["trials"])
    for one in result(folder)["trials"]:
        assert [row["epoch"] for row in one["history"]] == list(
            range(one["first_epoch"] + 1, one["until"] + 1)
        )


def held_at_rest(search: int, training: int) -> int:
    """Bytes of a search and of all its processes: one that has trained and stands still, and the next one."""
    os.kill(training, signal.SIGSTOP)
    before = 0

    def steady() -> int:
        nonlocal before
        time.sleep(2)
        last, before = before, sum(map(resident, {search} | family(search)))
        return before if before - last < 2**20 and len(trial_processes(search)) == 2 else 0

    return until(steady)


def test_a_trial_that_is_killed_is_a_failed_one_and_memory_returns(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    search = begun(
        tmp_path, *SMALL, "--engine", "random", "--epochs", "8", "--trials", "3", "--fix", "batch_size=32"
    )

    def training() -> tuple[str, int]:
        """The trial that trains and its process, which was started before the one that waits."""
        name = until(
            lambda: next((one for one in under_way(folder) if epochs_on_disk(folder).get(one)), None)
        )
        return name, min(trial_processes(search.pid))

    try:
        victim, process = training()
        held = held_at_rest(search.pid, process)
        alone = resident(process)
        os.kill(process, signal.SIGKILL)
        until(lambda: len(finished(folder)) >= 2)
        _, process = training()
        grown = held_at_rest(search.pid, process) - held
        os.kill(process, signal.SIGCONT)
        assert search.wait(900) == 0
    finally:
        search.kill()
        search.wait()
    trials = {one["id"]: one for one in result(folder)["trials"]}
    assert trials[victim]["status"] == "failed"
    assert "signal 9" in trials[victim]["reason"]
    assert sorted(one["status"] for one in trials.values()) == ["completed", "completed", "failed"]
    assert grown < 150 * 2**20 < alone / 2  # nothing stays of two processes that trained


def test_a_search_that_is_interrupted_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    command = (*SMALL, "--epochs", "50", "--engine", "random", "--trials", "2")
    search = begun(tmp_path, *command)
    try:
        until(lambda: any(epochs_on_disk(folder).values()))
        children = family(search.pid)
        os.killpg(search.pid, signal.SIGTERM)  # as `timeout` and batch systems do
        assert search.wait(200) == 130
    finally:
        search.kill()
        search.wait()
    assert not any("tuning.trial" in words(one) for one in children)
    found = result(folder)
    assert found["outcome"] == "interrupted"
    assert "the same command goes on from there" in found["sentence"]
    assert [one["status"] for one in found["trials"]] == ["waiting"]
    assert "Traceback" not in (tmp_path / "printed.txt").read_text()
    reached = epochs_on_disk(folder)
    ran = tuning(tmp_path, *command, "--budget", "1s")  # which is spent already
    assert ran.code == 0, ran.out + ran.err
    assert "the budget is used up after 1 configuration in 1 trials" in ran.out
    found = result(folder)
    assert found["outcome"] == "budget"
    assert [one["status"] for one in found["trials"]] == ["waiting"]
    assert epochs_on_disk(folder).keys() == reached.keys()


def test_a_trial_beyond_its_memory_is_a_failed_one(tmp_path: Path) -> None:
    """The process that asks for more is ended, with a reason: here while a large network is trained."""
    import numpy as np

    from tuning.children import Children

    file, heard = tmp_path / "few.npz", []
    np.savez(file, images=np.zeros((64, 32, 32, 1), "uint8"), labels=np.arange(64) % 2)
    part = {"kind": "arrays", "file": str(file)}
    request = {
        "model": "lenet5_modern", "arguments": {"width": 40.0}, "labels": ["a", "b"], "seed": 0, "recipe": {},
        "train": part, "val": part, "preprocess": {"height": 32, "width": 32, "channels": 1}, "probe": True,
        "logs": str(tmp_path / "logs"),
    }  # fmt: skip
    children = Children(tmp_path / "log.txt", memory=2**30)
    try:
        answer = children.run(request, heard.append, spare=False)
    finally:
        children.close()
    assert heard[0]["cost"]["parameters"] > 9e7  # it was built
    assert answer["failed"].startswith("out of memory: it held 1.")
    assert answer["failed"].endswith("more than 1.00 GiB")


def test_a_limit_that_nothing_can_hold_is_refused(tmp_path: Path) -> None:
    ran = tuning(tmp_path, *SMALL, "--memory", "50M")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert "the default configuration cannot be trained: out of memory: it held" in ran.err
    assert not list(tmp_path.iterdir())


def one_trial(tmp_path: Path, limits: dict[str, float], **changed: Any) -> dict[str, Any]:
    """What the process of a trial is asked for."""
    import numpy as np

    file = tmp_path / "few.npz"
    np.savez(file, images=np.zeros((64, 32, 32, 1), "uint8"), labels=np.arange(64) % 2)
    part = {"kind": "arrays", "file": str(file)}
    return {
        "model": "lenet5_modern", "arguments": {}, "labels": ["a", "b"], "seed": 0, "recipe": {"epochs": 1},
        "train": part, "val": part, "preprocess": {"height": 32, "width": 32, "channels": 1},
        "folder": str(tmp_path / "t"), "parent": None, "until": 1, "limits": limits,
        "logs": str(tmp_path / "l"), **changed,
    }  # fmt: skip


def test_a_network_over_a_limit_is_pruned_before_training(tmp_path: Path) -> None:
    from tuning import trial

    heard: list[Any] = []
    for limits, sentence in (
        ({"parameters": 1000}, "parameters, more than 1,000"),
        ({"macs": 2000}, "multiply-adds, more than 2,000"),
        ({"latency_ms": 1e-6}, "ms a picture, more than 1e-06"),
        ({"latency_ms": 1e-6, "macs": 2000}, "multiply-adds, more than 2,000"),  # seen before it is measured
    ):
        with pytest.raises(trial.Pruned, match=sentence):
            trial.train(one_trial(tmp_path, limits), heard.append)
        assert not (tmp_path / "t").exists()
    # For the report, of what was pruned, too.
    assert [set(one["cost"]) for one in heard] == [
        {"parameters", "macs"}, {"parameters", "macs"}, {"parameters", "macs", "latency_ms"},
        {"parameters", "macs"},
    ]  # fmt: skip


def test_what_passed_once_is_not_pruned_by_a_second_measurement(tmp_path: Path) -> None:
    """A configuration that is trained further, or was broken off."""
    from tuning import trial

    further = one_trial(tmp_path, {"latency_ms": 1e-6}, parent=str(tmp_path / "before"))
    done = trial.train(further, lambda _: None)
    assert done["latency_ms"] > 1e-6
    assert (tmp_path / "t" / "checkpoints").is_dir()
    again = trial.train(one_trial(tmp_path, {"latency_ms": 1e-6}), lambda _: None)
    assert again["resumed_after"] == 1


def test_latency_is_that_of_the_network_without_auxiliary_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuning import trial

    seen: list[Any] = []
    monkeypatch.setattr(trial, "latency", lambda model: seen.append(model.output) or 2.0)
    asked = one_trial(
        tmp_path, {"latency_ms": 1.0}, model="googlenet",
        recipe={"epochs": 1, "auxiliary_weight": 0.3},
        preprocess={"height": 224, "width": 224, "channels": 3},
    )  # fmt: skip
    with pytest.raises(trial.Pruned, match=r"2\.0 ms a picture, more than 1"):
        trial.train(asked, lambda _: None)
    assert [tuple(one.shape) for one in seen] == [(None, 2)]


def test_a_search_goes_on_past_networks_that_are_too_large(tmp_path: Path) -> None:
    import dataclasses

    import tuning as library
    from tuning.families import Choice

    fixed = {
        "optimizer": "sgd", "lr": 0.01, "wd": 1e-4, "label_smoothing": 0, "augmentation": 0, "batch_size": 64,
        "schedule": "cosine",
    }  # fmt: skip
    space = library.narrow(library.space("lenet5_modern", mirror=False), fixed)
    widths = {"width": Choice((1.0, 0.5), 1.0)}
    space = dataclasses.replace(space, dimensions={**space.dimensions, **widths})
    found = library.search(
        data="digits", space=space, engine="grid", epochs=1, trials=1, max_parameters=30_000,
        output=tmp_path / "s",
    )  # fmt: skip
    told = [(one["values"]["width"], one["status"], one["parameters"] > 30_000) for one in found["trials"]]
    assert told == [(1.0, "pruned", True), (0.5, "completed", False)]
    assert found["sentence"].startswith("1 configuration in 2 trials")


def test_pictures_too_many_for_memory_are_named_so_that_another_process_finds_them(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_cnns.training import data
    from keras_cnns.training.preprocess import Preprocess
    from tuning import pictures

    monkeypatch.chdir(photos.parent)
    monkeypatch.setattr(data, "fits", lambda *_: False)
    found = pictures.read(photos.name, 0)
    parts = pictures.keep(found, Preprocess(32, 32, 3), tmp_path, seed=0)
    assert all(Path(file).is_absolute() for file in parts["train"]["paths"])
    assert pictures.source(parts["train"]).count == found.train.count


def test_a_configuration_too_large_for_memory_fails_and_the_search_goes_on(tmp_path: Path) -> None:
    """Also where it is the default one, which is tried out first. The space is one that a caller extended."""
    import dataclasses

    import tuning as library
    from tuning.families import Choice

    fixed = {
        "version": "modern", "optimizer": "sgd", "lr": 0.01, "wd": 1e-4, "label_smoothing": 0,
        "augmentation": 0, "batch_size": 64, "schedule": "cosine",
    }  # fmt: skip
    space = library.narrow(library.space("lenet", mirror=False), fixed)
    width = Choice((40.0, 1.0, 0.5), 40.0, when=("version", ("modern",)))  # 97 million parameters, or few
    space = dataclasses.replace(space, dimensions={**space.dimensions, "width": width})
    found = library.search(
        "lenet", "digits", space=space, engine="grid", epochs=1, memory=2**30, output=tmp_path / "s"
    )
    assert found["outcome"] == "finished", found["sentence"]
    ended = {one["values"]["width"]: (one["status"], one["reason"]) for one in found["trials"]}
    assert {width: status for width, (status, _) in ended.items()} == {
        40.0: "failed", 1.0: "completed", 0.5: "completed"
    }  # fmt: skip
    assert ended[40.0][1].startswith("out of memory: it held 1.")
    assert ended[40.0][1].endswith("more than 1.00 GiB")
    assert "out of memory" in (tmp_path / "s" / "report.html").read_text()


def test_a_refusal_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever its names are: a folder is a search's when it was empty, or holds one."""
    from tuning.__main__ import main

    monkeypatch.chdir(tmp_path)
    for name in ("data", "state", "log.txt"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("mine", encoding="utf-8")
        assert main([*SMALL[:-1], name, "--budget", "0.001s"]) == 2
        assert f"it holds no search, but {name}; give another one" in capfd.readouterr().err
        assert [one.name for one in folder.iterdir()] == [name]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([*SMALL[:-1], "empty", "--budget", "0.001s"]) == 2
    assert "cannot hold one trial" in capfd.readouterr().err
    assert not list(empty.iterdir())


def test_a_process_that_waited_and_died_is_not_the_next_trials(tmp_path: Path) -> None:
    from tuning.children import Children

    children = Children(tmp_path / "log.txt")
    children._spare = children._start()
    children._spare.kill()
    children._spare.wait()
    try:
        answer = children.run({"probe": True}, lambda _: None, spare=False)
    finally:
        children.close()
    assert "signal" not in answer["failed"]


def test_a_trial_that_stands_still_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuning import children

    monkeypatch.setattr(children, "_STILL", 1.0)
    monkeypatch.setattr(children, "_COMMAND", ["sleep", "100"])
    held = children.Children(tmp_path / "log.txt")
    assert held.run({}, lambda _: None, spare=False) == {"failed": "it stood still for 1 s"}


def test_a_state_that_cannot_be_written_ends_a_search_with_a_sentence(copied: Path) -> None:
    before = state(copied / "s")
    (copied / "s" / "state" / "oracle.json.part").mkdir()  # as a full disk would
    ran = tuning(copied, *WHOLE, "--trials", 5)
    assert ran.code == 1, ran.out + ran.err
    assert "oracle.json.part" in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err
    assert state(copied / "s") == before


def test_a_default_that_does_not_learn_is_a_failed_trial_like_others(tmp_path: Path) -> None:
    ran = tuning(
        tmp_path, "search", "lenet5", "--engine", "random", "--epochs", "1", "--trials", "2", "--fix",
        "optimizer=sgd", "--range", "lr=1e6:1e7", "--fix", "batch_size=32", "--output", "s",
    )  # fmt: skip
    assert ran.code == 1, ran.out + ran.err
    assert "no trial was completed: the loss is no longer a number" in ran.out + ran.err


def test_a_budget_is_held_against_pictures_that_are_streamed_too(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_cnns.training import data
    from keras_cnns.training.preprocess import Preprocess
    from tuning import pictures, spaces, trial

    monkeypatch.setattr(data, "fits", lambda *_: False)
    found = pictures.read(str(photos), 0)
    parts = pictures.keep(found, Preprocess(32, 32, 3), tmp_path, seed=0)
    assert parts["train"]["kind"] == "files"
    searched = spaces.space("cifar_resnet20")
    plan = spaces.plan(searched, searched.defaults(), 3)
    told: list[Any] = []
    answer = trial.probe(
        {
            "model": plan.model, "arguments": {"width": 0.5}, "labels": list(found.classes), "seed": 0,
            "recipe": vars(plan.recipe), "train": parts["train"], "val": parts["val"],
            "preprocess": {"height": 32, "width": 32, "channels": 3}, "logs": str(tmp_path / "logs"),
        },
        told.append,
    )  # fmt: skip
    assert told[0]["cost"]["parameters"] > 10_000
    assert {"val_accuracy", "val_loss"} <= set(answer["measured"])
    assert answer["seconds"] > 0
