"""Each mistake that public ports have made, made here on purpose: the named test must fail of it.

The default run sees that each mutation still fits the code and names a test; `pytest -m slow` makes them, in
a copy of the package.
"""

import ast
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutation:
    """A mistake.

    Attributes:
        mistake: What someone got wrong.
        path: The file, from keras_cnns/ on.
        right: A text that stands in it once.
        wrong: What the mistake makes of it.
        test: The test that must fail, from tests/ on, as pytest names it.
    """

    mistake: str
    path: str
    right: str
    wrong: str
    test: str


COUNTS = "test_contract.py::test_counts_maps_and_receptive_fields"
MUTATIONS = (
    # Response normalisation (Krizhevsky et al. 2012, section 3.3).
    Mutation(
        "alpha is divided by n",
        "layers.py", "self.alpha * energy", "self.alpha / self.n * energy",
        "test_alexnet.py::test_response_normalisation",
    ),
    Mutation(
        "n is taken for a radius",
        "layers.py", "half = inputs.shape[-1], self.n // 2", "half = inputs.shape[-1], self.n",
        "test_alexnet.py::test_response_normalisation",
    ),
    Mutation(
        "the sum leaves the map itself out",
        "layers.py", "for i in range(self.n))", "for i in range(self.n) if i != half)",
        "test_alexnet.py::test_response_normalisation",
    ),
    Mutation(
        "k is 1, as by default in libraries",
        "layers.py", "(self.k + self.alpha", "(1.0 + self.alpha",
        "test_alexnet.py::test_response_normalisation",
    ),
    Mutation(
        "TensorFlow's reading has the paper's window",
        "alexnet.py", '"n": 11', '"n": 5', "test_alexnet.py::test_a_librarys_reading_of_the_four_numbers",
    ),
    # Pooling.
    Mutation(
        "Caffe's pooling is padded all around",
        "_blocks.py", "((0, 1), (0, 1)) if ceil else 1", "1",
        "test_blocks.py::test_ceil_starts_at_the_first_pixel_and_padding_before_it",
    ),
    Mutation(
        "Torch's pooling is Keras's \"same\"",
        "_blocks.py", "((0, 1), (0, 1)) if ceil else 1", "((0, 1), (0, 1))",
        "test_blocks.py::test_pooling_gives_caffes_or_torchs_size",
    ),
    Mutation(
        "maps that may be negative are padded with zeros",
        "resnet.py", "if not plan.dialect.stride_last:", "if plan.version != 2:",
        "test_blocks.py::test_zeros_around_a_max_pool_are_never_the_maximum",
    ),
    Mutation(
        "average pooling divides by nine at the border",
        "googlenet.py", "if not how.count_border:", "if how.count_border:",
        "test_googlenet.py::test_average_pooling_at_the_border",
    ),
    # Padding of convolutions.
    Mutation(
        "strided convolutions are padded as Keras's \"same\"",
        "_blocks.py", "if stride > 1 and kernel > 1:", "if stride > 9 and kernel > 1:",
        "test_blocks.py::test_strided_convolutions_are_padded_on_both_sides",
    ),
    Mutation(
        "a 1x1 is padded, too",
        "_blocks.py", "if stride > 1 and kernel > 1:", "if stride > 1:",
        "test_blocks.py::test_paddings_of_strided_convolutions_are_the_papers",
    ),
    # Shortcut A (He et al. 2015, section 3.3).
    Mutation(
        "the zeros are put on both sides",
        "layers.py", "(0, self.filters - inputs.shape[-1])))",
        "((self.filters - inputs.shape[-1]) // 2,) * 2))",
        "test_resnet.py::test_shortcut_a_picks_every_second_pixel_and_appends_zeros",
    ),
    Mutation(
        "pixels are averaged instead of picked",
        "layers.py", "picked = inputs[:, :: self.stride, :: self.stride]",
        'picked = ops.average_pool(inputs, self.stride, self.stride, "same")',
        "test_resnet.py::test_shortcut_a_picks_every_second_pixel_and_appends_zeros",
    ),
    Mutation(
        "the largest pixel is picked",
        "layers.py", "picked = inputs[:, :: self.stride, :: self.stride]",
        'picked = ops.max_pool(inputs, self.stride, self.stride, "same")',
        "test_resnet.py::test_shortcut_a_picks_every_second_pixel_and_appends_zeros",
    ),
    Mutation(
        "an odd side is rounded down",
        "layers.py", "picked = inputs[:, :: self.stride, :: self.stride]",
        "picked = inputs[:, self.stride - 1 :: self.stride, self.stride - 1 :: self.stride]",
        "test_resnet.py::test_shortcut_a_has_the_size_of_a_padded_convolution",
    ),
    Mutation(
        "CIFAR's shortcut is a projection",
        "resnet.py", 'if imagenet or bottleneck else "A"', 'if imagenet or bottleneck else "B"',
        f"{COUNTS}[cifar_resnet20]",
    ),
    # Residual units.
    Mutation(
        "the ReLU comes before the addition",
        "resnet.py", 'plan.gate(relu(y, name), "post", name)', 'plan.gate(y, "post", name)',
        "test_resnet.py::test_units_of_version_1_end_in_a_relu_and_those_of_version_2_do_not",
    ),
    Mutation(
        "version 1 has the stride in the 3x3",
        "resnet.py", "strided = 1 if bottleneck and version > 1 and imagenet else 0",
        "strided = 1 if bottleneck else 0",
        "test_resnet.py::test_where_a_stage_takes_its_stride",
    ),
    Mutation(
        "version 2 projects what is not yet activated",
        "resnet.py", "shortcut(x, a, f, stride, plan, name)", "shortcut(x, x, f, stride, plan, name)",
        "test_resnet.py::test_projections_read_what_the_branch_reads",
    ),
    Mutation(
        "the first unit of version 2 activates its branch alone",
        "resnet.py", "if not plan.dialect.stride_last:", "if plan.version != 2:",
        "test_resnet.py::test_the_first_activation_comes_before_the_paths_part",
    ),
    Mutation(
        "ResNeXt's inner width is ResNet's",
        "resnext.py", "Plan(BOTTLENECK, (inner, inner, 4)", "Plan(BOTTLENECK, (1, 1, 4)",
        "test_resnet.py::test_resnext_widths_strides_and_size",
    ),
    Mutation(
        "ResNeXt's 3x3 is not grouped",
        "resnet.py", "groups = plan.groups if kernel == 3 else 1", "groups = 1",
        "test_resnet.py::test_resnext_groups_do_not_see_each_other",
    ),
    Mutation(
        "a wider net's stem is multiplied too",
        "resnet.py", "min(FIRST_WIDTH[len(plan.units)], plan.maps(0))", "plan.maps(0)",
        "test_resnet.py::test_parameters_of_wide_resnets_as_printed",
    ),
    Mutation(
        "a narrower net's stem stays, whose maps shortcut A cannot lose",
        "resnet.py", "min(FIRST_WIDTH[len(plan.units)], plan.maps(0))", "FIRST_WIDTH[len(plan.units)]",
        "test_resnet.py::test_maps_of_a_multiplied_net",
    ),
    # The SE block (Hu et al. 2017, equations 2 to 4).
    Mutation(
        "the sigmoid is Keras's old hard one",
        "senet.py", '"sigmoid", bias', '"hard_sigmoid", bias', "test_senet.py::test_block_computed_by_hand",
    ),
    Mutation(
        "the gates have no ReLU",
        "senet.py", '"relu", bias, f"{name}_fc1"', 'None, bias, f"{name}_fc1"',
        "test_senet.py::test_block_computed_by_hand",
    ),
    Mutation(
        "the squeeze takes the largest pixel",
        "senet.py", '"avg": layers.GlobalAveragePooling2D', '"avg": layers.GlobalMaxPooling2D',
        "test_senet.py::test_block_computed_by_hand",
    ),
    Mutation(
        "version 2 has no gate on its shortcut",
        "resnet.py", 's = plan.gate(shortcut(x, a, f, stride, plan, name), "identity", name)',
        "s = shortcut(x, a, f, stride, plan, name)",
        "test_senet.py::test_where_the_gate_stands_in_version_2",
    ),
    Mutation(
        "SENet-154's stem does not start as He draws",
        "senet.py", 'conv(x, width, 3, stride, name=f"conv1_{i}")',
        'conv(x, width, 3, stride, name=f"conv1_{i}", initializer="glorot_uniform")',
        "test_senet.py::test_senet154",
    ),
    Mutation(
        "nothing is squeezed: each pixel has its own gates",
        "senet.py", 'z = SQUEEZES[squeeze](keepdims=True, name=f"{name}_squeeze")(x)', "z = x",
        "test_senet.py::test_gates_do_not_see_where_a_pixel_lies",
    ),
    Mutation(
        "the gates are the batch's",
        "senet.py", "s = _dense(z, max", "s = _dense(keras.ops.mean(z, axis=0, keepdims=True), max",
        "test_senet.py::test_every_image_has_its_own_gates",
    ),
    Mutation(
        "the sum is gated, not the branch",
        "resnet.py", 'plan.gate(f, "standard", name)\n    s = plan.gate(shortcut(x, x',
        'plan.gate(f, "post", name)\n    s = plan.gate(shortcut(x, x',
        "test_senet.py::test_where_the_gate_stands",
    ),
    # Batch normalisation.
    Mutation(
        "the momentum is PyTorch's 0.1",
        "_blocks.py", "momentum: float = 0.9", "momentum: float = 0.1",
        "test_batch_norm.py::test_one_step_of_training",
    ),
    Mutation(
        "epsilon is Keras's default",
        "_blocks.py", "epsilon: float = 1e-5", "epsilon: float = 1e-3",
        "test_batch_norm.py::test_epsilon_matters_where_a_channel_is_nearly_dead",
    ),
    Mutation(
        "convolutions have a bias before it",
        "resnet.py", "part in plan.dialect.biased", "True", f"{COUNTS}[resnet18]",
    ),
    Mutation(
        "He's normal initialisation has its tails cut off",
        "_blocks.py", '"untruncated_normal"', '"truncated_normal"',
        "test_resnet.py::test_initialisation_is_hes_normal",
    ),
    Mutation(
        "He's variance is that of the outputs",
        "_blocks.py", 'HE_NORMAL = _he_normal("fan_in")', 'HE_NORMAL = _he_normal("fan_out")',
        "test_resnet.py::test_initialisation_is_hes_normal",
    ),
    # DenseNet (Huang et al. 2016).
    Mutation(
        "new maps are put before the old ones",
        "densenet.py", "([x, f])", "([f, x])",
        "test_densenet.py::test_the_blocks_input_and_all_earlier_maps_are_handed_on_unchanged",
    ),
    Mutation(
        "a layer reads the one before it alone",
        "densenet.py", "    f = x\n", "    f = x[..., -k:]\n",
        "test_densenet.py::test_a_layer_reads_all_layers_before_it_and_none_after_it",
    ),
    Mutation(
        "a bottleneck makes 2k maps",
        "densenet.py", "BOTTLENECK = 4", "BOTTLENECK = 2", f"{COUNTS}[densenet121]",
    ),
    Mutation(
        "transitions do not compress",
        "densenet.py", "COMPRESSION = 0.5", "COMPRESSION = 1.0", "test_densenet.py::test_channels",
    ),
    Mutation(
        "the stem has k maps",
        "densenet.py", "conv(x, 2 * plan.growth_rate, 7", "conv(x, plan.growth_rate, 7",
        "test_densenet.py::test_channels",
    ),
    # GoogLeNet (Szegedy et al. 2014).
    Mutation(
        "the 5x5 is a 3x3, as in torchvision",
        "googlenet.py", "widest: int = 5", "widest: int = 3", f"{COUNTS}[googlenet]",
    ),
    Mutation(
        "5a reduces to 48",
        "googlenet.py", '"5a": (256, 160, 320, 32, 128, 128)', '"5a": (256, 160, 320, 48, 128, 128)',
        "test_googlenet.py::test_each_part_counts_what_the_released_network_has",
    ),
    Mutation(
        "branches are laid in another order",
        "googlenet.py", "(name=name)([a, b, c, d])", "(name=name)([a, b, d, c])",
        "test_googlenet.py::test_modules_lay_their_branches_side_by_side_in_the_papers_order",
    ),
    Mutation(
        "the pool branch averages",
        "googlenet.py", 'd = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)',
        'd = layers.AveragePooling2D(3, 1, "same", name=f"{name}_pool")(x)',
        "test_googlenet.py::test_pool_branches_take_the_maximum",
    ),
    Mutation(
        "convolutions inside the modules have no ReLU",
        "googlenet.py", 'activation=None if how.epsilon else "relu"', "activation=None",
        "test_googlenet.py::test_a_relu_follows_every_convolution",
    ),
    Mutation(
        "seven tenths are kept in the heads",
        "googlenet.py", 'layers.Dropout(0.7, name=f"{name}_dropout")',
        'layers.Dropout(0.3, name=f"{name}_dropout")',
        "test_googlenet.py::test_dropout_is_the_fraction_that_is_dropped",
    ),
    Mutation(
        "torchvision's weights start ten times larger",
        "googlenet.py", '"config": {"stddev": 0.01}', '"config": {"stddev": 0.1}',
        "test_googlenet.py::test_torchvision_differs_as_it_does",
    ),
    Mutation(
        "the biases of Caffe's heads start at zero",
        "googlenet.py", '{"bias_initializer": how.bias_initializer, **how.fc', "{**how.fc",
        "test_googlenet.py::test_weights_start_as_chosen",
    ),
    Mutation(
        "the heads are swapped",
        "googlenet.py", '{"4a": "aux1", "4d": "aux2"}', '{"4a": "aux2", "4d": "aux1"}',
        "test_googlenet.py::test_heads_hang_on_4a_and_4d_and_see_14x14_maps",
    ),
    # AlexNet (Krizhevsky et al. 2012).
    Mutation(
        "the GPUs meet everywhere",
        "alexnet.py", "groups if own_gpu else 1", "1",
        "test_alexnet.py::test_each_gpu_sees_its_own_half_alone",
    ),
    Mutation(
        "the GPUs never meet",
        "alexnet.py", '"conv3": (384, 3, 1, False', '"conv3": (384, 3, 1, True',
        "test_alexnet.py::test_the_gpus_meet_in_conv3",
    ),
    Mutation(
        "dropout comes before the layer",
        "alexnet.py", "dropout_first: bool = False", "dropout_first: bool = True",
        "test_alexnet.py::test_order_is_convolution_normalisation_pooling",
    ),
    Mutation(
        "all biases start at zero",
        "alexnet.py", 'BIAS_ONE = ("conv2", "conv4", "conv5", "fc6", "fc7")', "BIAS_ONE = ()",
        "test_alexnet.py::test_first_biases_are_one_where_section_5_has_them",
    ),
    Mutation(
        "pooling comes before normalisation",
        "alexnet.py", '("norm1", "pool1")', '("pool1", "norm1")',
        "test_alexnet.py::test_order_is_convolution_normalisation_pooling",
    ),
    Mutation(
        "a narrower net's maps are not shared out evenly",
        "alexnet.py", "maps), width, groups)", "maps), width)",
        "test_alexnet.py::test_width_multiplies_maps_of_both_gpus_alike",
    ),
    # VGG (Simonyan & Zisserman 2014).
    Mutation(
        "dropout is 0.4",
        "vgg.py", '"paper": Dialect(),', '"paper": Dialect(dropout=0.4),',
        "test_vgg.py::test_dropout_follows_fc6_and_fc7",
    ),
    Mutation(
        "C has 3x3 for 1x1",
        "vgg.py", '"C": ((3, 3), (3, 3), (3, 3, 1)', '"C": ((3, 3), (3, 3), (3, 3, 3)',
        "test_vgg.py::test_columns_of_table_1",
    ),
    Mutation(
        "maps are flattened with the pixels innermost, as converted weights would have it",
        "vgg.py", 'x = layers.Flatten(name="flatten")(x)',
        'x = layers.Flatten(name="flatten")(layers.Permute((3, 1, 2))(x))',
        "test_vgg.py::test_maps_are_flattened_row_by_row_with_the_maps_innermost",
    ),
    # LeNet (LeCun et al. 1998).
    Mutation(
        "f is plain tanh",
        "layers.py", "1.7159 * ops.tanh((2.0 / 3.0) * x)", "ops.tanh(x)",
        "test_lenet.py::test_scaled_tanh_values",
    ),
    Mutation(
        "subsampling averages",
        "layers.py", "self.activation(means * (self.size**2 * self.coefficient)",
        "self.activation(means * self.coefficient",
        "test_lenet.py::test_subsampling_sums_its_window",
    ),
    Mutation(
        "C3 sees all of S2",
        "layers.py", 'np.eye(maps * len(self.table), dtype="float32")[pairs]',
        'np.repeat(np.eye(len(self.table), dtype="float32")[[p % len(self.table) for p in pairs]], maps, 0)'
        ".reshape(len(pairs), -1)",
        "test_lenet.py::test_unlinked_maps_have_no_influence_and_linked_ones_do",
    ),
    Mutation(
        "a row of table I is wrong",
        "lenet.py", "(0, 1, 3, 4), (1, 2, 4, 5)", "(0, 1, 3, 5), (1, 2, 4, 5)",
        "test_lenet.py::test_c3_is_table_i",
    ),
    Mutation(
        "the largest penalty wins",
        "layers.py", "ops.softmax(ops.negative(x), axis=-1)", "ops.softmax(x, axis=-1)",
        "test_lenet.py::test_softmax_makes_probabilities_of_the_penalties",
    ),
    # Training.
    Mutation(
        "weight decay does not go through the momentum",
        "training/optimize.py", "super().update_step(gradient + decay, variable, learning_rate)",
        "super().update_step(gradient, variable, learning_rate); variable.assign_sub(learning_rate * decay)",
        "test_training.py::test_weight_decay_goes_through_the_momentum",
    ),
    Mutation(
        "momentum always looks ahead",
        "training/optimize.py", 'learning_rate, name="sgd", **common)',
        'learning_rate, name="sgd", **{**common, "nesterov": True})',
        "test_training.py::test_weight_decay_goes_through_the_momentum",
    ),
    Mutation(
        "the heads weigh as much as the main output",
        "training/optimize.py", "recipe.auxiliary_weight for name in model.output",
        "1.0 for name in model.output",
        "test_training.py::test_the_loss_is_the_weighted_sum",
    ),
)  # fmt: skip

