"""The production line: from images to a validated, pushed model with TFX."""
