"""Which earlier model a new one is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import ml_metadata
from ml_metadata import proto
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.utils import path_utils


class LastBlessedOther(resolver.ResolverStrategy):
    """The newest blessed model that is not the current one, and tells the same classes apart.

    TFX's LatestBlessedModelStrategy would offer a model that is served from the cache to itself: the
    Evaluator would see a new baseline, run again, and push the same model a second time.
    """

    def resolve_artifacts(
        self, store: ml_metadata.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Of all models and blessings keep one of each, or none; `current` holds the current model."""
        current = {model.id: _labels(model) for model in input_dict["current"]}
        others = {
            one.id: one
            for one in input_dict["model"]
            if one.id not in current and _labels(one) and _labels(one) in current.values()
        }
        blessings = {
            one.get_int_custom_property("current_model_id"): one
            for one in input_dict["model_blessing"]
            if one.get_int_custom_property("blessed") == 1
        }
        newest = max(others.keys() & blessings.keys(), default=None)
        return {
            "current": input_dict["current"],
            "model": [] if newest is None else [others[newest]],
            "model_blessing": [] if newest is None else [blessings[newest]],
        }


class LastBlessedStatistics(resolver.ResolverStrategy):
    """The statistics of the data that the last blessed model was trained on, if that is other data.

    None for the data at hand itself: nothing can have changed, and the same run again is served from the
    cache.
    """

    def resolve_artifacts(
        self, store: ml_metadata.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Of all models, blessings and statistics keep one statistics or none, under `statistics`."""
        blessed = {
            one.get_int_custom_property("current_model_id")
            for one in input_dict["model_blessing"]
            if one.get_int_custom_property("blessed") == 1
        }
        newest = max(blessed & {one.id for one in input_dict["model"]}, default=None)
        made_with = set() if newest is None else _statistics_of(store, newest)
        current = {one.id for one in input_dict["current"]}
        found = [one for one in input_dict["statistics"] if one.id in made_with and Path(one.uri).is_dir()]
        last = max(found, key=lambda one: one.id, default=None)
        kept = [] if last is None or made_with & current else [last]
        return {"current": input_dict["current"], "model": [], "model_blessing": [], "statistics": kept}


def _statistics_of(store: ml_metadata.MetadataStore, model: int) -> set[int]:
    """Ids of what was made from the examples that a model was trained on, statistics among it."""
    examples = _inputs(store, _executions(store, [model], _MADE))
    return _outputs(store, _executions(store, examples, _READ))


_READ = (proto.Event.INPUT, proto.Event.DECLARED_INPUT)
_MADE = (proto.Event.OUTPUT, proto.Event.DECLARED_OUTPUT)


def _executions(store: ml_metadata.MetadataStore, artifacts: Iterable[int], kinds: Sequence[int]) -> set[int]:
    events = store.get_events_by_artifact_ids(list(artifacts)) if artifacts else []
    return {event.execution_id for event in events if event.type in kinds}


def _inputs(store: ml_metadata.MetadataStore, executions: Iterable[int]) -> set[int]:
    events = store.get_events_by_execution_ids(list(executions)) if executions else []
    return {event.artifact_id for event in events if event.type in _READ}


def _outputs(store: ml_metadata.MetadataStore, executions: Iterable[int]) -> set[int]:
    events = store.get_events_by_execution_ids(list(executions)) if executions else []
    return {event.artifact_id for event in events if event.type in _MADE}


def _labels(model: types.Artifact) -> str:
    """The class names that were exported with a model; nothing where its files are gone."""
    file = Path(path_utils.serving_model_path(model.uri)) / "labels.txt"
    return file.read_text(encoding="utf-8") if file.is_file() else ""
