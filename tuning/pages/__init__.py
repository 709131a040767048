"""Pages that are one HTML file each: those of a run, of a search, and of `serve` share colours and pieces.

A page carries its style, charts and pictures in itself, has no script, and its content policy forbids every
request, so it reads the same offline, in an e-mail or on paper. Only the standard library is imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tuning.pages.tags import Html, tag

STYLES = tuple(Path(__file__).with_name(name) for name in ("pages.css", "report.css"))
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, *body: Html) -> str:
    """A whole page as HTML text.

    Args:
        title: What the browser shows for it.
        *body: What stands in it.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Html("".join(style.read_text(encoding="utf-8") for style in STYLES))),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", *body), lang="en") + "\n"


def read(file: Path, schema: int, made_by: str) -> dict[str, Any]:
    """The result that a page is made of.

    Args:
        file: JSON with a "schema".
        schema: The one that this version reads.
        made_by: Who wrote it, "run" or "search", for the error.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not JSON, or of another schema.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"folder {file.parent}: it holds no {file.name}; give the folder that a {made_by} made"
        )
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not readable as JSON: {error}") from None
    found = result.get("schema") if isinstance(result, dict) else None
    if found != schema:
        raise ValueError(f"{file}: schema must be {schema}, not {found!r}; it was written by another version")
    return result
