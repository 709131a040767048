"""The report of a run: one HTML file that a person opens to see what came out and why.

Everything comes from `result.json` and the pictures beside it. The page carries its style, charts and
pictures in itself, has no script, and its content policy forbids every request, so it reads the same offline,
in an e-mail or on paper. Only the standard library is imported: a light process writes the report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.page import (
    Column,
    Html,
    Part,
    Series,
    as_duration,
    as_interval,
    as_moment,
    as_share,
    as_value,
    bar,
    data_table,
    dense_matrix,
    facts,
    finite_or_none,
    fold,
    gallery,
    heat_map,
    interval_strip,
    join,
    line_chart,
    picture_tag,
    scale_of,
    section,
    several,
    subsection,
    tag,
    tick_labels,
    why_missing,
)

SCHEMA = 1
MAX_PICTURES = 20  # of samples, and as many of mistakes: 40 on the page
FEW_CLASSES = 20  # up to here every class has its row and every cell its count
MAX_ROWS = 1000  # of a table that is folded away
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(folder: Path) -> Path:
    """Write `report.html` into the folder of a run, from the `result.json` that lies there.

    Args:
        folder: Folder of one run. Pictures are named in `result.json` relative to it; one that is missing,
            lies outside, is neither PNG nor JPEG, or is larger than 200 kB is replaced by a few words.

    Returns:
        The path of the report. It replaces an older one in a single step.

    Raises:
        FileNotFoundError: The folder holds no `result.json`.
        ValueError: `result.json` is not JSON, or of a schema that this version does not read.
    """
    source = folder / "result.json"
    if not source.is_file():
        raise FileNotFoundError(f"folder {folder}: it holds no result.json; give the folder that a run made")
    try:
        result = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{source}: not readable as JSON: {error}") from None
    schema = result.get("schema") if isinstance(result, dict) else None
    if schema != SCHEMA:
        raise ValueError(
            f"{source}: schema must be {SCHEMA}, not {schema!r}; it was written by another version"
        )
    target, partial = folder / "report.html", folder / "report.html.part"
    partial.write_text(render(result, folder), encoding="utf-8")
    return partial.replace(target)


def render(result: Part, folder: Path) -> str:
    """The report as HTML text; `folder` is where the pictures named in `result` lie."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{result['name']}: {result['outcome']}"),
        tag("style", Html(style)),
    )
    sections = (
        section("came-out", "What came out", _came_out(result, folder)),
        section("learned", "How it learned", _learned(result)),
        section("given", "What it was given", _given(result, folder)),
        section("made", "How it was made", _made(result)),
    )
    body = tag("body", _header(result), tag("main", *sections))
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


# ---- the top of the page

BADGES = {"pushed": "good", "unchanged": "calm", "interrupted": "calm"}


def _header(result: Part) -> Html:
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


# ---- what came out


def _came_out(result: Part, folder: Path) -> Html:
    found = result.get("evaluation")
    if not found:
        if not result.get("serving"):
            return why_missing(result, "evaluation and no serving check")
        return join(why_missing(result, "evaluation"), _serving(result))
    labels, counts = _labels_of(result, found), found.get("confusion") or []
    confusions = _confusions(labels, counts)
    parts = [tag("p", " ".join((_verdict(found), *_weakest(found, confusions))), class_="takeaway")]
    columns = [_per_class(found)] if found.get("per_class") else []
    if counts:
        columns.append(_matrix(labels, counts, confusions))
    few = len(labels) <= 12
    parts.append(tag("div", *columns, class_="columns" if few else None))
    parts.append(_mistakes(found, folder))
    parts.append(_serving(result))
    return join(*parts)


def _labels_of(result: Part, found: Part) -> list[str]:
    """Names of the matrix's rows: the data set's classes, else those of the table, else numbers."""
    classes = (result.get("dataset") or {}).get("classes") or ()
    rated = [one["label"] for one in found.get("per_class") or ()]
    size = len(found.get("confusion") or classes or rated)
    named = next((names for names in (classes, rated) if len(names) == size), range(size))
    return [str(name) for name in named]


