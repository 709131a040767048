"""A bare TFX pipeline on scikit-learn's digits, written the way TFX's own examples are.

The peer of `benchmarks/pipeline.py`: one process, `tfx.v1`, TFX's own components, LocalDagRunner, MLMD in
SQLite; as in TFX's examples (tfx/examples/mnist and penguin) the data sets repeat and `fit` counts steps.
Images, split, network, recipe and thresholds are our main job's own, so that both do the same work.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from benchmarks import _pairs
from keras_cnns import create_model
from keras_cnns.losses import MAPCriterion
from keras_cnns.recipes import recipe_for
from pipeline import evaluation, sources
from pipeline.config import Config

NAME = "bare-digits"
MODEL = "lenet5"
SIDE = 32  # pixels of LeNet-5's input
RECIPE = recipe_for(MODEL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline, print the accuracy, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "output", type=Path, nargs="?", metavar="OUTPUT",
        help="folder for the images, TFX's artifacts and the pushed model (default: a temporary one)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=_pairs.positive, default=12, metavar="N", help="of the training (default: 12)"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when no model was pushed")
    given = parser.parse_args(arguments)
    if given.output and given.output.exists():
        parser.error(f"OUTPUT must be a new folder, and {given.output} exists")
    with tempfile.TemporaryDirectory(prefix="bare-tfx-") as temporary:
        return _run(given.output or Path(temporary), given.epochs, given.check)


def _run(output: Path, epochs: int, check: bool) -> int:
    dataset = sources.inspect(Config())
    counts = write_images(output / "images", dataset)
    pipeline = create_pipeline(output, counts, epochs, evaluation.eval_config(Config(), dataset))
    tfx.orchestration.LocalDagRunner().run(pipeline)
    [found] = (output / "tfx" / "Evaluator" / "evaluation").iterdir()
    [overall] = [metrics for key, metrics in tfma.load_eval_result(str(found)).slicing_metrics if key == ()]
    accuracy = overall[""][""]["sparse_categorical_accuracy"]["doubleValue"]
    pushed = sorted(str(path) for path in (output / "models").glob("*"))
    figure = f"{accuracy:.4f} accuracy, {f'pushed to {pushed[-1]}' if pushed else 'nothing pushed'}"
    return _pairs.finish(figure, [] if pushed else ["the model was not blessed"], check)


def write_images(folder: Path, dataset: sources.Dataset) -> dict[str, int]:
    """Write the digits as TFRecord files of PNG pictures with their labels, which ImportExampleGen reads.

    Returns:
        How many there are in each split: 1,437 in train and 360 in eval.
    """
    counts = {"train": 0, "eval": 0}
    writers = {}
    for split in counts:
        (folder / split).mkdir(parents=True)
        writers[split] = tf.io.TFRecordWriter(str(folder / split / "images.tfrecord"))
    for part, image in sources.read(Config(), dataset):
        split = "train" if part == "train" else "eval"
        feature = {
            "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.data])),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[image.label])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        writers[split].write(example.SerializeToString())
        counts[split] += 1
    for writer in writers.values():
        writer.close()
    return counts


def create_pipeline(
    output: Path, counts: dict[str, int], epochs: int, eval_config: tfma.EvalConfig
) -> tfx.dsl.Pipeline:
    """ImportExampleGen → StatisticsGen → SchemaGen → ExampleValidator → Trainer → Evaluator → Pusher."""
    splits = [tfx.proto.Input.Split(name=split, pattern=f"{split}/*") for split in counts]
    example_gen = tfx.components.ImportExampleGen(
        input_base=str(output / "images"), input_config=tfx.proto.Input(splits=splits)
    )
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(
        statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True
    )
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    steps = {split: math.ceil(count / RECIPE.batch_size) for split, count in counts.items()}
    trainer = tfx.components.Trainer(
        run_fn="benchmarks.bare_tfx.run_fn",  # a module_file would need pip, to build a wheel of it
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=steps["train"] * epochs),
        eval_args=tfx.proto.EvalArgs(num_steps=steps["eval"]),
        custom_config={"epochs": epochs},
    )
    model_resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=model_resolver.outputs["model"],
        eval_config=eval_config,
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(output / "models"))
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name=NAME,
        pipeline_root=str(output / "tfx"),
        components=[
            example_gen, statistics_gen, schema_gen, example_validator, trainer, model_resolver, evaluator,
            pusher,
        ],
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(output / "metadata.db")
        ),
        # In this process. Beam's own choice would first look for its Prism binary on the net.
        beam_pipeline_args=["--runner=FnApiRunner"],
    )  # fmt: skip


def run_fn(fn_args: tfx.components.FnArgs) -> None:
    """What TFX's Trainer calls: train LeNet-5 and export it with one signature."""
    keras.utils.set_random_seed(0)
    epochs = fn_args.custom_config["epochs"]
    network = create_model(MODEL, input_shape=(SIDE, SIDE, 1))
    scores = keras.Model(network.input, keras.ops.negative(network.output))  # RBF units give penalties
    rate = keras.optimizers.schedules.CosineDecay(RECIPE.learning_rate, fn_args.train_steps)
    scores.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=RECIPE.weight_decay),
        loss=MAPCriterion(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    scores.fit(
        input_fn(fn_args.train_files),
        epochs=epochs,
        steps_per_epoch=fn_args.train_steps // epochs,
        validation_data=input_fn(fn_args.eval_files),
        validation_steps=fn_args.eval_steps,
    )

    def serve_tf_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        images = tf.io.parse_example(examples, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
        inputs = tf.map_fn(to_input, images, fn_output_signature=tf.TensorSpec([SIDE, SIDE, 1], tf.float32))
        return {"probabilities": tf.nn.softmax(scores(inputs, training=False))}

    archive = keras.export.ExportArchive()
    archive.track(scores)
    archive.add_endpoint(
        "serving_default", serve_tf_examples, [tf.TensorSpec([None], tf.string, name="examples")]
    )
    archive.write_out(fn_args.serving_model_dir)


def input_fn(patterns: list[str]) -> tf.data.Dataset:
    """Batches of images and labels without end, shuffled anew in each pass."""

    def parse(serialized: tf.Tensor) -> tuple[Any, Any]:
        features = {
            "image": tf.io.FixedLenFeature([], tf.string),
            "label": tf.io.FixedLenFeature([], tf.int64),
        }
        example = tf.io.parse_single_example(serialized, features)
        return to_input(example["image"]), example["label"]

    files = tf.io.gfile.glob(patterns)
    return (
        tf.data.TFRecordDataset(files, compression_type="GZIP")
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .cache()
        .shuffle(2_000)
        .batch(RECIPE.batch_size)
        .repeat()
        .prefetch(tf.data.AUTOTUNE)
    )


def to_input(png: tf.Tensor) -> tf.Tensor:
    """A PNG picture as the network's input, float32 (32, 32, 1) from the recipe's low to its high."""
    pixels = tf.image.resize(tf.io.decode_png(png, channels=1), [SIDE, SIDE])
    return pixels * ((RECIPE.high - RECIPE.low) / 255) + RECIPE.low


if __name__ == "__main__":
    sys.exit(main())
