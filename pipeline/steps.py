"""The steps of the line, in order: TFX's node and the word that people see."""

from __future__ import annotations

STEPS = {
    "ImageExampleGen": "examples",
    "StatisticsGen": "statistics",
    "SchemaGen": "schema",
    "ExampleValidator": "validate",
    "Gate": "gate",
    "Tuner": "tune",
    "Trainer": "train",
    "Evaluator": "evaluate",
    "ServingCheck": "serving check",
    "Pusher": "push",
}
VALIDATION = ("examples", "statistics", "schema", "validate", "gate")  # the steps of `validate`


def steps_of(tune: int) -> list[str]:
    """The steps of a whole line; `tune` is how many configurations its search tries."""
    return [word for word in STEPS.values() if tune or word != "tune"]
