"""Bad input gets one sentence and exit code 2, at once and with nothing written."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest
from lines import pipeline

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tfds"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    from PIL import Image

    for name in ("empty", "single/only", "cats/tabby", "cats/siamese"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("single/only", "cats/tabby", "cats/siamese"):
        Image.new("RGB", (32, 32)).save(tmp_path / name / "1.png")
    (tmp_path / "bad.toml").write_text('epochs = "many"\n')
    (tmp_path / "typo.toml").write_text("epoch = 3\n")
    (tmp_path / "broken.toml").write_text("epochs = = 3\n")
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "digitz"], "--data digitz is not known. Did you mean digits?"),
        (["--model", "lenet6"], "--model='lenet6' is not known. Did you mean 'lenet5'?"),
        (["--data", "./cat"], "--data cat: there is no such folder; did you mean cats?"),
        (["--data", "empty"], "--data empty: no images found"),
        (["--data", "single"], "--data single: only one class (only)"),
        (["--epoch", "3"], "unrecognized arguments: --epoch 3; did you mean --epochs?"),
        (["--epochs", "0"], "--epochs must be at least 1, not 0"),
        (["--epochs", "x"], "argument --epochs: invalid int value: 'x'"),
        (["--test-share", "1.5"], "--test-share is a share between 0 and 1, not 1.5"),
        (["--learning-rate", "0"], "--learning-rate must be above 0, not 0.0"),
        (["--learning-rate", "nan"], "--learning-rate must be above 0, not nan"),
        (["--seed", "4294967296"], "--seed must be below 2**32, not 4294967296"),
        (["--name", ".."], "--name is one folder name, not '..'"),
        (["--models", "file/models"], "--models file/models: cannot be written"),
        (["--fit", "crop"], "--fit='crop' is not known"),
        (["--name", "a/b"], "--name is one folder name, not 'a/b'"),
        (["--config", "none.toml"], "--config none.toml: there is no such file"),
        (["--config", "bad.toml"], "--config bad.toml: epochs must be int, not 'many'"),
        (["--config", "typo.toml"], "key='epoch' is not known. Did you mean 'epochs'?"),
        (["--config", "broken.toml"], "--config broken.toml: "),
        (["--output", "file/run"], "--output file/run: cannot be written"),
        (["--data-dir", "nowhere", "--data", "mnist"], "--data-dir nowhere: there is no such folder"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(place: Path, arguments: list[str], sentence: str) -> None:
    ran = pipeline(place, "run", *arguments)
    assert ran.code == 2
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""
    assert not (place / "runs").exists()


def test_bad_input_is_json_too_where_json_was_asked_for(place: Path) -> None:
    ran = pipeline(place, "run", "--data", "empty", "--json")
    assert ran.code == 2
    assert ran.json == {"outcome": "bad input", "sentence": ran.err.split(": ", 1)[1].strip()}


def test_an_input_that_the_network_cannot_take_is_refused(place: Path) -> None:
    ran = pipeline(place, "run", "--image-size", 16)
    assert ran.code == 2
    assert "input_shape=(16, 16, 1) is too small for lenet5, which needs at least 32 × 32 pixels" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (place / "runs" / "digits-lenet5").exists()


def test_a_folder_in_use_is_refused(place: Path) -> None:
    import fcntl

    (place / "busy").mkdir()
    with (place / "busy" / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = pipeline(place, "run", "--output", "busy")
    assert ran.code == 2
    assert "--output busy: another run is at work there" in ran.err


@pytest.mark.parametrize("command", ["run", "validate"])
def test_broken_records_are_one_sentence_without_tensorflows_words(
    place: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow reads the records before the line starts, in the process whose words people read."""
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    (place / "cats" / "train.tfrecord").write_text("hello, this is no record file at all")
    shutil.rmtree(place / "cats" / "tabby")
    shutil.rmtree(place / "cats" / "siamese")
    ran = pipeline(place, command, "--data", "./cats")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "python -m pipeline: --data cats: train.tfrecord cannot be read: broken, or no TFRecord file\n"
    )


