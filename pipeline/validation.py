"""What TFDV's comparison of statistics means for pictures, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from keras_cnns.training.examples import (
    COLOUR,
    FORMAT,
    HEIGHT,
    LABEL,
    LABEL_TEXT,
    SIZE,
    WIDTH,
)
from pipeline.changes import Finding
from pipeline.components.statistics_gen import BRIGHTNESS, CONTRAST
from pipeline.schema import by_chance

Statistics = Any  # statistics_pb2.DatasetFeatureStatisticsList
_REASON = anomalies_pb2.AnomalyInfo
_NOT_TOLD = {  # comparisons are told from their measurements; a new column is one that the user took out
    _REASON.COMPARATOR_L_INFTY_HIGH, _REASON.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH,
    _REASON.COMPARATOR_CONTROL_DATA_MISSING, _REASON.SCHEMA_NEW_COLUMN,
}  # fmt: skip
_NAMED = 5  # classes that a sentence names
_BEFORE = "in the last blessed run"


@dataclass(frozen=True)
class Moved:
    """A distance that TFDV measured and the schema does not allow."""

    value: float
    threshold: float
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value:.2g}, allowed {self.threshold:.2g}"


@dataclass(frozen=True)
class Comparison:
    """The statistics at hand and what they are held against.

    Attributes:
        train: Of the training part.
        test: Of the test part.
        schema: The schema.
        given: Whether the schema is a user's, whose classes then are the ones expected.
        before: Training part of the last blessed run, None where there is none.
        val: Of the val part, None where there is none.
    """

    train: Statistics
    test: Statistics
    schema: schema_pb2.Schema
    given: bool
    before: Statistics | None
    val: Statistics | None = None

    @property
    def held_out(self) -> dict[str, Statistics]:
        """The parts that are not trained on."""
        return {"test": self.test} | ({} if self.val is None else {"val": self.val})

    def anomalies(self) -> dict[str, anomalies_pb2.Anomalies]:
        """What TFDV says of each part."""
        before = None if self.before is None else _only(self.before, self.train)
        return {
            "train": tfdv.validate_statistics(
                self.train, self.schema, previous_statistics=before, serving_statistics=self.test
            ),
            **{part: tfdv.validate_statistics(one, self.schema) for part, one in self.held_out.items()},
        }


def count_of(statistics: Statistics, name: str) -> int:
    """In how many images a column was looked at."""
    for feature in statistics.datasets[0].features:
        if list(feature.path.step) == [name]:
            found = getattr(feature, feature.WhichOneof("stats"))
            return int(found.common_stats.num_non_missing)
    return 0


def images_in(statistics: Statistics) -> int:
    """How many images the statistics are of."""
    return int(statistics.datasets[0].num_examples)


def counts_of(statistics: Statistics, name: str) -> dict[str, float]:
    """How often each value of a text column appears; empty for a column of numbers."""
    for feature in statistics.datasets[0].features:
        if list(feature.path.step) == [name]:
            return {one.label: one.sample_count for one in feature.string_stats.rank_histogram.buckets}
    return {}


def findings(held: Comparison, anomalies: dict[str, anomalies_pb2.Anomalies]) -> list[Finding]:
    """What a person should know of, errors first.

    Args:
        held: The comparison.
        anomalies: Its `anomalies()`.
    """
    drift, skew = _moved(anomalies["train"], "drift"), _moved(anomalies["train"], "skew")
    found = [*_classes(held), *_colours(held, drift), *_balance(held, drift)]
    found += [*_pictures(held, drift), *_skew(held, skew), *_val(held)]
    found += _others(anomalies, {one.feature for one in found})
    return sorted(found, key=lambda one: one.severity)


def _classes(held: Comparison) -> Iterator[Finding]:
    """New and missing classes, against the user's schema or else the last blessed run."""
    train = counts_of(held.train, LABEL_TEXT)
    domain = set(_domain(held.schema, LABEL_TEXT))
    if held.given and domain:
        expected, where = domain, "in the schema"
    else:
        expected = set(counts_of(held.before, LABEL_TEXT)) if held.before is not None else set(train)
        where = _BEFORE
    if new := [name for name in sorted(train) if name not in expected]:
        named = _listed([f"{name} ({_images(train[name])})" for name in new])
        yield Finding("new-class", LABEL_TEXT, f"{_some('new class', new)} {named}, not {where}")
    for part, statistics in held.held_out.items():
        counts = counts_of(statistics, LABEL_TEXT)
        if unseen := [name for name in sorted(counts) if name not in train and name not in new]:
            named = _listed([f"{name} ({_images(counts[name])})" for name in unseen])
            yield Finding(
                "new-class",
                LABEL_TEXT,
                f"{_some('class', unseen)} {named} in the {part} part, not in the training part",
            )
    if missing := [name for name in sorted(expected) if name not in train]:
        named = f"{_some('missing class', missing)} {_listed(missing)}"
        yield Finding("missing-class", LABEL_TEXT, f"{named}: no image in the training part, but {where}")


