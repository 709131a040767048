"""How images are found, split and looked at."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import sources
from pipeline.config import Config
from pipeline.images import look_at
from pipeline.sources.splits import stratified
from tuning.errors import BadInput

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tfds" / "mnist" / "3.0.1"


def encoded(size: tuple[int, int] = (8, 8), form: str = "PNG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    return buffer.getvalue()


def fill(root: Path, *names: str, mode: str = "RGB") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(mode=mode))
    return root


@pytest.mark.parametrize(
    ("counts", "share", "held_out"),
    [
        ({0: 10, 1: 10}, 0.2, {0: 2, 1: 2}),
        ({0: 3, 1: 7}, 0.2, {0: 1, 1: 1}),  # ceil(2.0) in all, the larger fraction first
        ({0: 2, 1: 100}, 0.01, {0: 1, 1: 1}),  # each class keeps one on either side
        ({0: 1, 1: 9}, 0.5, {0: 0, 1: 4}),  # a single image stays in the train part
    ],
)
def test_each_class_gives_its_share(counts: dict, share: float, held_out: dict) -> None:
    assert stratified(counts, share) == held_out


def test_the_digits_are_split_as_the_readme_says() -> None:
    config = Config()
    dataset = sources.inspect(config)
    parts = [split for split, _ in sources.read(config, dataset)]
    assert (len(parts), parts.count("train"), parts.count("test")) == (dataset.images, 1437, 360)


def test_the_order_depends_on_names_and_seed_alone(tmp_path: Path) -> None:
    names = [f"{kind}/{index}.png" for kind in ("a", "b") for index in range(20)]
    one = Config(data=str(fill(tmp_path / "one", *names)))
    other = Config(data=str(fill(tmp_path / "other", *reversed(names))))
    order = [(split, image.source) for split, image in sources.read(one, sources.inspect(one))]
    assert order == [(split, image.source) for split, image in sources.read(other, sources.inspect(other))]
    reseeded = Config(data=one.data, seed=1)
    assert order != [(s, image.source) for s, image in sources.read(reseeded, sources.inspect(reseeded))]


def test_own_train_and_test_folders_are_kept(tmp_path: Path) -> None:
    root = fill(
        tmp_path, "train/a/1.png", "train/a/2.png", "train/b/1.png", "test/a/3.png", "test/b/4.jpg",
        "train/stray.png", "extra/c/5.png",
    )  # fmt: skip
    config = Config(data=str(root))
    dataset = sources.inspect(config)
    assert (dataset.classes, dataset.images) == (("a", "b"), 5)
    found = {(split, image.source, image.label) for split, image in sources.read(config, dataset)}
    assert found == {
        ("train", "train/a/1.png", 0), ("train", "train/a/2.png", 0), ("train", "train/b/1.png", 1),
        ("test", "test/a/3.png", 0), ("test", "test/b/4.jpg", 1),
    }  # fmt: skip


def test_a_class_that_only_the_test_part_has_is_refused(tmp_path: Path) -> None:
    root = fill(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/3.png", "test/c/4.png")
    with pytest.raises(BadInput, match="test holds classes that train lacks: c"):
        sources.inspect(Config(data=str(root)))


def test_grey_folders_give_one_channel(tmp_path: Path) -> None:
    names = ("a/1.png", "b/1.png")
    assert sources.inspect(Config(data=str(fill(tmp_path / "grey", *names, mode="L")))).channels == 1
    assert sources.inspect(Config(data=str(fill(tmp_path / "colour", *names)))).channels == 3


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    root = fill(tmp_path, "a/1.png", "b/1.png")
    config = Config(data=str(root))
    before = sources.inspect(config).fingerprint
    assert sources.inspect(config).fingerprint == before
    (root / "a" / "1.png").write_bytes(encoded((9, 9)))
    changed = sources.inspect(config).fingerprint
    fill(root, "a/2.png")
    assert len({before, changed, sources.inspect(config).fingerprint}) == 3


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty, or cannot be opened"),
        (b"hello", "not an image"),
        (encoded((64, 64))[:-1], "truncated"),
        (encoded((64, 64), "JPEG")[:300], "truncated"),
        (encoded(form="TIFF"), "TIFF, not JPEG, PNG, BMP, GIF or WebP"),
    ],
)
def test_what_cannot_be_read_is_told(data: bytes, why: str) -> None:
    assert look_at(data).why == why


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("cut", [0, 1, 2, 4, 12, 13, 20, 100, 400])
def test_what_passes_can_be_decoded_by_tensorflow(form: str, cut: int) -> None:
    import numpy as np
    import tensorflow as tf

    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    data = buffer.getvalue()[: len(buffer.getvalue()) - cut]
    passes = not look_at(data).why
    assert passes == (cut == 0)
    if passes:
        assert tf.io.decode_image(data).shape == (40, 40, 3)


def test_a_wrong_checksum_is_refused() -> None:
    data = bytearray(encoded((64, 64)))
    data[data.index(b"IDAT") + 8] ^= 0xFF
    assert look_at(bytes(data)).why


def test_a_good_picture_is_described() -> None:
    seen = look_at(encoded((7, 5), "JPEG", "CMYK"))
    assert (seen.size, seen.format, seen.why) == ("7×5", "JPEG", "")


def test_a_folder_inside_of_a_class_is_the_origin(tmp_path: Path) -> None:
    root = fill(tmp_path, "a/1.png", "a/phone/2.png", "b/scan/old/1.png")
    config = Config(data=str(root))
    found = {image.source: image.origin for _, image in sources.read(config, sources.inspect(config))}
    assert found == {"a/1.png": "", "a/phone/2.png": "phone", "b/scan/old/1.png": "scan/old"}


def test_nothing_in_a_class_folder_is_passed_over_without_a_word(tmp_path: Path) -> None:
    """A folder may have the name of a picture; what is no file is named as one that cannot be read."""
    root = fill(tmp_path, "a/1.png", "a/odd.png/2.png", "b/1.png", "b/.hidden.png")
    (root / "c" / "empty").mkdir(parents=True)
    os.mkfifo(root / "b" / "pipe.png")
    (root / "b" / "gone.jpg").symlink_to("nowhere.jpg")
    config = Config(data=str(root))
    dataset = sources.inspect(config)
    assert (dataset.classes, dataset.unused) == (("a", "b"), "c (no images)")
    found = {image.source: bool(image.data) for _, image in sources.read(config, dataset)}
    assert found == {
        "a/1.png": True, "a/odd.png/2.png": True, "b/1.png": True, "b/pipe.png": False, "b/gone.jpg": False,
    }  # fmt: skip


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fill(tmp_path, "a/1.png", "a/closed/2.png", "b/1.png")
    opens = os.scandir

    def closed(place: bytes) -> Any:  # root can read whatever the permissions say
        if os.fsencode(place).endswith(b"closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opens(place)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(BadInput, match="a/closed cannot be read: Permission denied"):
        sources.inspect(Config(data=str(root)))


def test_a_val_part_beside_test_is_a_part_of_its_own(tmp_path: Path) -> None:
    names = [
        "train/a/1.png", "train/b/1.png", "test/a/3.png", "test/b/4.png", "val/a/5.png", "val/b/6.png",
        "val/a/more/7.png", "validation/a/8.png",
    ]  # fmt: skip
    orders = []
    for home, some in (("one", names), ("other", names[::-1])):
        config = Config(data=str(fill(tmp_path / home, *some)))
        dataset = sources.inspect(config)
        assert (dataset.splits, dataset.images) == (("train", "val", "test"), 7)
        assert dataset.unused == "validation (1 images)"
        assert sources.parts(config, dataset) == ("train", "val", "test")
        orders.append([(part, image.source) for part, image in sources.read(config, dataset)])
    assert orders[0] == orders[1]
    assert all(source.startswith(part + "/") for part, source in orders[0])
    with pytest.raises(BadInput, match=r"--val-share 0\.1: .* has a val part of its own, val"):
        sources.inspect(Config(data=config.data, val_share=0.1))


def test_a_val_folder_without_class_folders_is_no_part(tmp_path: Path) -> None:
    """ImageNet's own val folder, for one."""
    root = fill(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/3.png", "test/b/4.png", "val/5.png")
    dataset = sources.inspect(Config(data=str(root)))
    assert (dataset.splits, dataset.images) == (("train", "test"), 4)


def test_a_class_that_only_the_val_part_has_is_refused(tmp_path: Path) -> None:
    root = fill(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/3.png", "val/c/4.png")
    with pytest.raises(BadInput, match="val holds classes that train lacks: c"):
        sources.inspect(Config(data=str(root)))


def counted(config: Config) -> dict[tuple[str, int], int]:
    counts: dict[tuple[str, int], int] = {}
    for part, image in sources.read(config, sources.inspect(config)):
        counts[part, image.label] = counts.get((part, image.label), 0) + 1
    return counts


@pytest.mark.parametrize("own", [False, True])
def test_a_share_of_the_training_images_is_kept_apart_by_class_and_seed(own: bool, tmp_path: Path) -> None:
    start = "train/" if own else ""
    names = [f"{start}{kind}/{index}.png" for kind, count in (("a", 50), ("b", 25)) for index in range(count)]
    names += ["test/a/x.png", "test/b/y.png"] if own else []
    one = Config(data=str(fill(tmp_path / "one", *names)), val_share=0.2)
    other = Config(data=str(fill(tmp_path / "other", *reversed(names))), val_share=0.2)
    assert counted(one) == (
        {("train", 0): 40, ("train", 1): 20, ("val", 0): 10, ("val", 1): 5, ("test", 0): 1, ("test", 1): 1}
        if own
        else {
            ("train", 0): 32,
            ("train", 1): 16,
            ("val", 0): 8,
            ("val", 1): 4,
            ("test", 0): 10,
            ("test", 1): 5,
        }
    )

    def parts(config: Config) -> dict[str, str]:
        return {image.source: part for part, image in sources.read(config, sources.inspect(config))}

    found, without = parts(one), parts(dataclasses.replace(one, val_share=0.0))
    assert found == parts(other)
    assert found != parts(dataclasses.replace(one, seed=1))
    assert {name for name, part in found.items() if part == "test"} == {
        name for name, part in without.items() if part == "test"
    }


def test_a_part_of_the_digits_is_kept_apart() -> None:
    counts = counted(Config(val_share=0.1))
    assert [sum(n for (one, _), n in counts.items() if one == part) for part in ("train", "val", "test")] == [
        1293, 144, 360
    ]  # fmt: skip


def test_a_val_part_alone_is_evaluated(tmp_path: Path) -> None:
    root = fill(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/3.png", "val/b/4.png")
    config = Config(data=str(root))
    dataset = sources.inspect(config)
    assert (dataset.splits, dataset.unused) == (("train", "val"), "")
    parts = [split for split, _ in sources.read(config, dataset)]
    assert (parts.count("train"), parts.count("test")) == (2, 2)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.JPEG", "x.bmp", "x.gif", "x.webp"])
def test_each_format_is_found_by_its_ending(name: str, tmp_path: Path) -> None:
    root = fill(tmp_path, f"a/{name}", "b/1.png", "b/notes.txt", "b/.hidden.png", "b/2.tiff")
    assert sources.inspect(Config(data=str(root))).images == 2


def test_a_class_name_of_two_lines_is_refused(tmp_path: Path) -> None:
    root = fill(tmp_path, "a/1.png", "b\nc/1.png")
    with pytest.raises(BadInput, match=r"the class name 'b\\nc' does not fit on a line"):
        sources.inspect(Config(data=str(root)))


# --- TFDS


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets as TFDS itself writes them: shapes, and single, which has one split."""
    import numpy as np
    import tensorflow_datasets as tfds

    pytest.importorskip("importlib_resources", reason="TFDS cannot write a data set without it, only read")
    home = tmp_path_factory.mktemp("tfds")
    dice = np.random.default_rng(0)

    def rows(count: int) -> list[tuple[int, dict]]:
        return [
            (i, {"picture": dice.integers(0, 255, (6, 7, 3)).astype("uint8"), "kind": i % 3, "boxes": [1, 2]})
            for i in range(count)
        ]

    features = tfds.features.FeaturesDict(
        {
            "picture": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "kind": tfds.features.ClassLabel(names=["disc", "square", "star"]),
            "boxes": tfds.features.Sequence(np.int64),
        }
    )
    for name, splits in {
        "shapes": {"train": 30, "test": 10, "validation": 5},
        "single": {"train": 20},
    }.items():
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name, version="1.0.0", features=features, data_dir=home,
            split_datasets={split: rows(count) for split, count in splits.items()},
        )  # fmt: skip
    return home


def of_tfds(home: Path, data: str, **options: Any) -> tuple[sources.Dataset, list[tuple[str, sources.Image]]]:
    config = Config(data=data, data_dir=str(home), **options)
    dataset = sources.inspect(config)
    return dataset, list(sources.read(config, dataset))


def test_any_builder_with_one_image_and_one_label_is_read(prepared: Path) -> None:
    dataset, found = of_tfds(prepared, "shapes")
    assert (dataset.kind, dataset.title, dataset.classes) == ("tfds", "shapes", ("disc", "square", "star"))
    assert (dataset.splits, dataset.images) == (("train", "validation", "test"), 45)
    assert [split for split, _ in found].count("val") == 5
    assert [split for split, _ in found].count("train") == 30
    assert {look_at(image.data).size for _, image in found} == {"7×6"}
    assert {image.label for _, image in found} == {0, 1, 2}


@pytest.mark.parametrize(
    ("train", "val", "test", "counts"),
    [
        ("train[:80%]", None, "train[80%:]", (24, 5, 6)),
        ("train+validation", None, None, (35, 0, 10)),
        ("train[10:20]", None, "validation", (10, 0, 5)),
        (None, None, "train[-5:]", (30, 5, 5)),
        ("train[:20]", "train[20:]", None, (20, 10, 10)),
    ],
)
def test_parts_are_named_as_tfds_names_them(
    train: str | None, val: str | None, test: str | None, counts: tuple[int, int, int], prepared: Path
) -> None:
    dataset, found = of_tfds(prepared, "shapes", train_split=train, val_split=val, test_split=test)
    parts = [split for split, _ in found]
    assert (parts.count("train"), parts.count("val"), parts.count("test")) == counts
    assert dataset.images == sum(counts)


def test_a_share_of_a_tfds_set_is_kept_apart(prepared: Path) -> None:
    asked = {"train_split": "train", "test_split": "validation", "val_share": 0.2}
    _, found = of_tfds(prepared, "shapes", **asked)
    assert [image.label for part, image in found if part == "val"].count(0) == 2
    assert [part for part, _ in found].count("val") == 6
    assert found == of_tfds(prepared, "shapes", **asked)[1]
    config = Config(data="shapes", data_dir=str(prepared), **asked)
    dataset = sources.inspect(config)
    ranges = [sources.read(config, dataset, start, start + 8) for start in range(0, 40, 8)]
    assert [one for some in ranges for one in some] == found
    assert found != of_tfds(prepared, "shapes", **asked, seed=1)[1]


def test_a_set_of_one_part_says_how_to_divide_it(prepared: Path) -> None:
    with pytest.raises(
        BadInput, match=r'found train; parts of one can be named: --train-split "train\[:80%\]"'
    ):
        of_tfds(prepared, "single")
    dataset, found = of_tfds(prepared, "single", train_split="train[:75%]", test_split="train[75%:]")
    assert len({image.data for _, image in found}) == dataset.images == 20


@pytest.mark.parametrize(
    ("split", "why"),
    [
        ("trian", "did you mean train?"),
        ("train[:8", "Unrecognized split format"),
        ("train[80%:200%]", "percent slice"),
        ("nothing", "has the splits"),
    ],
)
def test_a_wrong_split_is_one_sentence(split: str, why: str, prepared: Path) -> None:
    with pytest.raises(BadInput, match=r"^--train-split .*") as caught:
        of_tfds(prepared, "shapes", train_split=split)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_not_downloaded(prepared: Path) -> None:
    there = sorted(prepared.rglob("*"))
    with pytest.raises(BadInput, match="Nothing is downloaded here: `tfds build cifar10 --data_dir"):
        of_tfds(prepared, "cifar10")
    with pytest.raises(BadInput, match="Did you mean shapes"):
        of_tfds(prepared, "shape")
    with pytest.raises(BadInput, match=r"shapes holds 1\.0\.0"):
        of_tfds(prepared, "shapes:2.0.0")
    assert sorted(prepared.rglob("*")) == there


def test_split_expressions_are_for_tfds_alone(tmp_path: Path) -> None:
    root = fill(tmp_path, "a/1.png", "b/1.png")
    with pytest.raises(BadInput, match=r"--test-split train\[80%:\]: only TFDS data sets take it"):
        sources.inspect(Config(data=str(root), test_split="train[80%:]"))


# --- TFRecords


def records(file: Path, *rows: dict[str, object], packed: bool = False) -> Path:
    import tensorflow as tf

    def feature(value: object) -> tf.train.Feature:
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        data = value.encode() if isinstance(value, str) else value
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))

    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file), "GZIP" if packed else "") as writer:
        for row in rows:
            features = tf.train.Features(feature={name: feature(value) for name, value in row.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return file


def of_records(root: Path, **options: Any) -> tuple[sources.Dataset, list[tuple[str, sources.Image]]]:
    config = Config(data=str(root), **options)
    dataset = sources.inspect(config)
    return dataset, list(sources.read(config, dataset))


def shades(count: int) -> list[bytes]:
    return [encoded((index + 1, 3)) for index in range(count)]


def test_records_with_parts_of_their_own(tmp_path: Path) -> None:
    def rows(some: list[bytes]) -> list[dict[str, object]]:
        return [
            {"image/encoded": one, "image/class/label": i % 2 + 1, "image/class/text": ("ant", "bee")[i % 2]}
            for i, one in enumerate(some)
        ]

    pictures = shades(20)
    records(tmp_path / "train-00000-of-00002.tfrecord", *rows(pictures[:8]))
    records(tmp_path / "train-00001-of-00002.tfrecord.gz", *rows(pictures[8:14]), packed=True)
    records(tmp_path / "test" / "part.tfrecords", *rows(pictures[14:18]))
    records(tmp_path / "validation-0.tfrecord", *rows(pictures[18:]))
    dataset, found = of_records(tmp_path)
    assert (dataset.kind, dataset.classes, dataset.channels) == ("tfrecords", ("ant", "bee"), 3)
    assert (dataset.images, dataset.splits) == (20, ("train", "validation", "test"))
    parts = {part: [one.data for split, one in found if split == part] for part in ("train", "val", "test")}
    assert parts["val"] == pictures[18:]
    assert sorted(parts["train"]) == sorted(pictures[:14])
    assert parts["test"] == pictures[14:18]
    assert {image.source for _, image in found} >= {"test/part.tfrecords#0000000"}


@pytest.mark.parametrize("names", [None, "zero\none\ntwo\n"])
def test_records_without_parts_are_split_by_us(names: str | None, tmp_path: Path) -> None:
    rows = [{"image": one, "label": index % 3} for index, one in enumerate(shades(30))]
    records(tmp_path / "a.tfrecord", *rows[:20])
    records(tmp_path / "b.tfrecord", *rows[20:])
    if names:
        (tmp_path / "labels.txt").write_text(names)
    dataset, found = of_records(tmp_path)
    assert dataset.classes == (tuple(names.split()) if names else ("0", "1", "2"))
    held_out = [image.label for split, image in found if split == "test"]
    assert sorted(held_out) == [0, 0, 1, 1, 2, 2]
    assert found == of_records(tmp_path)[1]
    assert found != of_records(tmp_path, seed=1)[1]
    kept = [image.label for part, image in of_records(tmp_path, val_share=0.25)[1] if part == "val"]
    assert sorted(kept) == [0, 0, 1, 1, 2, 2]


def test_what_we_wrote_ourselves_can_be_read_again(tmp_path: Path) -> None:
    from pipeline.components import example_gen

    root = fill(tmp_path / "data", *(f"{kind}/{index}.png" for kind in "ab" for index in range(10)))
    for index, path in enumerate(sorted(root.rglob("*.png"))):
        path.write_bytes(shades(20)[index])
    config = Config(data=str(root))
    example_gen.write(config, sources.inspect(config), tmp_path / "out")
    dataset, found = of_records(tmp_path / "out")
    assert (dataset.classes, dataset.splits) == (("a", "b"), ("train", "test"))
    assert sorted(image.data for _, image in found) == sorted(shades(20))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared MNIST is not here")
def test_the_files_of_a_tfds_set_are_records_too() -> None:
    dataset, found = of_records(SHARED)
    assert (dataset.images, len(dataset.classes), dataset.channels) == (70_000, 10, 1)
    assert [split for split, _ in found].count("test") == 10_000


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (
            [{"picture": b"x", "label": 1}],
            "has the features label, picture; wanted are an image (image, image/enc",
        ),
        ([{"image": b"x"}], "wanted are an image"),
        ([{"image": b"x", "label": 0}, {"image": b"x"}], "record 1 of one.tfrecord has no label"),
        ([], "hold no examples"),
        ([{"image": b"x", "label": 0}], "only one class (0)"),
    ],
)
def test_records_that_are_not_understood_are_named(rows: list[dict], why: str, tmp_path: Path) -> None:
    records(tmp_path / "one.tfrecord", *rows)
    with pytest.raises(BadInput) as caught:
        sources.inspect(Config(data=str(tmp_path)))
    assert why in str(caught.value)


def test_a_look_at_records_is_silent_and_the_log_keeps_warnings(tmp_path: Path) -> None:
    """In a process of its own, as TensorFlow is imported once; the line's is to say what it warns of."""
    records(tmp_path / "one.tfrecord", *({"image": encoded((4, 4)), "label": n % 2} for n in range(9)))
    script = f"""
import sys
from pipeline import run
from pipeline.config import Config
print(run.inspect(Config(data={str(tmp_path)!r})).images, "tensorflow" in sys.modules)
print(run._environment()["TF_CPP_MIN_LOG_LEVEL"])
"""
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=kept,
        cwd=Path(__file__).parents[1],
    )
    assert (done.stdout, done.stderr) == ("9 True\n2\n", "")


def test_broken_records_are_named(tmp_path: Path) -> None:
    file = records(tmp_path / "one.tfrecord", *({"image": b"x", "label": index} for index in range(9)))
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(BadInput, match=r"one\.tfrecord cannot be read: broken, or no TFRecord file"):
        sources.inspect(Config(data=str(tmp_path)))
    file.write_text("hello, this is no record file at all")
    with pytest.raises(BadInput, match=r"one\.tfrecord cannot be read"):
        sources.inspect(Config(data=str(tmp_path)))
