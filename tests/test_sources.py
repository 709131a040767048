"""How images are found, split and looked at."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from pipeline import sources
from pipeline.config import Config
from pipeline.errors import BadInput
from pipeline.images import look_at


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
    assert sources._stratified(counts, share) == held_out


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
