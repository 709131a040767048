"""Names, the command line, and the errors of both."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from keras_cnns import create_model, list_models
from keras_cnns import registry as rows
from keras_cnns.__main__ import main
from keras_cnns._checks import nearest, pick, unknown


def test_list_is_sorted_and_takes_wildcards():
    assert list_models() == sorted(rows.MODELS)
    assert list_models("lenet5_modern_*") == ["lenet5_modern_28_valid", "lenet5_modern_cifar"]
    assert list_models("lenet[15]") == ["lenet1", "lenet5"]
    assert list_models("vit*") == []


def test_unknown_name_gives_the_nearest():
    with pytest.raises(ValueError, match=r"model='lenet5_modrn' is not known. Did you mean 'lenet5_modern'"):
        create_model("lenet5_modrn")


def test_misspelt_argument_gives_the_nearest():
    with pytest.raises(ValueError, match=r"argument='clases' is not known. Did you mean 'classes'"):
        create_model("lenet5", clases=3)


def test_what_makes_the_network_cannot_be_overridden():
    with pytest.raises(ValueError, match="version='1998' contradicts the model 'lenet5_modern'"):
        create_model("lenet5_modern", version="1998")
    assert create_model("lenet5_modern", version="modern").count_params() == 61_706


def test_overrides_reach_the_builder():
    model = create_model("lenet5_modern", classes=3, input_shape=(28, 28, 1), name="mine")
    assert (model.name, model.input_shape, model.output_shape) == ("mine", (None, 28, 28, 1), (None, 3))


def test_nearest():
    assert nearest("LeNet5", ["lenet1", "lenet5"]) == "lenet5"
    assert nearest(48, [18, 34, 50, 101]) == "50"
    assert nearest("zzz", ["lenet1"]) is None
    assert nearest("x", []) is None


@pytest.mark.parametrize(
    ("given", "known", "picked"),
    [
        (50, (18, 50), 50),
        (np.int64(50), (18, 50), 50),
        (2.0, (1, 1.5, 2), 2),
        (None, (None, "avg"), None),
        (True, (True, False), True),
    ],
    ids=str,
)
def test_pick_gives_the_known_value_itself(given, known, picked):
    found = pick("x", given, known)
    assert found is picked or (found, type(found)) == (picked, type(picked))


@pytest.mark.parametrize(
    ("given", "known", "text"),
    [
        (50.0, (18, 50), "x=50.0 is not known. Did you mean 50?"),
        ("50", (18, 50), "x='50' is not known. Did you mean 50?"),
        (1998, ("1998", "modern"), "x=1998 is not known. Did you mean '1998'?"),
        (True, (1, 2), "x=True is not known."),
        (1, (True, False), "x=1 is not known."),
        ([], ("a", "b"), "x=[] is not known."),
        (np.zeros(2), ("a", None), "x=array([0., 0.]) is not known."),
        (15, (11, 16, "A"), "x=15 is not known. Did you mean 16?"),
    ],
    ids=str,
)
def test_pick_takes_nothing_for_what_it_is_not(given, known, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        pick("x", given, known)


def test_a_variant_has_its_own_size_and_name():
    """The row's size and name are the network's own; the builder knows those of a variant."""
    assert create_model("lenet5", dialect="caffe").count_params() == 431_080
    variant = create_model("alexnet", padding=2, classes=3)
    assert (variant.input_shape, variant.get_layer("conv1").output.shape[1]) == ((None, 224, 224, 3), 55)
    assert create_model("cifar_resnet20", plain=True).name == "cifar_plain20"
    assert create_model("cifar_resnet20", plain=True, name="mine").name == "mine"


def test_an_override_may_say_what_the_name_says():
    small = {"input_shape": (32, 32, 3), "classes": 2}
    assert create_model("se_resnet50_stage2_only", stages=[2], **small).name == "se_resnet50_stage2_only"
    assert create_model("resnet18", depth=np.int64(18), **small).name == "resnet18"
    with pytest.raises(ValueError, match="stages=3 contradicts the model 'se_resnet50_stage2_only'"):
        create_model("se_resnet50_stage2_only", stages=3)


def test_no_name_stands_twice():
    row = {"lenet1": rows.MODELS["lenet1"]}
    with pytest.raises(ValueError, match=re.escape("these names stand twice: ['lenet1'].")):
        rows._all(row, row)


def test_long_lists_give_what_is_alike():
    with pytest.raises(ValueError, match=r"Did you mean 'resnet50'\? Known: resnet50, .* and 127 more\.$"):
        create_model("resnet51")
    with pytest.raises(ValueError, match="pattern=5 is not a text"):
        list_models(5)


def test_none_is_the_rows_own():
    model = create_model("cifar_densenet_L40_k12_c100", classes=None, input_shape=None, name=None)
    assert (model.name, model.output_shape) == ("cifar_densenet_L40_k12_c100", (None, 100))


def test_unknown_shortens_long_lists():
    text = str(unknown("depth", 21, range(20, 60)))
    assert text.startswith("depth=21 is not known. Did you mean 21? Known: 20, 21,") is True
    assert text.endswith("38, 39 and 20 more.")
    assert str(unknown("depth", "x", [1])) == "depth='x' is not known. Known: 1."


def test_command_list(capsys):
    assert main(["list", "lenet5*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "input", "classes", "what"]
    papers = [line for line in lines[2:] if line and not line.startswith(" ")]
    assert papers == ["LeNet · LeCun et al. 1998, Proc. IEEE 86(11)"]
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == list_models("lenet5*")
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == list_models()
    papers = [line for line in lines[2:] if line and not line.startswith(" ")]
    assert papers[0].startswith("LeNet · LeCun et al. 1990")
    assert len(papers) == len(set(papers)) == len({(row.family, row.paper) for row in rows.MODELS.values()})
    assert main(["list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in data] == list_models()
    assert data[list_models().index("lenet1")]["input_shape"] == [28, 28, 1]
    assert data[list_models().index("cifar_preresnet164_c100")]["classes"] == 100


def test_command_show(capsys):
    assert main(["show", "resnet50"]) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert [name for name in rows if name.startswith("conv")] == [
        "conv1",
        *(f"conv{i}_x" for i in range(2, 6)),
    ]
    assert rows["conv3_x"] == ["28", "×", "28", "×", "512", "1,226,752", "950,534,144", "99", "8"]
    assert "25,557,032 trained parameters of 25,610,152 · 3,857,973,248 MACs an image" in text
    assert text.splitlines()[-1] == "next: python -m keras_cnns show resnet50 --layers"
    assert max(map(len, text.splitlines())) <= 80


def test_command_show_layers_and_json(capsys):
    assert main(["show", "lenet5_1998", "--layers"]) == 0
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("C3"))
    assert row.split() == ["C3", "PartialConv2D", "10", "×", "10", "×", "16", "1,516", "150,000", "14", "2"]
    assert "60,000 trained parameters of 60,840 · 325,680 MACs an image" in text
    assert main(["show", "lenet5_1998", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["trainable_parameters"], data["macs"]) == (60_000, 325_680)
    assert data["layers"][-1]["kind"] == "RBF"
    assert sum(group["parameters"] for group in data["groups"]) == 60_840
    assert sum(group["macs"] for group in data["groups"]) == 325_680


def test_command_show_for_another_input(capsys):
    """Four times the pixels cost four times as much, and see as far."""
    found = []
    for extra in ([], ["--input", "64x64x3", "--classes", "5"]):
        assert main(["show", "cifar_resnet20", "--json", *extra]) == 0
        found.append(json.loads(capsys.readouterr().out))
    first, second = found
    assert second["input_shape"] == [64, 64, 3]
    assert (first["classes"], second["classes"]) == (10, 5)
    assert second["trainable_parameters"] == first["trainable_parameters"] - 5 * 65
    for one, other in zip(first["groups"], second["groups"], strict=True):
        if one["jump"] is not None:
            assert other["macs"] == 4 * one["macs"]
            assert other["receptive_field"] == one["receptive_field"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--input", "64x64"], "--input='64x64' is not HEIGHTxWIDTHxCHANNELS, such as 64x64x3."),
        (
            ["--input", "31x32x3"],
            "input_shape=(31, 32, 3) is too small for vgg11, which needs at least 32 × 32",
        ),
        (["--classes", "0"], "classes=0 is not a number of classes"),
    ],
)
def test_command_show_refuses_a_bad_size_in_one_sentence(arguments, text, capsys):
    assert main(["show", "vgg11", *arguments]) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith(f"keras_cnns: {text}")
    assert (streams.out, streams.err.count("\n")) == ("", 1)


def test_classes_are_a_default_and_no_part_of_a_name():
    assert create_model("cifar_densenet_L40_k12_c100", classes=7).output_shape == (None, 7)
    headless = create_model("cifar_densenet_L40_k12_c100", include_top=False)
    assert headless.output_shape == (None, 8, 8, 448)


@pytest.mark.parametrize("command", ["show", "list"])
def test_command_refuses_an_unknown_name_in_one_sentence(command, capsys):
    assert main([command, "lenet6"]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("keras_cnns: model='lenet6' is not known. Did you mean 'lenet5'?")
    assert streams.err.count("\n") == 1


def test_list_and_errors_come_without_keras():
    code = (
        "import sys; from keras_cnns.__main__ import main; "
        "codes = main(['list']), main(['show', 'x']); print(codes, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "(0, 2) False"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m keras_cnns list --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[", "")
