"""The trials of a search for TensorBoard's HParams tab."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tuning.errors import printable
from tuning.findings import score_of, varying
from tuning.pages.words import finite_or_none

Part = dict[str, Any]

METRICS = ("val_accuracy", "val_loss", "parameters", "latency_ms")


def write_hparams(folder: Path, result: Part) -> Path:
    """Write the search anew for `tensorboard --logdir FOLDER`: an experiment, and a session for each trial.

    Args:
        folder: The folder that TensorBoard looks at. Only `hparams` in it is replaced, whole, so that nothing
            stands there twice.
        result: A search's result.

    Returns:
        The folder `hparams`.
    """
    from tensorboard.plugins.hparams import summary_v2

    target = folder / "hparams"
    partial, old = folder / "hparams.part", folder / "hparams.old"
    for one in (partial, old):
        shutil.rmtree(one, ignore_errors=True)
    partial.mkdir(parents=True)
    began = _seconds(result.get("started"))
    metrics = [
        summary_v2.Metric(
            name, dataset_type=summary_v2.Metric.VALIDATION if name.startswith("val_") else None
        )
        for name in dict.fromkeys((*METRICS, result["objective"]))
    ]
    hparams = [summary_v2.HParam(printable(one["name"]), _domain(one)) for one in varying(result)]
    # A TensorBoard that is open reads a file on from where it was; under a new name it reads the new one.
    name = f"events.out.tfevents.{time.time():.6f}.search"
    config = summary_v2.hparams_config_pb(hparams, metrics, time_created_secs=began)
    _write(partial / name, [(began, 0, config)])
    for trial in result["trials"]:
        (partial / trial["id"]).mkdir()
        _write(partial / trial["id"] / name, _session(result, trial))
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def _domain(one: Part) -> Any:
    from tensorboard.plugins.hparams import summary_v2

    if one["kind"] == "range":
        return summary_v2.RealInterval(float(one["low"]), float(one["high"]))
    return summary_v2.Discrete(sorted({_plain(one, value) for value in one["values"]}))


def _plain(one: Part, value: Any) -> Any:
    """A value in the one type that its hyperparameter has for TensorBoard: yes or no, number, or text."""
    values = one["values"] if one["kind"] == "choice" else [one["low"], one["high"]]
    if all(isinstance(each, bool) for each in values):
        return bool(value)
    if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        return float(value)
    return printable(str(value))


def _session(result: Part, trial: Part) -> Iterator[tuple[float, int, Any]]:
    """Summaries of a trial, each with its time and step."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2

    began = _seconds(trial.get("started"))
    ended = _seconds(trial.get("ended")) or began + (finite_or_none(trial.get("seconds")) or 0.0)
    given = trial.get("values") or {}
    values = {
        printable(one["name"]): _plain(one, given[one["name"]])
        for one in varying(result)
        if one["name"] in given
    }
    # Its id, and not its configuration, names its group: the tab shows means over a group.
    yield began, 0, summary_v2.hparams_pb(values, trial_id=trial["id"], start_time_secs=began)
    for epoch in trial.get("history") or ():
        for key in dict.fromkeys(("val_accuracy", "val_loss", result["objective"])):
            number = finite_or_none(epoch.get(key))
            if number is not None:
                yield ended, epoch["epoch"], Summary(value=[Summary.Value(tag=key, simple_value=number)])
    last = trial.get("until") or 0
    told = {key: finite_or_none(trial.get(key)) for key in ("parameters", "latency_ms")}
    if not trial.get("history"):
        told[result["objective"]] = score_of(trial)
    for key, number in told.items():
        if number is not None:
            yield ended, last, Summary(value=[Summary.Value(tag=key, simple_value=number)])
    status = {"completed": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE,
              "pruned": api_pb2.STATUS_FAILURE, "running": api_pb2.STATUS_RUNNING}  # fmt: skip
    if trial["status"] in status:
        info = plugin_data_pb2.SessionEndInfo(status=status[trial["status"]], end_time_secs=ended)
        data = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info))
        end = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)
        yield ended, last, Summary(value=[end])


def _write(file: Path, summaries: Iterable[tuple[float, int, Any]]) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    with file.open("wb") as opened:
        records = RecordWriter(opened)
        records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for when, step, summary in summaries:
            records.write(Event(wall_time=when, step=step, summary=summary).SerializeToString())
        records.flush()
        os.fsync(opened.fileno())


def _seconds(text: Any) -> float:
    """A time in ISO form as seconds since 1970, or 0."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return 0.0
