"""Which earlier model a new one is compared with."""

from __future__ import annotations

from pathlib import Path

import ml_metadata
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


def _labels(model: types.Artifact) -> str:
    """The class names that were exported with a model; nothing where its files are gone."""
    file = Path(path_utils.serving_model_path(model.uri)) / "labels.txt"
    return file.read_text(encoding="utf-8") if file.is_file() else ""
