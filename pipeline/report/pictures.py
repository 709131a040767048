"""Pictures inside of the page."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

from tuning.pages.tags import Html, tag

MAX_PICTURE_BYTES = 200_000

MAX_PICTURES = 20  # of samples, and as many of mistakes: 40 on the page


def picture_tag(folder: Path, file: str, alt: str) -> Html:
    """A picture inside the page, or a few words where it cannot be shown."""
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        return tag("span", "picture missing", class_="nothing")
    if path.stat().st_size > MAX_PICTURE_BYTES:
        return tag("span", "picture too large to carry", class_="nothing")
    data = path.read_bytes()
    kind = "png" if data.startswith(b"\x89PNG\r\n") else "jpeg" if data.startswith(b"\xff\xd8") else None
    if kind is None:
        return tag("span", "neither PNG nor JPEG", class_="nothing")
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return tag(
        "img", src=source, alt=alt, width=96, height=96, class_="pixels" if _width(data) <= 64 else None
    )


def _width(data: bytes) -> int:
    """Width of a PNG or JPEG in pixels; small pictures are shown with their pixels, not blurred."""
    if data.startswith(b"\x89PNG"):
        return int.from_bytes(data[16:20], "big")
    frame = re.search(rb"\xff[\xc0-\xc2]\x00[\x0b\x11]\x08..(..)", data, re.DOTALL)
    return int.from_bytes(frame[1], "big") if frame else 10_000


def gallery(items: Sequence[tuple[Html, Html]]) -> Html:
    """Pictures side by side, each with its caption."""
    return tag(
        "div", *(tag("figure", picture, tag("figcaption", text)) for picture, text in items), class_="gallery"
    )