every_mutation = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.mistake)


@every_mutation
def test_a_mutation_fits_the_code_and_names_a_test(mutation):
    assert (ROOT / "keras_cnns" / mutation.path).read_text(encoding="utf-8").count(mutation.right) == 1
    path, _, name = mutation.test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    assert name.partition("[")[0] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package and its tests, to be changed at will."""
    place = tmp_path_factory.mktemp("copy")
    without = shutil.ignore_patterns("__pycache__")
    for folder in ("keras_cnns", "pipeline", "tuning", "tests"):
        shutil.copytree(ROOT / folder, place / folder, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


def outcome(copy, *tests):
    """Pytest's exit code in the copy, 0 where all pass and 1 where one fails, and what it printed."""
    names = [f"tests/{test}" for test in tests]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *names],
        cwd=copy, env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.returncode, run.stdout


@pytest.mark.slow
def test_without_a_mutation_all_of_these_tests_pass(copy):
    code, text = outcome(copy, *sorted({mutation.test for mutation in MUTATIONS}))
    assert code == 0, text
    seen = subprocess.run(
        [sys.executable, "-c", "import keras_cnns; print(keras_cnns.__file__)"],
        cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(seen.stdout.strip()).is_relative_to(copy), "the copy is what is tested"


@pytest.mark.slow
@every_mutation
def test_a_mistake_is_caught(mutation, copy):
    path = copy / "keras_cnns" / mutation.path
    right = path.read_text(encoding="utf-8")
    path.write_text(right.replace(mutation.right, mutation.wrong), encoding="utf-8")
    try:
        code, text = outcome(copy, mutation.test)
    finally:
        path.write_text(right, encoding="utf-8")
    assert code == 1, f"exit code {code}, and not 1 of a test that fails\n{text[-2000:]}"
    assert " failed" in text.splitlines()[-1], text[-2000:]
