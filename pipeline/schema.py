"""The schema: what the pictures of a data set should be like, as TFDV reads it and a person edits it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_cnns._checks import unknown
from tuning.errors import BadInput

FILE = "schema.pbtxt"
HEAD = """\
# What the pictures of this data set should be like, as its training part has it. To hold later data to it,
# keep a copy in git, edit it, and name it in every run: python -m pipeline run --schema FILE.pbtxt
#
# string_domain            the classes (label_text), formats and colours ("grey", "colour") that may appear
# drift_comparator         how far the training part may move away from that of the last blessed run
# skew_comparator          how far the test part may lie from the training part
#   infinity_norm              the largest difference of a value's share, 0 to 1
#   jensen_shannon_divergence  how unlike two distributions are, 0 (equal) to 1 (nothing in common)
# brightness, contrast     mean and standard deviation of a picture's grey levels, 0 to 255; measured in 1,000
#                          pictures of each part at most
#
# A feature that is taken out is no longer looked at.
"""
# How much may move before it is told, where there are very many pictures; by chance more does in few of them.
_SHARES = {"colour": 0.01, "size": 0.1, "format": 0.25}
_DIVERGENCES = {"label_text": 0.01, "width": 0.1, "height": 0.1, "brightness": 0.1, "contrast": 0.1}
_PURE = 0.1
_BUCKETS = 20  # two of TFDV's histograms, laid over each other
_MOST = 0.9  # a threshold of 1 could not be passed by anything


def load(path: Path) -> str:
    """The text of a user's schema file.

    Raises:
        BadInput: It cannot be read, is no schema, or names a feature that pictures do not have.
    """
    from google.protobuf import text_format

    try:
        text = path.read_text(encoding="utf-8")
        schema = parse(text)
    except FileNotFoundError:
        raise BadInput(f"--schema {path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"--schema {path}: is no schema as text ({why})") from None
    if not schema.feature:
        raise BadInput(
            f"--schema {path}: describes no feature; each run leaves a complete {FILE} to start from"
        )
    for feature in schema.feature:
        if feature.name not in FEATURES:
            raise BadInput(f"--schema {path}: {unknown('feature', feature.name, list(FEATURES))}")
    return text


# The columns of the statistics, by the names that keras_cnns.training.examples gives them.
FEATURES = (
    "label", "label_text", "width", "height", "size", "format", "colour", "brightness", "contrast", "origin",
)  # fmt: skip


def parse(text: str) -> Any:
    """A schema message; raises text_format.ParseError."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    return text_format.Parse(text, schema_pb2.Schema())


def infer(train: Any, test: Any) -> str:
    """The text of a schema that describes the training part.

    Args:
        train: Statistics (DatasetFeatureStatisticsList) of the training part.
        test: Those of the test part; its size decides how far it may differ by chance.
    """
    import tensorflow_data_validation as tfdv
    from google.protobuf import text_format

    from pipeline.validation import count_of, counts_of

    schema = tfdv.infer_schema(train, infer_feature_shape=True)
    del schema.string_domain[:]
    for feature in schema.feature:
        feature.ClearField("domain_info")
        if feature.name in ("brightness", "contrast"):
            feature.ClearField("presence")  # measured in some of the pictures
        counts = counts_of(train, feature.name)
        images, held_out = count_of(train, feature.name), count_of(test, feature.name)
        if feature.name in ("label_text", "format", "colour"):
            feature.string_domain.value.extend(sorted(counts))
        for comparator, others in ((feature.drift_comparator, images), (feature.skew_comparator, held_out)):
            if feature.name not in ("width", "height") or _is_one(train, feature.name):
                _allow(comparator, feature.name, list(counts.values()), images, others)
    classes = len(counts_of(train, "label_text"))
    tfdv.get_feature(schema, "label").int_domain.min = 0
    tfdv.get_feature(schema, "label").int_domain.max = max(classes - 1, _largest(train, "label"))
    return HEAD + text_format.MessageToString(schema, as_utf8=True)


def _allow(comparator: Any, feature: str, counts: list[float], images: int, others: int) -> None:
    """Set a feature's threshold: what may move anyway, and what chance moves between two samples."""
    chance = 1 / max(images, 1) + 1 / max(others, 1)
    if feature in _SHARES:
        shares = [count / images for count in counts]
        mixed = [share * (1 - share) for share in shares if _PURE <= share <= 1 - _PURE]
        spread = max(mixed, default=0.0)  # a few grey pictures among many in colour are no chance
        most = _SHARES[feature] + 2 * math.sqrt(spread * chance)
        comparator.infinity_norm.threshold = round(min(most, _MOST), 4)
    if feature in _DIVERGENCES:
        freedom = (len(counts) or _BUCKETS) - 1  # the expected divergence, about χ² / (8 ln 2 n)
        most = _DIVERGENCES[feature] + 2 * freedom * chance / (8 * math.log(2))
        comparator.jensen_shannon_divergence.threshold = round(min(most, _MOST), 4)


def by_chance(feature: str, value: str, one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether a value's share differs no more than it does between two samples of the same data.

    The thresholds of a schema know one sample. What only one of the two has is never chance.

    Args:
        feature: "colour", "size" or "format".
        value: One of its values.
        one: How often each value appears in one sample.
        other: The same of the other sample.
    """
    if not (one.get(value) and other.get(value)):
        return False
    count, others = sum(one.values()), sum(other.values())
    share = (one[value] + other[value]) / (count + others)
    spread = math.sqrt(share * (1 - share) * (1 / count + 1 / others))
    return abs(one[value] / count - other[value] / others) <= _SHARES[feature] + 2 * spread


def _is_one(statistics: Any, name: str) -> bool:
    """Whether all pictures have the same width, or height.

    Where they have not, `size` is compared instead: TFDV's histograms have ten buckets of equal width, and a
    single panorama would move all other pictures into the first.
    """
    [feature] = [one for one in statistics.datasets[0].features if list(one.path.step) == [name]]
    return feature.num_stats.min == feature.num_stats.max


def _largest(statistics: Any, name: str) -> int:
    [feature] = [one for one in statistics.datasets[0].features if list(one.path.step) == [name]]
    return int(feature.num_stats.max)
