"""A real browser for tests: Debian's Chromium, driven by Playwright's Python package.

`chromium` starts one, best in a fixture of a module; `open_file` opens a page in it and notes what the page
complains about and what it asks for. Both are context managers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Seen:
    """What a page did: its errors and warnings, and the addresses it asked for, data URIs aside."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium with a new, empty profile; skips the test where it is missing."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing (apt install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright's Python package is missing")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def open_file(
    browser: Any, path: Path, width: int = 1280, scheme: str = "light"
) -> Iterator[tuple[Any, Seen]]:
    """A page that shows a file, `width` CSS pixels wide, in the "light" or "dark" scheme."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, seen = context.new_page(), Seen()

    def note(message: Any) -> None:
        if message.type in ("error", "warning"):
            seen.complaints.append(message.text)

    def count(request: Any) -> None:
        if not request.url.startswith("data:"):
            seen.requests.append(request.url)

    page.on("console", note)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", count)
    try:
        page.goto(path.resolve().as_uri(), wait_until="load")
        yield page, seen
    finally:
        context.close()
