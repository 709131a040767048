"""Data, training and export with TensorFlow; usable without TFX.

`fit.train(task)` reads TFRecords of `tf.Example`s and trains a registered network by its recipe;
`export.export(model, folder, …)` writes what can be served. The pipeline's Trainer calls the same two.
TensorFlow is imported by the submodules, not here.
"""
