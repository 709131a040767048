"""The dialects and SENet against torchvision and timm, where they are installed: same weights, equal outputs.

    KERAS_BACKEND=torch python -m pytest tests/test_torch_peers.py

in an environment with torch, torchvision, timm, keras and pytest; any backend goes.
"""

import re

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")

from keras_cnns import create_model  # noqa: E402

layers = keras.layers


def resnet_name(theirs):
    """layer2.0.conv1 → conv3_1_1."""
    theirs = re.sub(r"^(?:layer0\.)?(conv|bn)(\d)$", lambda m: _stem(*m.groups()), theirs)
    unit = re.match(r"layer(\d)\.(\d+)\.(.+)", theirs)
    if not unit:
        return {"fc": "logits", "last_linear": "logits"}.get(theirs, theirs)
    name = f"conv{int(unit[1]) + 1}_{int(unit[2]) + 1}"
    part = re.sub(r"^conv(\d)$", r"\1", unit[3])
    part = re.sub(r"^bn(\d)$", r"\1_bn", part)
    part = {
        "downsample.0": "proj",
        "downsample.1": "proj_bn",
        "se_module.fc1": "se_fc1",
        "se_module.fc2": "se_fc2",
    }.get(part, part)
    return f"{name}_{part}"


def _stem(kind, number):
    return "conv1" + ("_bn" if kind == "bn" else "") if number == "1" else f"conv1_{number}"


def senet154_name(theirs):
    """The stem has three convolutions."""
    theirs = re.sub(r"^layer0\.conv(\d)$", r"conv1_\1", theirs)
    return resnet_name(re.sub(r"^layer0\.bn(\d)$", r"conv1_\1_bn", theirs))


def densenet_name(theirs):
    """features.denseblock1.denselayer2.norm1 → block1_2_bn1."""
    theirs = theirs.removeprefix("features.")
    if match := re.match(r"denseblock(\d)\.denselayer(\d+)\.(norm|conv)(\d)", theirs):
        block, layer, kind, number = match.groups()
        return f"block{block}_{layer}_{'bn' if kind == 'norm' else 'conv'}{number}"
    if match := re.match(r"transition(\d)\.(norm|conv)", theirs):
        return f"transition{match[1]}_{'bn' if match[2] == 'norm' else 'conv'}"
    return {"conv0": "conv1", "norm0": "conv1_bn", "norm5": "post_bn", "classifier": "logits"}[theirs]


def googlenet_name(theirs):
    """inception3a.branch3.1.conv → inception3a_5x5."""
    norm = "_bn" if theirs.endswith(".bn") else ""
    theirs = re.sub(r"\.(conv|bn)$", "", theirs)
    parts = {
        "branch1": "1x1", "branch2.0": "3x3_reduce", "branch2.1": "3x3",
        "branch3.0": "5x5_reduce", "branch3.1": "5x5", "branch4.1": "pool_proj",
    }  # fmt: skip
    if match := re.match(r"(inception\d.)\.(.+)", theirs):
        return f"{match[1]}_{parts[match[2]]}{norm}"
    if match := re.match(r"(aux\d)\.(.+)", theirs):
        return f"{match[1]}_{ {'conv': 'conv', 'fc1': 'fc', 'fc2': 'logits'}[match[2]] }{norm}"
    return {"conv1": "conv1", "conv2": "conv2_reduce", "conv3": "conv2", "fc": "logits"}[theirs] + norm


def in_order(*names):
    """The names of our layers in the order of theirs."""
    left = list(names)
    return lambda theirs: left.pop(0)


def vgg_names(*blocks, norm):
    names = [f"conv{block}_{i}" for block, count in enumerate(blocks, 1) for i in range(1, count + 1)]
    with_norms = [each for name in names for each in (name, f"{name}_bn")]
    return in_order(*(with_norms if norm else names), "fc6", "fc7", "logits")


def weights_of(module):
    """A torch module's weights in Keras's order and layout."""
    values = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    if "running_mean" in values:
        return [values[name] for name in ("weight", "bias", "running_mean", "running_var")]
    weight = values["weight"]
    moved = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
    return [moved, values["bias"]] if "bias" in values else [moved]


