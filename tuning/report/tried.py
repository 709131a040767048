"""What was tried: all configurations and trials, and those that broke."""

from __future__ import annotations

import re

from tuning.findings import (
    Part,
    as_score,
    as_setting,
    best_trial,
    changed,
    configurations,
    trained,
    varying,
)
from tuning.pages.tags import MAX_ROWS, Column, Html, data_table, fold, join, tag
from tuning.pages.words import as_duration, as_value, several
from tuning.report.parallel import parallel

NAMED = 6  # trials of one reason that are named
SHOWN = 12  # reasons before the rest is folded away


def tried(result: Part) -> Html:
    """The section: one picture of all configurations, and tables that are folded away."""
    if not result["trials"]:
        return tag("p", "No trial began.", class_="missing")
    scored = best_trial(result) is not None and varying(result)
    note = (
        "A line is a configuration; read it from its values on the left to its score on the right. "
        "Axes whose space is logarithmic are so here. A score is that of the last epoch, and not all were "
        "trained equally long."
    )
    picture = [parallel(result), tag("p", note, class_="note")] if scored else []
    return join(
        *picture,
        fold(
            f"All {several(len(configurations(result)), 'configuration', 'configurations')}", _values(result)
        ),
        fold(f"All {several(len(result['trials']), 'trial', 'trials')}", _trials(result)),
    )


def _values(result: Part) -> Html:
    names = [one["name"] for one in varying(result)]
    rows = [
        (
            one.name, as_score(one.score), str(one.trial.get("until") or "—"),
            *(as_setting(one.values[name]) if name in one.values else "·" for name in names),
        )
        for one in configurations(result)[:MAX_ROWS]
    ]  # fmt: skip
    columns = [Column("configuration"), Column("score", "number"), Column("epochs", "number")]
    return data_table("The best first", [*columns, *(Column(name, "number") for name in names)], rows)


def _trials(result: Part) -> Html:
    rows = [
        (
            one["id"], one.get("configuration") or one["id"], as_value(one.get("rung")), one["status"],
            as_score(one.get("score")), f"{one.get('first_epoch') or 0}–{one.get('until') or '—'}",
            str(trained(one)), as_duration(one.get("seconds")), as_value(one.get("parameters")),
            one.get("worker") or "—",
        )
        for one in result["trials"][:MAX_ROWS]
    ]  # fmt: skip
    columns = [
        Column("trial"), Column("configuration"), Column("rung", "number"), Column("status", "word"),
        Column("score", "number"), Column("epochs", "number"), Column("trained", "number"),
        Column("time", "number"), Column("parameters", "number"), Column("worker"),
    ]  # fmt: skip
    left = len(result["trials"]) - len(rows)
    caption = "In the order in which they began" + (f"; {left:,} more are in the CSV" if left > 0 else "")
    return data_table(caption, columns, rows)


def broken(result: Part) -> Html:
    """Failed and pruned trials by their reason."""
    groups: dict[tuple[str, str], list[Part]] = {}
    for one in result["trials"]:
        if one["status"] in ("failed", "pruned"):
            # Reasons that differ by their numbers alone are one.
            key = re.sub(r"\d[\d,.]*", "#", one.get("reason") or "")
            groups.setdefault((one["status"], key), []).append(one)
    if not groups:
        return tag("p", "Nothing: every trial that ended was completed.")
    ranked = sorted(groups.items(), key=lambda pair: (pair[0][0], -len(pair[1])))
    rows = [_reason(result, status, trials) for (status, _), trials in ranked]
    columns = (
        Column("status", "word"), Column("trials", "number"), Column("why, which, and with what the last one")
    )  # fmt: skip
    first = data_table("By reason", columns, rows[:SHOWN], header=2)
    rest = rows[SHOWN:MAX_ROWS]
    told = [tag("p", _told(groups), class_="takeaway"), first]
    if rest:
        told.append(
            fold(f"{len(rest):,} more reasons", data_table("Further reasons", columns, rest, header=2))
        )
    return join(*told)


def _reason(result: Part, status: str, trials: list[Part]) -> tuple[str, ...]:
    names = ", ".join(one["id"] for one in trials[:NAMED])
    more = f" and {len(trials) - NAMED:,} more" if len(trials) > NAMED else ""
    why = trials[-1].get("reason") or "no reason was left"
    if len({one.get("reason") for one in trials}) > 1:
        why = f"{why} (the last one; the others alike)"
    settings = " · ".join(changed(result, trials[-1].get("values") or {})) or "all as by default"
    which, how = tag("span", names + more, class_="detail"), tag("span", settings, class_="detail")
    return status, f"{len(trials):,}", join(why, which, how)


def _told(groups: dict[tuple[str, str], list[Part]]) -> str:
    failed = sum(len(trials) for (status, _), trials in groups.items() if status == "failed")
    pruned = sum(len(trials) for (status, _), trials in groups.items() if status == "pruned")
    parts = []
    if failed:
        parts.append(f"{several(failed, 'trial', 'trials')} failed, and the search went on")
    if pruned:
        parts.append(f"{several(pruned, 'configuration was', 'configurations were')} too large to be trained")
    return f"{'; '.join(parts)}."
