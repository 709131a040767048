"""The top of the page: the answer before the details."""

from __future__ import annotations

from pipeline.report.part import Part, why_missing
from tuning.pages.charts import interval_strip, scale_of
from tuning.pages.tags import Html, facts, tag
from tuning.pages.words import as_duration, as_interval, as_moment, as_share, several

BADGES = {"pushed": "good", "unchanged": "calm", "interrupted": "calm"}


def header(result: Part) -> Html:
    """Name, outcome, headline, the three questions that everyone has, and links."""
    what = f"{result['data']} · {result['model']} · "
    kicker = tag("p", what, as_moment(result["started"]), class_="kicker")
    badge = tag("span", result["outcome"], class_=f"badge {BADGES.get(result['outcome'], 'bad')}")
    title = tag("div", tag("h1", result["name"]), badge, class_="title")
    links = (
        ("came-out", "What came out"),
        ("learned", "How it learned"),
        ("given", "What it was given"),
        ("made", "How it was made"),
    )
    contents = tag(
        "nav", *(tag("a", text, href=f"#{anchor}") for anchor, text in links), aria_label="Sections"
    )
    answers = tag("div", _headline(result), _answers(result), class_="answers")
    return tag(
        "header",
        kicker,
        title,
        tag("p", result["sentence"], class_="lead"),
        _problems(result),
        answers,
        contents,
    )


def _headline(result: Part) -> Html:
    found = result.get("evaluation")
    if not found:
        return tag("div", why_missing(result, "accuracy"), class_="headline")
    baseline, interval = found.get("baseline"), found.get("interval")
    versus = baseline["accuracy"] if baseline else None
    scale = scale_of([found["accuracy"], found.get("threshold"), versus, *(interval or ())])
    number = tag(
        "p",
        tag("strong", as_share(found["accuracy"])),
        f" accuracy on {several(found.get('count') or 0, 'test image', 'test images')}",
    )
    keys = [("threshold", f"needed {as_share(found.get('threshold'))}")]
    if interval:
        keys.insert(0, ("interval", f"95\u00a0% interval {as_interval(interval)}"))
    if baseline:
        keys.append(("baseline", f"last blessed {as_share(versus)}"))
    strip = interval_strip(scale, found["accuracy"], interval, found.get("threshold"), versus, axis=True)
    legend = tag("p", *(tag("span", _symbol(kind), text) for kind, text in keys), class_="legend")
    return tag("div", number, strip, legend, class_="headline")


def _symbol(kind: str) -> Html:
    shapes = {
        "interval": tag("line", x1=1, x2=17, y1=7, y2=7, class_="interval"),
        "threshold": tag("line", x1=9, x2=9, y1=0, y2=14, class_="threshold"),
        "baseline": tag("circle", cx=9, cy=7, r=4, class_="baseline"),
    }
    return tag("svg", shapes[kind], class_="strip", width=18, height=14, aria_hidden="true")


def _answers(result: Part) -> Html:
    pushed = result.get("pushed")
    where = tag("code", pushed) if pushed else "nothing was pushed"
    following = tag("code", result["next"]) if result.get("next") else "—"
    pairs = (
        ("Where is the model", where),
        ("How long did it take", as_duration(result["seconds"])),
        ("What next", following),
    )
    return facts(pairs, "questions")


def _problems(result: Part) -> Html:
    """What stopped a run at the gate, where the eye falls first."""
    anomalies = (result.get("validation") or {}).get("anomalies") or ()
    errors = [one for one in anomalies if one["severity"] == "error"]
    if not errors:
        return Html("")
    shown = [tag("li", tag("code", one["feature"]), " ", one["what"]) for one in errors[:5]]
    if len(errors) > 5:
        shown.append(tag("li", f"and {len(errors) - 5:,} more, under What it was given"))
    return tag("ul", *shown, class_="problems")
