"""Images a second of our training code against a plain `model.fit` on `tf.data`, whole processes in turn.

LeNet-5 of 1998 on MNIST and ResNet-20 on CIFAR-10's JPEGs, each with its own optimizer, loss and batch size
on both sides, without augmentation, for whole epochs with validation. The plain side reads and feeds as the
guides of Keras and TFDS do: map, cache, shuffle, batch and prefetch with AUTOTUNE. Each process leaves its
first epoch out, which compiles the step and, on the plain side, fills the cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _pairs

TARGET = 1.3  # times the plain images a second, for both networks
SHARED = _pairs.ROOT.parent / "shared" / "data"
NETWORKS = {"lenet5": "mnist", "cifar_resnet20": "cifar"}
EPOCHS = {"mnist": 3, "cifar": 2}  # the first of them is left out
_SAID = "images a second:"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the figures, and return the exit code."""
    parser = _pairs.parser(__doc__, rounds=2)
    parser.add_argument("--mnist", type=Path, default=SHARED / "tfds", help="folder of TFDS data sets")
    parser.add_argument(
        "--cifar",
        type=Path,
        metavar="FOLDER",
        required=True,
        help="folder with train and test of class folders",
    )
    parser.add_argument(
        "--share", type=float, default=1.0, metavar="SHARE",
        help="of the images that are taken (default: all, with which a round takes minutes)",
    )  # fmt: skip
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "NETWORK"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    places = {"mnist": given.mnist, "cifar": given.cifar}
    if given.one:
        side, network = given.one
        print(_SAID, measure(side, network, places[NETWORKS[network]], given.share))
        return 0
    speeds: dict[str, tuple[float, float]] = {}
    for network, data in NETWORKS.items():
        print(f"\n{network} on {given.share:.0%} of {data}'s images, {EPOCHS[data]} epochs", flush=True)
        sides = [command(side, network, given) for side in ("ours", "plain")]
        rows = _pairs.alternate(sides, given.rounds)
        print(_pairs.table(rows, "images a second", "{:,.0f}"))
        ours, plain = (statistics.median(row.values) for row in rows)
        speeds[network] = ours, plain
    return _pairs.finish(figure(speeds), missed(speeds), given.check)


def command(side: str, network: str, given: argparse.Namespace) -> _pairs.Command:
    """One process that measures one side of one network."""
    words = ["--one", side, network, "--mnist", given.mnist, "--cifar", given.cifar, "--share", given.share]
    line = _pairs.python(__file__, *map(str, words))
    return _pairs.Command(f"{network}, {side}", lambda _: line, said)


def said(printed: str) -> float:
    """The figure that a process printed.

    Raises:
        ValueError: There is none.
    """
    lines = [line for line in printed.splitlines() if line.startswith(_SAID)]
    if not lines:
        raise ValueError("no figure")
    return float(lines[-1].removeprefix(_SAID))


def figure(speeds: dict[str, tuple[float, float]]) -> str:
    """Both ratios in one line, with their target."""
    ratios = ", ".join(f"{network} {ours / plain:.2f}" for network, (ours, plain) in speeds.items())
    return f"{ratios} times the images a second of a plain model.fit (target {TARGET})"


def missed(speeds: dict[str, tuple[float, float]]) -> list[str]:
    """A sentence for each network that is too slow."""
    return [
        f"{network} trains {ours:,.0f} images a second, {ours / plain:.2f} times {plain:,.0f}, below {TARGET}"
        for network, (ours, plain) in speeds.items()
        if ours / plain < TARGET
    ]


