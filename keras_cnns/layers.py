"""The few layers that Keras has not: trainable subsampling, table convolution, radial basis outputs.

All keep channels last, run on each of Keras's backends, and are registered, so that a saved model loads again
after `import keras_cnns.layers`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cnns._checks import check_count

_register = keras.saving.register_keras_serializable("keras_cnns")


@_register
def scaled_tanh(x: Any) -> Any:
    """f(x) = 1.7159 tanh(2x/3), of any shape; f(±1) = ±1 (LeCun et al. 1998, section III and appendix A)."""
    return 1.7159 * ops.tanh((2.0 / 3.0) * x)


@_register
def softmin(x: Any) -> Any:
    """softmax(-x) over the last axis: penalties, the smallest of which wins, become probabilities."""
    return ops.softmax(ops.negative(x), axis=-1)


def require_channels_last() -> None:
    """Refuse Keras's channels-first setting.

    Raises:
        ValueError: `keras.config.image_data_format()` is "channels_first".
    """
    if keras.config.image_data_format() == "channels_first":
        raise ValueError(
            "image_data_format='channels_first' is not supported: keras_cnns keeps channels last. "
            "Call keras.config.set_image_data_format('channels_last')."
        )


@_register
class FanInUniform(keras.initializers.Initializer):
    """Uniform in ±2.4 / fan-in (LeCun et al. 1998, appendix A).

    Args:
        fan_in: The number of inputs of the unit that a weight belongs to; a sequence gives one number for
            each slice along the weight's first axis.
        seed: Makes the values repeatable; by default they follow `keras.utils.set_random_seed`.
    """

    def __init__(self, fan_in: int | Sequence[int], seed: int | None = None) -> None:
        self.fan_in = fan_in if isinstance(fan_in, int) else list(fan_in)
        self.seed = seed
        self._unit = keras.initializers.RandomUniform(-1.0, 1.0, seed=seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Values for a weight of this shape."""
        exact = 2.4 / np.asarray(self.fan_in, "float64")
        bounds = exact.astype("float32")
        # Rounded down, since -1 times a bound that was rounded up would lie outside.
        bounds = np.where(bounds > exact, np.nextafter(bounds, np.float32(0)), bounds)
        if bounds.ndim:
            bounds = bounds.reshape(-1, *[1] * (len(shape) - 1))
        unit = self._unit(shape, dtype=dtype)
        return unit * ops.convert_to_tensor(bounds, dtype=unit.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"fan_in": self.fan_in, "seed": self.seed}