def test_predict_names_what_is_missing(place: Path) -> None:
    nothing = pipeline(place, "predict", "models/none", "cats")
    assert (nothing.code, nothing.err) == (2, "python -m pipeline: models/none: there is no such model\n")
    empty = pipeline(place, "predict", "empty", "cats")
    assert empty.err == "python -m pipeline: empty holds no pushed version of a model\n"


def test_an_unknown_command_and_no_command_are_refused(place: Path) -> None:
    assert "invalid choice: 'ran'" in pipeline(place, "ran").err
    assert pipeline(place).code == 2


def test_help_names_every_option(place: Path) -> None:
    from dataclasses import fields

    from pipeline.config import Config, option_name

    said = pipeline(place, "run", "--help").out
    for one in fields(Config):
        assert option_name(one.name) in said


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared MNIST is not here")
def test_a_tfds_data_set_is_found_with_its_facts() -> None:
    from pipeline import sources
    from pipeline.config import Config

    found = sources.inspect(Config(data="mnist", data_dir=str(SHARED)))
    assert (found.images, found.channels, found.fit, len(found.classes)) == (70_000, 1, "pad", 10)


def test_labels_out_of_range_are_refused(tmp_path: Path) -> None:
    """A data set in TFDS form whose examples hold a label that its features do not."""
    import io

    import tensorflow as tf
    from PIL import Image

    from pipeline import sources
    from pipeline.components import example_gen
    from pipeline.config import Config
    from tuning.errors import BadInput

    picture = io.BytesIO()
    Image.new("L", (8, 8)).save(picture, "PNG")
    folder = tmp_path / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    splits = []
    for split, labels in (("train", (0, 1, 7)), ("test", (0, 1))):
        with tf.io.TFRecordWriter(str(folder / f"tiny-{split}.tfrecord-00000-of-00001")) as writer:
            for label in labels:
                feature = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[picture.getvalue()])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
        splits.append(
            {"name": split, "shardLengths": [str(len(labels))], "numBytes": "1",
             "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"}
        )  # fmt: skip
    keys = {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}}
    info = {
        "name": "tiny", "version": "1.0.0", "fileFormat": "tfrecord", "splits": splits,
        "supervisedKeys": keys,
    }  # fmt: skip
    (folder / "dataset_info.json").write_text(json.dumps(info))
    features = "tensorflow_datasets.core.features."
    image = {"dtype": "uint8", "shape": {"dimensions": ["8", "8", "1"]}}
    parts = {
        "image": {"image": image, "pythonClassName": features + "image_feature.Image"},
        "label": {
            "classLabel": {"numClasses": "2"},
            "pythonClassName": features + "class_label_feature.ClassLabel",
        },
    }
    kind = features + "features_dict.FeaturesDict"
    (folder / "features.json").write_text(
        json.dumps({"pythonClassName": kind, "featuresDict": {"features": parts}})
    )
    config = Config(data="tiny", data_dir=str(tmp_path))
    dataset = sources.inspect(config)
    with pytest.raises(BadInput, match=r"label 7 of train/0000002 is out of range; 2 classes have .* 0 to 1"):
        example_gen.write(config, dataset, tmp_path / "out")


def test_names_of_others_move_no_cursor(tmp_path: Path) -> None:
    """Files and folders whose names would colour the terminal, or clear it."""
    from PIL import Image
    from rich.console import Console

    from pipeline.commands._line import _say
    from pipeline.console import Screen

    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(10):
            Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / "pets" / name / f"{index}.png")
    (tmp_path / "pets" / "cat" / "\x1b[31mred.png").write_text("no picture")
    refused = pipeline(tmp_path, "validate", "--data", "pets")
    assert refused.code == 2
    assert "\x1b" not in refused.out + refused.err
    assert "\n  cat/\\x1b[31mred.png: not an image\n" in refused.err

    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        screen = Screen(Console(file=told))
        screen.header("pets \x1b[2J")
        screen.ends("examples", "pets \x1b[2J", 1.0, cached=False)
        sentence = "not blessed: accuracy 0.1 of origin \x1b[2J is low\n  a second line"
        _say({"sentence": sentence, "report": "", "outcome": "not blessed", "next": ""})
    assert "\x1b" not in told.getvalue()
    assert told.getvalue().count("\\x1b[2J") == 3
    assert "\n  a second line" in told.getvalue()