def _verdict(found: Part) -> str:
    said = "Blessed" if found.get("blessed") else "Not blessed"
    accuracy, threshold = finite_or_none(found.get("accuracy")), finite_or_none(found.get("threshold"))
    if accuracy is not None and threshold is not None:
        meets = accuracy >= threshold
        digits = 3 if meets or as_share(accuracy) != as_share(threshold) else 5
        verb = "reaches" if meets else "is below"
        said += f": {accuracy:.{digits}f} {verb} the {threshold:.{digits}f} asked for"
    baseline = found.get("baseline")
    if not baseline:
        return f"{said}. There was no blessed model to compare it with."
    return f"{said}. {_comparison(accuracy, baseline)}"


def _comparison(accuracy: float | None, baseline: Part) -> str:
    before = finite_or_none(baseline["accuracy"])
    last = f"the last blessed model, {baseline['version']}"
    if accuracy is None or before is None:
        return f"It cannot be compared with {last}."
    change = round(accuracy - before, 3)
    if not change:
        return f"It equals {last}."
    return f"It is {abs(change):.3f} {'above' if change > 0 else 'below'} {last}."


def _weakest(found: Part, confusions: Sequence[tuple[str, str, int, int]]) -> list[str]:
    sentences = []
    rated = [one for one in (found.get("per_class") or ()) if finite_or_none(one.get("accuracy")) is not None]
    if rated:
        worst = min(rated, key=lambda one: one["accuracy"])
        sentences.append(
            f"The weakest class is {worst['label']}: {as_share(worst['accuracy'])} of {worst['count']:,}."
        )
    if confusions:
        true, taken, count, _ = confusions[0]
        sentences.append(
            f"The most frequent mistake is {true} taken for {taken}, {several(count, 'time', 'times')}."
        )
    return sentences


