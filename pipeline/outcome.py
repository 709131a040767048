"""What each node brought, read from its artifacts: a line for the terminal, a section for the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import ml_metadata
import tensorflow as tf
from ml_metadata import proto
from tfx.types import artifact_utils
from tfx.utils import path_utils

from keras_cnns.training import examples, reference
from pipeline import (
    changes,
    evaluation,
    graph,  # noqa: F401  # the line needs both, imported with the rest
    images,
    schema,
    tuned,
)
from pipeline.components import example_gen, gate, pusher, schema_gen, serving_check, validator
from pipeline.config import Config
from pipeline.progress import send
from pipeline.pushed import latest
from pipeline.report.pictures import MAX_PICTURE_BYTES
from pipeline.sources import Dataset
from pipeline.steps import STEPS
from pipeline.stopped import Stopped
from tuning import findings

_NOT_WORK = ("ExampleValidator", "Gate", "Pusher")  # of these, only a push makes a run that did something
_SHOWN = 256  # pixels of a picture's longer side; even noise is small enough then
_CHOSEN_ON_TEST = "the best epoch was chosen on the test part; --val-share 0.1 keeps one apart"
_DONE = (proto.Execution.COMPLETE, proto.Execution.CACHED)


class Teller:
    """Tells the terminal of each node as it starts and ends, and collects the run's result.

    Args:
        config: The run's configuration, resolved.
        dataset: Its data.
        output: The run's folder; sample pictures and mistakes are copied into it.
    """

    def __init__(self, config: Config, dataset: Dataset, output: Path) -> None:
        self._config, self._dataset, self._output = config, dataset, output
        self._artifacts: dict[str, dict[str, Any]] = {}
        self._result: dict[str, Any] = {}
        self._executed = False

    def starts(self, node: str) -> None:
        """A node is about to run."""
        if node in STEPS:
            send("start", step=STEPS[node])

    def ended(self, node: str, store: ml_metadata.MetadataStore, execution_id: int, seconds: float) -> None:
        """A node returned: look up whether it completed, and what it made.

        Raises:
            Stopped: It did not complete.
        """
        [execution] = store.get_executions_by_id([execution_id])
        if execution.last_known_state not in _DONE:
            raise Stopped(f"{node} did not complete; the log says why")
        self._artifacts[node] = _outputs(store, execution_id)
        if node not in STEPS:
            return
        cached = execution.last_known_state == proto.Execution.CACHED
        self._executed |= not cached and node not in _NOT_WORK
        describe = getattr(self, f"_{STEPS[node].replace(' ', '_')}")
        send("done", step=STEPS[node], detail=describe(), seconds=seconds, cached=cached)

    def artifacts(self, node: str) -> dict[str, Any]:
        """What a node that returned has made, by output key."""
        return self._artifacts[node]

    def finish(self) -> None:
        """Send the result of the whole line."""
        send("result", result={**self._result, "executed": self._executed})

    def _examples(self) -> str:
        artifact = self._artifacts["ImageExampleGen"]["examples"]
        facts = example_gen.facts_of(artifact)
        samples = self._output / "samples"
        shutil.rmtree(samples, ignore_errors=True)
        samples.mkdir()
        for file in (Path(artifact.uri) / "samples").iterdir():
            (samples / file.name).write_bytes(_for_people(file.read_bytes()))
        self._result["dataset"] = facts
        parts = [f"{part['count']:,} {name}" for name, part in facts["splits"].items()]
        parts.append(f"{sum(example_gen.SHARDS[part] for part in facts['splits'])} shards")
        if facts["bad"]:
            parts.append(f"{len(facts['bad'])} unreadable left out")
        parts += facts["remarks"]
        return " · ".join(parts)

    def _statistics(self) -> str:
        splits = artifact_utils.decode_split_names(self._artifacts["StatisticsGen"]["statistics"].split_names)
        return f"classes, sizes, colours and brightness of {', '.join(splits[:-1])} and {splits[-1]}"

    def _schema(self) -> str:
        artifact = self._artifacts["SchemaGen"]["schema"]
        features = f"{len(schema_gen.read(artifact).feature)} features"
        if self._config.schema is not None:
            return f"{features} · {self._config.schema}"
        shutil.copy(Path(artifact.uri) / schema.FILE, self._output / schema.FILE)
        return f"{features} · {self._config.output}/{schema.FILE}"

    def _validate(self) -> str:
        made = self._artifacts["ExampleValidator"]["anomalies"]
        found = gate.judged(validator.findings_in(made), self._config.accept or "")
        compared = validator.compared(made)
        passed = not any(one["severity"] == changes.ERROR for one in found)
        self._result["validation"] = {"anomalies": found, "passed": passed, "compared": compared}
        against = (
            "against the last blessed run" if compared else "no blessed run on other data to compare with"
        )
        names = dict.fromkeys(one["name"] for one in found)
        return f"{', '.join(names) or 'no anomalies'} · {against}"

    def _gate(self) -> str:
        found = self._result["validation"]["anomalies"]
        told = {
            kind: dict.fromkeys(one["name"] for one in found if one["severity"] == severity)
            for kind, severity in (("accepted", changes.ACCEPTED), ("warning", changes.WARNING))
        }
        return " · ".join(["open", *(f"{kind}: {', '.join(names)}" for kind, names in told.items() if names)])

    def _tune(self) -> str:
        folder = Path(self._artifacts["Tuner"]["tuner_results"].uri)
        found = json.loads((folder / tuned.RESULT).read_text(encoding="utf-8"))
        self._result["tuning"] = found
        best = findings.best_trial(found)
        assert best is not None  # or the Tuner would have failed
        (self._output / "hyperparameters.json").write_text(findings.hyperparameters(found), encoding="utf-8")
        return (
            f"{findings.begun(found)} configurations · {found['objective']} {best['score']:.3f} · "
            f"{self._config.output}/hyperparameters.json"
        )

    def _train(self) -> str:
        folder = Path(self._artifacts["Trainer"]["model_run"].uri)
        facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        part = "val" if "val" in self._result["dataset"]["splits"] else "test"
        chosen = part == "test" and self._config.weights != "last"
        remarks = [_CHOSEN_ON_TEST] if chosen else []
        self._result["training"] = {**facts, "measured_on": part, "remarks": remarks}
        last = facts["history"][-1]
        epochs = len(facts["history"])
        text = f"epoch {epochs}/{self._config.epochs} · accuracy {last['accuracy']:.3f}"
        return " · ".join([text, *remarks])

    def _evaluate(self) -> str:
        made = self._artifacts["Evaluator"]
        blessed = made["blessing"].get_int_custom_property("blessed") == 1
        threshold = evaluation.minimum(self._config, self._dataset)
        classes = self._result["dataset"]["classes"]
        found = evaluation.summary(
            Path(made["evaluation"].uri), classes, blessed, threshold, self._config.min_slice_accuracy
        )
        found["mistakes"] = self._mistakes(classes)
        if found["baseline"]:
            found["baseline"]["version"] = self._version_of(self._artifacts["Baseline"]["model"])
        self._result["evaluation"] = found
        low, high = found["interval"]
        sign = "≥" if found["accuracy"] >= threshold else "<"
        worst = evaluation.worst_class(found)
        text = f"accuracy {found['accuracy']:.3f} [{low:.3f}–{high:.3f}] {sign} {threshold:.3f}"
        text += f" · worst: {worst['label']} {worst['accuracy']:.2f}"
        if found["baseline"]:
            return f"{text} · last blessed {found['baseline']['accuracy']:.3f}"
        return f"{text} · first model"

    def _version_of(self, model: Any) -> str:
        """The pushed version that a Model artifact became, for a person."""
        folder = Path(path_utils.serving_model_path(model.uri))
        for version in reversed(pusher.versions(Path(self._config.models) / str(self._config.name))):
            if pusher.same(folder, version):
                return f"{self._config.models}/{self._config.name}/{version.name}"
        return "a model that is no longer among the pushed versions"

    def _mistakes(self, classes: list[str]) -> list[dict[str, Any]]:
        """Copy the most confident mistakes' pictures into the run's folder."""
        run = Path(self._artifacts["Trainer"]["model_run"].uri)
        worst = {one["index"]: one for one in evaluation.mistakes(run / reference.PREDICTIONS)}
        folder = self._output / "mistakes"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        uri = Path(self._artifacts["ImageExampleGen"]["examples"].uri)
        files = sorted(str(path) for path in (uri / "Split-test").iterdir())
        for index, record in enumerate(examples.records(files).take(max(worst, default=-1) + 1)):
            if index in worst:
                feature = tf.train.Example.FromString(record.numpy()).features.feature
                image = feature[examples.IMAGE].bytes_list.value[0]
                suffix = "png" if image.startswith(b"\x89PNG") else "jpg"
                (folder / f"{index}.{suffix}").write_bytes(_for_people(image))
                worst[index]["file"] = f"mistakes/{index}.{suffix}"
                worst[index]["source"] = feature[examples.SOURCE].bytes_list.value[0].decode()
        return [
            {
                "file": one["file"], "true": classes[one["true"]], "predicted": classes[one["predicted"]],
                "probability": one["probability"], "source": one["source"],
            }
            for one in worst.values()
        ]  # fmt: skip

    def _serving_check(self) -> str:
        folder = Path(self._artifacts["ServingCheck"]["blessing"].uri)
        found = json.loads((folder / serving_check.RESULT).read_text(encoding="utf-8"))
        self._result["serving"] = found
        if found["why"]:
            return found["why"]
        return (
            f"{len(found['signatures'])} signatures · equal to the trained model · "
            f"{found['milliseconds']:.1f} ms an image"
        )

    def _push(self) -> str:
        pushed = self._artifacts["Pusher"]["pushed_model"]
        if not pushed.get_int_custom_property("pushed"):
            self._result["pushed"] = None
            return "nothing pushed"
        self._result["pushed"] = pushed.get_string_custom_property("pushed_destination")
        version = f"{self._config.models}/{self._config.name}/{Path(self._result['pushed']).name}"
        if pushed.get_int_custom_property("already_there"):
            served = latest(Path(self._result["pushed"]).parent) or {}
            back = "rolled_back_from" in served
            more = f"; version {served['version']} is served, by a rollback" if back else ""
            return f"{version} is this model{more}"
        self._executed = True
        return version


def _for_people(image: bytes) -> bytes:
    """A picture as it is, or smaller where the report would not carry it."""
    return image if len(image) <= MAX_PICTURE_BYTES else images.small(image, _SHOWN)


def _outputs(store: ml_metadata.MetadataStore, execution_id: int) -> dict[str, Any]:
    """One artifact for each output key of an execution."""
    keys = {
        event.artifact_id: event.path.steps[0].key
        for event in store.get_events_by_execution_ids([execution_id])
        if event.type in (proto.Event.OUTPUT, proto.Event.INTERNAL_OUTPUT)  # the latter by resolvers
    }
    artifacts = store.get_artifacts_by_id(list(keys))
    types = {one.id: one for one in store.get_artifact_types()}
    return {keys[one.id]: artifact_utils.deserialize_artifact(types[one.type_id], one) for one in artifacts}
