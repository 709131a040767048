"""How long our builders take against keras.applications: the same networks, in turn, in one process.

Both build a network with its default arguments and random weights. Each build starts from an empty Keras
session and a collected heap. One untimed pair of every network goes first.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _pairs

TARGET = 0.8  # of keras.applications' time, for every network
# Our builder and its arguments, and the peer's name.
NETWORKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "vgg16": ("vgg", {"depth": 16}, "VGG16"),
    "vgg19": ("vgg", {"depth": 19}, "VGG19"),
    "resnet50": ("resnet", {"depth": 50}, "ResNet50"),
    "resnet101": ("resnet", {"depth": 101}, "ResNet101"),
    "resnet152": ("resnet", {"depth": 152}, "ResNet152"),
    "resnet50_v2": ("resnet", {"depth": 50, "version": 2}, "ResNet50V2"),
    "resnet101_v2": ("resnet", {"depth": 101, "version": 2}, "ResNet101V2"),
    "resnet152_v2": ("resnet", {"depth": 152, "version": 2}, "ResNet152V2"),
    "densenet121": ("densenet", {"depth": 121}, "DenseNet121"),
    "densenet169": ("densenet", {"depth": 169}, "DenseNet169"),
    "densenet201": ("densenet", {"depth": 201}, "DenseNet201"),
}
Pair = tuple[_pairs.Times, _pairs.Times]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the figures, and return the exit code."""
    parser = _pairs.parser(__doc__, rounds=5)
    parser.add_argument(
        "networks", nargs="*", default=list(NETWORKS), metavar="NETWORK",
        help=f"which to build (default: all): {', '.join(NETWORKS)}",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    unknown = [name for name in given.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"no such network: {', '.join(unknown)}; known: {', '.join(NETWORKS)}")
    pairs = {name: alternate(name, *builders(name), given.rounds) for name in given.networks}
    shares = {name: _pairs.ratio(*pair) for name, pair in pairs.items()}
    print(f"\n{table(pairs)}\n")
    print(f"geometric mean {statistics.geometric_mean(shares.values()):.2f} of keras.applications' time")
    return _pairs.finish(figure(shares), missed(shares), given.check)


def builders(name: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Ours and the peer's, each to be called without arguments."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    import keras_cnns

    function, arguments, peer = NETWORKS[name]
    ours, theirs = getattr(keras_cnns, function), getattr(keras.applications, peer)
    return lambda: ours(**arguments), lambda: theirs(weights=None)


def alternate(name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> Pair:
    """Build both in turn, every other round backwards, and say each pair as it comes."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        took = {}
        for who in (0, 1) if number % 2 else (1, 0):
            took[who] = _timed((ours, theirs)[who])
        said = f"round {number} of {rounds}" if number else "warm-up, not counted"
        print(f"{said:22} {name:14} {took[0]:7.2f} s, keras.applications {took[1]:7.2f} s", flush=True)
        if number:
            seconds[0].append(took[0])
            seconds[1].append(took[1])
    return _pairs.Times(name, tuple(seconds[0])), _pairs.Times("keras.applications", tuple(seconds[1]))


def _timed(build: Callable[[], object]) -> float:
    import keras

    keras.backend.clear_session()
    gc.collect()
    began = time.perf_counter()
    build()
    return time.perf_counter() - began


def table(pairs: dict[str, Pair]) -> str:
    """A line a network: both medians in seconds and their ratio."""
    lines = [f"{'network':14} {'ours, s':>8} {'keras.applications, s':>22} {'ratio':>6}"]
    for name, pair in pairs.items():
        ours, theirs = pair
        lines.append(f"{name:14} {ours.median:8.3f} {theirs.median:22.3f} {_pairs.ratio(*pair):6.2f}")
    return "\n".join(lines)


def figure(shares: dict[str, float]) -> str:
    """The worst ratio in one line, with its target."""
    worst = max(shares, key=lambda name: shares[name])
    return f"{shares[worst]:.2f} of keras.applications' time at worst, {worst} (target {TARGET})"


def missed(shares: dict[str, float]) -> list[str]:
    """A sentence for each network that takes too long."""
    return [
        f"{name} takes {share:.3f} of keras.applications' time, above {TARGET}"
        for name, share in shares.items()
        if share > TARGET
    ]


if __name__ == "__main__":
    sys.exit(main())
