"""The version that is served: the one that `latest.json` names, exchanged while requests go on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from pipeline import exported, predict
from pipeline.exported import Exported
from tuning.errors import BadInput

_SECONDS = 1.0  # between two looks at latest.json


class Held:
    """A loaded model that follows `latest.json`.

    Args:
        model: Folder of a pushed model, or of one of its versions, which is then the only one served.

    Raises:
        BadInput: There is no such model, or it cannot be loaded.
    """

    def __init__(self, model: Path) -> None:
        self._given = model
        folder = predict.find_model(model)
        self.follows = folder.resolve() != model.resolve()
        self.name = folder.resolve().parent.name if folder.name.isdigit() else folder.resolve().name
        self.current = _loaded(folder)
        self._states = {version_of(self.current): ("AVAILABLE", "OK", "")}
        self._refused: Path | None = None
        self._end = threading.Event()
        if self.follows:
            threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Follow no more."""
        self._end.set()

    def status(self) -> dict[str, Any]:
        """What TensorFlow Serving's status API answers."""
        newest_first = sorted(self._states.items(), key=lambda item: -int(item[0]))
        return {
            "model_version_status": [
                {"version": version, "state": state,
                 "status": {"error_code": code, "error_message": message}}
                for version, (state, code, message) in newest_first
            ]
        }  # fmt: skip

    def _watch(self) -> None:
        while not self._end.wait(_SECONDS):
            try:
                folder = predict.find_model(self._given)
            except (BadInput, OSError):  # what is loaded goes on
                continue
            if folder not in (self.current.folder, self._refused):
                self._exchange(folder)

    def _exchange(self, folder: Path) -> None:
        old = version_of(self.current)
        served = {old: self._states[old]}
        self._states = {**served, folder.name: ("LOADING", "OK", "")}
        try:
            loaded = _loaded(folder)
        except Exception as error:  # whatever a broken file raises, the old version is served on
            self._refused = folder
            self._states = {**served, folder.name: ("END", "UNKNOWN", str(error))}
            return
        self._refused = None
        self.current = loaded
        self._states = {folder.name: ("AVAILABLE", "OK", ""), old: ("END", "OK", "")}


def version_of(model: Exported) -> str:
    """The version's number; 1 for a model that lies in no numbered folder."""
    name = model.folder.resolve().name
    return name if name.isdigit() else "1"


def _loaded(folder: Path) -> Exported:
    """A model that has answered once: the first answer takes longest, and shows whether there is one."""
    model = exported.load(folder)
    import tensorflow as tf

    model.probabilities([tf.io.encode_png(tf.zeros([8, 8, 1], tf.uint8)).numpy()])
    return model
