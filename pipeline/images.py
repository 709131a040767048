"""What a picture is, or why it cannot be read; and its bytes in a form that TensorFlow sees as a person does.

TensorFlow's decoder ignores a camera's note of which side is up, drops transparency instead of showing what
lies behind it, and knows no WebP. `readable` turns such a picture upright and plain; examples and `predict`
both use it, so that training and serving see the same pixels: docs/decisions/0010-plain-pictures.md.
"""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = "JPEG, PNG, BMP, GIF or WebP"
PIXEL_LIMIT = 128 << 20  # cameras have up to 102 million, telephones 108
SCAN_LIMIT = (
    100  # of a progressive JPEG, which costs a pass over all pixels for each; encoders write about 10
)

_NAMES = {"MPO": "JPEG", "WEBP": "WebP"}  # Pillow's names; MPO is a JPEG with more pictures behind the first
_SIGNATURES = (
    (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"), (4, b"ftypavif", "AVIF"), (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"), (4, b"ftyp", "a video"), (0, b"%PDF", "PDF"), (0, b"<svg", "SVG"),
    (0, b"8BPS", "PSD"), (0, b"\0\0\1\0", "ICO"),
)  # fmt: skip
_PNG_END = b"IEND\xaeB`\x82"
_APP1 = 0xE1  # JPEG's marker of EXIF
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # its markers of a picture's size
_SIZE = struct.Struct(">HHB")
_ORIENTATION = 0x0112  # EXIF's tag of which side is up
_BIG = (
    16 << 20
)  # pixels; of such pictures one is decoded at a time, so that memory does not grow with threads
_one_big = threading.Lock()


@dataclass(frozen=True)
class Look:
    """What decoding a picture showed; `why` is empty for a good one.

    Attributes:
        width: In pixels, of the upright picture.
        height: In pixels, likewise.
        format: "JPEG", "PNG", "BMP", "GIF" or "WebP", as it was found.
        colour: "grey" or "colour".
        why: Why it cannot be read.
        data: What is to be kept of it: the very bytes that came, or a PNG where TensorFlow would see in them
            something else than a person.
    """

    width: int = 0
    height: int = 0
    format: str = ""
    colour: str = ""
    why: str = ""
    data: bytes = b""

    @property
    def size(self) -> str:
        """Such as 640×480."""
        return f"{self.width}×{self.height}"


class _Refused(Exception):
    """A picture that is not decoded; the text says why."""


def readable(data: bytes) -> bytes:
    """A picture's bytes, upright and plain, so that TensorFlow sees in them what a person does.

    JPEG and PNG files stay as they are, byte for byte, unless they lie on a side, show what is behind them or
    are made for a printer (CMYK). Those, and the first frame of every BMP, GIF and WebP file, become a PNG of
    the same pixels; transparency is put on white.

    Args:
        data: An encoded picture.

    Raises:
        BadInput: It cannot be read; the text says why.
    """
    look = look_at(data)
    if look.why:
        raise BadInput(look.why)
    return look.data


def look_at(data: bytes) -> Look:
    """Decode a picture completely and say what it is, or why it cannot be read."""
    return look_at_all([data])[0]


def look_at_all(pictures: Sequence[bytes]) -> list[Look]:
    """`look_at` for many, in less time.

    Pillow turns and names; that a file which stays as it is can be decoded, TensorFlow itself says, since
    neither of the two refuses all that the other does.
    """
    looks = [_jpeg_header(data) or _told(_first_look, data) for data in pictures]
    unsure: dict[str, list[int]] = {"JPEG": [], "PNG": []}
    for index, look in enumerate(looks):
        if not look.why and look.data is pictures[index]:
            unsure[look.format].append(index)
    for form, indices in unsure.items():
        large = [index for index in indices if _is_big(looks[index])]
        small = [index for index in indices if not _is_big(looks[index])]
        for index in large if _decode(form, [pictures[one] for one in small]) else small + large:
            with _one_big if _is_big(looks[index]) else contextlib.nullcontext():
                if not _decode(form, [pictures[index]]):
                    looks[index] = _told(_second_look, pictures[index])
    return looks


