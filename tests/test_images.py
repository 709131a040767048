"""Odd, broken and hostile pictures: each is read as a person sees it, or named; soon, in bounded memory."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.images import PIXEL_LIMIT, SCAN_LIMIT, look_at, look_at_all, readable, small
from pipeline.predict import _read
from tuning.errors import BadInput

ROOT = Path(__file__).parents[1]


def smooth(height: int = 24, width: int = 40, depth: int = 3) -> np.ndarray:
    """Soft colours, so that JPEG's loss stays small."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 5 + columns * (1 + one) for one in range(depth)], axis=-1).astype("uint8")


def saved(picture: Image.Image, form: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **how)
    return buffer.getvalue()


def colour() -> Image.Image:
    return Image.fromarray(smooth())


def rotated(form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(colour(), form, exif=exif)


def with_alpha(low: int = 0) -> Image.Image:
    alpha = np.linspace(low, 255, 24 * 40).reshape(24, 40, 1).astype("uint8")
    return Image.fromarray(np.concatenate([smooth(), alpha], axis=-1))


def palette(transparent: bool) -> Image.Image:
    picture = colour().quantize(16)
    if transparent:
        picture.info["transparency"] = bytes([0, 128, 255])
    return picture


def frames() -> bytes:
    others = [Image.new("RGB", (40, 24), name) for name in ("red", "blue")]
    return saved(colour().quantize(64), "GIF", save_all=True, append_images=others, duration=20)


def grey16(transparent: bool = False) -> bytes:
    picture = Image.fromarray((smooth(depth=1)[..., 0].astype("uint16") << 8) + 77)
    return saved(picture, "PNG", **({"transparency": 77} if transparent else {}))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def rgb16() -> bytes:
    values = smooth().astype(">u2") * 256 + 200
    return png(40, 24, 16, 2, b"".join(b"\0" + row.tobytes() for row in values))


def seen(data: bytes) -> np.ndarray:
    """What TensorFlow's decoder makes of a picture, as the network's preprocessing asks for it."""
    import tensorflow as tf

    return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()


def shown(data: bytes) -> np.ndarray:
    """What a person sees on a white page."""
    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode.startswith("I"):  # Pillow cuts these off at 255
            values = np.asarray(picture)
            grey = np.where(values == picture.info.get("transparency", -1), 255, values >> 8)
            return np.repeat(grey.astype("uint8")[..., None], 3, axis=-1)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode == "CMYK":
            return np.asarray(upright.convert("RGB"))
        page = Image.new("RGBA", upright.size, "white")
        page.alpha_composite(upright.convert("RGBA"))
        return np.asarray(page.convert("RGB"))


KEPT = {
    "JPEG": saved(colour(), "JPEG"),
    "JPEG in grey": saved(colour().convert("L"), "JPEG"),
    "progressive JPEG": saved(colour(), "JPEG", progressive=True),
    "upright JPEG with EXIF": rotated("JPEG", 1),
    "PNG": saved(colour(), "PNG"),
    "PNG in grey": saved(colour().convert("L"), "PNG"),
    "PNG in black and white": saved(colour().convert("1"), "PNG"),
    "PNG with a palette": saved(palette(False), "PNG"),
    "PNG with an alpha channel that hides nothing": saved(with_alpha(255), "PNG"),
    "PNG of 16 bit": rgb16(),
    "grey PNG of 16 bit": grey16(),
}  # fmt: skip
REWRITTEN = {
    **{f"JPEG with orientation {turn}": rotated("JPEG", turn) for turn in range(2, 9)},
    "PNG with orientation 6": rotated("PNG", 6),
    "CMYK": saved(colour().convert("CMYK"), "JPEG"),
    "alpha": saved(with_alpha(), "PNG"),
    "grey with alpha": saved(with_alpha().convert("LA"), "PNG"),
    "palette with transparency": saved(palette(True), "PNG"),
    "grey of 16 bit with a transparent one": grey16(transparent=True),
    "BMP": saved(colour(), "BMP"),
    "BMP with a palette": saved(palette(False), "BMP"),
    "BMP in grey": saved(colour().convert("L"), "BMP"),
    "GIF": saved(colour().quantize(64), "GIF"),
    "animated GIF": frames(),
    "GIF with transparency": saved(colour().quantize(16), "GIF", transparency=3),
    "WebP": saved(colour(), "WebP"),
    "WebP without loss": saved(colour(), "WebP", lossless=True),
    "WebP with alpha": saved(with_alpha(), "WebP", lossless=True),
    "animated WebP": saved(colour(), "WebP", save_all=True, append_images=[Image.new("RGB", (40, 24))]),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_what_tensorflow_reads_right_stays_byte_for_byte(name: str) -> None:
    assert readable(KEPT[name]) is KEPT[name]
    difference = np.abs(seen(KEPT[name]).astype(int) - shown(KEPT[name]))
    assert difference.max() <= (4 if "JPEG" in name else 0)  # TensorFlow takes the faster cosine transform


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_it_would_read_wrong_is_turned_upright_and_plain(name: str) -> None:
    data = readable(REWRITTEN[name])
    assert data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(seen(data), shown(REWRITTEN[name]))
    assert readable(data) is data
    look = look_at(REWRITTEN[name])
    assert (look.height, look.width) == seen(data).shape[:2]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("JPEG with orientation 6", ("JPEG", "24×40", "colour")),
        ("JPEG with orientation 3", ("JPEG", "40×24", "colour")),
        ("BMP in grey", ("BMP", "40×24", "grey")),
        ("grey with alpha", ("PNG", "40×24", "grey")),
        ("animated GIF", ("GIF", "40×24", "colour")),
        ("WebP", ("WebP", "40×24", "colour")),
    ],
)
def test_it_is_described_as_it_was_found_and_as_it_stands(name: str, found: tuple[str, str, str]) -> None:
    look = look_at(REWRITTEN[name])
    assert (look.format, look.size, look.colour) == found


