"""ExampleGen: encoded images as they were found, with label and source, in a fixed number of shards."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from pipeline import sources
from pipeline.components.artifacts import Artifacts
from pipeline.config import Config
from pipeline.images import Look
from pipeline.looking import looked_at, looked_at_on_beam
from pipeline.progress import report
from tuning.errors import BadInput

SHARDS = {"train": 4, "val": 1, "test": 1}  # of each part that is there
FACTS = (
    "dataset.json"  # beside the splits: counts, sizes, formats and samples, for people and for the Trainer
)
_SAMPLES = 20
_NAMED = 50  # unreadable images that the error names, and pairs of same pictures that are kept


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads a source, checks each image by decoding it, and writes the shards."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Write the examples.

        Raises:
            BadInput: Too many images cannot be read, a label is out of range, or a split is empty.
        """
        config = Config(**json.loads(exec_properties["config"]))
        dataset = sources.Dataset.from_json(json.loads(exec_properties["dataset"]))
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        artifact.split_names = artifact_utils.encode_split_names(list(sources.parts(config, dataset)))
        default = f"--runner={Config().beam_runner}"
        on_beam = self._make_beam_pipeline if default not in self._beam_pipeline_args else None
        facts = write(config, dataset, Path(artifact.uri), on_beam=on_beam)
        (Path(artifact.uri) / FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "dataset": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class ImageExampleGen(base_beam_component.BaseBeamComponent):
    """Any of our sources as `tf.Example`s with encoded bytes.

    Args:
        config: The part of the configuration that decides what is read and how it is split.
        dataset: What is known of the data; its fingerprint keeps a changed data set out of the cache.
        code: Fingerprint of the code that reads it.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, config: dict[str, Any], dataset: sources.Dataset, code: str) -> None:
        super().__init__(
            _Spec(
                config=json.dumps(config, sort_keys=True),
                dataset=json.dumps(dataclasses.asdict(dataset), sort_keys=True),
                code=code,
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )


@dataclasses.dataclass
class _Tally:
    """What is learned of the images while they pass."""

    per_class: dict[str, list[int]]
    counts: dict[str, int]
    sizes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    formats: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    bad: list[dict[str, str]] = dataclasses.field(default_factory=list)
    samples: list[dict[str, str]] = dataclasses.field(default_factory=list)
    first: dict[bytes, tuple[str, int, str]] = dataclasses.field(default_factory=dict)
    same: _Same = dataclasses.field(default_factory=lambda: _Same())
    sides: dict[bytes, set[str]] = dataclasses.field(default_factory=dict)  # of pictures that are there twice


@dataclasses.dataclass
class _Same:
    """Pictures with the same bytes as an earlier one.

    Attributes:
        across: How many are in two parts of the data's own, for each two.
        moved: How many changed sides in our split, to where the earlier one is.
        across_classes: How many have another class.
        pairs: The first of all those, with the earlier one.
    """

    across: collections.Counter[tuple[str, ...]] = dataclasses.field(default_factory=collections.Counter)
    moved: int = 0
    across_classes: int = 0
    pairs: list[list[str]] = dataclasses.field(default_factory=list)


def write(
    config: Config,
    dataset: sources.Dataset,
    folder: Path,
    workers: int | None = None,
    on_beam: Callable[[], Any] | None = None,
) -> dict[str, Any]:
    """Write the shards of each split and a few sample pictures below a folder.

    Args:
        config: What the source's `read` looks at, and `max_bad_images`.
        dataset: What is known of the data.
        folder: Where to write; it may be missing.
        workers: Threads that decode, by default one a core. They change nothing but the time.
        on_beam: Makes a Beam pipeline that reads and decodes instead of threads; neither does it change more.

    Returns:
        The facts of the data set: classes, splits, sizes, formats, samples, images that are bad or the same,
        remarks for a person, fingerprint.
    """
    from tensorflow.io import TFRecordOptions, TFRecordWriter

    from keras_cnns.training.examples import Record, to_example

    stored = TFRecordOptions(compression_type="GZIP", compression_level=0)  # images are compressed already
    parts = sources.parts(config, dataset)
    free = _free(config, dataset)
    tally = _Tally({split: [0] * len(dataset.classes) for split in parts}, dict.fromkeys(parts, 0))
    shards: dict[str, list[Any]] = {}
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as at_the_end:
        for split in parts:
            count = SHARDS[split]
            (folder / f"Split-{split}").mkdir(parents=True, exist_ok=True)
            names = [f"data_tfrecord-{index:05d}-of-{count:05d}.gz" for index in range(count)]
            files = [str(folder / f"Split-{split}" / name) for name in names]
            shards[split] = [at_the_end.enter_context(TFRecordWriter(file, stored)) for file in files]
        if on_beam is None:
            found = looked_at(sources.read(config, dataset), workers)
        else:
            found = looked_at_on_beam(config, dataset, folder / "looked-at", on_beam)
        at_the_end.callback(found.close)
        for wanted, image, look, digest in found:
            if not _accepted(config, dataset, image, look, tally):
                continue
            split = _side(wanted, image, digest, tally, free)
            label = dataset.classes[image.label]
            record = Record(
                look.data, image.label, label, image.source,
                look.width, look.height, look.format, look.colour, image.origin,
            )  # fmt: skip
            shards[split][tally.counts[split] % len(shards[split])].write(to_example(record))
            tally.per_class[split][image.label] += 1
            tally.counts[split] += 1
            report(images=sum(tally.counts.values()), of=dataset.images)
            _keep_sample(split, image, label, look, tally, folder)
    tally.bad.sort(key=lambda one: one["path"])
    _check_splits(config, dataset, tally)
    splits = {split: {"count": sum(counts), "per_class": counts} for split, counts in tally.per_class.items()}
    return {
        "classes": list(dataset.classes), "images": sum(part["count"] for part in splits.values()),
        "splits": splits, "sizes": dict(tally.sizes.most_common()),
        "formats": dict(tally.formats.most_common()), "samples": tally.samples, "bad": tally.bad,
        "same": tally.same.pairs, "remarks": _remarks(tally.same, dataset.unused),
        "fingerprint": dataset.fingerprint,
    }  # fmt: skip


def _accepted(
    config: Config, dataset: sources.Dataset, image: sources.Image, look: Look, tally: _Tally
) -> bool:
    if not 0 <= image.label < len(dataset.classes):
        raise BadInput(
            f"--data {config.data}: label {image.label} of {image.source} is out of range; "
            f"{len(dataset.classes)} classes have the labels 0 to {len(dataset.classes) - 1}"
        )
    if look.why:
        tally.bad.append({"path": image.source, "why": look.why})
        return False
    tally.sizes[look.size] += 1
    tally.formats[look.format] += 1
    return True


def _free(config: Config, dataset: sources.Dataset) -> tuple[str, ...]:
    """The parts that we have divided ourselves, between which a picture may be moved."""
    if not dataset.splits:
        return tuple(SHARDS)
    return ("train", "val") if config.val_share else ()


def _side(split: str, image: sources.Image, digest: bytes, tally: _Tally, free: tuple[str, ...]) -> str:
    """The split that an image goes to: in our own, pictures with the same bytes stay together."""
    there, label, source = tally.first.setdefault(digest, (split, image.label, image.source))
    if there == split and label == image.label:
        return split
    same = tally.same
    same.across_classes += label != image.label
    if len(same.pairs) < _NAMED:
        same.pairs.append([source, image.source])
    sides = tally.sides.setdefault(digest, {there})
    side = next((one for one in free if one in sides), split) if split in free else split
    sides.add(side)
    same.moved += side != split
    same.across.update(tuple(part for part in SHARDS if part in (one, side)) for one in sides - {side})
    return side


def _keep_sample(
    split: str, image: sources.Image, label: str, look: Look, tally: _Tally, folder: Path
) -> None:
    """Keep the first held-out pictures of each class: `predict` has something to try them on."""
    if split != "test":
        return
    of_class = tally.per_class[split][image.label]
    if of_class <= max(1, _SAMPLES // len(tally.per_class[split])) and len(tally.samples) < _SAMPLES:
        safe = "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "-" for one in label)[:40]
        safe += f"-{image.label}" * (safe != label)  # two classes may look alike now
        suffix = "png" if look.data.startswith(b"\x89PNG") else "jpg"
        name = f"samples/{safe}-{of_class}.{suffix}"
        (folder / name).write_bytes(look.data)
        tally.samples.append({"file": name, "label": label})


def _check_splits(config: Config, dataset: sources.Dataset, tally: _Tally) -> None:
    if len(tally.bad) > config.max_bad_images:
        named = "".join(f"\n  {one['path']}: {one['why']}" for one in tally.bad[:_NAMED])
        more = len(tally.bad) - _NAMED
        raise BadInput(
            f"--data {config.data}: {len(tally.bad)} image{'s' * (len(tally.bad) > 1)} cannot be read, and "
            f"--max-bad-images allows {config.max_bad_images}:{named}"
            + (f"\n  and {more} more" if more > 0 else "")
        )
    for split, counts in tally.per_class.items():
        if not sum(counts):
            raise BadInput(f"--data {config.data}: no images are left for the {split} part")
    if sum(count > 0 for count in tally.per_class["train"]) < 2:
        raise BadInput(f"--data {config.data}: the train part holds only one class")


def facts_of(examples: types.Artifact) -> dict[str, Any]:
    """The facts of the data set that an Examples artifact of ours holds."""
    return json.loads((Path(examples.uri) / FACTS).read_text(encoding="utf-8"))


def _remarks(same: _Same, unused: str) -> list[str]:
    """What a person should know of the data: the same picture in two places, a part that is not used."""
    said = {
        **{
            f"{{}} in {one} and {other} alike": same.across[one, other]
            for one, other in itertools.combinations(SHARDS, 2)
        },
        "{} moved to the split of the same picture": same.moved,
        "{} with the same bytes as one of another class": same.across_classes,
    }
    told = [text.format(f"{count:,} picture{'s' * (count > 1)}") for text, count in said.items() if count]
    return told + [f"not used: {unused}"] * bool(unused)