def _is_big(picture: Look | Pillow) -> bool:
    return picture.width * picture.height >= _BIG


def _decode(form: str, pictures: Sequence[bytes]) -> bool:
    """Whether TensorFlow decodes them all."""
    if not pictures:
        return True
    import tensorflow as tf

    try:
        _decoder(form)(tf.constant(pictures))
    except tf.errors.OpError:
        return False
    return True


@functools.cache
def _decoder(form: str) -> Callable[[Any], Any]:
    """Decodes one picture after the other, and keeps none.

    Of a JPEG every byte is read, but one pixel of 64 is made: what can fail lies before that, and the rest is
    half of the time.
    """
    import tensorflow as tf

    def decode(data: tf.Tensor) -> tf.Tensor:
        if form == "JPEG":
            return tf.io.decode_jpeg(data, ratio=8)
        return tf.io.decode_image(data, channels=3, expand_animations=False)

    def decode_all(pictures: tf.Tensor) -> tf.Tensor:
        count = tf.size(pictures)
        return tf.while_loop(
            lambda index, _: index < count,
            lambda index, rows: (index + 1, rows + tf.shape(decode(pictures[index]))[0]),
            (0, 0),
            parallel_iterations=1,
        )

    with tf.device("CPU"):
        signature = [tf.TensorSpec([None], tf.string)]
        return tf.function(decode_all, input_signature=signature).get_concrete_function()


def _told(look: Callable[[bytes], Look], data: bytes) -> Look:
    """What a look with Pillow shows, whatever it stumbles over."""
    from PIL import Image as Picture

    try:
        return look(data)
    except Picture.UnidentifiedImageError:
        return Look(why=_unknown(data))
    except MemoryError:
        return Look(why="more memory needed than there is")
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, …
        text = str(error) or type(error).__name__
        return Look(why="truncated" if "truncated" in text.lower() else text.splitlines()[0])


def opened(source: bytes | Path) -> Pillow:
    """A picture of which only the header was read, by Pillow.

    Raises:
        Exception: It is no picture, or has more pixels than are read; Pillow's kinds are many.
    """
    from PIL import Image as Picture

    Picture.MAX_IMAGE_PIXELS = None  # its own limit warns first, and is below what telephones make
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    picture = Picture.open(file, formats=("JPEG", "PNG", "BMP", "GIF", "WEBP"))
    if picture.width * picture.height > PIXEL_LIMIT:
        picture.close()
        raise _Refused(
            f"{picture.width:,}×{picture.height:,} pixels; at most {PIXEL_LIMIT:,} in all are read"
        )
    return picture


def is_grey(picture: Pillow) -> bool:
    """Whether a picture has brightness alone, by its header."""
    if picture.mode == "P" and picture.palette is not None:
        colours = bytes(picture.palette.palette)
        step = len(picture.palette.rawmode or picture.palette.mode)  # RGB, or a bitmap's BGRX
        return colours[::step] == colours[1::step] == colours[2::step]
    return picture.mode in ("1", "L", "LA", "La", "I", "I;16", "I;16B")


def _jpeg_header(data: bytes) -> Look | None:
    """What the header of a usual JPEG says; None where there is more to know, such as EXIF.

    It does in a few microseconds what takes Pillow 30, most of the time that a small picture costs.
    """
    if data[:2] != b"\xff\xd8" or data.count(b"\xff\xda") > SCAN_LIMIT:
        return None
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF and data[at + 1] != _APP1:
        if data[at + 1] in _FRAMES:
            height, width, parts = _SIZE.unpack_from(data, at + 5)
            if parts not in (1, 3) or not 0 < width * height <= PIXEL_LIMIT:
                return None
            return Look(width, height, "JPEG", "grey" if parts == 1 else "colour", data=data)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _first_look(data: bytes) -> Look:
    """The whole look at what becomes a PNG, and a look at the header of what may stay as it is."""
    with opened(data) as picture:
        form = _NAMES.get(str(picture.format), str(picture.format))
        if form == "JPEG" and (scans := data.count(b"\xff\xda")) > SCAN_LIMIT:
            raise _Refused(f"a JPEG of {scans:,} scans; at most {SCAN_LIMIT} are read")
        if form == "PNG" and _PNG_END not in data:
            raise _Refused("truncated")
        grey = is_grey(picture)
        turned = _orientation(picture) != 1
        with _one_big if _is_big(picture) else contextlib.nullcontext():
            if form == "JPEG":
                stays = not turned and picture.mode in ("L", "RGB")
            else:
                stays = form == "PNG" and not turned and not _is_transparent(picture)
            width, height = picture.size
            if not stays:
                plain = _plain(picture, grey, turned)
                width, height = plain.size
                data = _as_png(plain)
    return Look(width, height, form, "grey" if grey else "colour", data=data)


