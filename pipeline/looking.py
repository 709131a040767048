"""Images of a source, each with what decoding it shows: read and decoded in threads, or on Beam."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import os
import pickle
import shutil
import sys
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline import sources
from pipeline.config import Config
from pipeline.images import Look, look_at_all
from tuning.errors import BadInput

_IMAGES_AT_ONCE = 1024  # that a thread takes
_BYTES_AT_ONCE = 16 << 20  # likewise, and the last picture
_IMAGES_A_RANGE = 4096  # that a worker of Beam reads at a time

# The part that it goes to, an image, what decoding it shows (with the bytes to be stored), and a hash.
LookedAt = tuple[str, sources.Image, Look, bytes]


def looked_at(
    images: Iterable[tuple[str, sources.Image]], workers: int | None
) -> Generator[LookedAt, None, None]:
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


def _done(part: list[tuple[str, sources.Image]], found: Future[Any]) -> Iterator[LookedAt]:
    looks, digests = found.result()
    for (split, image), look, digest in zip(part, looks, digests, strict=True):
        yield split, image, look, digest


def looked_at_on_beam(
    config: Config, dataset: sources.Dataset, folder: Path, on_beam: Callable[[], Any]
) -> Generator[LookedAt, None, None]:
    """`looked_at` by workers of Beam, each with ranges of the ordered stream.

    What they found waits in a file for each range, in a folder that is made, that all of them must reach, and
    that is removed in the end; the files are gone through in the order of the stream.
    """
    import apache_beam as beam
    import tensorflow as tf

    starts = range(0, max(dataset.images, 1), _IMAGES_A_RANGE)
    ranges = [(start, start + _IMAGES_A_RANGE if start < starts[-1] else None) for start in starts]
    folder.mkdir()
    try:
        with on_beam() as pipeline:
            spread = pipeline | beam.Create(ranges) | beam.Reshuffle()
            spread | beam.Map(_look_at_range, config, dataset, str(folder))
        for start in starts:
            for record in tf.data.TFRecordDataset(str(_piece(folder, start))).as_numpy_iterator():
                found = pickle.loads(record)
                if isinstance(found, BadInput):
                    raise found
                yield found
            _piece(folder, start).unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _look_at_range(
    part: tuple[int, int | None], config: Config, dataset: sources.Dataset, folder: str
) -> None:
    """Write what is found in a range, whole or not at all: Beam may call it again, and elsewhere."""
    from tensorflow.io import TFRecordWriter

    unfinished = Path(folder) / f"{uuid.uuid4().hex}.part"
    with TFRecordWriter(str(unfinished)) as writer:
        try:
            for split, image, look, digest in looked_at(sources.read(config, dataset, *part), 1):
                found = (split, dataclasses.replace(image, data=b""), look, digest)
                writer.write(pickle.dumps(found))
        except BadInput as error:  # Beam would wrap it in what a worker calls an error
            writer.write(pickle.dumps(error))
    unfinished.replace(_piece(Path(folder), part[0]))


def _piece(folder: Path, start: int) -> Path:
    return folder / f"{start:012d}.tfrecord"
