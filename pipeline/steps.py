"""The steps of the line, in order: TFX's node and the word that people see."""

from __future__ import annotations

STEPS = {
    "ImageExampleGen": "examples",
    "StatisticsGen": "statistics",
    "SchemaGen": "schema",
    "ExampleValidator": "validate",
    "Gate": "gate",
    "Trainer": "train",
    "Evaluator": "evaluate",
    "ServingCheck": "serving check",
    "Pusher": "push",
}
VALIDATION = ("examples", "statistics", "schema", "validate", "gate")  # the steps of `validate`
