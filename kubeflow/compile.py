"""Compile the line of a run.toml for Kubeflow Pipelines or for Vertex AI."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tuning.errors import BadInput
from tuning.terminal import Parser

TARGETS = ("kfp", "vertex")
_SUFFIXES = (".yaml", ".yml")  # by which KFP's server knows a pipeline, and so submit.py
_BY_HAND = "# The search of a run as a Job: kubectl apply -n NAMESPACE -f THIS-FILE\n"
_BEFORE = "# The steps before the Tuner must be done, with node.py --run-id {}.\n"


def main(argv: list[str]) -> int:
    """Compile; returns the exit code: 0, or 2 for what cannot be compiled."""
    parser = Parser(prog="python kubeflow/compile.py", description=__doc__)
    parser.add_argument("--config", metavar="run.toml", help="what a local run left beside its results")
    parser.add_argument(
        "--cluster", metavar="FILE.toml", help="keys of [kubeflow], which stand over those of --config"
    )
    parser.add_argument("--image", metavar="NAME:TAG", help="of every step; stands over both")
    parser.add_argument(
        "--mlmd", metavar="ADDRESS", help="metadata store, such as sqlite:metadata.db; so does this"
    )
    parser.add_argument("--target", default="kfp", metavar="|".join(TARGETS))
    parser.add_argument("--output", default="pipeline.yaml", metavar="FILE", help="default: pipeline.yaml")
    given = parser.parse_args(argv)
    try:
        made = compiled(given)
    except BadInput as error:
        print(f"compile.py: {error}", file=sys.stderr)
        return 2
    for line in made:
        print(line)
    return 0


def compiled(given: argparse.Namespace) -> list[str]:
    """Compile and write; returns what to say.

    Raises:
        BadInput: Something cannot be compiled; no file was written.
    """
    from cluster import lines, settings, spec
    from keras_cnns._checks import unknown
    from pipeline.config import Config, load

    if given.target not in TARGETS:
        raise BadInput(str(unknown("--target", given.target, TARGETS)))
    if given.config is None:
        raise BadInput(
            "--config is missing; name the run.toml of a local run, such as runs/digits-lenet5/run.toml"
        )
    output = Path(given.output)
    if not output.name or output.is_dir():
        raise BadInput(f"--output must be a file, not {given.output!r}")
    if not output.parent.is_dir():
        raise BadInput(f"--output {output}: there is no folder {output.parent}")
    if given.target == "kfp" and output.suffix not in _SUFFIXES:
        raise BadInput(
            f"--output {output} must end in .yaml or .yml, by which KFP knows a pipeline; "
            f"name it {output.with_suffix('.yaml')}"
        )
    file = Path(given.config)
    values = load(file)
    table = settings.read(file, whole=False)
    if given.cluster is not None:
        table = _over(table, settings.read(Path(given.cluster)))
    table |= {key: getattr(given, key) for key in ("image", "mlmd") if getattr(given, key) is not None}
    config, dataset = lines.resolved(Config(**values))
    cluster = settings.cluster(table, lines.node_names(config))
    if cluster.tuner == "job" and (given.target != "kfp" or not config.tune):
        why = "Vertex AI has no such Jobs" if config.tune else "the configuration has no search; give it tune"
        raise BadInput(f'[kubeflow] tuner = "job": {why}, or leave tuner out')
    if given.target == "vertex":
        return _write_vertex(config, dataset, cluster, output, table)
    spec.check(cluster)
    # A chief of pods starts no workers of its own.
    alone = dataclasses.replace(config, tune_workers=1) if cluster.tuner == "job" else config
    bundle = lines.bundle(alone, dataset, cluster.root, cluster.data)
    told = dataclasses.replace(bundle.config, tune_workers=config.tune_workers)
    return _write_kfp(dataclasses.replace(bundle, config=told), cluster, output)


def _write_vertex(config: Any, dataset: Any, cluster: Any, output: Path, table: dict[str, Any]) -> list[str]:
    from cluster import lines, vertex

    vertex.check(cluster)
    job = vertex.job(lines.managed(config, dataset, cluster.root, cluster.data), cluster)
    replace_all({output: json.dumps(job, indent=1, sort_keys=True) + "\n"})
    below, unused = job["runtimeConfig"]["gcsOutputDirectory"], vertex.unused(table)
    without = [f"not used, as Vertex AI has no place for it: {', '.join(unused)}"] if unused else []
    return [
        f"{output}: a PipelineJob of {config.name} in {cluster.image}, below {below}",
        *without,
        f"next: give {output} to Vertex AI Pipelines, as its PipelineJob's template_path",
    ]


def _write_kfp(bundle: Any, cluster: Any, output: Path) -> list[str]:
    from cluster import job, spec

    beside, tuner = output.with_suffix(".ir.json"), output.with_suffix(".tuner.yaml")
    files = {
        output: _yaml([spec.pipeline(bundle, cluster), spec.platform(bundle, cluster)]),
        beside: bundle.text(),
    }
    said = [
        f"{output}: {len(bundle.nodes)} steps of {bundle.config.name} in {cluster.image}",
        f"{beside}: TFX's IR, which the first step brings to the volume",
    ]
    if cluster.tuner == "job":
        before = _BEFORE.format(job.run_by_hand(bundle))
        files[tuner] = _BY_HAND + before + _yaml(job.by_hand(bundle, cluster))
        said.append(f"{tuner}: the search's Job, as the Tuner's step makes it, for kubectl apply")
    outdated = [tuner] if tuner not in files and _is_job(tuner) else []
    said += [f"{file}: removed, since this line has no such Job" for file in outdated]
    replace_all(files, outdated)
    commands = [f"submit.py {shlex.quote(str(output))} --host http://localhost:8080"]
    if cluster.tuner != "job" and cluster.mlmd.startswith("sqlite:"):  # others are a cluster's
        commands.insert(0, f"run_local.py {shlex.quote(str(output))}")
    starts = ("next: ", *" " * len(commands))
    return [*said, *(f"{start:6}python kubeflow/{one}" for start, one in zip(starts, commands, strict=False))]


def _is_job(file: Path) -> bool:
    """Whether a file is the Job of an earlier compilation, and nobody else's."""
    try:
        return file.read_text(encoding="utf-8").startswith(_BY_HAND)
    except (OSError, UnicodeDecodeError):
        return False


def replace_all(files: dict[Path, str], outdated: Iterable[Path] = ()) -> None:
    """Write files beside where they belong, then put them there.

    Args:
        files: Their texts.
        outdated: Files to remove at the end.

    Raises:
        BadInput: One cannot be written, and the older ones are as they were, or one cannot be removed.
    """
    parts = {file: file.with_name(f".{file.name}.part") for file in files}
    try:
        for file, text in files.items():
            if file.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            parts[file].write_text(text, encoding="utf-8")
        for file, part in parts.items():
            part.replace(file)
    except OSError as error:
        raise BadInput(f"--output: {file} cannot be written: {error.strerror}") from None
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    for file in outdated:
        try:
            file.unlink()
        except OSError as error:
            raise BadInput(
                f"--output: {file} is of an earlier line and cannot be removed: {error.strerror}"
            ) from None


def _yaml(documents: list[dict[str, Any]]) -> str:
    import yaml

    return yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True, width=1000)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """One table over another, and so the tables in them."""

    def either(key: str, value: Any) -> Any:
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        return _over(below[key], value) if both else value

    return {**below, **{key: either(key, value) for key, value in above.items()}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
