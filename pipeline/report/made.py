"""How it was made: steps, recipe, configuration, versions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pipeline.report.part import Part, why_missing
from tuning.pages.charts import bar
from tuning.pages.tags import Column, Html, data_table, facts, join, subsection, tag
from tuning.pages.words import as_duration, as_value, finite_or_none, several


def made(result: Part) -> Html:
    """The section: what a person needs to do it again."""
    recipe = (result.get("training") or {}).get("recipe")
    lists = (
        ("Recipe", recipe, "recipe"),
        ("Configuration", result.get("config"), "configuration"),
        ("Versions", _versions(result), "versions"),
    )
    cards = [subsection(title, _listed(values) or why_missing(result, what)) for title, values, what in lists]
    command = tag("pre", tag("code", result["command"]))
    place = tag("p", "Results are in ", tag("code", result["output"]), ".", class_="note")
    again = subsection("To do it again", command, _by_file(result), place)
    return join(_steps(result), tag("div", *cards, class_="columns three"), again)


def _by_file(result: Part) -> Html:
    """What repeats a run when defaults have changed; `validate` leaves no such file."""
    if "train" not in [step["name"] for step in result.get("steps") or ()]:
        return Html("")
    words = ["python", "-m", "pipeline", "run", "--config", f"{result['output']}/run.toml"]
    return tag("p", "With every default as it was: ", tag("code", shlex.join(words)), class_="note")


def _listed(values: Part | None) -> Html | None:
    """Keys stand as they are: the same word is the option, the key in run.toml and the label here."""
    if not values:
        return None
    pairs = ((key, as_value(value)) for key, value in values.items() if key != "source")
    source = tag("p", values["source"], class_="note") if values.get("source") else Html("")
    return join(facts(pairs, "list"), source)


def _versions(result: Part) -> Part:
    versions = dict(result.get("versions") or {})
    git = result.get("git")
    if git:
        changed = ", with changes that are not committed" if git.get("dirty") else ""
        versions["git"] = f"{git['revision']}{changed}"
    return versions


def _steps(result: Part) -> Html:
    steps = result.get("steps")
    if not steps:
        return why_missing(result, "steps")
    longest = max((finite_or_none(step.get("seconds")) or 0.0 for step in steps), default=0.0)
    columns = (
        Column("", "number"),
        Column("step"),
        Column("state", "word"),
        Column("time", "number"),
        Column("", "bar"),
    )
    rows = []
    for step in steps:
        state = "cached" if step.get("cached") else step["state"]
        shown = tag("strong", state, class_="failed") if state == "failed" else state
        name = join(step["name"], tag("span", step.get("detail") or "", class_="detail"))
        seconds = finite_or_none(step.get("seconds"))
        rows.append((str(step["number"]), name, shown, as_duration(seconds), bar(seconds or 0.0, longest)))
    table = data_table("Steps", columns, rows, header=1, class_="steps")
    return join(tag("p", _course(result, steps), class_="takeaway"), table)


def _course(result: Part, steps: Sequence[Part]) -> str:
    ran = [step for step in steps if step["state"] != "not run"]
    if not ran:
        return "No step ran."
    longest = max(ran, key=lambda step: finite_or_none(step.get("seconds")) or 0.0)
    total = several(len(ran), "step", "steps")
    count = total if len(ran) == len(steps) else f"{len(ran)} of {len(steps)} steps"
    text = f"{count} in {as_duration(result['seconds'])}"
    text += f"; the longest was {longest['name']}, {as_duration(longest.get('seconds'))}."
    cached = sum(bool(step.get("cached")) for step in steps)
    return f"{text} From the cache of an earlier run: {cached}." if cached else text
