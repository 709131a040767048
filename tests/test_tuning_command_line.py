"""Bad input of `python -m tuning` gets one sentence and exit code 2, at once and with nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from searching import tuning

ROOT = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    from PIL import Image

    for name in ("empty", "single/only", "cats/tabby", "cats/siamese", "busy", "fewer/a", "fewer/b"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("single/only", "cats/tabby", "cats/siamese"):
        for index in range(3):
            Image.new("RGB", (32, 32)).save(tmp_path / name / f"{index}.png")
    (tmp_path / "cats" / "tabby" / "9.png").write_bytes(b"\x89PNG no more")
    for name in ("a", "b"):
        Image.new("RGB", (32, 32)).save(tmp_path / "fewer" / name / "0.png")
    (tmp_path / "busy" / "diary.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    (tmp_path / "no.npz").write_text("this is no such file")
    (tmp_path / "void.npz").write_bytes(b"")
    np.savez_compressed(tmp_path / "cut.npz", images=np.arange(999), labels=np.arange(9))
    whole = bytearray((tmp_path / "cut.npz").read_bytes())
    whole[60:200] = bytes(140)
    (tmp_path / "cut.npz").write_bytes(whole)
    np.savez(tmp_path / "objects.npz", images=np.array([None, {}]), labels=np.arange(2))
    np.savez(tmp_path / "other.npz", pixels=np.arange(2))
    with (tmp_path / "one.npz").open("wb") as opened:
        np.save(opened, np.arange(4))
    return tmp_path


def untouched(place: Path) -> bool:
    return {one.name for one in place.iterdir() if one.suffix != ".npz"} == {
        "empty", "single", "cats", "busy", "file", "fewer"
    } and [one.name for one in (place / "busy").iterdir()] == ["diary.txt"]  # fmt: skip


# One process checks what needs no frameworks: each would cost the time to start Python.
LIGHT = [
    (["resnett"], "Did you mean 'resnet'?"),
    (["lenet6"], "Did you mean 'lenet'?"),
    (["bn_inception"], "bn_inception has no space to search"),
    (["lenet", "--engine", "hyperbant"], "--engine='hyperbant' is not known. Did you mean 'hyperband'?"),
    (["lenet", "--objective", "val_acuracy"], "Did you mean 'val_accuracy'?"),
    (["lenet", "--fit", "crop"], "--fit='crop' is not known"),
    (["lenet", "--fix", "wdith=1"], "Did you mean 'width'?"),
    (["lenet", "--fix", "width"], "--fix width: write NAME=VALUE"),
    (["lenet", "--fix", "=1"], "--fix =1: write NAME=VALUE"),
    (["lenet", "--fix", "width="], "--fix width=: write NAME=VALUE"),
    (["lenet", "--fix", "lr=7"], "lr=7 is outside its space, from 0.0001 to 0.3"),
    (["lenet", "--fix", "batch_size=65"], "batch_size=65 is outside its space: 32, 64, 128, 256; nearest"),
    (["lenet", "--range", "lr=1"], "--range lr=1: write NAME=LOW:HIGH with two numbers"),
    (["lenet", "--range", "lr=a:b"], "--range lr=a:b: write NAME=LOW:HIGH with two numbers"),
    (["lenet", "--range", "lr=1:2:3"], "--range lr=1:2:3: write NAME=LOW:HIGH with two numbers"),
    (["lenet", "--range", "lr=1e-2:1e-3"], "lr=0.01:0.001 is inverted"),
    (["lenet", "--range", "lr=1e-2:1e-2"], "lr=0.01:0.01 is empty"),
    (["lenet", "--range", "rate=1:2"], "hyperparameter='rate' is not known"),
    (["lenet", "--fix", "lr=0.01", "--fix", "lr=0.02"], "--fix lr is given twice"),
    (["lenet", "--range", "lr=0.01:0.02", "--range", "lr=0.1:0.2"], "--range lr is given twice"),
    (["lenet", "--fix", "lr=0.01", "--fix", "learning_rate=0.02"], "--fix learning_rate is given twice"),
    (["lenet", "--range", "lr=1e-3:1e-2", "--range", "lr=1e-3:1e-1"], "--range lr is given twice"),
    (["lenet", "--range", "width=0.5:nan"], "width=0.5:nan is no range; give two numbers"),
    (["lenet", "--fix", "schedule=steps|linear"], "schedule=linear is outside its space"),
    (["lenet", "--fix", "lr=1e-3|1e-2"], "lr is a range from 0.0001 to 0.3, not a choice"),
    (["lenet", "--fix", "version=1998", "--fix", "width=2"], "width does not count here: it does where"),
    (["lenet", "--memory", "1e400"], "--memory 1e400 is too large; write a number such as"),
    (["lenet", "--max-parameters", "1e400"], "--max-parameters 1e400 is too large"),
    (["lenet", "--max-latency", "inf"], "--max-latency must be above 0 and finite, not inf"),
    (["lenet", "--budget", "soon"], "--budget soon: write a time such as 90s, 30m, 2h or 1h30m"),
    (["lenet", "--budget", "90"], "--budget 90: write a time such as 90s, 30m, 2h or 1h30m"),
    (["lenet", "--budget", "-5m"], "argument --budget: expected one argument"),
    (["lenet", "--budget", "0s"], "--budget must be above 0 and finite, not 0"),
    (["lenet", "--memory", "lots"], "--memory lots: write a number such as 300000, 300k, 1.5M or 4Gi"),
    (["lenet", "--memory", "0"], "--memory must be above 0 and finite, not 0"),
    (["lenet", "--max-parameters", "many"], "--max-parameters many: write a number"),
    (["lenet", "--max-macs", "0"], "--max-macs must be above 0 and finite, not 0"),
    (["lenet", "--max-latency", "nan"], "--max-latency must be above 0 and finite, not nan"),
    (
        ["lenet5_modern", "--objective", "val_loss"],
        "--objective val_loss: label_smoothing changes what the loss is; fix it, as --fix label_smoothing=0",
    ),
    (
        ["lenet5_modern", "--objective", "loss", "--fix", "label_smoothing=0"],
        "--objective loss: augmentation changes what the loss is; fix it, as --fix augmentation=0",
    ),
    (
        ["lenet", "--objective", "loss", "--fix", "label_smoothing=0", "--fix", "augmentation=0"],
        "--objective loss: the space has networks with different losses (crossentropy, map)",
    ),
    (["lenet", "--trials", "0"], "--trials must be at least 1, not 0"),
    (["lenet", "--epochs", "0"], "--epochs must be at least 1, not 0"),
    (["lenet", "--workers", "0"], "--workers must be at least 1, not 0"),
    (["lenet", "--keep", "0"], "--keep must be at least 1, not 0"),
    (["lenet", "--image-size", "0"], "--image-size must be at least 1, not 0"),
    (["lenet", "--seed", "-1"], "--seed must be at least 0, not -1"),
    (["lenet", "--seed", "4294967296"], "--seed must be below 2**32, not 4294967296"),
    (["lenet", "--trials", "x"], "argument --trials: invalid int value: 'x'"),
    (["lenet", "--trails", "3"], "did you mean --trials?"),
    (["lenet", "--mirror", "maybe"], "argument --mirror: invalid choice: 'maybe'"),
    (
        ["lenet5", *(f"--fix={one}" for one in (
            "optimizer=adam", "lr=1e-3", "wd=1e-4", "augmentation=0", "batch_size=32", "schedule=cosine",
        ))],
        "every hyperparameter is fixed, and nothing is left to search",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), LIGHT)
def test_bad_options_are_refused_in_one_sentence(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    from tuning.__main__ import main

    monkeypatch.chdir(place)
    try:
        code = main(["search", *arguments])
    except SystemExit as ended:
        code = ended.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert untouched(place)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "cat"], "--data cat: there is no such folder"),
        (["--data", "empty"], "--data empty must hold two or more folders"),
        (["--data", "single"], "--data single must hold two or more folders"),
        (["--data", "fewer"], "a class has a single picture, and none is left to train on"),
        (["--data", "cats", "--output", "new/place"], "9.png: the picture cannot be read"),
        (["--output", "busy"], "--output busy: it holds no search, but diary.txt"),
        (["--output", "file/search"], "--output file/search: cannot be written"),
        (["--image-size", "16"], "too small for lenet5"),
        (
            ["--image-size", "5000"],
            "--image-size 5000: 1,438 pictures of 5000 × 5000 take more than the 2 GiB",
        ),
        (["--data", "no.npz"], "--data no.npz: "),
        (["--data", "void.npz"], "--data void.npz: "),
        (["--data", "cut.npz"], "--data cut.npz: "),
        (["--data", "objects.npz"], "--data objects.npz: Object arrays cannot be loaded"),
        (["--data", "one.npz"], "--data one.npz: it must hold images and labels, not a single array"),
        (["--data", "other.npz"], "--data other.npz: it must hold images and labels, not pixels"),
    ],
)
def test_bad_data_and_folders_are_refused_in_one_sentence(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    """In this process, which has the frameworks already."""
    from tuning.__main__ import main

    monkeypatch.chdir(place)
    code = main(["search", "lenet5", "--quiet", *arguments])
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert sentence in err
    lines = [line for line in err.splitlines() if line.startswith("python -m tuning: ")]
    assert len(lines) == 1
    assert untouched(place)


def test_bad_input_is_one_line_and_json_too_where_it_was_asked_for(place: Path) -> None:
    ran = tuning(place, "search", "lenet5", "--data", "single", "--json")
    assert ran.code == 2
    assert ran.json == {"outcome": "bad input", "sentence": ran.err.split(": ", 1)[1].strip()}
    assert len(ran.err.splitlines()) == 1
    assert untouched(place)


def test_a_budget_that_cannot_hold_one_trial_is_refused(place: Path) -> None:
    ran = tuning(place, "search", "lenet5", "--engine", "random", "--epochs", 5000, "--budget", "1s")
    assert ran.code == 2, ran.out + ran.err
    assert "--budget of 1 s cannot hold one trial: 5000 epochs of the default configuration take" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""
    assert untouched(place)


def test_a_worker_whose_environment_is_half_set_is_told_what_lacks(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tuning.__main__ import main

    monkeypatch.chdir(place)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "w1")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.2")
    assert main(["search", "lenet5"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "KERASTUNER_ORACLE_PORT is not set, while KERASTUNER_TUNER_ID is" in err
    assert len(err.splitlines()) == 1
    assert untouched(place)


@pytest.mark.parametrize("command", ["show", "report"])
def test_a_folder_without_a_search_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    from tuning.__main__ import main

    monkeypatch.chdir(place)
    for folder in ("empty", "nowhere", "busy"):
        assert main([command, folder]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert folder in err
        assert len(err.splitlines()) == 1
    assert untouched(place)


@pytest.mark.parametrize("command", ["show", "report"])
@pytest.mark.parametrize("held", ["[]", '{"a": 1}', "3", "{", '{"schema": 1}', '{"schema": 1, "trials": []}'])
def test_the_result_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, held: str
) -> None:
    from tuning.__main__ import main

    (tmp_path / "result.json").write_text(held)
    assert main([command, str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert str(tmp_path / "result.json") in err
    assert len(err.splitlines()) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]


def test_a_pair_is_written_in_one_way() -> None:
    from tuning.narrowing import pairs, ranges

    assert pairs("--fix", ["width=1", " depth = 20|32 "]) == {"width": "1", "depth": "20|32"}
    assert ranges("--range", ["lr=1e-4:1e-1"]) == {"lr": (1e-4, 1e-1)}
    assert pairs("--fix", []) == {}


def test_light_commands_import_no_framework() -> None:
    code = (
        "import sys\n"
        "from tuning.__main__ import main\n"
        "for words in (['--help'], *([one, '--help'] for one in ('search', 'spaces', 'show', 'report'))):\n"
        "    try:\n"
        "        main(words)\n"
        "    except SystemExit as ended:\n"
        "        assert ended.code == 0\n"
        "main(['spaces']); main(['spaces', 'resnet']); main(['spaces', 'lenet5', '--json'])\n"
        "assert main(['search', 'lenet', '--fix', 'wdith=1']) == 2\n"
        "heavy = {'keras', 'tensorflow', 'keras_tuner', 'numpy', 'grpc', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "learning_rate" in done.stdout


def test_fixed_hyperparameters_are_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    from tuning.__main__ import main

    for family in ("lenet", "resnet", "vgg16_bn"):
        assert main(["spaces", family]) == 0
    assert "by its logarithm" in capsys.readouterr().out
