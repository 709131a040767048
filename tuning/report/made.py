"""How a search was made: its space, and what repeats it."""

from __future__ import annotations

from tuning.findings import Part, as_setting
from tuning.pages.tags import Column, Html, data_table, facts, join, subsection, tag
from tuning.pages.words import as_duration, as_value
from tuning.report.came_out import allowed, spelt


def made(result: Part) -> Html:
    """The section: what a person needs to do it again."""
    limits = result.get("limits") or {}
    search = {
        "engine": result["engine"], "objective": f"{result['objective']}, {result['direction']}",
        "epochs": result["epochs"], "trials": result["trials_asked"],
        "budget": as_duration(result.get("budget_seconds")), "seed": result["seed"],
        "workers": result["workers"],
        **{f"at most, {key}": value for key, value in limits.items() if value is not None},
    }  # fmt: skip
    images = result.get("images") or {}
    data = {
        "data": result["data"], **{f"images, {key}": value for key, value in images.items()},
        "classes": len(result.get("classes") or ()), "input": result.get("input_shape"),
        "devices": sorted({one["device"] for one in result["trials"] if one.get("device")}),
    }  # fmt: skip
    cards = [
        subsection(title, facts(((key, as_value(value)) for key, value in values.items()), "list"))
        for title, values in (("Search", search), ("Data", data), ("Versions", result.get("versions") or {}))
    ]
    # A step of the line is not repeated by itself.
    command = tag("pre", tag("code", result["command"])) if result["command"] else Html()
    place = tag("p", "Results are in ", tag("code", result["output"]), ".", class_="note")
    return join(
        subsection("The space", _space(result)),
        tag("div", *cards, class_="columns three"),
        subsection("To do it again, or to go on", command, place),
    )


def _space(result: Part) -> Html:
    rows = [
        (
            spelt(one["name"]), one.get("of") or "—", join(allowed(one), _when(one)),
            as_setting(one["value"] if one["kind"] == "fixed" else one.get("default")),
        )
        for one in result["space"]
    ]  # fmt: skip
    columns = (
        Column("hyperparameter"), Column("of", "word"), Column("allowed"), Column("default", "word"),
    )  # fmt: skip
    return data_table("What the search could choose from", columns, rows)


def _when(one: Part) -> Html:
    if not one.get("when"):
        return Html("")
    name, values = one["when"]
    return tag("span", f"only with {name} {' or '.join(map(as_setting, values))}", class_="detail")
