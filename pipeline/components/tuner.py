"""TFX's Tuner with a search that takes TuneArgs, runs trials in processes, and is durable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.components.trainer import fn_args_utils
from tfx.components.tuner import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs

from pipeline import tuned


class Executor(executor.Executor):
    """TFX's own refuses TuneArgs; here they are the number of workers."""

    def Do(
        self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]
    ) -> None:
        """Search; leave the best hyperparameters as TFX's Tuner does, and the whole search beside them."""
        args = executor.get_tune_args(exec_properties)
        tuner_fn = executor._get_tuner_fn(exec_properties)
        found = tuner_fn(fn_args_utils.get_common_fn_args(input_dict, exec_properties, self._get_tmp_dir()))
        parallel = args.num_parallel_trials if args is not None else 0
        options = {**found.fit_kwargs, **({"workers": parallel} if parallel else {})}
        found.tuner.search(**options)
        executor.write_best_hyperparameters(found.tuner, output_dict)
        results = artifact_utils.get_single_uri(output_dict[standard_component_specs.TUNER_RESULTS_KEY])
        text = json.dumps(found.tuner.result, ensure_ascii=False)
        (Path(results) / tuned.RESULT).write_text(text, encoding="utf-8")


class Tuner(component.Tuner):
    """TFX's Tuner with that executor."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