def _second_look(data: bytes) -> Look:
    """Why a file is refused by TensorFlow, in Pillow's words if it refuses it too."""
    with opened(data) as picture:
        picture.load()
    with opened(data) as picture:
        picture.verify()
    raise _Refused("damaged")


def _orientation(picture: Pillow) -> int:
    """1 for an upright picture, up to 8 for others; what EXIF says beyond that is nothing."""
    if "exif" not in picture.info:
        return 1
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF is no reason to refuse a good picture, which viewers show as it lies
        return 1
    return found if found in range(1, 9) else 1


def _is_transparent(picture: Pillow) -> bool:
    """Whether any pixel shows what is behind the picture."""
    if picture.mode not in ("RGBA", "LA", "PA") and "transparency" not in picture.info:
        return False
    return _with_alpha(picture).getchannel("A").getextrema() != (255, 255)


def _with_alpha(picture: Pillow) -> Pillow:
    """A picture as RGBA, one of 16 bit too, whose transparent grey Pillow's own conversion loses."""
    if not picture.mode.startswith("I"):
        return picture.convert("RGBA")
    import numpy as np
    from PIL import Image as Picture

    values = np.asarray(picture).astype("int64")
    shown = Picture.fromarray((values >> 8).astype("uint8")).convert("RGBA")
    shown.putalpha(
        Picture.fromarray(np.where(values == picture.info["transparency"], 0, 255).astype("uint8"))
    )
    return shown


def _plain(picture: Pillow, grey: bool, turned: bool) -> Pillow:
    """Upright, on white, in 8 bit: mode L or RGB."""
    from PIL import Image as Picture
    from PIL import ImageOps

    if _is_transparent(picture):
        shown = _with_alpha(picture)
        plain = Picture.new("RGB", picture.size, "white")
        plain.paste(shown, mask=shown.getchannel("A"))
    elif picture.mode.startswith("I"):
        picture.info["transparency"] = -1  # no grey of it
        plain = _with_alpha(picture).convert("RGB")
    else:
        plain = picture.convert("RGB")
    if turned:
        plain.info["exif"] = picture.info["exif"]
        plain = ImageOps.exif_transpose(plain)
    return plain.convert("L") if grey else plain


def small(data: bytes, side: int) -> bytes:
    """A PNG or JPEG file that `look_at` kept, with `side` pixels at most each way: for people to look at."""
    with opened(data) as picture:
        form, grey = str(picture.format), is_grey(picture)
        with _one_big if _is_big(picture) else contextlib.nullcontext():
            picture.draft("L" if grey else "RGB", (side, side))  # a JPEG is decoded no larger than needed
            plain = _plain(picture, grey, turned=False)
        plain.thumbnail((side, side))
    if form == "PNG":
        return _as_png(plain)
    buffer = io.BytesIO()
    plain.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _as_png(picture: Pillow) -> bytes:
    picture.info = {}  # nothing but the pixels
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _unknown(data: bytes) -> str:
    if not data:
        return "empty, or cannot be opened"
    for start, signature, name in _SIGNATURES:
        if data[start : start + len(signature)] == signature:
            return f"{name}, not {FORMATS}"
    return "not an image"
