"""What TFX hands to each executor."""

from tfx import types

Artifacts = dict[str, list[types.Artifact]]  # of a component's inputs or outputs, by the name of the channel
