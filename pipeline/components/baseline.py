"""Which earlier model a new one is compared with."""

from __future__ import annotations

from pathlib import Path

import ml_metadata
from tfx import types
from tfx.dsl.components.common import resolver


class LastBlessedBefore(resolver.ResolverStrategy):
    """The newest blessed model that is older than the current one.

    TFX's LatestBlessedModelStrategy would offer a model that is served from the cache to itself: the
    Evaluator would see a new baseline, run again, and push the same model a second time.
    """

    def resolve_artifacts(
        self, store: ml_metadata.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Of all models and blessings keep one of each, or none; `current` holds the current model."""
        current = min((model.id for model in input_dict["current"]), default=0)
        earlier = {one.id: one for one in input_dict["model"] if one.id < current and Path(one.uri).is_dir()}
        blessings = {
            one.get_int_custom_property("current_model_id"): one
            for one in input_dict["model_blessing"]
            if one.get_int_custom_property("blessed") == 1
        }
        newest = max(earlier.keys() & blessings.keys(), default=None)
        return {
            "current": input_dict["current"],
            "model": [] if newest is None else [earlier[newest]],
            "model_blessing": [] if newest is None else [blessings[newest]],
        }
