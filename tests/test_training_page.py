"""docs/training.md: its code runs as it stands there, and what it says of the simple form holds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.training import data, examples, simple
from keras_cnns.training.preprocess import Preprocess

PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_a_folder_is_trained_and_exported_in_a_few_lines(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photos, target_is_directory=True)
    names: dict[str, Any] = {}
    exec(BLOCKS[0], names)
    assert names["task"].labels == ("across", "down", "plain")
    assert (names["task"].train.count, names["task"].test.count) == (66, 18)  # TensorFlow reads no WebP
    assert len(names["trained"].history) == 2
    served = tf.saved_model.load("model").signatures["serve_bytes"]
    picture = next((tmp_path / "photos" / "plain").glob("*.png")).read_bytes()
    assert served(tf.constant([picture]))["probabilities"].shape == (1, 3)
    assert list((tmp_path / "logs").glob("events.*"))
    assert json.loads((tmp_path / "state" / "state.json").read_text())["last"] == "last-2.weights.h5"


def test_arrays_are_trained() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[1], names)
    assert names["probabilities"].shape == (40, 2)
    assert names["trained"].history[-1]["accuracy"] > 0.5


def test_the_page_names_every_option() -> None:
    from keras_cnns.training.fit import Options

    for name in Options.__dataclass_fields__:
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize(
    ("pictures", "more", "sentence"),
    [
        ((np.zeros((4, 8, 8), "float32"), np.arange(4)), {}, "images must be uint8"),
        ((np.zeros((4, 8, 8), "uint8"), np.arange(3)), {}, "with 3 labels"),
        ((np.zeros((4, 8, 8), "uint8"), np.arange(4)), {"classes": ("a", "b")}, "there are 2 classes"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(pictures: Any, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        simple.task("lenet5_modern", pictures, **more)


def test_a_folder_of_one_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.png").touch()
    with pytest.raises(ValueError, match="must hold two or more folders"):
        simple.task("lenet5_modern", tmp_path)


def test_each_class_gives_its_share_to_the_test() -> None:
    source = data.Arrays(np.zeros((30, 4, 4), "uint8"), np.array([0] * 20 + [1] * 10))
    seen, unseen = data.split(source, 0.2, seed=1)
    assert np.bincount(unseen.labels).tolist() == [4, 2]
    assert seen.count == 24
    assert np.array_equal(data.split(source, 0.2, seed=1)[1].labels, unseen.labels)


@pytest.mark.parametrize("limit", [data.MEMORY_LIMIT, 0], ids=["memory", "streamed"])
def test_files_arrays_and_records_bring_the_same_pixels(
    photos: Path, tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MEMORY_LIMIT", limit)
    files, _ = data.folder(photos)
    how = Preprocess(16, 16, 3)
    written = str(tmp_path / "one.gz")
    with tf.io.TFRecordWriter(written, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for path, label in zip(files.paths, files.labels, strict=True):
            image = Path(path).read_bytes()
            record = examples.Record(image, label, "x", path, 1, 1, "PNG", "colour")
            writer.write(examples.to_example(record))
    decoded = [tf.io.decode_image(Path(path).read_bytes(), channels=3).numpy() for path in files.paths]
    first = [index for index, one in enumerate(decoded) if one.shape == decoded[0].shape]
    records = data.Records((written,), files.count)
    (images, labels), (others, more) = (
        next(iter(data.batches(source, how, batch_size=files.count))) for source in (files, records)
    )
    assert np.array_equal(images, others)
    assert np.array_equal(labels, more)
    arrays = data.Arrays(np.stack([decoded[index] for index in first]), labels.numpy()[first])
    held = next(iter(data.batches(arrays, how, batch_size=len(first))))[0]
    assert np.array_equal(held, images.numpy()[first])
