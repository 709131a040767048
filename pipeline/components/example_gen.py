"""ExampleGen: encoded images as they were found, with label and source, in a fixed number of shards."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pickle
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from pipeline import sources
from pipeline.components.artifacts import Artifacts
from pipeline.config import Config
from pipeline.errors import BadInput
from pipeline.images import Look, look_at_all
from pipeline.progress import report

SHARDS = {"train": 4, "val": 1, "test": 1}  # of each part that is there
FACTS = (
    "dataset.json"  # beside the splits: counts, sizes, formats and samples, for people and for the Trainer
)
_SAMPLES = 20
_NAMED = 50  # unreadable images that the error names, and pairs of same pictures that are kept
_IMAGES_AT_ONCE = 256  # that a thread takes
_BYTES_AT_ONCE = 16 << 20  # likewise, and the last picture
_IMAGES_A_RANGE = 4096  # that a worker of Beam reads at a time
_IN_PIECES = "looked-at"  # folder below the artifact's in which they wait for the loop that writes

# An image without its own bytes, what decoding it shows (with the bytes to be stored), and a hash.
_LookedAt = tuple[str, sources.Image, Look, bytes]


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads a source, checks each image by decoding it, and writes the shards."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
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
    try:
        for split in parts:
            count = SHARDS[split]
            (folder / f"Split-{split}").mkdir(parents=True, exist_ok=True)
            names = [f"data_tfrecord-{index:05d}-of-{count:05d}.gz" for index in range(count)]
            shards[split] = [TFRecordWriter(str(folder / f"Split-{split}" / name), stored) for name in names]
        if on_beam is None:
            found = _looked_at(sources.read(config, dataset), workers)
        else:
            found = _looked_at_on_beam(config, dataset, folder / _IN_PIECES, on_beam)
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
    finally:
        shutil.rmtree(folder / _IN_PIECES, ignore_errors=True)
        for writer in itertools.chain.from_iterable(shards.values()):
            writer.close()
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


def _looked_at_on_beam(
    config: Config, dataset: sources.Dataset, folder: Path, on_beam: Callable[[], Any]
) -> Iterator[_LookedAt]:
    """`_looked_at` by workers of Beam, each with ranges of the ordered stream.

    What they found waits in a file for each range, below a folder that all of them must reach; the files are
    gone through in the order of the stream.
    """
    import apache_beam as beam
    import tensorflow as tf

    folder.mkdir()
    starts = range(0, max(dataset.images, 1), _IMAGES_A_RANGE)
    ranges = [(start, start + _IMAGES_A_RANGE if start < starts[-1] else None) for start in starts]
    with on_beam() as pipeline:
        spread = pipeline | beam.Create(ranges) | beam.Reshuffle()
        spread | beam.Map(_look_at_range, config, dataset, str(folder))
    for start in starts:
        file = _piece(folder, start)
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            found = pickle.loads(record)
            if isinstance(found, BadInput):
                raise found
            yield found
        file.unlink()


def _look_at_range(
    part: tuple[int, int | None], config: Config, dataset: sources.Dataset, folder: str
) -> None:
    """Write what is found in a range, whole or not at all: Beam may call it again, and elsewhere."""
    from tensorflow.io import TFRecordWriter

    unfinished = Path(folder) / f"{uuid.uuid4().hex}.part"
    with TFRecordWriter(str(unfinished)) as writer:
        try:
            for split, image, look, digest in _looked_at(sources.read(config, dataset, *part), 1):
                found = (split, dataclasses.replace(image, data=b""), look, digest)
                writer.write(pickle.dumps(found))
        except BadInput as error:  # Beam would wrap it in what a worker calls an error
            writer.write(pickle.dumps(error))
    unfinished.replace(_piece(Path(folder), part[0]))


def _piece(folder: Path, start: int) -> Path:
    return folder / f"{start:012d}.tfrecord"


def _looked_at(images: Iterable[tuple[str, sources.Image]], workers: int | None) -> Iterator[_LookedAt]:
    """Each image with what decoding it shows, and a hash of its bytes.

    Threads decode, since TensorFlow and Pillow let go of Python's lock there. What is in memory at a time is
    bounded in bytes and does not grow with the folder.
    """
    workers = workers or os.cpu_count() or 1
    waiting: collections.deque[tuple[list[tuple[str, sources.Image]], Future[Any]]] = collections.deque()
    with ThreadPoolExecutor(workers) as pool, _quick_turns():
        for part in _parts(images):
            waiting.append((part, pool.submit(_look_at_all, part)))
            if len(waiting) > 2 * workers:
                yield from _done(*waiting.popleft())
        while waiting:
            yield from _done(*waiting.popleft())


@contextlib.contextmanager
def _quick_turns() -> Iterator[None]:
    """Let threads change places after 0.2 ms: with Python's 5 ms each read and write waits for a decoder."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _parts(images: Iterable[tuple[str, sources.Image]]) -> Iterator[list[tuple[str, sources.Image]]]:
    part, size = [], 0
    for one in images:
        part.append(one)
        size += len(one[1].data)
        if len(part) == _IMAGES_AT_ONCE or size >= _BYTES_AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part


def _look_at_all(part: list[tuple[str, sources.Image]]) -> tuple[list[Look], list[bytes]]:
    data = [image.data for _, image in part]
    return look_at_all(data), [hashlib.blake2b(one, digest_size=16).digest() for one in data]


def _done(part: list[tuple[str, sources.Image]], found: Future[Any]) -> Iterator[_LookedAt]:
    looks, digests = found.result()
    for (split, image), look, digest in zip(part, looks, digests, strict=True):
        yield split, image, look, digest


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
