"""Load a SavedModel as a server would: in a process that has TensorFlow and nothing of ours.

Run as a script, never imported by the line. One JSON request on standard input, one JSON answer.
"""

import contextlib
import gc
import importlib
import json
import os
import statistics
import sys
import time
from typing import Any

OURS = ("keras_cnns", "pipeline", "tuning")
NAMES = ("serving_default", "serve_bytes", "serve_tensor")


def main() -> None:
    """Import, wait for a request, probe, answer."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    blocked: dict[str, Any] = dict.fromkeys((*OURS, "IPython", "pandas", "sklearn"))
    sys.modules.update(blocked)  # from here on, importing one of them fails
    gc.disable()
    import tensorflow  # noqa: F401

    gc.freeze()
    gc.enable()
    line = sys.stdin.readline()
    if line:
        try:
            answer: dict[str, Any] = {"done": probe(**json.loads(line))}
        except Exception as error:
            answer = {"failed": f"the exported model cannot be served: {error}"}
        answers.write(json.dumps(answer) + "\n")


def probe(model: str, reference: str) -> dict[str, Any]:
    """Call every signature with the reference's examples.

    Args:
        model: Folder of the SavedModel.
        reference: File of examples in each form and the probabilities that the Keras model gave for them.

    Returns:
        signatures, max_difference (of any probability), milliseconds (one image by its bytes, median),
        importable (names of ours that could be imported after all).
    """
    import numpy as np
    import tensorflow as tf

    held = np.load(reference)
    wanted = held["probabilities"]
    count = len(wanted)
    inputs = {
        "serving_default": {"examples": [held[f"example_{i}"].tobytes() for i in range(count)]},
        "serve_bytes": {"image_bytes": [held[f"bytes_{i}"].tobytes() for i in range(count)]},
        "serve_tensor": {"images": held["pixels"].astype("float32")},
    }
    loaded = tf.saved_model.load(model)
    difference = 0.0
    for name in NAMES:
        if name not in loaded.signatures:
            raise ValueError(f"it has no signature {name}")
        for size in sorted({1, min(3, count), count}):  # a batch is not to change an answer
            given = {key: tf.constant(value[:size]) for key, value in inputs[name].items()}
            got = loaded.signatures[name](**given)["probabilities"].numpy()
            if not np.isfinite(got).all():
                raise ValueError(f"{name} answers probabilities that are no numbers")
            difference = max(difference, float(np.abs(got - wanted[:size]).max()))
    return {
        "signatures": list(NAMES),
        "max_difference": float(f"{difference:.1e}"),
        "milliseconds": latency(loaded.signatures["serve_bytes"], inputs["serve_bytes"]["image_bytes"][0]),
        "importable": [name for name in OURS if can_import(name)],
    }


def latency(serve_bytes: Any, image: bytes, calls: int = 20) -> float:
    """Milliseconds that one image takes, median over some calls."""
    import tensorflow as tf

    given, taken = tf.constant([image]), []
    for _ in range(calls):
        began = time.perf_counter()
        serve_bytes(image_bytes=given)
        taken.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(taken), 2)


def can_import(name: str) -> bool:
    """Whether a package can be imported here."""
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
        return True
    return False


if __name__ == "__main__":
    main()