def _colours(held: Comparison, drift: dict[str, Moved]) -> Iterator[Finding]:
    now, total = counts_of(held.train, COLOUR), images_in(held.train)
    before: dict[str, float] = counts_of(held.before, COLOUR) if held.before is not None else {}
    if COLOUR in drift:
        more = "grey" if _share(now, "grey") > _share(before, "grey") else "colour"
        if not held.given and by_chance(COLOUR, more, now, before):
            return
        then = f"{_percent(before, more)} {_BEFORE}"
    elif extra := _unexpected(held.train, held.schema, COLOUR):
        more, then = extra[0], "the schema allows none"
    else:
        return
    kind, other = ("grey", "colour") if more == "grey" else ("in colour", "grey")
    what = (
        f"{'grey' if more == 'grey' else 'colour'} where {other} was: {now.get(more, 0):,.0f} of {total:,} "
        f"training images are {kind} ({_percent(now, more)}), {then}"
    )
    yield Finding(more, COLOUR, what)


def _balance(held: Comparison, drift: dict[str, Moved]) -> Iterator[Finding]:
    if LABEL_TEXT in drift and held.before is not None:
        now, before = counts_of(held.train, LABEL_TEXT), counts_of(held.before, LABEL_TEXT)
        if now.keys() != before.keys():
            return  # new and missing classes move the others' shares
        moved = _most_moved(now, before)
        what = (
            f"class balance moved: {moved} is {_percent(now, moved)} of the training images, "
            f"{_percent(before, moved)} {_BEFORE} ({drift[LABEL_TEXT]})"
        )
        yield Finding("class-balance", LABEL_TEXT, what)


def _pictures(held: Comparison, drift: dict[str, Moved]) -> Iterator[Finding]:
    """Sizes, formats, brightness and contrast against the last blessed run."""
    if held.before is not None:
        sizes = [name for name in (SIZE, WIDTH, HEIGHT) if name in drift]
        if sizes:
            what = (
                f"sizes changed: {_sizes(held.train)}; {_sizes(held.before)} {_BEFORE} ({drift[sizes[-1]]})"
            )
            yield Finding("sizes", SIZE, what)
        for name in (BRIGHTNESS, CONTRAST):
            if name in drift:
                now, then = _mean(held.train, name), _mean(held.before, name)
                what = f"{name} moved: {now:.0f} of 255 on average, {then:.0f} {_BEFORE} ({drift[name]})"
                yield Finding(name, name, what)
    if FORMAT in drift and held.before is not None:
        formats, earlier = counts_of(held.train, FORMAT), counts_of(held.before, FORMAT)
        moved = _most_moved(formats, earlier)
        what = (
            f"formats changed: {_percent(formats, moved)} of the training images are {moved}, "
            f"{_percent(earlier, moved)} {_BEFORE}"
        )
        yield Finding("formats", FORMAT, what)
    elif extra := _unexpected(held.train, held.schema, FORMAT):
        yield Finding("formats", FORMAT, f"formats changed: {_listed(extra)}, not in the schema")


def _skew(held: Comparison, skew: dict[str, Moved]) -> Iterator[Finding]:
    """In what the training and the test part differ."""
    differ = "the training and the test part differ in"
    for name in (LABEL_TEXT, COLOUR, FORMAT):
        train, test = counts_of(held.train, name), counts_of(held.test, name)
        if name in skew or (name != LABEL_TEXT and _unexpected(held.test, held.schema, name)):
            moved = _most_moved(train, test)
            chance = name == COLOUR and not held.given and by_chance(name, moved, train, test)
            if chance or _percent(train, moved) == _percent(test, moved):
                continue
            word = "class balance" if name == LABEL_TEXT else name
            shares = f"{_percent(train, moved)} of one, {_percent(test, moved)} of the other"
            yield Finding("skew", name, f"{differ} {word}: {moved} is {shares}")
    if any(name in skew for name in (SIZE, WIDTH, HEIGHT)):
        yield Finding("skew", SIZE, f"{differ} size: {_sizes(held.train)}; {_sizes(held.test)}")
    for name in (BRIGHTNESS, CONTRAST):
        if name in skew:
            means = f"{_mean(held.train, name):.0f} and {_mean(held.test, name):.0f} of 255 on average"
            yield Finding("skew", name, f"{differ} {name}: {means} ({skew[name]})")


