"""What a picture is, or why it cannot be read."""

from __future__ import annotations

import io
from dataclasses import dataclass

_PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Look:
    """What decoding a picture showed; `why` is empty for a good one."""

    width: int = 0
    height: int = 0
    format: str = ""
    colour: str = ""
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
            return Look(picture.width, picture.height, form, "grey" if is_grey(picture.mode) else "colour")
    except Picture.UnidentifiedImageError:
        return Look(why="not an image" if data else "empty, or cannot be opened")
    except Picture.DecompressionBombError:
        return Look(why="more pixels than any photo has")
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, …
        text = str(error) or type(error).__name__
        return Look(why="truncated" if "truncated" in text.lower() else text)


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
