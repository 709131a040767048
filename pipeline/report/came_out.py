"""What came out: the verdict, each class, what was taken for what, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.report.matrix import FEW_CLASSES, dense_matrix, heat_map
from pipeline.report.part import Part, why_missing
from pipeline.report.pictures import MAX_PICTURES, gallery, picture_tag
from tuning.pages.charts import interval_strip, scale_of, tick_labels
from tuning.pages.tags import MAX_ROWS, Column, Html, data_table, facts, fold, join, subsection, tag
from tuning.pages.words import as_share, as_value, finite_or_none, several


def came_out(result: Part, folder: Path) -> Html:
    """The section: what there is of it, and a sentence for what there is not."""
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
    parts.append(tag("div", _slices(found), _measures(found), class_="columns"))
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
    between = baseline.get("interval")
    sure = (
        f" (95\u00a0% interval of the difference {between[0]:+.3f} to {between[1]:+.3f})" if between else ""
    )
    if not change:
        return f"It equals {last}{sure}."
    return f"It is {abs(change):.3f} {'above' if change > 0 else 'below'} {last}{sure}."


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


SLICE_NOTE = (
    "The same test images, divided by what they are besides their class (a folder is one inside of the "
    "class's own); where a group is small, its interval is wide."
)
SLICES = {"size": "longer side", "origin": "folder", "colour": "colour"}


def _slices(found: Part) -> Html:
    """Accuracy of groups of images: of a size, of a source."""
    slices = found.get("slices") or []
    if not slices:
        return Html("")
    ends = [value for one in slices for value in (one.get("accuracy"), *(one.get("interval") or ()))]
    scale = scale_of([*ends, found.get("accuracy")])
    columns = (
        Column("images whose"), Column("is"), Column("", "bar"), Column("accuracy", "number"),
        Column("images", "number"),
    )  # fmt: skip
    rows = [
        (
            SLICES.get(one["feature"], one["feature"]), str(one["value"]) or "none",
            interval_strip(scale, one.get("accuracy"), one.get("interval"), found.get("accuracy")),
            as_share(one.get("accuracy")), f"{one['count']:,}",
        )
        for one in slices[:MAX_ROWS]
    ]  # fmt: skip
    table = data_table(
        "Accuracy of each; an upright line is that of all", columns, rows, header=1, class_="groups"
    )
    return subsection("Groups of images", table, tag("p", SLICE_NOTE, class_="note"))


CALIBRATION_NOTE = "How far the model's certainty is from how often it is right, on average over its answers."


def _measures(found: Part) -> Html:
    """What is measured besides accuracy."""
    loss = found.get("loss")
    pairs = [("loss (cross-entropy)", as_value(loss) if loss is None else f"{loss:.3g}")]
    if found.get("top5") is not None:
        pairs.append(("right class among the five likeliest", as_share(found["top5"])))
    if found.get("calibration_error") is None:
        return subsection("Other measures", facts(pairs))
    pairs.append(("calibration error", as_share(found["calibration_error"])))
    return subsection("Other measures", facts(pairs), tag("p", CALIBRATION_NOTE, class_="note"))


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
    return subsection("The worst mistakes", intro, gallery(items), _files(mistakes[:MAX_PICTURES]))


def _files(mistakes: Sequence[Part]) -> Html:
    """Where the pictures come from: what is labelled wrongly can be put right."""
    rows = [
        (tag("code", one["source"]), str(one["true"]), str(one["predicted"]))
        for one in mistakes
        if one.get("source")
    ]
    if not rows:
        return Html("")
    columns = (Column("picture"), Column("is"), Column("taken for"))
    return fold("Which pictures", data_table("Where they lie in the data", columns, rows))


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
