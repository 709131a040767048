"""Pages that are one HTML file each: those of a run, of a search, and of `serve` share colours and pieces.

A page carries its style, charts and pictures in itself, has no script, and its content policy forbids every
request, so it reads the same offline, in an e-mail or on paper. Only the standard library is imported.
"""

from __future__ import annotations

from pathlib import Path

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


def replace(file: Path, text: str) -> Path:
    """Write a file in one step: whoever reads it sees the old text or the new one, whole."""
    partial = file.with_name(f"{file.name}.part")
    partial.write_text(text, encoding="utf-8")
    return partial.replace(file)