def _confusions(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, str, int, int]]:
    """Every mistake as (true, predicted, times, images of the true class), the most frequent first."""
    pairs = [
        (labels[row], labels[column], count, sum(line))
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if count and row != column
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


CLASS_NOTE = (
    "Accuracy: how many of the class's images were recognised, with its 95\u00a0% interval. "
    "Precision: how many of the answers with this name were right. "
    "The upright line is the accuracy that was asked of the whole."
)


def _per_class(found: Part) -> Html:
    rated = sorted(
        found["per_class"], key=lambda one: (finite_or_none(one.get("accuracy")) or 0.0, one["label"])
    )
    threshold = found.get("threshold")
    ends = [value for one in rated for value in (one.get("accuracy"), *(one.get("interval") or ()))]
    scale = scale_of([*ends, threshold])
    edges = tick_labels(scale.marks)
    axis = tag("span", tag("span", edges[0]), tag("span", edges[-1]), class_="ends")
    columns = [Column("class"), Column(axis, "bar")]
    columns += [Column(title, "number") for title in ("accuracy", "precision", "images")]
    rows = []
    for one in rated:
        strip = interval_strip(scale, one.get("accuracy"), one.get("interval"), threshold)
        numbers = (as_share(one.get("accuracy")), as_share(one.get("precision")), f"{one['count']:,}")
        rows.append((str(one["label"]), strip, *numbers))
    note = tag("p", CLASS_NOTE, class_="note")
    if len(rows) <= FEW_CLASSES:
        return subsection("Each class", data_table("Weakest class first", columns, rows), note)
    weakest = data_table("The ten weakest classes", columns, rows[:10])
    others = data_table("From weak to strong", columns, rows[10:MAX_ROWS])
    return subsection("Each class", weakest, fold(f"The other {len(rows) - 10:,} classes", others), note)


def _matrix(
    labels: Sequence[str], counts: Sequence[Sequence[int]], confusions: Sequence[tuple[str, str, int, int]]
) -> Html:
    if len(labels) <= FEW_CLASSES:
        return subsection("What was taken for what", heat_map(labels, counts))
    columns = (Column("true"), Column("taken for"), Column("times", "number"), Column("of", "number"))
    rows = [(true, taken, f"{times:,}", f"{total:,}") for true, taken, times, total in confusions[:15]]
    table = data_table("The most frequent mistakes", columns, rows)
    return subsection("What was taken for what", tag("div", dense_matrix(counts), table, class_="columns"))


def _mistakes(found: Part, folder: Path) -> Html:
    mistakes = found.get("mistakes")
    if not mistakes:
        return Html("")
    items = []
    for one in mistakes[:MAX_PICTURES]:
        true, taken = str(one["true"]), str(one["predicted"])
        picture = picture_tag(folder, one["file"], f"a picture of {true} that was taken for {taken}")
        sure = tag("span", f"{as_share(one.get('probability'))} sure", class_="muted")
        items.append((picture, join(tag("strong", taken), tag("br"), f"is {true}", tag("br"), sure)))
    intro = tag("p", "What the model said, what it is, and how sure the model was.", class_="note")
    return subsection("The worst mistakes", intro, gallery(items))


def _serving(result: Part) -> Html:
    found = result.get("serving")
    if not found:
        return subsection("As it will be served", why_missing(result, "serving check"))
    equal = "yes" if found.get("equal") else "no"
    pairs = [
        ("equal to the trained model", f"{equal}, largest difference {as_value(found.get('max_difference'))}")
    ]
    pairs.append(("time an image", f"{as_value(found.get('milliseconds'))} ms"))
    names = [
        join(*([", "] if index else []), tag("code", name))
        for index, name in enumerate(found.get("signatures") or ())
    ]
    pairs.append(("signatures", join(*names)))
    return subsection("As it will be served", facts(pairs))


# ---- how it learned


def _learned(result: Part) -> Html:
    found = result.get("training")
    if not found:
        return why_missing(result, "training")
    history = found.get("history") or []
    varied = len({one.get("learning_rate") for one in history}) > 1
    names = ("accuracy", "loss", "learning_rate") if varied else ("accuracy", "loss")
    charts = [chart for chart in (_curve(history, name) for name in names) if chart]
    pairs = [
        ("parameters", as_value(found.get("parameters"))),
        ("speed", _speed(found.get("images_per_second"))),
        ("device", as_value(found.get("device"))),
    ]
    parts = [
        tag("p", _progress(history), class_="takeaway"),
        tag("div", *charts, class_="charts"),
        facts(pairs),
    ]
    if history:
        parts.append(fold("Every epoch in numbers", _epochs(history)))
    return join(*parts)


def _speed(value: Any) -> str:
    number = finite_or_none(value)
    return "—" if number is None else f"{number:,.0f} images/s"


def _points(history: Sequence[Part], key: str) -> tuple[tuple[float, float], ...]:
    pairs = ((float(one["epoch"]), finite_or_none(one.get(key))) for one in history)
    return tuple((epoch, value) for epoch, value in pairs if value is not None)


def _curve(history: Sequence[Part], name: str) -> Html | None:
    """The chart of a value and its validation twin, or None where there is no course to show."""
    both = (
        Series("training" if name != "learning_rate" else "rate", _points(history, name)),
        Series("validation", _points(history, f"val_{name}"), "second"),
    )
    lines = [line for line in both if len(line.points) > 1]
    return line_chart(name.replace("_", " "), lines) if lines else None


def _progress(history: Sequence[Part]) -> str:
    if not history:
        return "The epochs were not recorded."
    total = several(len(history), "epoch", "epochs")
    lost = next((one["epoch"] for one in history if finite_or_none(one.get("loss")) is None), None)
    if lost is not None:
        return f"{total}; the loss was no longer a number from epoch {lost} on."
    twin = _points(history, "val_accuracy")
    points = twin or _points(history, "accuracy")
    if not points:
        return f"{total}."
    first, best, last = (
        as_share(value) for value in (points[0][1], max(y for _, y in points), points[-1][1])
    )
    epoch = next(epoch for epoch, value in points if as_share(value) == best)
    which = "Validation" if twin else "Training"
    if len(points) == 1:
        return f"{total}. {which} accuracy was {best}."
    ended = "" if last == best else f" and ended at {last}"
    return (
        f"{total}. {which} accuracy began at {first}, reached its best, {best}, at epoch {epoch:.0f}{ended}."
    )


def _epochs(history: Sequence[Part]) -> Html:
    keys = list(dict.fromkeys(key for one in history for key in one))
    rows = [[as_value(one.get(key)) for key in keys] for one in history[:MAX_ROWS]]
    return data_table("Every epoch", [Column(key, "number") for key in keys], rows)


# ---- what it was given


def _given(result: Part, folder: Path) -> Html:
    found = result.get("dataset")
    if not found:
        return join(why_missing(result, "description of the data"), _validation(result))
    splits = found.get("splits") or {}
    parts = [tag("p", _holdings(found, splits), class_="takeaway"), facts(_properties(found))]
    parts += [
        _validation(result),
        _bad(found),
        _same(found),
        _balance(found, splits),
        _samples(found, folder),
    ]
    return join(*parts)


def _holdings(found: Part, splits: Part) -> str:
    classes = found["classes"]
    parts = ", ".join(f"{split['count']:,} {name}" for name, split in splits.items())
    text = f"{several(found['images'], 'image', 'images')} in {several(len(classes), 'class', 'classes')}"
    text = f"{text}: {parts}." if parts else f"{text}."
    if not splits:
        return text
    name, split = next(iter(splits.items()))
    counts = split.get("per_class") or ()
    if len(counts) != len(classes):
        return text
    least, most = min(counts), max(counts)
    if least == most:
        return f"{text} Every class has {least:,} in {name}."
    small, large = classes[counts.index(least)], classes[counts.index(most)]
    return f"{text} In {name}, the smallest class is {small} ({least:,}), the largest {large} ({most:,})."


def _properties(found: Part) -> list[tuple[str, str]]:
    pairs = []
    for title, counted in (("sizes in pixels", found.get("sizes")), ("formats", found.get("formats"))):
        ranked = sorted((counted or {}).items(), key=lambda item: -item[1])
        text = ", ".join(f"{name} ({count:,})" for name, count in ranked[:4])
        pairs.append((title, text + (f" and {len(ranked) - 4:,} more" if len(ranked) > 4 else "") or "—"))
    pairs.append(("fingerprint", tag("code", as_value(found.get("fingerprint")))))
    return pairs


def _validation(result: Part) -> Html:
    found = result.get("validation")
    if not found:
        return subsection("Checks of the data", why_missing(result, "checks"))
    anomalies = found.get("anomalies") or []
    said = "The data passed the gate." if found.get("passed") else "The data did not pass the gate."
    if not anomalies:
        return subsection("Checks of the data", tag("p", f"{said} Nothing was found to object to."))
    columns = (Column("feature"), Column("severity"), Column("what was found"))
    rows = [(tag("code", one["feature"]), one["severity"], one["what"]) for one in anomalies[:MAX_ROWS]]
    table = data_table("Anomalies", columns, rows)
    return subsection("Checks of the data", tag("p", said), table, class_="narrow")


def _bad(found: Part) -> Html:
    bad = found.get("bad") or []
    if not bad:
        return Html("")
    rows = [(tag("code", str(one["path"])), str(one["why"])) for one in bad]
    columns = (Column("file"), Column("why"))
    shown = data_table("Images that could not be read", columns, rows[:10])
    rest = (
        fold(f"The other {len(rows) - 10:,}", data_table("Further images", columns, rows[10:MAX_ROWS]))
        if rows[10:]
        else Html("")
    )
    return subsection(f"{several(len(bad), 'image', 'images')} left out", shown, rest)


def _same(found: Part) -> Html:
    """What is remarkable about the split, and pictures that are there twice."""
    remarks = [tag("li", str(one)) for one in found.get("remarks") or ()]
    if not remarks:
        return Html("")
    pairs = [(tag("code", str(one)), tag("code", str(other))) for one, other in found.get("same") or ()]
    columns = (Column("picture"), Column("has the same bytes"))
    table = fold("Which pictures", data_table("Same pictures", columns, pairs)) if pairs else Html("")
    return subsection("Remarks on the split", tag("ul", *remarks), table)


def _balance(found: Part, splits: Part) -> Html:
    classes = found["classes"]
    named = {
        name: split["per_class"]
        for name, split in splits.items()
        if len(split.get("per_class") or ()) == len(classes)
    }
    if not named:
        return Html("")
    columns = [
        Column("class"),
        *(one for name in named for one in (Column(name, "number"), Column("", "bar"))),
    ]
    rows = []
    for index, label in enumerate(classes[:MAX_ROWS]):
        row: list[str] = [str(label)]
        for order, counts in enumerate(named.values()):
            row += [f"{counts[index]:,}", bar(counts[index], max(counts), "second" if order else "first")]
        rows.append(row)
    table = data_table("Images of each class", columns, rows)
    if len(classes) <= FEW_CLASSES:
        return subsection("Balance of the classes", table, class_="narrow")
    name, counts = next(iter(named.items()))
    return subsection("Balance of the classes", _profile(name, counts), fold("Every class in numbers", table))


def _profile(name: str, counts: Sequence[int]) -> Html:
    """The sizes of many classes as one silhouette, the largest class first."""
    ranked, top = sorted(counts, reverse=True), max(counts) or 1
    steps = "".join(f"V{100 - 100 * count / top:.1f}h1" for count in ranked)
    label = f"Sizes of {len(counts)} classes in {name}, from {ranked[0]:,} down to {ranked[-1]:,} images"
    shape = tag("path", d=f"M0 100{steps}V100z")
    chart = tag(
        "svg",
        shape,
        viewBox=f"0 0 {len(ranked)} 100",
        preserveAspectRatio="none",
        class_="profile",
        role="img",
        aria_label=label,
    )
    return tag("figure", tag("figcaption", f"{label}."), chart)


def _samples(found: Part, folder: Path) -> Html:
    samples = found.get("samples")
    if not samples:
        return Html("")
    seen: dict[str, int] = {}
    ranked = []
    for one in samples:
        seen[one["label"]] = seen.get(one["label"], 0) + 1
        ranked.append((seen[one["label"]], one))
    ranked.sort(key=lambda pair: pair[0])  # stable: the first of every class before the second of any
    items = [
        (picture_tag(folder, one["file"], f"a picture of {one['label']}"), join(str(one["label"])))
        for _, one in ranked[:MAX_PICTURES]
    ]
    return subsection("Some of the images", gallery(items))


# ---- how it was made


def _made(result: Part) -> Html:
    recipe = (result.get("training") or {}).get("recipe")
    lists = (
        ("Recipe", recipe, "recipe"),
        ("Configuration", result.get("config"), "configuration"),
        ("Versions", _versions(result), "versions"),
    )
    cards = [subsection(title, _listed(values) or why_missing(result, what)) for title, values, what in lists]
    command = tag("pre", tag("code", result["command"]))
    place = tag("p", "Results are in ", tag("code", result["output"]), ".", class_="note")
    again = subsection("To do it again", command, place)
    return join(_steps(result), tag("div", *cards, class_="columns three"), again)


def _listed(values: Part | None) -> Html | None:
    """Keys stand as they are: the same word is the option, the key in run.toml and the label here."""
    if not values:
        return None
    return facts(((key, as_value(value)) for key, value in values.items()), "list")


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
