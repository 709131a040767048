"""What a picture is, or why it cannot be read."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

_SMALL = 1 << 16  # pixels
_PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Look:
    """What decoding a picture showed; `why` is empty for a good one."""

    width: int = 0
    height: int = 0
    format: str = ""
    colour: str = ""
    brightness: int = 0
    contrast: int = 0
    why: str = ""

    @property
    def size(self) -> str:
        """Such as 640×480."""
        return f"{self.width}×{self.height}"


def look_at(data: bytes) -> Look:
    """Decode a picture completely and say what it is, or why it cannot be read."""
    from PIL import Image as Picture

    try:
        with Picture.open(io.BytesIO(data)) as picture:
            if picture.format not in ("PNG", "JPEG", "MPO"):
                return Look(why=f"{picture.format}, not PNG or JPEG")
            picture.load()
            if picture.format == "PNG":
                _check_png(data)
            form = "PNG" if picture.format == "PNG" else "JPEG"
            colour = "grey" if is_grey(picture.mode) else "colour"
            return Look(picture.width, picture.height, form, colour, *grey_levels(picture))
    except Picture.UnidentifiedImageError:
        return Look(why="not an image" if data else "empty, or cannot be opened")
    except Picture.DecompressionBombError:
        return Look(why="more pixels than any photo has")
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, …
        text = str(error) or type(error).__name__
        return Look(why="truncated" if "truncated" in text.lower() else text)


def grey_levels(picture: Any) -> tuple[int, int]:
    """Mean and standard deviation of a decoded picture's grey levels, 0 to 255, in whole levels."""
    import numpy as np

    if picture.mode.startswith("I"):  # 16 bits, which Pillow would clip
        levels = np.asarray(picture).ravel() / 257.0
    elif picture.width * picture.height <= _SMALL:
        levels = np.frombuffer(picture.convert("L").tobytes(), np.uint8).astype(np.float64)
    else:  # counted by Pillow, which needs no floats for millions of pixels
        counts = np.array(picture.convert("L").histogram(), np.float64)
        mean = counts @ np.arange(256) / counts.sum()
        return round(mean), round((counts @ (np.arange(256) - mean) ** 2 / counts.sum()) ** 0.5)
    mean = levels.sum() / levels.size
    return round(mean), round(max(levels @ levels / levels.size - mean * mean, 0.0) ** 0.5)


def is_grey(mode: str) -> bool:
    """Whether pictures of Pillow's mode have brightness alone."""
    return mode in ("1", "L", "I", "I;16")


def _check_png(data: bytes) -> None:
    """Refuse what TensorFlow's decoder refuses and Pillow's forgives: a missing end, a wrong checksum."""
    from PIL import Image as Picture

    if _PNG_END not in data:
        raise OSError("truncated")
    with Picture.open(io.BytesIO(data)) as picture:
        picture.verify()