def copy_weights(theirs, ours, name_of):
    """Draw statistics, then give every layer of ours what its twin has."""
    draw = torch.Generator().manual_seed(0)
    given = set()
    for name, module in theirs.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                value.data.uniform_(0.5, 1.5, generator=draw)
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.BatchNorm2d):
            layer = ours.get_layer(name_of(name))
            values = weights_of(module)
            if layer.name.endswith(("se_fc1", "se_fc2")):
                values[0] = values[0].reshape(values[0].shape[-2:])
            if layer.name == "fc6":  # they flatten maps before rows and columns, we after them
                values[0] = (
                    values[0]
                    .reshape(-1, 6 if "alex" in ours.name else 7, 6 if "alex" in ours.name else 7, 4096)
                    .transpose(1, 2, 0, 3)
                    .reshape(values[0].shape)
                )
            layer.set_weights(values)
            given.add(layer.name)
    assert given == {layer.name for layer in ours.layers if layer.weights}


ALEXNET = [f"conv{i}" for i in range(1, 6)]
NO_HEADS = {"aux_logits": False, "init_weights": True}
TORCHVISION = [
    ("alexnet_torchvision", {}, "alexnet", {}, lambda: in_order(*ALEXNET, "fc6", "fc7", "logits")),
    ("vgg11", {"dialect": "torchvision"}, "vgg11", {}, lambda: vgg_names(1, 1, 2, 2, 2, norm=False)),
    ("vgg16_bn", {"dialect": "torchvision"}, "vgg16_bn", {}, lambda: vgg_names(2, 2, 3, 3, 3, norm=True)),
    ("googlenet_torchvision", {}, "googlenet", NO_HEADS, lambda: googlenet_name),
    ("resnet18", {"dialect": "torchvision"}, "resnet18", {}, lambda: resnet_name),
    ("resnet34", {"dialect": "torchvision"}, "resnet34", {}, lambda: resnet_name),
    ("resnet50_v1_5", {"dialect": "torchvision"}, "resnet50", {}, lambda: resnet_name),
    ("resnext50_32x4d", {}, "resnext50_32x4d", {}, lambda: resnet_name),
    ("densenet121", {"dialect": "torchvision"}, "densenet121", {}, lambda: densenet_name),
    ("densenet161", {"dialect": "torchvision"}, "densenet161", {}, lambda: densenet_name),
]  # fmt: skip
TIMM = [
    ("se_resnet50", "legacy_seresnet50", resnet_name),
    ("se_resnext50_32x4d", "legacy_seresnext50_32x4d", resnet_name),
    ("senet154", "legacy_senet154", senet154_name),
]


def difference(ours, theirs, side):
    images = np.random.RandomState(1).normal(size=(2, side, side, 3)).astype("float32")
    with torch.no_grad():
        expected = theirs.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    found = keras.ops.convert_to_numpy(ours(images, training=False))
    expected = expected.numpy()
    assert found.shape == expected.shape
    assert np.ptp(expected) > 0
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("side", [224, 193])
@pytest.mark.parametrize(
    ("name", "how", "peer", "arguments", "names"), TORCHVISION, ids=[row[0] for row in TORCHVISION]
)
def test_torchvision(name, how, peer, arguments, names, side):
    if side != 224 and name.startswith(("alexnet", "vgg")):
        pytest.skip(
            "torchvision pools other sizes to the trained one; ours has the fully connected layers' own size"
        )
    ours = create_model(name, classifier_activation=None, input_shape=(side, side, 3), **how)
    theirs = getattr(torchvision.models, peer)(weights=None, **arguments)
    copy_weights(theirs, ours, names())
    assert difference(ours, theirs, side) < 1e-5


@pytest.mark.parametrize("side", [224, 193])
@pytest.mark.parametrize(("name", "peer", "name_of"), TIMM, ids=[row[0] for row in TIMM])
def test_timm(name, peer, name_of, side):
    ours = create_model(name, classifier_activation=None, input_shape=(side, side, 3))
    theirs = timm.create_model(peer, pretrained=False)
    copy_weights(theirs, ours, name_of)
    assert difference(ours, theirs, side) < 1e-5
