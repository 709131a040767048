"""The report of a run: one HTML file that a person opens to see what came out and why.

Everything comes from `result.json` and the pictures beside it. The page carries its style, charts and
pictures in itself, has no script, and its content policy forbids every request, so it reads the same offline,
in an e-mail or on paper. Only the standard library is imported: a light process writes the report.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.report.came_out import came_out
from pipeline.report.given import given
from pipeline.report.header import header
from pipeline.report.learned import learned
from pipeline.report.made import made
from pipeline.report.part import Part
from tuning import folders, pages
from tuning.pages.tags import section, tag

SCHEMA = 1


def write(folder: Path, source: str = "result.json", page: str = "report.html") -> Path:
    """Write a page into the folder of a run, from the result that lies there.

    Args:
        folder: Folder of one run. Pictures are named in `result.json` relative to it; one that is missing,
            lies outside, is neither PNG nor JPEG, or is larger than 200 kB is replaced by a few words.
        source: Name of the result; `validation.json` is one of `validate`.
        page: Name of what is written.

    Returns:
        The path of the page. It replaces an older one in a single step.

    Raises:
        FileNotFoundError: The folder holds no such result.
        ValueError: It is not JSON, or of a schema that this version does not read.
    """
    result = pages.read(folder / source, SCHEMA, "run")
    return folders.replace(folder / page, render(result, folder))


def render(result: Part, folder: Path) -> str:
    """The report as HTML text; `folder` is where the pictures named in `result` lie."""
    sections = (
        section("came-out", "What came out", came_out(result, folder)),
        section("learned", "How it learned", learned(result)),
        section("given", "What it was given", given(result, folder)),
        section("made", "How it was made", made(result)),
    )
    return pages.page(f"{result['name']}: {result['outcome']}", header(result), tag("main", *sections))
