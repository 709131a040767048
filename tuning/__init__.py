"""KerasTuner searches over the families of keras_cnns."""