def _val(held: Comparison) -> Iterator[Finding]:
    """Colours and formats of the val part that the schema does not name; the rest is held against test."""
    for name in (COLOUR, FORMAT):
        extra = [] if held.val is None else _unexpected(held.val, held.schema, name)
        if extra:
            shares = f"{_percent(counts_of(held.val, name), extra[0])} of it are {extra[0]}"
            yield Finding("skew", name, f"the val part has a {name} that the schema does not name: {shares}")


def _others(anomalies: dict[str, anomalies_pb2.Anomalies], told: Iterable[str]) -> Iterator[Finding]:
    """What the schema says beyond pictures' usual changes, in TFDV's words."""
    known = {*told, *([LABEL] if LABEL_TEXT in told else [])}  # a new class has a new label, too
    for part, found in anomalies.items():
        for name, info in sorted(found.anomaly_info.items()):
            for reason in info.reason:
                unexpected = reason.type == _REASON.ENUM_TYPE_UNEXPECTED_STRING_VALUES and name in _TEXTS
                if reason.type in _NOT_TOLD or unexpected or (name in known and name == LABEL):
                    continue
                what = f"{name} in the {part} part: {reason.short_description}: {reason.description.strip()}"
                yield Finding("schema", name, what)


_TEXTS = (LABEL_TEXT, COLOUR, FORMAT)  # whose unexpected values have sentences of their own


def _moved(anomalies: anomalies_pb2.Anomalies, kind: str) -> dict[str, Moved]:
    """The features whose distances pass the schema's thresholds; `kind` is "drift" or "skew"."""
    names = {
        anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: "largest difference of a share",
        anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: "Jensen-Shannon divergence",
    }
    found = {}
    for info in anomalies.drift_skew_info:
        for one in getattr(info, f"{kind}_measurements"):
            if one.value > one.threshold:
                found[info.path.step[0]] = Moved(one.value, one.threshold, names.get(one.type, "distance"))
    return found


def _unexpected(statistics: Statistics, schema: schema_pb2.Schema, name: str) -> list[str]:
    """The values of a text column that the schema does not name."""
    domain = _domain(schema, name)
    return [value for value in counts_of(statistics, name) if value not in domain] if domain else []


def _only(statistics: Statistics, wanted: Statistics) -> Statistics:
    """The statistics without columns that the other ones lack: an older run may have looked at others."""
    names = {tuple(one.path.step) for one in wanted.datasets[0].features}
    found = statistics_pb2.DatasetFeatureStatisticsList.FromString(statistics.SerializeToString())
    kept = [one for one in found.datasets[0].features if tuple(one.path.step) in names]
    del found.datasets[0].features[:]
    found.datasets[0].features.extend(kept)
    return found


def _domain(schema: schema_pb2.Schema, name: str) -> list[str]:
    for feature in schema.feature:
        if feature.name == name:
            if feature.HasField("domain"):
                shared = [one for one in schema.string_domain if one.name == feature.domain]
                return list(shared[0].value) if shared else []
            return list(feature.string_domain.value)
    return []


def _mean(statistics: Statistics, name: str) -> float:
    return _numbers(statistics, name).mean


def _sizes(statistics: Statistics) -> str:
    """Such as "24–59 × 24–59 pixels"."""
    ranges = []
    for name in (WIDTH, HEIGHT):
        one = _numbers(statistics, name)
        low, high = f"{one.min:.0f}", f"{one.max:.0f}"
        ranges.append(low if low == high else f"{low}–{high}")
    means = "×".join(f"{_numbers(statistics, name).mean:.0f}" for name in (WIDTH, HEIGHT))
    exact = not any("–" in one for one in ranges)
    return f"{'×'.join(ranges)} pixels" if exact else f"{' × '.join(ranges)} pixels, {means} on average"


def _numbers(statistics: Statistics, name: str) -> statistics_pb2.NumericStatistics:
    [found] = [one for one in statistics.datasets[0].features if list(one.path.step) == [name]]
    return found.num_stats


def _share(counts: dict[str, float], value: str) -> float:
    return counts.get(value, 0.0) / max(sum(counts.values()), 1)


def _percent(counts: dict[str, float], value: str) -> str:
    return f"{100 * _share(counts, value):.1f} %"


def _most_moved(one: dict[str, float], other: dict[str, float]) -> str:
    return max(sorted({*one, *other}), key=lambda value: abs(_share(one, value) - _share(other, value)))


def _images(count: float) -> str:
    return f"{count:,.0f} image{'s' * (count != 1)}"


def _some(word: str, names: list[str]) -> str:
    return word if len(names) == 1 else f"{word}es"


def _listed(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
