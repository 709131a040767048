"""Imports take most of a small run's time; this leaves out what no step of ours needs.

Measured on two cores with the everywhere lane: `import tfx.v1` 30 s; the modules that the line uses 19 s, and
13 s with what follows.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence

GPUS = "CUDA_VISIBLE_DEVICES"
# Keras imports these if it can: for notebooks, data frames and its scikit-learn wrappers.
KERAS_EXTRAS = ("IPython", "pandas", "sklearn")


@contextlib.contextmanager
def imports(without: Sequence[str] = ()) -> Iterator[None]:
    """Import frameworks inside of this: without some optional packages, and without collecting garbage.

    Tens of thousands of lasting objects are made during the imports, and each collection would visit them
    all; afterwards they are put aside for good.

    Args:
        without: Packages that are to be taken for not installed.
    """
    for name in without:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # Python's own way to refuse an import
    gc.disable()
    try:
        with warnings.catch_warnings():
            # Google's libraries mourn Python 3.10 by the page.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        gc.freeze()
        gc.enable()
        for name in without:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]


def tensorflow() -> None:
    """Import TensorFlow, silent, where a person reads what is printed; does nothing where it is imported."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet(), imports(without=KERAS_EXTRAS):
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what is printed meanwhile: TensorFlow 2.21 greets on import, whatever its log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def without_gpus() -> Iterator[None]:
    """Hide the GPUs from TensorFlow, which would hold one to the end of this process."""
    before = os.environ.get(GPUS)
    os.environ[GPUS] = ""
    try:
        yield
    finally:
        del os.environ[GPUS]
        if before is not None:
            os.environ[GPUS] = before
