"""What came out of a search: the answer, its course, the best configuration."""

from __future__ import annotations

from pathlib import Path

from tuning.findings import (
    Configuration,
    Part,
    as_score,
    as_setting,
    best_trial,
    configurations,
    counts,
    course,
    score_of,
    varying,
)
from tuning.pages.charts import Axis, Series, axis, line_chart, plot
from tuning.pages.tags import MAX_ROWS, WHOLE, Column, Html, data_table, facts, fold, join, subsection, tag
from tuning.pages.words import as_duration, as_moment, as_value, finite_or_none, several

BADGES = {"finished": "good", "failed": "bad"}
CURVES = 5  # configurations whose learning is drawn
LOOKS = ("second", "first", "third", "fourth", "fifth")
SECTIONS = (
    ("came-out", "What came out"),
    ("mattered", "What mattered"),
    ("tried", "What was tried"),
    ("broken", "What failed"),
    ("made", "How it was made"),
)
OUTCOMES = {"budget": "time is up"}


def header(result: Part) -> Html:
    """Name, outcome, the best score, what everyone asks first, and links."""
    what = f"{result['data']} · {result['family']} · {result['engine']} · "
    outcome = str(result["outcome"])
    badge = tag("span", OUTCOMES.get(outcome, outcome), class_=f"badge {BADGES.get(outcome, 'calm')}")
    title = tag("div", tag("h1", Path(result["output"]).name), badge, class_="title")
    links = (tag("a", text, href=f"#{anchor}") for anchor, text in SECTIONS)
    return tag(
        "header",
        tag("p", what, as_moment(result["started"]), class_="kicker"),
        title,
        tag("p", result["sentence"], class_="lead"),
        tag("div", _headline(result), _answers(result), class_="answers"),
        tag("nav", *links, aria_label="Sections"),
    )


def _headline(result: Part) -> Html:
    best = best_trial(result)
    if best is None:
        return tag("div", _nothing(result), class_="headline")
    of = (result.get("images") or {}).get("val")
    on = f" on {several(of, 'image', 'images')}" if of else ""
    number = tag("p", tag("strong", as_score(best["score"])), f" {result['objective']}{on}")
    pairs = [("trial", str(best["id"])), ("epochs", f"{best.get('until') or '—'} of {result['epochs']}")]
    if best.get("parameters"):
        pairs.append(("parameters", as_value(best["parameters"])))
    if finite_or_none(best.get("latency_ms")) is not None:
        pairs.append(("latency", f"{best['latency_ms']:.3g}\u00a0ms"))
    return tag("div", number, facts(pairs), class_="headline")


def _nothing(result: Part) -> Html:
    return tag("p", f"No score: no trial was completed. {_why(result)}".rstrip(), class_="missing")


def _why(result: Part) -> str:
    reasons = [one["reason"] for one in result["trials"] if one.get("reason")]
    return f"The last one: {reasons[-1]}." if reasons else ""


def _answers(result: Part) -> Html:
    following = tag("code", result["next"]) if result.get("next") else "—"
    told = counts(result)
    states = ", ".join(f"{count:,} {status}" for status, count in told.most_common()) or "none"
    pairs = (
        ("What next", following),
        ("How long did it take", f"{as_duration(result['seconds'])}, "
         f"{several(result['epochs_trained'], 'epoch', 'epochs')} in all"),
        ("Trials", states),
    )  # fmt: skip
    return facts(pairs, "questions")


def came_out(result: Part) -> Html:
    """The section: the best configuration beside the defaults, the course of the search, learning curves."""
    if best_trial(result) is None:
        return _nothing(result)
    best = configurations(result)[0]
    charts = [one for one in (best_so_far(result), _curves(result)) if one]
    return join(
        tag("p", _takeaway(result, best), class_="takeaway"),
        tag("div", *charts, class_="charts"),
        fold("Best so far in numbers", _course_table(result)),
        fold("Learning curves in numbers", _curve_table(result)) if _learned(result) else Html(""),
        subsection("The best configuration", best_values(result, best), class_="narrow"),
    )


def summary(result: Part) -> Html:
    """A sentence, the course, the best values, and where the whole report lies."""
    place = tag("code", f"{result['output']}/report.html")
    lead = tag("p", f"{result['sentence']}.", class_="takeaway")
    where = tag("p", "Every trial, and what mattered: ", place, class_="note")
    chart = best_so_far(result)
    if chart is None:
        return join(lead, _nothing(result), where)
    best = configurations(result)[0]
    chart = tag("div", chart, class_="charts")
    return join(lead, tag("div", chart, best_values(result, best), class_="columns"), where)