def test_a_grey_picture_becomes_a_grey_file_that_a_grey_network_takes() -> None:
    import tensorflow as tf

    for name in ("BMP in grey", "grey with alpha", "grey of 16 bit with a transparent one"):
        assert tf.io.decode_image(readable(REWRITTEN[name])).shape == (24, 40, 1)
    assert tf.io.decode_image(readable(REWRITTEN["BMP"]), channels=1).shape == (24, 40, 1)


@pytest.mark.parametrize("name", KEPT)
def test_a_small_copy_looks_the_same(name: str) -> None:
    data = KEPT[name]
    copy = small(data, 12)
    assert copy[:2] == data[:2], "of the same format"
    want = np.asarray(Image.fromarray(shown(data)).resize((12, 7), Image.Resampling.BOX), int)
    got = np.asarray(Image.open(io.BytesIO(copy)).convert("RGB"), int)
    assert got.shape == (7, 12, 3)
    assert np.abs(got - want).mean() < 12


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises more."""
    return png(width, height, 8, 2, b"\0" * 1000)


def black(side: int) -> bytes:
    """So many rows of so many black pixels, a bit each; 30,000 make a file of 0.1 MB."""
    squeeze = zlib.compressobj(1)
    row = b"\0" + bytes(side // 8 + 1)
    rows = b"".join([*(squeeze.compress(row) for _ in range(side)), squeeze.flush()])
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    data = saved(colour(), "PNG")
    return data[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 << 20))) + data[33:]


def scans() -> bytes:
    """A progressive JPEG that says its last scan over and over."""
    data = saved(colour(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * 5000 + data[-2:]


def large_jpeg() -> bytes:
    data = bytearray(KEPT["JPEG"])
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)


def large_gif() -> bytes:
    return REWRITTEN["GIF"][:6] + struct.pack("<HH", 60_000, 60_000) + REWRITTEN["GIF"][10:]


HOSTILE = {
    "a JPEG that claims 65,500 × 65,500": (large_jpeg(), "65,500×65,500 pixels; at most"),
    "a GIF that claims 60,000 × 60,000": (large_gif(), "60,000×60,000 pixels; at most"),
    "claims 60,000 × 60,000": (claims(60_000, 60_000), "60,000×60,000 pixels; at most 134,217,728 in all"),
    "decompression bomb": (black(30_000), "30,000×30,000 pixels"),
    "text that unpacks to 64 MB": (text_bomb(), "Decompressed data too large"),
    "claims more than it holds": (claims(4000, 4000), "truncated"),
    "no width": (claims(0, 4000), ""),
    "scan after scan": (scans(), f"a JPEG of 5,0[0-9]* scans; at most {SCAN_LIMIT} are read"),
    "truncated PNG": (KEPT["PNG"][:-30], "truncated"),
    "truncated JPEG": (KEPT["JPEG"][: len(KEPT["JPEG"]) // 2], "truncated"),
    "truncated BMP": (REWRITTEN["BMP"][:-100], "truncated"),
    "truncated GIF": (REWRITTEN["GIF"][:-100], "truncated"),
    "truncated WebP": (REWRITTEN["WebP"][:-100], ""),
    "header alone": (KEPT["JPEG"][:20], ""),
    "a text": (b"these are my notes\n", "not an image"),
    "nothing": (b"", "empty, or cannot be opened"),
    "zeros": (bytes(100_000), "not an image"),
    "TIFF": (saved(colour(), "TIFF"), "TIFF, not JPEG, PNG, BMP, GIF or WebP"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, not JPEG"),
    "PDF": (b"%PDF-1.4\n", "PDF, not JPEG"),
    "PostScript, which Pillow would hand to another program": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_named_at_once(name: str, tmp_path: Path) -> None:
    data, why = HOSTILE[name]
    began = time.perf_counter()
    with pytest.raises(BadInput, match=why or ".") as caught:
        readable(data)
    assert time.perf_counter() - began < 5
    assert "\n" not in str(caught.value)
    file = tmp_path / "picture.jpg"
    file.write_bytes(data)
    [(data, said)] = _read([file])
    assert (data, said) == (b"", str(caught.value))


def test_hostile_pictures_take_no_memory_and_the_largest_its_own(tmp_path: Path) -> None:
    """The most that a process of its own had, in MB beyond what it had after its first picture."""
    for index, (data, _) in enumerate(HOSTILE.values()):
        (tmp_path / str(index)).write_bytes(data)
    side = int(PIXEL_LIMIT**0.5)
    (tmp_path / "largest").write_bytes(black(side))
    code = (
        "import pathlib, resource, sys; from pipeline.images import look_at\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000\n"
        "folder = pathlib.Path(sys.argv[1]); largest = folder / 'largest'\n"
        "look_at(pathlib.Path(sys.argv[2]).read_bytes()); start = most()\n"
        "assert all(look_at(one.read_bytes()).why for one in folder.iterdir() if one != largest)\n"
        "print(most() - start, look_at(largest.read_bytes()).width, most() - start)"
    )
    good = tmp_path.with_name("good.png")
    good.write_bytes(KEPT["PNG"])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(good)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    hostile, width, largest = map(int, done.stdout.split())
    assert (hostile < 150, width, largest < 600) == (True, side, True), done.stdout


@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_broken_one_is_found_among_many_wherever_it_is(count: int) -> None:
    for form in ("JPEG", "PNG"):
        good = KEPT[form]
        broken = good[: len(good) // 2] + (good[-12:] if form == "PNG" else b"")
        for place in range(count):
            pictures = [good] * count
            pictures[place] = broken
            assert [bool(look.why) for look in look_at_all(pictures)] == [
                index == place for index in range(count)
            ]


@pytest.mark.parametrize("form", ["JPEG", "progressive JPEG", "PNG", "PNG with a palette"])
def test_whatever_noise_does_to_a_file_tensorflow_reads_what_passes(form: str) -> None:
    """400 copies with a few bytes changed: nothing raises here, and nothing that passes raises there."""
    dice = random.Random(form)
    for _ in range(400):
        data = bytearray(KEPT[form])
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        look = look_at(bytes(data))
        if not look.why:
            assert seen(look.data).shape == (look.height, look.width, 3)
