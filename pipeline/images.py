"""What a picture is, or why it cannot be read."""

from __future__ import annotations

import io
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """What decoding a picture showed; `why` is empty for a good one."""

    size: str = ""
    format: str = ""
    why: str = ""


def look_at(data: bytes) -> Look:
    """Decode a picture completely and say what it is, or why it cannot be read."""
    from PIL import Image as Picture

    try:
        with Picture.open(io.BytesIO(data)) as picture:
            if picture.format not in ("PNG", "JPEG", "MPO"):
                return Look(why=f"{picture.format}, not PNG or JPEG")
            picture.load()
            return Look(f"{picture.width}×{picture.height}", "PNG" if picture.format == "PNG" else "JPEG")
    except Picture.UnidentifiedImageError:
        return Look(why="not an image" if data else "empty file")
    except Picture.DecompressionBombError:
        return Look(why="more pixels than any photo has")
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, …
        return Look(why="truncated" if "truncated" in str(error) else str(error) or type(error).__name__)
