"""The report of a search: one HTML file that shows what was tried, what came out and what mattered.

It is written from `result.json` alone, with the pieces of the pipeline's own report: no script, no request.
"""

from __future__ import annotations

from pathlib import Path

from tuning import folders, pages
from tuning.findings import Part
from tuning.pages.tags import Html, section, tag
from tuning.report.came_out import came_out as _came_out
from tuning.report.came_out import header, summary
from tuning.report.made import made
from tuning.report.mattered import mattered
from tuning.report.tried import broken, tried

SCHEMA = 1
_NEEDED = ("trials", "space", "objective", "outcome", "sentence", "output")

# What no page needs and what would make one unreadable: control characters, those that turn the direction of
# writing, and the halves of characters that stand for bytes that are no text.
_NO_TEXT = {
    code: repr(chr(code))[1:-1]
    for code in (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A),
                 *range(0xD800, 0xE000))
}  # fmt: skip


def write(folder: Path) -> Path:
    """Write report.html into the folder of a search, from the result.json that lies there.

    Returns:
        The path of the page. It replaces an older one in a single step.

    Raises:
        FileNotFoundError: The folder holds no such result.
        ValueError: It is not JSON, of a schema that this version does not read, or of no search.
    """
    return folders.replace(folder / "report.html", render(read(folder)))


def read(folder: Path) -> Part:
    """The result of the search in a folder; errors as of `write`, for other commands' results too."""
    file = folder / "result.json"
    result = pages.read(file, SCHEMA, "search")
    lacking = [key for key in _NEEDED if key not in result]
    if lacking:
        raise ValueError(f"{file}: it is no search's result, and has no {lacking[0]}; give a search's folder")
    return result


def render(result: Part) -> str:
    """The report as HTML text."""
    sections = (
        section("came-out", "What came out", _came_out(result)),
        section("mattered", "What mattered", mattered(result)),
        section("tried", "What was tried", tried(result)),
        section("broken", "What failed or was left out", broken(result)),
        section("made", "How it was made", made(result)),
    )
    page = pages.page(
        f"{Path(result['output']).name}: {result['outcome']}", header(result), tag("main", *sections)
    )
    return page.translate(_NO_TEXT)


def section_for_run(result: Part) -> Html:
    """What a run's report says of the search that its hyperparameters come from, as content of a section."""
    return Html(summary(result).translate(_NO_TEXT))
