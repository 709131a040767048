"""Data, training and export with TensorFlow; usable without TFX.

`simple.task(model, folder_or_arrays)` says what to train on what, `fit.train(task)` trains a registered
network by its recipe, `export.export(model, folder, …)` writes what can be served; docs/training.md shows
them. The pipeline's Trainer calls the last two, with TFRecords of `tf.Example`s.
TensorFlow is imported by the submodules, not here.
"""
