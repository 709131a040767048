"""ExampleGen: encoded images as they were found, with label and source, in a fixed number of shards."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from pipeline import sources
from pipeline.config import Config
from pipeline.errors import BadInput
from pipeline.images import Look, look_at_all
from pipeline.progress import report

SHARDS = {"train": 4, "test": 1}
FACTS = (
    "dataset.json"  # beside the splits: counts, sizes, formats and samples, for people and for the Trainer
)
_SAMPLES = 20
_NAMED = 50  # unreadable images that the error names


class Executor(base_executor.BaseExecutor):
    """Reads a source, checks each image by decoding it, and writes the shards."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the examples.

        Raises:
            BadInput: Too many images cannot be read, a label is out of range, or a split is empty.
        """
        config = Config(**json.loads(exec_properties["config"]))
        found = json.loads(exec_properties["dataset"])
        dataset = sources.Dataset(
            **{**found, "classes": tuple(found["classes"]), "splits": tuple(found["splits"])}
        )
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        artifact.split_names = artifact_utils.encode_split_names(list(SHARDS))
        facts = write(config, dataset, Path(artifact.uri))
        (Path(artifact.uri) / FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "dataset": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class ImageExampleGen(base_component.BaseComponent):
    """Any of our sources as `tf.Example`s with encoded bytes.

    Args:
        config: The part of the configuration that decides what is read and how it is split.
        dataset: What is known of the data; its fingerprint keeps a changed data set out of the cache.
        code: Fingerprint of the code that reads it.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

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
    sizes: collections.Counter[str]
    formats: collections.Counter[str]
    bad: list[dict[str, str]]
    samples: list[dict[str, str]]


def write(config: Config, dataset: sources.Dataset, folder: Path) -> dict[str, Any]:
    """Write the shards of both splits and a few sample pictures below a folder.

    Returns:
        The facts of the data set: classes, splits, sizes, formats, bad images, samples, fingerprint.
    """
    from tensorflow.io import TFRecordOptions, TFRecordWriter

    from keras_cnns.training.examples import Record, to_example

    stored = TFRecordOptions(compression_type="GZIP", compression_level=0)  # images are compressed already
    tally = _Tally(
        {split: [0] * len(dataset.classes) for split in SHARDS},
        collections.Counter(), collections.Counter(), [], [],
    )  # fmt: skip
    shards: dict[str, list[Any]] = {}
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    try:
        for split, count in SHARDS.items():
            (folder / f"Split-{split}").mkdir(parents=True, exist_ok=True)
            names = [f"data_tfrecord-{index:05d}-of-{count:05d}.gz" for index in range(count)]
            shards[split] = [TFRecordWriter(str(folder / f"Split-{split}" / name), stored) for name in names]
        for split, image, look in _looked_at(sources.read(config, dataset)):
            if not _accepted(config, dataset, image, look, tally):
                continue
            turn = sum(tally.per_class[split]) % len(shards[split])
            label = dataset.classes[image.label]
            record = Record(
                look.data, image.label, label, image.source,
                look.width, look.height, look.format, look.colour, image.origin,
            )  # fmt: skip
            shards[split][turn].write(to_example(record))
            tally.per_class[split][image.label] += 1
            report(images=sum(map(sum, tally.per_class.values())), of=dataset.images)
            _keep_sample(split, image, label, look, tally, folder)
    finally:
        for writer in itertools.chain.from_iterable(shards.values()):
            writer.close()
    _check_splits(config, dataset, tally)
    splits = {split: {"count": sum(counts), "per_class": counts} for split, counts in tally.per_class.items()}
    return {
        "classes": list(dataset.classes), "images": sum(part["count"] for part in splits.values()),
        "splits": splits, "sizes": dict(tally.sizes.most_common()),
        "formats": dict(tally.formats.most_common()),
        "samples": tally.samples, "bad": tally.bad, "fingerprint": dataset.fingerprint,
    }  # fmt: skip


def _looked_at(images: Iterable[tuple[str, sources.Image]]) -> Iterator[tuple[str, sources.Image, Look]]:
    """Each image with what decoding it shows; threads decode, since Pillow lets go of Python's lock there."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        stream = iter(images)
        while some := list(itertools.islice(stream, 4096)):
            parts = [some[start : start + 256] for start in range(0, len(some), 256)]
            for part, looks in zip(parts, pool.map(_look_at_all, parts), strict=True):
                for (split, image), look in zip(part, looks, strict=True):
                    yield split, image, look


def _look_at_all(images: list[tuple[str, sources.Image]]) -> list[Look]:
    return look_at_all([image.data for _, image in images])


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


def _keep_sample(
    split: str, image: sources.Image, label: str, look: Look, tally: _Tally, folder: Path
) -> None:
    """Keep the first held-out pictures of each class: `predict` has something to try them on."""
    if split != "test":
        return
    of_class = tally.per_class[split][image.label]
    if of_class <= max(1, _SAMPLES // len(tally.per_class[split])) and len(tally.samples) < _SAMPLES:
        safe = "".join(one if one.isalnum() or one in "-_" else "-" for one in label)[:40]
        suffix = "jpg" if look.data.startswith(b"\xff\xd8") else "png"
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
