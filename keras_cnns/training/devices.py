"""What this machine trains with: its GPUs, their precision, and whether XLA helps here."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
XLA = ("auto", "on", "off")
WORTH_MEASURING = 2_000_000  # images of a whole training; below, measuring XLA costs more than it may bring
_STEPS, _BATCH, _SIDE = 5, 64, 32


def grow_gpu_memory() -> None:
    """Take a GPU's memory as it is needed, not all at once."""
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # in use already, and so decided
            tf.config.experimental.set_memory_growth(gpu, True)


def device() -> str:
    """Where this machine trains, for a person."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        return name if len(gpus) == 1 else f"{len(gpus)} × {name}"
    return f"CPU ({os.cpu_count()} cores)"


def strategy(devices: Sequence[str] | None) -> tf.distribute.Strategy:
    """Mirrors a network over several devices; all GPUs where none are named, and nothing over one."""
    names = tuple(devices or [gpu.name for gpu in tf.config.list_logical_devices("GPU")])
    return _mirrored(names) if len(names) > 1 else tf.distribute.get_strategy()


@functools.cache
def _mirrored(names: tuple[str, ...]) -> tf.distribute.Strategy:
    """One a set of devices: a second one would take the first one's exchanges between them for its own."""
    return tf.distribute.MirroredStrategy(list(names))


def precision(asked: str) -> str:
    """The policy that "auto" stands for: a GPU's 16 bits of the kind that it computes fast, else float32."""
    if asked != "auto":
        return asked
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "float32"
    capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Layers that are made inside of this compute with a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def steps_at_once(macs: int, batch_size: int, steps: int) -> int:
    """Steps that one call runs: so many that a CPU works for some hundredths of a second, 32 at most.

    They divide the steps of an epoch, since a rest would be traced once more.
    """
    work = macs * batch_size * 3
    fast = 100 if tf.config.list_physical_devices("GPU") else 1
    most = max(1, min(32, fast * 10**9 // max(1, work)))
    return next(number for number in range(most, 0, -1) if steps % number == 0)


def xla(asked: str, images: int, precision_: str, measure: Callable[[bool], float] | None = None) -> bool:
    """Whether to compile the training step with XLA.

    Args:
        asked: "on", "off", or "auto": as it was measured on this machine, which a training of
            `WORTH_MEASURING` images does once; "off" as long as nobody did.
        images: Images of the whole training, all epochs together.
        precision_: The policy; each is measured on its own.
        measure: Seconds of a step with and without XLA; by default of a small ResNet of CIFAR.
    """
    if asked != "auto":
        return asked == "on"
    file = _remembered(precision_)
    with contextlib.suppress(OSError, ValueError, KeyError):
        return bool(json.loads(file.read_text(encoding="utf-8"))["faster"])
    if images < WORTH_MEASURING:
        return False
    with policy(precision_):
        plain, compiled = ((measure or _seconds)(jit) for jit in (False, True))
    found = {"device": device(), "precision": precision_, "plain": plain, "xla": compiled}
    with contextlib.suppress(OSError):  # a home that cannot be written is measured again
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({**found, "faster": compiled < plain}, indent=1) + "\n", encoding="utf-8")
        new.replace(file)
    return compiled < plain


def _remembered(precision_: str) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    machine = hashlib.blake2b(repr((device(), tf.__version__, keras.__version__)).encode(), digest_size=6)
    return home / "keras_cnns" / f"xla-{machine.hexdigest()}-{precision_}.json"


def _seconds(jit: bool) -> float:
    """Median time of a training step of CIFAR's ResNet-20 on nothing, after one that compiles."""
    from keras_cnns import resnet

    model = resnet(20, input_shape=(_SIDE, _SIDE, 3), classes=10)
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", jit_compile=jit)
    images = np.zeros((_BATCH, _SIDE, _SIDE, 3), "float32")
    labels = np.zeros(_BATCH, "int64")
    took = []
    for _ in range(_STEPS + 1):
        began = time.perf_counter()
        model.train_on_batch(images, labels)
        took.append(time.perf_counter() - began)
    return float(np.median(took[1:]))
