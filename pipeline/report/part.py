"""A part of a run's result, and what stands where it is missing."""

from __future__ import annotations

from typing import Any

from tuning.pages.tags import Html, tag

Part = dict[str, Any]


def why_missing(result: Part, what: str) -> Html:
    """One sentence that says why a part of the report is not there."""
    failed = next((step for step in (result.get("steps") or ()) if step["state"] == "failed"), None)
    if failed:
        why = f"the run stopped at step {failed['number']}, {failed['name']}"
    elif result["outcome"] == "interrupted":
        why = "the run was interrupted before it got there"
    elif result["outcome"] == "unchanged":
        why = "nothing had changed, so the step did not run again"
    else:
        why = "this run did not record it"
    return tag("p", f"No {what}: {why}.", class_="missing")
