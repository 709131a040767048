"""ExampleGen on pictures as they come: what it writes, what it reports, and that nothing else changes it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import looking, sources
from pipeline.components import example_gen
from pipeline.config import Config
from pipeline.images import readable
from tuning.errors import BadInput

ROOT = Path(__file__).parents[1]


def picture(file: Path, seed: int, **how: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (9, 11, 3)).astype("uint8")
    Image.fromarray(pixels).save(file, **how)
    return file


def written(root: Path, out: Path, **options: Any) -> dict[str, Any]:
    workers = options.pop("workers", None)
    config = Config(data=str(root), **options)
    return example_gen.write(config, sources.inspect(config), out, workers)


def digest(folder: Path) -> str:
    """Of all files in a folder: names and bytes."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return state.hexdigest()


def held(out: Path) -> dict[str, list[Any]]:
    """The examples of each split, as protobuf reads them."""
    import tensorflow as tf

    from keras_cnns.training.examples import records

    found = {}
    for split in (path.name.removeprefix("Split-") for path in out.glob("Split-*")):
        files = sorted(str(path) for path in (out / f"Split-{split}").iterdir())
        found[split] = [tf.train.Example.FromString(one.numpy()).features.feature for one in records(files)]
    return found


def values(feature: Any) -> list[Any]:
    return list(feature.int64_list.value) + list(feature.bytes_list.value)


def test_an_example_is_what_protobuf_would_write() -> None:
    import tensorflow as tf

    from keras_cnns.training.examples import Record, to_example

    for size in (0, 1, 100, 127, 128, 16_000, 16_383, 16_384, 3_000_000):
        record = Record(bytes(size), size, "süß" * 50, "a/b.jpg" * (size % 300), size, 2, "JPEG", "grey", "o")
        named = {**vars(record), "size": record.size}
        feature = {}
        for name, value in named.items():
            if isinstance(value, int):
                feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            else:
                data = value.encode() if isinstance(value, str) else value
                feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        data = to_example(record)
        assert tf.train.Example.FromString(data) == example
        assert len(data) == example.ByteSize()


def test_the_same_folder_gives_the_same_bytes_whatever_the_machine(tmp_path: Path) -> None:
    """Order of creation, workers, locale and the composition of an ö change nothing; the seed does."""
    names = [
        f"{kind}/{part}{index}.png" for kind in ("röt", "blau") for part in ("", "ö/") for index in range(300)
    ]
    for root, form, order in (("one", "NFC", 1), ("other", "NFD", -1)):
        for name in names[::order]:
            picture(
                tmp_path / root / "data" / unicodedata.normalize(form, name), len(name) + names.index(name)
            )
    first = written(tmp_path / "one" / "data", tmp_path / "first", workers=1)
    assert first["images"] == 1200
    again = written(tmp_path / "one" / "data", tmp_path / "again", workers=5)
    there = written(tmp_path / "other" / "data", tmp_path / "there")
    assert first["classes"] == there["classes"] == ["blau", unicodedata.normalize("NFC", "röt")]
    assert {digest(tmp_path / out) for out in ("again", "there")} == {digest(tmp_path / "first")}
    assert again == first
    written(tmp_path / "one" / "data", tmp_path / "reseeded", seed=1)
    assert digest(tmp_path / "reseeded") != digest(tmp_path / "first")
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests'); import test_example_gen\n"
        "assert sys.getfilesystemencoding() != 'utf-8'\n"
        "test_example_gen.written(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code, str(tmp_path / "one" / "data"), str(tmp_path / "ascii")],
        cwd=ROOT, check=True, capture_output=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert digest(tmp_path / "ascii") == digest(tmp_path / "first")


