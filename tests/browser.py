"""A real browser for tests: Debian's Chromium, driven by Playwright's Python package.

`chromium` starts one, best in a fixture of a module; `open_file` and `open_page` open a page in it and note
what the page complains about and what it asks for. All are context managers.
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


# Contrast of every text with what lies behind it, after WCAG 2.2, "contrast ratio" and "relative luminance".
FAINT = """
() => {
  const numbers = text => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? found : found.map((one, index) => index < 3 ? one / 255 : one);
  };
  const clear = text => text === "transparent" || (numbers(text)[3] ?? 1) === 0;
  const light = text => {
    const part = one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    const [red, green, blue] = numbers(text).map(part);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = one => {
    while (one && clear(getComputedStyle(one).backgroundColor)) one = one.parentElement;
    return one ? getComputedStyle(one).backgroundColor : "rgb(255, 255, 255)";
  };
  const faint = [];
  for (const one of document.body.querySelectorAll("*")) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    if (one.tagName === "title") continue;
    const style = getComputedStyle(one);
    const pair = [light(one.tagName === "text" ? style.fill : style.color), light(behind(one))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) faint.push(`${one.outerHTML} ${ratio.toFixed(2)}`);
  }
  return faint;
}
"""

# What sticks out to the right of the window and cannot be scrolled inside a box of its own.
OUTSIDE = """
() => [...document.body.querySelectorAll("*")]
  .filter(one => !one.closest(".scroll") && one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => `${one.tagName}.${one.getAttribute("class")}`)
"""


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
    with open_page(browser, path.resolve().as_uri(), width, scheme) as opened:
        yield opened


@contextmanager
def open_page(
    browser: Any, address: str, width: int = 1280, scheme: str = "light"
) -> Iterator[tuple[Any, Seen]]:
    """The same for an address."""
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
        page.goto(address, wait_until="load")
        yield page, seen
    finally:
        context.close()
