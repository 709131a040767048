"""StatisticsGen that does not wait for Beam where there is little to count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import component as tfx_statistics_gen
from tfx.components.statistics_gen import executor as tfx_executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils

from keras_cnns.training.examples import (
    COLOUR,
    FORMAT,
    HEIGHT,
    LABEL,
    LABEL_TEXT,
    ORIGIN,
    SIZE,
    WIDTH,
    images_of,
    records,
)
from pipeline.components.artifacts import Artifacts
from pipeline.components.example_gen import facts_of
from pipeline.images import opened

# What is looked at. Source names differ for each image, and the bytes of the images say nothing here.
_COLUMNS = {
    LABEL: tf.int64, LABEL_TEXT: tf.string, WIDTH: tf.int64, HEIGHT: tf.int64, SIZE: tf.string,
    FORMAT: tf.string, COLOUR: tf.string, ORIGIN: tf.string,
}  # fmt: skip
BRIGHTNESS = "brightness"  # mean of a picture's grey levels, 0 to 255
CONTRAST = "contrast"  # their standard deviation, likewise
MEASURED = 1000  # pictures of each part whose grey levels are measured: enough to see them move
_PIXELS = 1 << 29  # of each part that are decoded for it: half a minute of large PNG files
_LARGE = 1 << 20  # pixels; of larger JPEGs one pixel of 64 is decoded
IN_MEMORY = 200_000  # images whose columns are counted at once; a Beam pipeline alone takes seconds to build
_MOST_CLASSES = 30_000  # whose counts are kept; TFDV's own 1,000 would lose classes of ImageNet-21k


def options() -> tfdv.StatsOptions:
    """What TFDV is asked for."""
    return tfdv.StatsOptions(feature_allowlist=list(_COLUMNS), num_rank_histogram_buckets=_MOST_CLASSES)


class Executor(tfx_executor.Executor):
    """TFX's executor; small data sets go through TFDV's in-memory form of the same statistics."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Write the statistics of each split, FeatureStats.pb, as TFX does."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        if facts_of(examples)["images"] > IN_MEMORY:
            super().Do(input_dict, output_dict, exec_properties)
        else:
            self._in_memory(input_dict, output_dict, exec_properties)
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        for split in artifact_utils.decode_split_names(statistics.split_names):
            found = Path(statistics.uri) / f"Split-{split}"
            measured = tfdv.generate_statistics_from_dataframe(
                _grey_levels(Path(examples.uri) / f"Split-{split}")
            )
            whole = read(found)
            whole.datasets[0].features.extend(measured.datasets[0].features)
            _write(whole, found)

    def _in_memory(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        statistics.split_names, statistics.span = examples.split_names, examples.span
        asked = tfdv.StatsOptions.from_json(exec_properties["stats_options_json"])
        for split in artifact_utils.decode_split_names(examples.split_names):
            columns = _columns(Path(examples.uri) / f"Split-{split}")
            found = tfdv.generate_statistics_from_dataframe(columns, asked)
            _write(found, Path(statistics.uri) / f"Split-{split}")


class StatisticsGen(tfx_statistics_gen.StatisticsGen):
    """TFX's StatisticsGen component over our executor."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def read(folder: Path) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics that lie in the folder of a split."""
    data = (folder / tfx_executor.DEFAULT_FILE_NAME).read_bytes()
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(data)


def _write(statistics: statistics_pb2.DatasetFeatureStatisticsList, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = statistics.SerializeToString(deterministic=True)
    (folder / tfx_executor.DEFAULT_FILE_NAME).write_bytes(data)


def _grey_levels(folder: Path) -> pd.DataFrame:
    """Brightness and contrast of the first pictures of each shard, `MEASURED` of them in all, or fewer.

    Examples lie in an order that names and seed decide, so that the first ones are as good as any.
    """
    files = sorted(map(str, folder.iterdir()))
    rows: list[tuple[float, float]] = []
    for file in files:
        pixels = 0
        for batch in records([file]).take(-(-MEASURED // len(files))).batch(64):
            for image in images_of(batch).numpy():
                brightness, contrast, decoded = grey_levels(image)
                rows.append((brightness, contrast))
                pixels += decoded
            if pixels > _PIXELS // len(files):
                break
    found = np.array(rows, np.float32)
    return pd.DataFrame({BRIGHTNESS: found[:, 0], CONTRAST: found[:, 1]})


def grey_levels(data: bytes) -> tuple[float, float, int]:
    """Mean and standard deviation of a picture's grey levels, and how many pixels were looked at."""
    with opened(data) as picture:
        if picture.width * picture.height > _LARGE:
            picture.draft("L", (picture.width // 8, picture.height // 8))  # a JPEG alone can be smaller
        if picture.mode.startswith("I"):
            levels = np.asarray(picture).ravel() / 257  # 16 bits, of which Pillow would clip
        else:
            levels = np.frombuffer(picture.convert("L").tobytes(), np.uint8).astype(np.float64)
    mean = levels.sum() / levels.size
    spread = max(levels @ levels / levels.size - mean * mean, 0.0) ** 0.5
    return float(mean), float(spread), levels.size


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
