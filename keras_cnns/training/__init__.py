"""Data, training and export with TensorFlow; usable without TFX.

`keras_cnns.training.train(task)` does what the pipeline's Trainer does: it reads TFRecords of `tf.Example`s,
trains a registered network by its recipe, and writes a servable model. TensorFlow is imported by the
submodules, not here.
"""