def test_odd_pictures_are_stored_as_predict_reads_them(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [
        picture(tmp_path / "data" / name, index, **how)
        for index, (name, how) in enumerate(
            {"a/turned.jpg": {"exif": exif}, "a/plain.jpg": {}, "b/one.bmp": {}, "b/two.gif": {},
             "b/three.webp": {}, "a/four.png": {}}.items()
        )
    ]  # fmt: skip
    facts = written(tmp_path / "data", tmp_path / "out")
    assert facts["formats"] == {"JPEG": 2, "BMP": 1, "GIF": 1, "WebP": 1, "PNG": 1}
    assert facts["sizes"] == {"11×9": 5, "9×11": 1}
    found = held(tmp_path / "out")
    stored = {
        values(one["source"])[0].decode(): values(one["image"])[0] for one in found["train"] + found["test"]
    }
    assert stored == {
        file.relative_to(tmp_path / "data").as_posix(): readable(file.read_bytes()) for file in files
    }
    for sample in facts["samples"]:
        with Image.open(tmp_path / "out" / sample["file"]) as shown:
            assert shown.format == {".png": "PNG", ".jpg": "JPEG"}[Path(sample["file"]).suffix]


def test_hostile_files_are_named_and_no_pipe_is_waited_for(tmp_path: Path) -> None:
    for index in range(40):
        picture(tmp_path / "data" / "ab"[index % 2] / f"{index}.png", index)
    (tmp_path / "data" / "a" / "text.jpg").write_text("hello")
    os.mkfifo(tmp_path / "data" / "a" / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "data" / "a" / "link.jpg").symlink_to(tmp_path / "pipe")
    (tmp_path / "data" / "a" / "nowhere.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "data" / "a" / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "data" / "a" / "round").symlink_to(tmp_path / "data" / "a")
    (tmp_path / "data" / "b" / os.fsdecode(b"\xff.png")).write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(BadInput) as caught:
        written(tmp_path / "data", tmp_path / "out", max_bad_images=5)
    assert "6 images cannot be read, and --max-bad-images allows 5" in str(caught.value)
    for name, why in {
        "a/text.jpg": "not an image", "a/pipe.jpg": "empty, or cannot be opened",
        "a/link.jpg": "empty, or cannot be opened", "a/nowhere.jpg": "empty, or cannot be opened",
        "a/zero.jpg": "empty, or cannot be opened", "b/\\xff.png": "",
    }.items():  # fmt: skip
        assert f"\n  {name}: {why}" in str(caught.value)
    facts = written(tmp_path / "data", tmp_path / "allowed", max_bad_images=6)
    assert (facts["images"], len(facts["bad"])) == (40, 6)


def test_the_same_picture_in_two_parts_of_the_datas_own_is_reported(tmp_path: Path) -> None:
    for index, name in enumerate(["train/a/1", "train/a/2", "train/b/3", "test/a/4", "test/b/5", "val/a/6"]):
        picture(tmp_path / "data" / f"{name}.png", index)
    picture(tmp_path / "data" / "test/a/again.png", 0)
    picture(tmp_path / "data" / "train/b/other.png", 1)
    picture(tmp_path / "data" / "val/b/again.png", 2)
    for part in ("train", "val", "test"):
        picture(tmp_path / "data" / part / "a/all.png", 7)
    facts = written(tmp_path / "data", tmp_path / "out")
    assert {name: part["count"] for name, part in facts["splits"].items()} == {
        "train": 5,
        "val": 3,
        "test": 4,
    }
    assert len(list((tmp_path / "out" / "Split-val").iterdir())) == 1
    assert facts["remarks"] == [
        "2 pictures in train and val alike", "2 pictures in train and test alike",
        "1 picture in val and test alike", "1 picture with the same bytes as one of another class",
    ]  # fmt: skip
    assert ["test/a/again.png", "train/a/1.png"] in [sorted(pair) for pair in facts["same"]]


def test_a_picture_does_not_come_to_train_and_to_a_val_part_that_we_keep_apart(tmp_path: Path) -> None:
    for index in range(40):
        for copy in "xyz":
            picture(tmp_path / "data" / "train" / "ab"[index % 2] / f"{index}{copy}.png", index)
    for index in range(10):
        picture(tmp_path / "data" / "test" / "ab"[index % 2] / f"{index}.png", index)
    facts = written(tmp_path / "data", tmp_path / "out", val_share=0.4)
    found = {part: {values(one["image"])[0] for one in some} for part, some in held(tmp_path / "out").items()}
    assert len(found["train"]) + len(found["val"]) == 40
    assert min(map(len, found.values())) > 0
    assert not found["train"] & found["val"]
    assert facts["splits"]["test"]["count"] == 10
    assert [
        remark for remark in facts["remarks"] if remark.endswith("moved to the split of the same picture")
    ]


def test_in_our_own_split_same_pictures_stay_on_one_side(tmp_path: Path) -> None:
    for index in range(40):
        for copy in "xyz":
            picture(tmp_path / "data" / "ab"[index % 2] / f"{index}{copy}.png", index)
    facts = written(tmp_path / "data", tmp_path / "out", test_share=0.4)
    found = held(tmp_path / "out")
    train, test = ({values(one["image"])[0] for one in found[split]} for split in ("train", "test"))
    assert len(train) + len(test) == 40
    assert not train & test
    assert test
    [remark] = facts["remarks"]
    assert remark.endswith("pictures moved to the split of the same picture")


def test_no_more_than_a_few_bytes_wait_to_be_looked_at() -> None:
    images = (("train", sources.Image(str(index), 0, bytes(5 << 20))) for index in range(20))
    sizes = [sum(len(one.data) for _, one in part) for part in looking._parts(images)]
    assert max(sizes) == 20 << 20
    assert sum(sizes) == 100 << 20