def _takeaway(result: Part, best: Configuration) -> str:
    moments = [one for one in course(result) if score_of(one.trial) is not None]
    reached = next((one for one in moments if one.trial["id"] == best.trial["id"]), moments[-1])
    text = (
        f"The best {result['objective']}, {as_score(best.score)}, came from configuration {best.name} in "
        f"trial {best.trial['id']}, after {several(reached.epochs, 'epoch', 'epochs')} of training in all"
    )
    if len(moments) > 1:
        text += f"; the first trial had {as_score(moments[0].trial['score'])}"
    return f"{text}. It was chosen by this very measure, so it is a little too good."


def best_so_far(result: Part) -> Html | None:
    """The course of the search: a dot for each trial, and the best score until then."""
    moments = [one for one in course(result) if score_of(one.trial) is not None]
    if not moments:
        return None
    dots = tuple((float(one.epochs), float(one.trial["score"])) for one in moments)
    tips = tuple(f"{one.trial['id']}: {as_score(one.trial['score'])}" for one in moments)
    steps = [(float(one.epochs), one.best) for one in moments if one.best is not None]
    corners = [point for index, point in enumerate(steps) if index == 0 or point[1] != steps[index - 1][1]]
    line = tuple([*corners, steps[-1]] if corners[-1] != steps[-1] else corners)
    across = axis("epochs trained, all trials together", [0.0, *(x for x, _ in dots)], count=6)
    series = (
        Series("a trial", dots, "pale", "dots", tips),
        Series(f"best so far, {as_score(line[-1][1])}", line, "first", "step"),
    )
    label = (
        f"Best {result['objective']} so far over the epochs trained: from {as_score(line[0][1])} "
        f"to {as_score(line[-1][1])} in {len(moments)} trials"
    )
    return plot("Best so far", across, _upright(result, [y for _, y in dots]), series, label)


def _upright(result: Part, scores: list[float]) -> Axis:
    return axis(result["objective"], scores)


def _course_table(result: Part) -> Html:
    columns = [Column(one, "number") for one in ("epochs trained", "score", "best so far")]
    rows = [
        (one.trial["id"], f"{one.epochs:,}", as_score(one.trial["score"]), as_score(one.best))
        for one in course(result)
        if score_of(one.trial) is not None
    ]
    return data_table("Best so far", [Column("trial"), *columns], rows[:MAX_ROWS])


def _learned(result: Part) -> list[tuple[Configuration, tuple[tuple[float, float], ...]]]:
    """The best configurations with the course of their objective, those with one epoch left out."""
    found = []
    for one in configurations(result)[:CURVES]:
        pairs = (
            (float(each["epoch"]), finite_or_none(each.get(result["objective"]))) for each in one.history
        )
        points = tuple((x, y) for x, y in pairs if y is not None)
        if len(points) > 1:
            found.append((one, points))
    return found


def _curves(result: Part) -> Html | None:
    lines = [
        Series(one.name, points, look) for (one, points), look in zip(_learned(result), LOOKS, strict=False)
    ]
    title = f"{result['objective']} of the best {several(len(lines), 'configuration', 'configurations')}"
    return line_chart(title.replace("best 1 configuration", "best configuration"), lines) if lines else None


def _curve_table(result: Part) -> Html:
    learned = _learned(result)
    epochs = sorted({x for _, points in learned for x, _ in points})
    told = [dict(points) for _, points in learned]
    rows = [(f"{x:.0f}", *(as_score(one.get(x)) for one in told)) for x in epochs[:MAX_ROWS]]
    columns = [Column("epoch"), *(Column(one.name, "number") for one, _ in learned)]
    return data_table(f"{result['objective']} after each epoch", columns, rows)


def best_values(result: Part, best: Configuration) -> Html:
    """The best configuration's values beside the defaults and what was allowed."""
    rows = []
    for one in varying(result):
        name, value = one["name"], best.values.get(one["name"])
        shown = as_setting(value) if name in best.values else "not used"
        moved = name in best.values and value != one.get("default")
        value_cell = tag("strong", shown) if moved else shown
        rows.append((spelt(name), value_cell, as_setting(one.get("default")), allowed(one)))
    kind = "word" if all(len(as_setting(one)) <= WHOLE for one in best.values.values()) else "text"
    columns = (Column("hyperparameter"), Column("best", kind), Column("default", kind), Column("allowed"))
    return data_table("In bold what is not as by default", columns, rows)


def spelt(name: str) -> Html:
    """A hyperparameter's name, which is broken after its underscores where it must be."""
    return Html(join(name).replace("_", "_<wbr>"))


def allowed(one: Part) -> str:
    """What a hyperparameter may be, in words."""
    if one["kind"] == "fixed":
        return "fixed"
    if one["kind"] == "choice":
        return ", ".join(map(as_setting, one["values"]))
    kind = ", log" if one.get("log") else ""
    return f"{as_setting(one['low'])} to {as_setting(one['high'])}{kind}"
