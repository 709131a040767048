"""ExampleGen on a folder of JPEGs against copying the same bytes into TFRecords: images per second.

The plain loop reads each file and writes an uncompressed `tf.Example` of image and label, as TensorFlow's
guides do it, in one thread. Ours decodes each picture to check it, hashes it, splits the folder, and writes
ten features into five shards. Both run in this process, in turn, after an untimed round. With `--memory` the
most memory that ExampleGen takes is measured in fresh processes for more and more of the folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _pairs

TARGET = 1.0  # times the plain loop's images per second
IMAGES = 10_000
PORTIONS = (1_000, 10_000, 60_000)  # of the folder, for memory
FLAT = 1024  # bytes of memory that each further image may take: its name, its place and its hash
PLAIN, OURS = "plain loop", "ExampleGen"
_MEASURE = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from benchmarks import examples
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
write = examples.example_gen(Path(sys.argv[2]))
before = most()
write(Path(sys.argv[3]))
print(before, most())
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the figure, and return the exit code."""
    parser = _pairs.parser(__doc__, rounds=5)
    parser.add_argument(
        "folder", type=Path, nargs="?",
        help=f"class folders of JPEGs, such as CIFAR-10's test part (default: {IMAGES:,} that are made)",
    )  # fmt: skip
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    given = parser.parse_args(arguments)
    if given.folder and not given.folder.is_dir():
        parser.error(f"there is no folder {given.folder}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
        images = PORTIONS[-1] if given.memory else IMAGES
        folder = given.folder or make(Path(home) / "data", images)
        if given.memory:
            return _memory(folder, Path(home), given.check)
        ours, theirs = _alternate(folder, Path(home), given.rounds)
    print(f"\n{_pairs.table([theirs, ours])}\n")
    speed = theirs.median / ours.median
    figure = f"{speed:.2f} times the plain loop's images per second (target {TARGET})"
    return _pairs.finish(figure, missed(speed), given.check)


def missed(speed: float) -> list[str]:
    """A sentence when ExampleGen is slower than it should be."""
    return [] if speed >= TARGET else [f"ExampleGen has {speed:.3f} times the plain loop's images per second"]


def make(folder: Path, count: int) -> Path:
    """A folder of ten class folders of 32×32 JPEGs of about 0.9 kB each, all different."""
    import numpy as np
    from PIL import Image

    dice = np.random.default_rng(0)
    for index in range(count):
        soft = Image.fromarray(dice.integers(0, 256, (6, 6, 3)).astype("uint8")).resize((32, 32))
        file = folder / f"class{index % 10}" / f"{index:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        soft.save(file, quality=85)
    return folder


def plain_loop(folder: Path) -> Callable[[Path], None]:
    """What writes the files into one TFRecord file, one after the other."""
    import tensorflow as tf

    def write(out: Path) -> None:
        out.mkdir()
        with tf.io.TFRecordWriter(str(out / "images.tfrecord")) as writer:
            for label, of_class in enumerate(sorted(folder.iterdir())):
                for file in sorted(of_class.iterdir()):
                    image = tf.train.BytesList(value=[file.read_bytes()])
                    feature = {
                        "image": tf.train.Feature(bytes_list=image),
                        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=feature))
                    writer.write(example.SerializeToString())

    return write


def example_gen(folder: Path) -> Callable[[Path], None]:
    """What ExampleGen's executor does with the folder, from its listing on."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from pipeline import lanes
    from tuning import lean

    lanes.components_one_by_one()
    with lean.imports():
        from pipeline import sources
        from pipeline.components import example_gen as step
        from pipeline.config import Config
    config = Config(data=str(folder.resolve()))
    dataset = sources.inspect(config)

    def write(out: Path) -> None:
        step.write(config, dataset, out)

    return write


def _alternate(folder: Path, home: Path, rounds: int) -> tuple[_pairs.Times, _pairs.Times]:
    """Run both in turn, every other round backwards, and say each pair as it comes."""
    writers = {OURS: example_gen(folder), PLAIN: plain_loop(folder)}
    count = sum(1 for _ in folder.glob("*/*"))
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for number in range(rounds + 1):
        for name in writers if number % 2 else reversed(writers):
            took = _timed(writers[name], home / "out")
            said = f"round {number} of {rounds}" if number else "warm-up, not counted"
            print(f"{said:22} {name:12} {took:7.3f} s {count / took:10,.0f} images/s", flush=True)
            seconds[name] += [took] if number else []
    return _pairs.Times(OURS, tuple(seconds[OURS])), _pairs.Times(PLAIN, tuple(seconds[PLAIN]))


def _timed(write: Callable[[Path], None], out: Path) -> float:
    began = time.perf_counter()
    write(out)
    took = time.perf_counter() - began
    shutil.rmtree(out)
    return took


def _memory(folder: Path, home: Path, check: bool) -> int:
    """Measure each portion in a process of its own, and print a line for each."""
    taken: dict[int, int] = {}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for count in PORTIONS:
        if count > len(files):
            break
        part = home / f"part{count}"
        for file in files[:: len(files) // count][:count]:
            link = part / file.parent.name / f"{file.parent.parent.name}-{file.name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(_pairs.ROOT), str(part), str(home / f"out{count}")],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        before, most = map(int, done.stdout.split()[-2:])
        taken[count] = most
        print(
            f"{count:8,} images: {most / 1e6:6.0f} MB at most, of which imports {before / 1e6:.0f} MB",
            flush=True,
        )
    each = growth(taken)
    figure = f"{each:.0f} bytes of memory for each further image (target {FLAT})"
    return _pairs.finish(figure, [] if each <= FLAT else ["memory grows with the folder"], check)


def growth(taken: dict[int, int]) -> float:
    """Bytes that an image adds, from the smallest portion to the largest."""
    if len(taken) < 2:
        raise SystemExit(f"memory needs a folder of at least {PORTIONS[1]:,} images")
    least, most = min(taken), max(taken)
    return max(0.0, (taken[most] - taken[least]) / (most - least))


if __name__ == "__main__":
    sys.exit(main())
