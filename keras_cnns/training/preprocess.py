"""From the bytes of a picture to a network's input: used in training and inside the exported model."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Preprocess:
    """What happens to a picture before the network sees it.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
        channels: 1 (grey) or 3 (RGB); pictures of the other kind are converted.
        fit: "resize" stretches a picture to the input; "pad" centres it on black, as LeCun et al. 1998
            do with 28x28 digits in a 32x32 field, and crops what is larger.
        low: What a pixel of 0 becomes.
        high: What a pixel of 255 becomes.
    """

    height: int
    width: int
    channels: int
    fit: str = "resize"
    low: float = 0.0
    high: float = 1.0

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels


def decode(image_bytes: tf.Tensor, how: Preprocess) -> tf.Tensor:
    """One encoded picture as uint8 pixels at the input's size.

    Args:
        image_bytes: A scalar string, a PNG, JPEG, GIF (first frame) or BMP file.
        how: The preprocessing.

    Returns:
        uint8, shape (height, width, channels). Rounding to whole grey levels here lets training keep
        pictures as bytes in memory and still see exactly what the server sees.
    """
    picture = tf.io.decode_image(image_bytes, channels=how.channels, expand_animations=False)
    picture.set_shape([None, None, how.channels])
    return fitted(picture, how)


def fitted(pixels: tf.Tensor, how: Preprocess) -> tf.Tensor:
    """uint8 pixels, shape ([n,] height, width, channels) of any size, at the input's size and channels."""
    if pixels.shape[-1] != how.channels:
        pixels = tf.image.grayscale_to_rgb(pixels) if how.channels == 3 else tf.image.rgb_to_grayscale(pixels)
    if how.fit == "pad":
        pixels = tf.image.resize_with_crop_or_pad(pixels, how.height, how.width)
    elif tuple(pixels.shape[-3:-1]) != (how.height, how.width):
        resized = tf.image.resize(pixels, [how.height, how.width], antialias=True)
        pixels = tf.saturate_cast(tf.round(resized), tf.uint8)
    return tf.ensure_shape(pixels, [*pixels.shape[:-3], *how.input_shape])


def scale(pixels: tf.Tensor, how: Preprocess) -> tf.Tensor:
    """Pixels from 0 to 255, shape (n, height, width, channels), as float32 from `low` to `high`."""
    return tf.cast(pixels, tf.float32) * ((how.high - how.low) / 255.0) + how.low


def preprocess(image_bytes: tf.Tensor, how: Preprocess) -> tf.Tensor:
    """Encoded pictures, shape (n,), as the network's input, float32 (n, height, width, channels)."""
    signature = tf.TensorSpec(how.input_shape, tf.uint8)
    pixels = tf.map_fn(lambda one: decode(one, how), image_bytes, fn_output_signature=signature)
    return scale(pixels, how)