@_register
class Subsampling2D(keras.layers.Layer):
    """LeNet's subsampling (LeCun et al. 1998, section II-B): a window's inputs are summed, not averaged.

    The sum is multiplied by one trained coefficient for the map, one trained bias is added, and the result
    squashed. (batch, height, width, maps) becomes (batch, height // size, width // size, maps).

    Args:
        size: Side and stride of the windows, in pixels.
        activation: The squashing function; None for none.
        **kwargs: `name`, `dtype` and the like, as of every Keras layer.
    """

    def __init__(self, size: int = 2, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_channels_last()
        self.size = size
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the coefficient and the bias of each map."""
        maps = input_shape[-1]
        fan_in = self.size**2
        self.coefficient = self.add_weight(
            shape=(maps,), initializer=FanInUniform(fan_in), name="coefficient"
        )
        self.bias = self.add_weight(shape=(maps,), initializer=FanInUniform(fan_in), name="bias")
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Sum, scale, shift, squash."""
        means = ops.average_pool(inputs, self.size, self.size, "valid", data_format="channels_last")
        return self.activation(means * (self.size**2 * self.coefficient) + self.bias)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The windows that fit whole; an odd last row or column is left out."""
        batch, height, width, maps = input_shape
        return (batch, *(side and side // self.size for side in (height, width)), maps)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        squash = keras.activations.serialize(self.activation)
        return {**super().get_config(), "size": self.size, "activation": squash}


@_register
class PartialConv2D(keras.layers.Layer):
    """An unpadded convolution in which each output map sees only the input maps that a table lists.

    LeNet-5's C3 (LeCun et al. 1998, table I). Only the listed links have weights: the kernel has the shape
    (links, size, size) and is laid out into a full kernel, zero elsewhere, at each call.
    (batch, height, width, input maps) becomes (batch, height - size + 1, width - size + 1, output maps).

    Args:
        table: For each output map the input maps that it sees, counted from 0.
        size: Side of the kernels, in pixels.
        activation: What follows; None for nothing.
        **kwargs: `name`, `dtype` and the like, as of every Keras layer.

    Raises:
        ValueError: A row is empty or lists a map twice; or, when built, the table and the input disagree.
    """

    def __init__(
        self, table: Sequence[Sequence[int]], size: int = 5, activation: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require_channels_last()
        self.table = tuple(tuple(row) for row in table)
        for row in self.table:
            if not row or len(set(row)) != len(row) or min(row) < 0:
                raise ValueError(
                    f"table has the row {row}: each row lists at least one input map, none twice."
                )
        self.size = size
        self.activation = keras.activations.get(activation)

    @property
    def links(self) -> int:
        """The number of pairs of an input map and an output map that are linked."""
        return sum(map(len, self.table))

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make one kernel for each link and one bias for each output map."""
        maps = input_shape[-1]
        named = sorted(set().union(*self.table))
        if named != list(range(maps or 0)):
            raise ValueError(f"table names the input maps {named}, but the input has {maps} maps.")
        fan_ins = [self.size**2 * len(row) for row in self.table]
        link_fan_ins = [fan for fan, row in zip(fan_ins, self.table, strict=True) for _ in row]
        self.kernel = self.add_weight(
            shape=(self.links, self.size, self.size), initializer=FanInUniform(link_fan_ins), name="kernel"
        )
        self.bias = self.add_weight(shape=(len(self.table),), initializer=FanInUniform(fan_ins), name="bias")
        self._pairs = self._pair_of_each_link(maps or 0)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Convolve with the full kernel that the links make."""
        outputs = ops.conv(inputs, self.full_kernel(), 1, "valid", data_format="channels_last")
        return self.activation(outputs + self.bias)

    def full_kernel(self) -> Any:
        """The kernel (size, size, input maps, output maps), zero where nothing is linked."""
        # A product moves the links' axis last as it goes, where a gather would need a transposition.
        of_links = ops.reshape(self.kernel, (self.links, self.size**2))
        full = ops.matmul(ops.transpose(of_links), ops.cast(self._pairs, of_links.dtype))
        return ops.reshape(full, (self.size, self.size, -1, len(self.table)))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Each side shrinks by the kernel's less one."""
        batch, height, width, _ = input_shape
        return (batch, *(side and side - self.size + 1 for side in (height, width)), len(self.table))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        table = [list(row) for row in self.table]
        what = keras.activations.serialize(self.activation)
        return {**super().get_config(), "table": table, "size": self.size, "activation": what}

    def _pair_of_each_link(self, maps: int) -> np.ndarray:
        """One-hot, float32 (links, maps * output maps): at which pair of maps each link's kernel lies."""
        pairs = [seen * len(self.table) + out for out, row in enumerate(self.table) for seen in row]
        return np.eye(maps * len(self.table), dtype="float32")[pairs]


@_register
class PaddedIdentity(keras.layers.Layer):
    """ResNet's shortcut A: every stride-th pixel, and zeros for the maps that x has not; nothing is trained.

    (batch, height, width, maps) becomes (batch, ceil(height / stride), ceil(width / stride), filters). He et
    al. 2015, section 3.3, option A; the new maps come last, as in fb.resnet.torch.

    Args:
        filters: Maps of the output, at least as many as the input has.
        stride: Step in pixels.
        **kwargs: `name`, `dtype` and the like, as of every Keras layer.

    Raises:
        ValueError: When built: the input has more maps.
    """

    def __init__(self, filters: int, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_channels_last()
        self.filters = filters
        self.stride = stride

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Refuse an input that would lose maps."""
        maps = input_shape[-1] or 0
        if maps > self.filters:
            raise ValueError(f"filters={self.filters} is less than the {maps} maps of the input.")
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Pick and pad."""
        picked = inputs[:, :: self.stride, :: self.stride]
        return ops.pad(picked, ((0, 0), (0, 0), (0, 0), (0, self.filters - inputs.shape[-1])))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Sides are divided by the stride and rounded up."""
        batch, height, width, _ = input_shape
        return (batch, *(side and -(-side // self.stride) for side in (height, width)), self.filters)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "filters": self.filters, "stride": self.stride}


@_register
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """PyTorch's average pooling to a fixed size; the same as Keras's own, which older versions do not have.

    (batch, height, width, maps) becomes (batch, size, size, maps): output i is the mean of the rows from
    floor(i · height / size) to ceil((i + 1) · height / size), which may overlap; columns likewise.

    Args:
        size: Side of the output in pixels.
        **kwargs: `name`, `dtype` and the like, as of every Keras layer.

    Raises:
        ValueError: The size is no whole number of at least 1; or, when built, the input's is free.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_channels_last()
        self.size = check_count("size", size)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Lay the windows out as two matrices."""
        _, height, width, _ = input_shape
        if height is None or width is None:
            raise ValueError(f"{self.name!r} needs a fixed input size, but got {tuple(input_shape)}.")
        self._rows, self._columns = self._means(height), self._means(width)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Average over rows, then over columns."""
        rows, columns = (ops.cast(each, self.compute_dtype) for each in (self._rows, self._columns))
        return ops.einsum("jw,biwc->bijc", columns, ops.einsum("ih,bhwc->biwc", rows, inputs))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The fixed size."""
        return (input_shape[0], self.size, self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size}

    def _means(self, side: int) -> np.ndarray:
        """(size, side): each row averages over one window."""
        means = np.zeros((self.size, side), "float32")
        for i in range(self.size):
            start, end = i * side // self.size, -(-(i + 1) * side // self.size)
            means[i, start:end] = 1 / (end - start)
        return means


@_register
class LocalResponseNormalization(keras.layers.Layer):
    """AlexNet's b_i = a_i / (k + alpha Σ a_j²)^beta over n maps (Krizhevsky et al. 2012, section 3.3).

    The shape stays. The window ends where the maps end, and holds a_i itself. Squares are summed in float32
    under mixed precision too.

    Args:
        n: Maps in the window, odd.
        k: What is added to the sum.
        alpha: What the sum is multiplied by.
        beta: The exponent.
        **kwargs: `name`, `dtype` and the like, as of every Keras layer.

    Raises:
        ValueError: n is even or below 1.
    """

    def __init__(
        self, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require_channels_last()
        if n < 1 or n % 2 == 0:
            raise ValueError(f"n={n} is not an odd number of maps; the nearest that works: {max(n - 1, 1)}.")
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def call(self, inputs: Any) -> Any:
        """Divide each map by its neighbours' energy."""
        a = ops.cast(inputs, "float32")
        maps, half = inputs.shape[-1], self.n // 2
        squares = ops.pad(ops.square(a), ((0, 0), (0, 0), (0, 0), (half, half)))
        energy = sum(squares[..., i : i + maps] for i in range(self.n))
        return ops.cast(a / (self.k + self.alpha * energy) ** self.beta, self.compute_dtype)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        """The same."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "n": self.n, "k": self.k, "alpha": self.alpha, "beta": self.beta}


@_register
class RBF(keras.layers.Layer):
    """Euclidean radial basis units with fixed codes (LeCun et al. 1998, section II-B, equation 7).

    y_i = Σ_j (x_j - w_ij)²: (batch, features) becomes (batch, units) penalties, of which the SMALLEST marks
    the class. Nothing is trained; it computes in float32 under mixed precision too.

    Args:
        codes: The w_ij, (units, features), usually ±1.
        dtype: float32 by default, whatever Keras's policy is.
        **kwargs: `name` and the like, as of every Keras layer.

    Raises:
        ValueError: The codes are no matrix; or, when built, of another width than the input.
    """

    def __init__(self, codes: Any, dtype: Any = "float32", **kwargs: Any) -> None:
        super().__init__(dtype=dtype, **kwargs)
        self._codes = np.asarray(codes, "float32")
        if self._codes.ndim != 2:
            raise ValueError(f"codes has the shape {self._codes.shape}, but (units, features) is needed.")

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the codes a weight that is never trained."""
        if input_shape[-1] != self._codes.shape[1]:
            raise ValueError(
                f"codes are {self._codes.shape[1]} wide, but the input has {input_shape[-1]} features."
            )
        self.codes = self.add_weight(
            shape=self._codes.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(self._codes, dtype=dtype),
            trainable=False,
            name="codes",
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Squared distances to each code."""
        return ops.sum(ops.square(ops.expand_dims(inputs, -2) - self.codes), axis=-1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """One penalty for each unit."""
        return (*input_shape[:-1], self._codes.shape[0])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "codes": self._codes.tolist()}
