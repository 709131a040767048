"""The arithmetic of the measurements, with quick commands in place of the slow ones."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _pairs, build, examples, startup, training
from benchmarks import pipeline as pair
from benchmarks import tuning as searches

ROOT = Path(__file__).parents[1]
SLEEP = "import time; time.sleep({}); print({})"


def times(name, *seconds, values=()):
    return _pairs.Times(name, seconds, values)


def quick(name, code, value=None):
    return _pairs.Command(name, lambda _: _pairs.python("-S", "-c", code), value)


def test_ratio_is_of_the_medians():
    assert _pairs.ratio(times("ours", 9.0, 3.0, 2.0), times("theirs", 4.0, 1.0, 6.0)) == 0.75
    assert times("one", 1.0, 4.0).median == 2.5


def test_commands_run_in_turn_and_every_other_round_backwards(tmp_path, capsys):
    log = tmp_path / "log"
    commands = [quick(name, f"open({str(log)!r}, 'a').write({name!r})") for name in "ab"]
    rows = _pairs.alternate(commands, rounds=3)
    assert log.read_text() == "ba" + "ab" + "ba" + "ab"
    assert [row.name for row in rows] == ["a", "b"]
    assert [len(row.seconds) for row in rows] == [3, 3]
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 8
    assert said[0].startswith("warm-up, not counted")
    assert said[-1].startswith("round 3 of 3")


def test_wall_time_and_value_are_the_processes():
    slow, fast = _pairs.alternate(
        [quick("slow", SLEEP.format(0.5, 1), float), quick("fast", "print(2)", float)], rounds=1
    )
    assert slow.median > 0.5
    assert slow.values == (1.0,)
    assert fast.values == (2.0,)


def test_each_process_has_a_new_folder_that_is_removed(tmp_path):
    seen = []

    def arguments(folder):
        assert not folder.exists()
        seen.append(folder)
        return _pairs.python("-S", "-c", f"import os; os.mkdir({str(folder)!r})")

    _pairs.alternate([_pairs.Command("makes a folder", arguments)], rounds=2)
    assert len(set(seen)) == 3
    assert not any(folder.parent.exists() for folder in seen)


@pytest.mark.parametrize(
    ("code", "value", "why"),
    [
        ("print('last words'); raise SystemExit(3)", None, "exit code 3"),
        ("print('last words')", float, "could not convert string to float"),
    ],
)
def test_a_failure_ends_the_measurement_with_its_last_words(code, value, why):
    with pytest.raises(SystemExit, match=why) as caught:
        _pairs.alternate([quick("broken", code, value)], rounds=1)
    assert str(caught.value.code).startswith("last words\nbroken: ended with")


@pytest.mark.parametrize("rounds", ["0", "-1", "many", "1.5"])
def test_rounds_are_whole_and_positive(rounds, capsys):
    with pytest.raises(SystemExit) as caught:
        _pairs.parser("text", rounds=3).parse_args(["--rounds", rounds])
    assert caught.value.code == 2
    assert f"at least 1, not '{rounds}'" in capsys.readouterr().err


def test_defaults_of_the_shared_options():
    given = _pairs.parser("text", rounds=4).parse_args([])
    assert (given.rounds, given.check) == (4, False)


def test_table_has_each_time_the_median_and_each_different_value():
    rows = [times("one", 1.0, 3.0, values=(0.97, 0.97)), times("other", 0.5, 0.25, values=(0.98, 0.96))]
    head, *lines = [re.split(" {2,}", line) for line in _pairs.table(rows, "accuracy").splitlines()]
    assert head == ["command", "seconds", "median", "accuracy"]
    assert lines == [["one", "1.00 3.00", "2.00", "0.970"], ["other", "0.50 0.25", "0.38", "0.960 0.980"]]
    assert "0.970" not in _pairs.table(rows)


@pytest.mark.parametrize(
    ("naps", "accuracies", "missed"),
    [
        ((0.6, 0.0), (0.96, 0.97), None),
        ((0.0, 0.3), (0.96, 0.97), "the ratio is"),
        ((0.6, 0.0), (0.94, 0.97), "bare TFX has an accuracy of 0.940"),
        ((0.6, 0.0), (0.96, 0.94), "python -m pipeline run has an accuracy of 0.940"),
    ],
)
def test_pipeline_prints_the_ratio_last(naps, accuracies, missed, monkeypatch, capsys):
    def commands(epochs):
        said = f"{accuracies[0]} accuracy, pushed", json.dumps({"evaluation": {"accuracy": accuracies[1]}})
        return [
            quick(pair.BARE, SLEEP.format(naps[0], repr(said[0])), pair.bare_accuracy),
            quick(pair.OURS, SLEEP.format(naps[1], repr(said[1])), pair.our_accuracy),
        ]

    monkeypatch.setattr(pair, "_commands", commands)
    assert pair.main(["--rounds", "1", "--check"]) == (missed is not None)
    *_, before, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+\.\d\d of the bare pipeline's wall time \(target 0\.75\)", last)
    assert before.startswith(f"missed: {missed}") if missed else not before


@pytest.mark.parametrize(("share", "sentences"), [(0.75, 0), (0.751, 1)])
def test_the_target_itself_is_reached(share, sentences):
    assert len(pair.missed(share, [times("bare", 1.0, values=(0.95,))])) == sentences


def test_a_missed_target_is_an_error_only_for_check(capsys):
    assert [_pairs.finish("1 figure", [], check) for check in (True, False)] == [0, 0]
    assert [_pairs.finish("1 figure", ["too slow"], check) for check in (True, False)] == [1, 0]
    assert capsys.readouterr().out.splitlines()[-2:] == ["missed: too slow", "1 figure"]


def test_both_pipelines_get_the_same_epochs_and_a_folder_of_their_own(tmp_path):
    bare, ours = (command.arguments(tmp_path / "run") for command in pair._commands(5))
    assert bare[1:] == [str(ROOT / "benchmarks" / "bare_tfx.py"), str(tmp_path / "run"), "--epochs", "5"]
    assert ours[1:4] == ["-m", "pipeline", "run"]
    options = dict(zip(ours[5::2], ours[6::2], strict=True))
    assert options["--epochs"] == "5"
    assert options["--output"] == str(tmp_path / "run")
    assert options["--models"] == str(tmp_path / "models")


def test_accuracies_are_read_from_what_the_pipelines_print():
    assert pair.bare_accuracy("noise\n0.9611 accuracy, pushed to models/1\n") == 0.9611
    assert pair.our_accuracy(json.dumps({"evaluation": {"accuracy": 0.98}})) == 0.98


@pytest.mark.parametrize("output", ["", "noise\n", "no newline", '{"outcome": "failed"}\n', "[1]\n"])
@pytest.mark.parametrize("read", [pair.bare_accuracy, pair.our_accuracy])
def test_a_missing_accuracy_is_said(output, read):
    with pytest.raises(ValueError, match="printed no accuracy"):
        read(output)


@pytest.mark.parametrize(
    ("answer", "added", "sentences"),
    [(0.4, 0.03, 0), (1.0, 0.03, 1), (0.4, 0.11, 1), (1.2, 0.2, 2)],
)
def test_startup_has_both_targets_in_its_figure(answer, added, sentences):
    answers = [times("quick", 0.1), times("slow", answer)]
    assert startup.figure(answers, added) == (
        f"slowest answer {answer:.2f} s, slow (target below 1 s); "
        f"import keras_cnns adds {added * 1000:.0f} ms (target 100 ms)"
    )
    assert len(startup.missed(answers, added)) == sentences


def test_startup_checks_what_it_measured(monkeypatch, capsys):
    monkeypatch.setattr(startup, "KERAS", "import time")  # Keras itself takes many seconds
    monkeypatch.setattr(startup, "OURS", "print(0.2)")
    assert startup.main(["--rounds", "1", "--check"]) == 1
    out = capsys.readouterr().out
    assert all(f"python -m {module} {word}" in out for module, word in startup.ANSWERS)
    assert out.splitlines()[-1].endswith("import keras_cnns adds 200 ms (target 100 ms)")


def test_builders_are_built_in_turn_and_the_first_pair_is_not_counted(monkeypatch, capsys):
    built, clock = [], iter([float(second) for second in (9, 9, 1, 4, 3, 2)])
    monkeypatch.setattr(build, "_timed", lambda one: (one(), next(clock))[1])
    pair = build.alternate("some", lambda: built.append("ours"), lambda: built.append("theirs"), rounds=2)
    assert built == ["theirs", "ours", "ours", "theirs", "theirs", "ours"]
    assert [times.seconds for times in pair] == [(1.0, 2.0), (4.0, 3.0)]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("warm-up, not counted")
    assert said[-1].startswith("round 2 of 2")


@pytest.mark.parametrize(("slower", "missed"), [(0.8, False), (0.9, True)])
def test_build_prints_the_worst_network_last(slower, missed, monkeypatch, capsys):
    shares = {"resnet50": 0.4, "densenet121": slower}
    monkeypatch.setattr(build, "builders", lambda name: (name, None))
    monkeypatch.setattr(
        build,
        "alternate",
        lambda name, *_: (times(name, 10 * shares[name]), times("keras.applications", 10.0)),
    )
    assert build.main(["resnet50", "densenet121", "--check"]) == missed
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{slower:.2f} of keras.applications' time at worst, densenet121 (target 0.8)"
    assert lines[1].split() == ["network", "ours,", "s", "keras.applications,", "s", "ratio"]
    assert lines[2].split() == ["resnet50", "4.000", "10.000", "0.40"]
    mean = f"geometric mean {(0.4 * slower) ** 0.5:.2f} of keras.applications' time"
    assert mean in lines
    assert any(line.startswith("missed: densenet121 takes 0.900") for line in lines) == missed


def test_build_knows_its_networks(capsys):
    with pytest.raises(SystemExit) as caught:
        build.main(["resnet5"])
    assert caught.value.code == 2
    assert "no such network: resnet5; known: vgg16" in capsys.readouterr().err


@pytest.mark.parametrize(("resnet", "missed"), [(130.0, False), (129.0, True)])
def test_training_prints_both_ratios_last(resnet, missed, monkeypatch, capsys):
    speeds = {("ours", "lenet5"): 3000, ("ours", "cifar_resnet20"): resnet}

    def command(side, network, given):
        speed = speeds.get((side, network), {"lenet5": 1500, "cifar_resnet20": 100}[network])
        return quick(f"{network}, {side}", f"print('images a second:', {speed})", training.said)

    monkeypatch.setattr(training, "command", command)
    assert training.main(["--cifar", "nowhere", "--rounds", "1", "--check"]) == missed
    lines = capsys.readouterr().out.splitlines()
    ratio = f"{resnet / 100:.2f}"
    assert lines[-1] == (
        f"lenet5 2.00, cifar_resnet20 {ratio} times the images a second of a plain model.fit (target 1.3)"
    )
    assert any(line.startswith("cifar_resnet20 on 100% of cifar's images, 2 epochs") for line in lines)
    assert (
        any(line.startswith("missed: cifar_resnet20 trains 129 images a second") for line in lines) == missed
    )


def test_training_names_what_a_process_did_not_say():
    assert training.said("words\nimages a second: 12.5\n") == 12.5
    with pytest.raises(ValueError, match="no figure"):
        training.said("words\n")


@pytest.mark.parametrize("side", ["ours", "plain"])
def test_both_sides_train_on_the_same_images(side, photos, tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(photos, target_is_directory=True)
    assert training.measure(side, "cifar_resnet20", tmp_path, 1.0) > 0
    assert training.task("cifar_resnet20", tmp_path, 0.5).train.count == 42  # half of those that are no WebP


@pytest.mark.parametrize(("ours", "missed"), [(0.5, False), (1.0, False), (1.25, True)])
def test_examples_compares_images_per_second(ours, missed, monkeypatch, tmp_path, capsys):
    clock = iter([9.0, 9.0, ours, 1.0, 1.0, ours])
    monkeypatch.setattr(examples, "_timed", lambda write, out: next(clock))
    monkeypatch.setattr(examples, "example_gen", lambda folder: None)
    monkeypatch.setattr(examples, "plain_loop", lambda folder: None)
    assert examples.main([str(tmp_path), "--rounds", "2", "--check"]) == missed
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{1 / ours:.2f} times the plain loop's images per second (target 1.0)"
    assert any(line.startswith("missed: ExampleGen has 0.800") for line in lines) == missed


def test_both_writers_write_each_picture_once(tmp_path):
    folder = examples.make(tmp_path / "data", 60)
    files = {file.read_bytes() for file in folder.glob("*/*.jpg")}
    assert len(files) == 60
    for number, write in enumerate([examples.example_gen(folder), examples.plain_loop(folder)]):
        out = tmp_path / str(number)
        write(out)
        import tensorflow as tf

        found = []
        for file in out.rglob("*tfrecord*"):
            stream = tf.data.TFRecordDataset(str(file), "GZIP" if file.suffix == ".gz" else "")
            found += [tf.train.Example.FromString(one) for one in stream.as_numpy_iterator()]
        assert sorted(one.features.feature["image"].bytes_list.value[0] for one in found) == sorted(files)


def test_memory_grows_by_what_an_image_adds(capsys):
    assert examples.growth({1000: 5_000_000, 10_000: 9_000_000, 60_000: 5_590_000}) == 10
    with pytest.raises(SystemExit, match="at least 10,000 images"):
        examples.growth({1000: 5})


@pytest.mark.parametrize(
    ("ours", "sentences"),
    [
        ([(30, 0.9), (54, 0.95)], []),
        ([(30, 0.9), (55, 0.95)], ["random search's accuracy takes 0.34 of its epochs, above 0.33"]),
        ([(30, 0.94)], ["random search's accuracy is never reached, above 0.33"]),
    ],
)
def test_searches_are_compared_by_the_epochs_they_paid(ours, sentences):
    found = {
        "random": [searches.Search(((9, 0.5), (153, 0.95), (162, 0.6)), 18)] * 3,
        "asha": [searches.Search(tuple(ours), 60)] * 3,
        "optuna": [searches.Search(((20, 0.5), (90, 0.951), (162, 0.1)), 50)] * 3,
    }
    assert searches.missed(found, 162)[: len(sentences)] == sentences
    behind = [one for one in searches.missed(found, 162) if "0.0110 of accuracy behind Optuna" in one]
    assert len(behind) == (ours == [(30, 0.94)])
    lines = searches.table(found, 162).splitlines()
    assert lines[1].split()[:5] == ["random", "0.5000", "0.5000", "0.9500", "153,"]


def test_seeds_are_compared_in_pairs():
    def ended(*accuracies):
        return [searches.Search(((9, accuracy),), 1) for accuracy in accuracies]

    found = {"asha": ended(0.9, 0.5, 0.7), "optuna": ended(0.6, 0.7, 0.9), "random": ended(0.9, 0.5, 0.7)}
    assert searches.ahead(found, 9) == pytest.approx(-0.2)  # of 0.3, -0.2 and -0.2
    assert searches.share(found, 9) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
@pytest.mark.parametrize("engine", ["random", "hyperband", "asha"])
def test_each_epoch_of_a_search_is_paid(engine, tmp_path):
    asked = []

    def curve(values, epoch):
        asked.append((json.dumps(values), epoch))
        return values["learning_rate"] + epoch / 100

    purse = searches.Purse(curve, 40)
    searches.search(engine, purse, 0, tmp_path)
    found = purse.search()
    assert len(asked) == len(set(asked)) == 40  # nothing is trained twice, and nothing for free
    assert found.steps[-1][0] == 40
    assert found.configurations == len({values for values, _ in asked})


def test_trials_are_what_values_and_seed_make_of_them(tmp_path):
    from benchmarks._trials import Trials

    if not searches.SHARED.is_dir():
        pytest.skip("MNIST is not here")
    space = searches.space()
    values = {**space.defaults(), "learning_rate": 0.005, "batch_size": 32}
    (tmp_path / "cache").mkdir()
    trials = Trials(space, 3, searches.SHARED / "tfds", 256, tmp_path / "cache")
    others = [{**values, "augmentation": 1}, {**values, "optimizer": "sgd", "batch_size": 64}]
    mixed = [trials.accuracy(one, epoch) for epoch in (1, 2, 3) for one in (values, *others)][::3]
    again = Trials(space, 3, searches.SHARED / "tfds", 256, None)
    assert [again.accuracy(values, epoch) for epoch in (1, 2, 3)] == pytest.approx(mixed, abs=0.01)
    assert mixed[-1] > 0.3  # it learns
    trials.start(0)
    assert trials.accuracy(values, 3) == mixed[-1]  # from the cache
    again.start(1)
    assert [again.accuracy(values, epoch) for epoch in (1, 2, 3)] != mixed


@pytest.mark.parametrize("name", ["build", "examples", "pipeline", "startup", "training", "tuning"])
def test_scripts_answer_from_another_folder(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--help"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert "--check" in done.stdout
