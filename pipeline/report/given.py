"""What it was given: the data, its checks and samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.report.matrix import FEW_CLASSES
from pipeline.report.part import Part, why_missing
from pipeline.report.pictures import MAX_PICTURES, gallery, picture_tag
from tuning.pages.charts import bar
from tuning.pages.tags import MAX_ROWS, Column, Html, data_table, facts, fold, join, subsection, tag
from tuning.pages.words import as_value, several


def given(result: Part, folder: Path) -> Html:
    """The section, as far as the run got."""
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
    columns = (Column("feature"), Column("severity", "word"), Column("what was found"))
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
