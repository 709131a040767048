"""How it learned: curves and every epoch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from pipeline.report.part import Part, why_missing
from tuning.pages.charts import Series, line_chart
from tuning.pages.tags import MAX_ROWS, Column, Html, data_table, facts, fold, join, subsection, tag
from tuning.pages.words import as_share, as_value, finite_or_none, several
from tuning.report import section_for_run


def learned(result: Part) -> Html:
    """The section, as far as epochs were recorded."""
    if result.get("tuning"):
        return join(
            subsection("The search for hyperparameters", section_for_run(result["tuning"])),
            subsection("The training with the best ones", _training(result)),
        )
    return _training(result)


def _training(result: Part) -> Html:
    """Curves and figures of the training."""
    found = result.get("training")
    if not found:
        return why_missing(result, "training")
    history = found.get("history") or []
    varied = len({one.get("learning_rate") for one in history}) > 1
    names = ("accuracy", "loss", "learning_rate") if varied else ("accuracy", "loss")
    part = found.get("measured_on")
    charts = [chart for chart in (_curve(history, name, part) for name in names) if chart]
    pairs = [
        ("parameters", as_value(found.get("parameters"))),
        ("speed", _speed(found.get("images_per_second"))),
        ("device", as_value(found.get("device"))),
        *_how(found, len(history)),
    ]
    parts = [
        tag("p", _progress(history, part), class_="takeaway"),
        *(tag("p", str(one)[:1].upper() + str(one)[1:] + ".") for one in found.get("remarks") or ()),
        tag("div", *charts, class_="charts"),
        facts(pairs),
    ]
    if history:
        parts.append(fold("Every epoch in numbers", _epochs(history)))
    command = tag("code", f"tensorboard --logdir {shlex.quote(result['output'] + '/tensorboard')}")
    return join(*parts, tag("p", "The same, and what the network was fed: ", command, class_="note"))


def _how(found: Part, epochs: int) -> list[tuple[str, str]]:
    """What was decided on the machine, and what is out of the ordinary."""
    pairs = []
    if found.get("precision"):
        pairs.append(("precision", as_value(found["precision"])))
    if found.get("xla") is not None:
        pairs.append(("XLA", as_value(found["xla"])))
    if found.get("kept_epoch") not in (None, epochs):
        pairs.append(("weights of epoch", as_value(found["kept_epoch"])))
    if found.get("resumed_after"):
        pairs.append(("interrupted, went on after epoch", as_value(found["resumed_after"])))
    return pairs


def _speed(value: Any) -> str:
    number = finite_or_none(value)
    return "—" if number is None else f"{number:,.0f} images/s"


def _points(history: Sequence[Part], key: str) -> tuple[tuple[float, float], ...]:
    pairs = ((float(one["epoch"]), finite_or_none(one.get(key))) for one in history)
    return tuple((epoch, value) for epoch, value in pairs if value is not None)


def _curve(history: Sequence[Part], name: str, part: str | None) -> Html | None:
    """The chart of a value and its validation twin, or None where there is no course to show."""
    both = (
        Series("training" if name != "learning_rate" else "rate", _points(history, name)),
        Series(f"{part} part" if part else "validation", _points(history, f"val_{name}"), "second"),
    )
    lines = [line for line in both if len(line.points) > 1]
    return line_chart(name.replace("_", " "), lines) if lines else None


def _progress(history: Sequence[Part], part: str | None = None) -> str:
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
    measured = f"Accuracy on the {part} part" if part else "Validation accuracy"
    which = measured if twin else "Training accuracy"
    if len(points) == 1:
        return f"{total}. {which} was {best}."
    ended = "" if last == best else f" and ended at {last}"
    return f"{total}. {which} began at {first}, reached its best, {best}, at epoch {epoch:.0f}{ended}."


def _epochs(history: Sequence[Part]) -> Html:
    keys = list(dict.fromkeys(key for one in history for key in one))
    rows = [[as_value(one.get(key)) for key in keys] for one in history[:MAX_ROWS]]
    return data_table("Every epoch", [Column(key, "number") for key in keys], rows)
