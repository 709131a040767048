"""StatisticsGen that does not wait for Beam where there is little to count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx import types
from tfx.components.statistics_gen import component as tfx_statistics_gen
from tfx.components.statistics_gen import executor as tfx_executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils

from keras_cnns.training.examples import (
    BRIGHTNESS,
    COLOUR,
    CONTRAST,
    FORMAT,
    HEIGHT,
    LABEL,
    LABEL_TEXT,
    ORIGIN,
    SIZE,
    WIDTH,
    records,
)
from pipeline.components.example_gen import facts_of

# What is looked at. Source names differ for each image, and the bytes of the images say nothing here.
_COLUMNS = {
    LABEL: tf.int64, LABEL_TEXT: tf.string, WIDTH: tf.int64, HEIGHT: tf.int64, SIZE: tf.string,
    FORMAT: tf.string, COLOUR: tf.string, BRIGHTNESS: tf.int64, CONTRAST: tf.int64, ORIGIN: tf.string,
}  # fmt: skip
IN_MEMORY = 200_000  # images whose columns are counted at once; a Beam pipeline alone takes seconds to build
_MOST_CLASSES = 30_000  # whose counts are kept; TFDV's own 1,000 would lose classes of ImageNet-21k


def options() -> tfdv.StatsOptions:
    """What TFDV is asked for."""
    return tfdv.StatsOptions(feature_allowlist=list(_COLUMNS), num_rank_histogram_buckets=_MOST_CLASSES)


class Executor(tfx_executor.Executor):
    """TFX's executor; small data sets go through TFDV's in-memory form of the same statistics."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the statistics of each split, FeatureStats.pb, as TFX does."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        if facts_of(examples)["images"] > IN_MEMORY:
            super().Do(input_dict, output_dict, exec_properties)
            return
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        statistics.split_names, statistics.span = examples.split_names, examples.span
        asked = tfdv.StatsOptions.from_json(exec_properties["stats_options_json"])
        for split in artifact_utils.decode_split_names(examples.split_names):
            columns = _columns(Path(examples.uri) / f"Split-{split}")
            found = tfdv.generate_statistics_from_dataframe(columns, asked)
            target = Path(statistics.uri) / f"Split-{split}" / tfx_executor.DEFAULT_FILE_NAME
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(found.SerializeToString(deterministic=True))


class StatisticsGen(tfx_statistics_gen.StatisticsGen):
    """TFX's StatisticsGen component over our executor."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def read(folder: Path) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics that lie in the folder of a split."""
    data = (folder / tfx_executor.DEFAULT_FILE_NAME).read_bytes()
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(data)


def _columns(folder: Path) -> pd.DataFrame:
    """The looked-at columns of a split."""
    features = {name: tf.io.FixedLenFeature([], kind) for name, kind in _COLUMNS.items()}
    batches = records(sorted(map(str, folder.iterdir()))).batch(1024)
    parts = [tf.io.parse_example(batch, features) for batch in batches]
    columns = {name: np.concatenate([part[name].numpy() for part in parts]) for name in features}
    texts = {
        name: [text.decode() for text in columns[name]]
        for name, kind in _COLUMNS.items()
        if kind == tf.string
    }
    return pd.DataFrame({**columns, **texts})