def measure(side: str, network: str, place: Path, share: float) -> float:
    """Images a second of one side, in this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return (ours if side == "ours" else plain)(network, place, share)


def ours(network: str, place: Path, share: float) -> float:
    """Through `keras_cnns.training`."""
    from keras_cnns.training import fit

    return fit.train(task(network, place, share)).images_per_second


def task(network: str, place: Path, share: float) -> Any:
    """The network's own recipe without augmentation, on a share of the images."""
    import numpy as np

    from keras_cnns.training import data, simple

    changes = {"epochs": EPOCHS[NETWORKS[network]], "crop": 0.0, "mirror": False}
    if NETWORKS[network] == "mnist":
        import tensorflow_datasets as tfds

        splits = [f"{part}[:{share:.0%}]" for part in ("train", "test")]
        found = tfds.load(
            "mnist", data_dir=str(place), split=splits, batch_size=-1, as_supervised=True, download=False
        )
        pairs = [(np.asarray(images), np.asarray(labels)) for images, labels in found]
        return simple.task(network, *pairs, fit="pad", **changes)
    made = simple.task(network, place / "train", place / "test", **changes)
    import dataclasses

    parts = [data.split(source, share, 0)[1] if share < 1 else source for source in (made.train, made.test)]
    return dataclasses.replace(made, train=parts[0], test=parts[1])


def plain(network: str, place: Path, share: float) -> float:
    """As the guides write it; network, optimizer and loss are the same."""
    import keras

    from keras_cnns.recipes import recipe_for
    from keras_cnns.registry import create_model
    from keras_cnns.training import fit, optimize

    recipe, epochs = recipe_for(network), EPOCHS[NETWORKS[network]]
    load = _mnist if NETWORKS[network] == "mnist" else _cifar
    seen, unseen, count = load(place, share, recipe)
    shape = (32, 32, 1 if NETWORKS[network] == "mnist" else 3)
    keras.utils.set_random_seed(0)
    built = create_model(network, input_shape=shape, classes=10, classifier_activation=None)
    model = fit.scores_model(built)
    steps = -(-count // recipe.batch_size) * epochs
    model.compile(
        optimizer=optimize.optimizer(recipe, steps), jit_compile=False, **optimize.measures(model, recipe)
    )
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
    model.fit(seen, epochs=epochs, validation_data=unseen, callbacks=[clock], verbose=0)
    return count * (epochs - 1) / (ends[-1] - ends[0])


def _mnist(place: Path, share: float, recipe: Any) -> tuple[Any, Any, int]:
    """TFDS's guide "Training a neural network on MNIST with Keras", with 28 pixels padded to 32."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    (seen, unseen) = tfds.load(
        "mnist", data_dir=str(place), split=[f"{part}[:{share:.0%}]" for part in ("train", "test")],
        as_supervised=True, shuffle_files=True, download=False,
    )  # fmt: skip
    count = int(seen.cardinality())

    def normalize(image: Any, label: Any) -> tuple[Any, Any]:
        padded = tf.image.resize_with_crop_or_pad(image, 32, 32)
        return tf.cast(padded, tf.float32) / 255.0 * (recipe.high - recipe.low) + recipe.low, label

    tune = tf.data.AUTOTUNE
    seen = seen.map(normalize, num_parallel_calls=tune).cache().shuffle(count)
    unseen = unseen.map(normalize, num_parallel_calls=tune).batch(256).cache().prefetch(tune)
    return seen.batch(recipe.batch_size).prefetch(tune), unseen, count


def _cifar(place: Path, share: float, recipe: Any) -> tuple[Any, Any, int]:
    """The guide "Load and preprocess images": image_dataset_from_directory, Rescaling, cache, prefetch."""
    import keras
    import tensorflow as tf

    parts = []
    for part, batch in (("train", recipe.batch_size), ("test", 256)):
        whole = keras.utils.image_dataset_from_directory(
            place / part, image_size=(32, 32), batch_size=batch, seed=0, verbose=False
        )
        parts.append(whole.take(round(share * int(whole.cardinality()))))
    rescale = keras.layers.Rescaling((recipe.high - recipe.low) / 255.0, offset=recipe.low)
    tune = tf.data.AUTOTUNE
    seen, unseen = (one.map(lambda x, y: (rescale(x), y), num_parallel_calls=tune).cache() for one in parts)
    count = int(parts[0].cardinality()) * recipe.batch_size
    return seen.shuffle(1000).prefetch(tune), unseen.prefetch(tune), count


if __name__ == "__main__":
    sys.exit(main())
