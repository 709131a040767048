"""The one table of what every network must be: counts, maps and receptive fields, each with its source."""

# ruff: noqa: E501 - a record is one line

from dataclasses import dataclass

Stage = tuple[tuple[int, int, int], int, int]


@dataclass(frozen=True)
class Contract:
    """What a record promises.

    Attributes:
        name: As registered.
        input_shape: (height, width, channels) in pixels.
        classes: Number of classes.
        trainable: Weights, biases, and batch normalisation's gamma and beta.
        total: These with moving statistics and other constants.
        macs: Multiply-accumulates of convolutions and fully connected layers for one image.
        maps: The record whose maps it shares: a row of `STAGES`.
        source: Where the numbers are from.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    trainable: int
    total: int
    macs: int
    maps: str
    source: str

    @property
    def stages(self) -> dict[str, Stage]:
        """Layer group → ((height, width, maps), receptive field, jump)."""
        return STAGES[self.maps]


def _read(text: str) -> dict[str, Stage]:
    """conv1:112x112x64:7:2 → {"conv1": ((112, 112, 64), 7, 2)}."""
    stages = {}
    for stage in text.split():
        name, shape, field, jump = stage.split(":")
        height, width, maps = map(int, shape.split("x"))
        stages[name] = ((height, width, maps), int(field), int(jump))
    return stages


# Records that share all maps share a row. Sizes and receptive fields follow from kernels and strides by arithmetic;
# shared/golden.json has them too, and the test of the facts compares.
_STAGES = {
    "lenet1": "H1:24x24x4:5:1 H2:12x12x4:6:2 H3:8x8x12:14:2 H4:4x4x12:16:4",
    "lenet5": "C1:28x28x6:5:1 S2:14x14x6:6:2 C3:10x10x16:14:2 S4:5x5x16:16:4 C5:1x1x120:32:4",
    "lenet5_modern": "conv1:28x28x6:5:1 pool1:14x14x6:6:2 conv2:10x10x16:14:2 pool2:5x5x16:16:4",
    "lenet5_modern_28_valid": "conv1:24x24x6:5:1 pool1:12x12x6:6:2 conv2:8x8x16:14:2 pool2:4x4x16:16:4",
    "lenet_caffe": "conv1:24x24x20:5:1 pool1:12x12x20:6:2 conv2:8x8x50:14:2 pool2:4x4x50:16:4",
    "alexnet": (
        "conv1:55x55x96:11:4 pool1:27x27x96:19:8 conv2:27x27x256:51:8 pool2:13x13x256:67:16 "
        "conv3:13x13x384:99:16 conv4:13x13x384:131:16 conv5:13x13x256:163:16 pool5:6x6x256:195:32"
    ),
    "alexnet_torchvision": (
        "conv1:55x55x64:11:4 pool1:27x27x64:19:8 conv2:27x27x192:51:8 pool2:13x13x192:67:16 "
        "conv3:13x13x384:99:16 conv4:13x13x256:131:16 conv5:13x13x256:163:16 pool5:6x6x256:195:32"
    ),
    "alexnet_224_valid": (
        "conv1:54x54x96:11:4 pool1:26x26x96:19:8 conv2:26x26x256:51:8 pool2:12x12x256:67:16 "
        "conv3:12x12x384:99:16 conv4:12x12x384:131:16 conv5:12x12x256:163:16 pool5:5x5x256:195:32"
    ),
    "vgg11": (
        "conv1_x:224x224x64:3:1 pool1:112x112x64:4:2 conv2_x:112x112x128:8:2 pool2:56x56x128:10:4 "
        "conv3_x:56x56x256:26:4 pool3:28x28x256:30:8 conv4_x:28x28x512:62:8 pool4:14x14x512:70:16 "
        "conv5_x:14x14x512:134:16 pool5:7x7x512:150:32"
    ),
    "vgg13": (
        "conv1_x:224x224x64:5:1 pool1:112x112x64:6:2 conv2_x:112x112x128:14:2 pool2:56x56x128:16:4 "
        "conv3_x:56x56x256:32:4 pool3:28x28x256:36:8 conv4_x:28x28x512:68:8 pool4:14x14x512:76:16 "
        "conv5_x:14x14x512:140:16 pool5:7x7x512:156:32"
    ),
    "vgg16": (
        "conv1_x:224x224x64:5:1 pool1:112x112x64:6:2 conv2_x:112x112x128:14:2 pool2:56x56x128:16:4 "
        "conv3_x:56x56x256:40:4 pool3:28x28x256:44:8 conv4_x:28x28x512:92:8 pool4:14x14x512:100:16 "
        "conv5_x:14x14x512:196:16 pool5:7x7x512:212:32"
    ),
    "vgg19": (
        "conv1_x:224x224x64:5:1 pool1:112x112x64:6:2 conv2_x:112x112x128:14:2 pool2:56x56x128:16:4 "
        "conv3_x:56x56x256:48:4 pool3:28x28x256:52:8 conv4_x:28x28x512:116:8 pool4:14x14x512:124:16 "
        "conv5_x:14x14x512:252:16 pool5:7x7x512:268:32"
    ),
    "googlenet": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2:56x56x192:19:4 pool2:28x28x192:27:8 "
        "inception3a:28x28x256:59:8 inception3b:28x28x480:91:8 pool3:14x14x480:107:16 "
        "inception4a:14x14x512:171:16 inception4b:14x14x512:235:16 inception4c:14x14x512:299:16 "
        "inception4d:14x14x528:363:16 inception4e:14x14x832:427:16 pool4:7x7x832:459:32 "
        "inception5a:7x7x832:587:32 inception5b:7x7x1024:715:32"
    ),
    "googlenet_torchvision": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2:56x56x192:19:4 pool2:28x28x192:27:8 "
        "inception3a:28x28x256:43:8 inception3b:28x28x480:59:8 pool3:14x14x480:75:16 "
        "inception4a:14x14x512:107:16 inception4b:14x14x512:139:16 inception4c:14x14x512:171:16 "
        "inception4d:14x14x528:203:16 inception4e:14x14x832:235:16 pool4:7x7x832:251:32 "
        "inception5a:7x7x832:315:32 inception5b:7x7x1024:379:32"
    ),
    "bn_inception": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2:56x56x192:19:4 pool2:28x28x192:27:8 "
        "inception3a:28x28x256:59:8 inception3b:28x28x320:91:8 inception3c:14x14x576:123:16 "
        "inception4a:14x14x576:187:16 inception4b:14x14x576:251:16 inception4c:14x14x608:315:16 "
        "inception4d:14x14x608:379:16 inception4e:7x7x1056:443:32 inception5a:7x7x1024:571:32 "
        "inception5b:7x7x1024:699:32"
    ),
    "plain18": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x64:43:4 conv3_x:28x28x128:99:8 "
        "conv4_x:14x14x256:211:16 conv5_x:7x7x512:435:32"
    ),
    "plain34": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x64:59:4 conv3_x:28x28x128:179:8 "
        "conv4_x:14x14x256:547:16 conv5_x:7x7x512:899:32"
    ),
    "resnet50": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x256:35:4 conv3_x:28x28x512:99:8 "
        "conv4_x:14x14x1024:291:16 conv5_x:7x7x2048:483:32"
    ),
    "resnet101": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x256:35:4 conv3_x:28x28x512:99:8 "
        "conv4_x:14x14x1024:835:16 conv5_x:7x7x2048:1027:32"
    ),
    "resnet152": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x256:35:4 conv3_x:28x28x512:163:8 "
        "conv4_x:14x14x1024:1315:16 conv5_x:7x7x2048:1507:32"
    ),
    "resnet50_v1_5": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x256:35:4 conv3_x:28x28x512:91:8 "
        "conv4_x:14x14x1024:267:16 conv5_x:7x7x2048:427:32"
    ),
    "resnet101_v1_5": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x256:35:4 conv3_x:28x28x512:91:8 "
        "conv4_x:14x14x1024:811:16 conv5_x:7x7x2048:971:32"
    ),
    "resnet152_v1_5": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x256:35:4 conv3_x:28x28x512:155:8 "
        "conv4_x:14x14x1024:1291:16 conv5_x:7x7x2048:1451:32"
    ),
    "resnet200_v2": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:56x56x256:35:4 conv3_x:28x28x512:411:8 "
        "conv4_x:14x14x1024:1547:16 conv5_x:7x7x2048:1707:32"
    ),
    "resnet50_v2_keras": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:28x28x256:35:8 conv3_x:14x14x512:99:16 "
        "conv4_x:7x7x1024:291:32 conv5_x:7x7x2048:483:32"
    ),
    "resnet101_v2_keras": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:28x28x256:35:8 conv3_x:14x14x512:99:16 "
        "conv4_x:7x7x1024:835:32 conv5_x:7x7x2048:1027:32"
    ),
    "resnet152_v2_keras": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 conv2_x:28x28x256:35:8 conv3_x:14x14x512:163:16 "
        "conv4_x:7x7x1024:1315:32 conv5_x:7x7x2048:1507:32"
    ),
    "cifar_resnet20": "conv1:32x32x16:3:1 stage1:32x32x16:15:1 stage2:16x16x32:37:2 stage3:8x8x64:81:4",
    "cifar_resnet32": "conv1:32x32x16:3:1 stage1:32x32x16:23:1 stage2:16x16x32:61:2 stage3:8x8x64:137:4",
    "cifar_resnet44": "conv1:32x32x16:3:1 stage1:32x32x16:31:1 stage2:16x16x32:85:2 stage3:8x8x64:193:4",
    "cifar_resnet56": "conv1:32x32x16:3:1 stage1:32x32x16:39:1 stage2:16x16x32:109:2 stage3:8x8x64:249:4",
    "cifar_resnet110": "conv1:32x32x16:3:1 stage1:32x32x16:75:1 stage2:16x16x32:217:2 stage3:8x8x64:501:4",
    "cifar_resnet1202": "conv1:32x32x16:3:1 stage1:32x32x16:803:1 stage2:16x16x32:2401:2 stage3:8x8x64:5597:4",
    "cifar_preresnet164": "conv1:32x32x16:3:1 stage1:32x32x64:39:1 stage2:16x16x128:111:2 stage3:8x8x256:255:4",
    "cifar_preresnet1001": "conv1:32x32x16:3:1 stage1:32x32x64:225:1 stage2:16x16x128:669:2 stage3:8x8x256:1557:4",
    "densenet121": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 block1:56x56x256:59:4 transition1:28x28x128:63:8 "
        "block2:28x28x512:255:8 transition2:14x14x256:263:16 block3:14x14x1024:1031:16 "
        "transition3:7x7x512:1047:32 block4:7x7x1024:2071:32"
    ),
    "densenet161": (
        "conv1:112x112x96:7:2 pool1:56x56x96:11:4 block1:56x56x384:59:4 transition1:28x28x192:63:8 "
        "block2:28x28x768:255:8 transition2:14x14x384:263:16 block3:14x14x2112:1415:16 "
        "transition3:7x7x1056:1431:32 block4:7x7x2208:2967:32"
    ),
    "densenet169": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 block1:56x56x256:59:4 transition1:28x28x128:63:8 "
        "block2:28x28x512:255:8 transition2:14x14x256:263:16 block3:14x14x1280:1287:16 "
        "transition3:7x7x640:1303:32 block4:7x7x1664:3351:32"
    ),
    "densenet201": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 block1:56x56x256:59:4 transition1:28x28x128:63:8 "
        "block2:28x28x512:255:8 transition2:14x14x256:263:16 block3:14x14x1792:1799:16 "
        "transition3:7x7x896:1815:32 block4:7x7x1920:3863:32"
    ),
    "densenet264": (
        "conv1:112x112x64:7:2 pool1:56x56x64:11:4 block1:56x56x256:59:4 transition1:28x28x128:63:8 "
        "block2:28x28x512:255:8 transition2:14x14x256:263:16 block3:14x14x2304:2311:16 "
        "transition3:7x7x1152:2327:32 block4:7x7x2688:5399:32"
    ),
    "cifar_densenet_L40_k12": (
        "conv1:32x32x16:3:1 block1:32x32x160:27:1 transition1:16x16x160:28:2 block2:16x16x304:76:2 "
        "transition2:8x8x304:78:4 block3:8x8x448:174:4"
    ),
    "cifar_densenet_L100_k12": (
        "conv1:32x32x16:3:1 block1:32x32x400:67:1 transition1:16x16x400:68:2 block2:16x16x784:196:2 "
        "transition2:8x8x784:198:4 block3:8x8x1168:454:4"
    ),
    "cifar_densenet_L100_k24": (
        "conv1:32x32x16:3:1 block1:32x32x784:67:1 transition1:16x16x784:68:2 block2:16x16x1552:196:2 "
        "transition2:8x8x1552:198:4 block3:8x8x2320:454:4"
    ),
    "cifar_densenet_bc_L100_k12": (
        "conv1:32x32x24:3:1 block1:32x32x216:35:1 transition1:16x16x108:36:2 block2:16x16x300:100:2 "
        "transition2:8x8x150:102:4 block3:8x8x342:230:4"
    ),
    "cifar_densenet_bc_L250_k24": (
        "conv1:32x32x48:3:1 block1:32x32x1032:85:1 transition1:16x16x516:86:2 block2:16x16x1500:250:2 "
        "transition2:8x8x750:252:4 block3:8x8x1734:580:4"
    ),
    "cifar_densenet_bc_L190_k40": (
        "conv1:32x32x80:3:1 block1:32x32x1320:65:1 transition1:16x16x660:66:2 block2:16x16x1900:190:2 "
        "transition2:8x8x950:192:4 block3:8x8x2190:440:4"
    ),
    "cifar_densenet_L40_k12_stem24": (
        "conv1:32x32x24:3:1 block1:32x32x168:27:1 transition1:16x16x168:28:2 block2:16x16x312:76:2 "
        "transition2:8x8x312:78:4 block3:8x8x456:174:4"
    ),
    "senet154": (
        "conv1_x:112x112x128:11:2 pool1:56x56x128:15:4 conv2_x:56x56x256:39:4 conv3_x:28x28x512:159:8 "
        "conv4_x:14x14x1024:1295:16 conv5_x:7x7x2048:1455:32"
    ),
}
STAGES = {name: _read(text) for name, text in _STAGES.items()}

_SOURCES = {
    "LeNet": "LeCun et al. 1990 and 1998: 2,578 and 60,000 parameters printed; the ports by arithmetic",
    "AlexNet": "Krizhevsky et al. 2012, figure 2, whose sizes give the counts (60 million printed)",
    "VGG": "Simonyan & Zisserman 2014, table 2 in millions; exact by arithmetic on table 1",
    "GoogLeNet": "Szegedy et al. 2014, table 1; Caffe's bvlc_googlenet has these counts",
    "BN-Inception": "Ioffe & Szegedy 2015, figure 5, by arithmetic",
    "ResNet": "He et al. 2015, table 1, by arithmetic; torchvision's counts for shortcut B",
    "ResNet-v2": "He et al. 2016, by arithmetic; fb.resnet.torch's preresnet",
    "ResNet-CIFAR": "He et al. 2015, table 6 in millions; exact by arithmetic",
    "ResNet-v2-CIFAR": "He et al. 2016, table 4 in millions; exact by arithmetic",
    "ResNeXt": "Xie et al. 2016, table 1, by arithmetic; torchvision's counts",
    "DenseNet": "Huang et al. 2016, table 1, by arithmetic; torchvision's counts",
    "DenseNet-CIFAR": "Huang et al. 2016, table 2 in millions; exact by arithmetic",
    "SENet": "Hu et al. 2017, tables 1 and 2; the released networks' counts",
    "SENet ablation": "Hu et al. 2017, tables 10 to 15 in millions; exact by arithmetic",
}

IMAGENET, CIFAR = (224, 224, 3), (32, 32, 3)

# name, input, classes, trained, total, multiply-accumulates, maps as, family
_ROWS = [
    ("lenet1", (28, 28, 1), 10, 2_578, 2_578, 91_520, "lenet1", "LeNet"),
    ("lenet5", (32, 32, 1), 10, 60_000, 60_840, 325_680, "lenet5", "LeNet"),
    ("lenet5_1998", (32, 32, 1), 10, 60_000, 60_840, 325_680, "lenet5", "LeNet"),
    ("lenet5_modern", (32, 32, 1), 10, 61_706, 61_706, 416_520, "lenet5_modern", "LeNet"),
    ("lenet5_modern_28_valid", (28, 28, 1), 10, 44_426, 44_426, 281_640, "lenet5_modern_28_valid", "LeNet"),
    ("lenet_caffe", (28, 28, 1), 10, 431_080, 431_080, 2_293_000, "lenet_caffe", "LeNet"),
    ("lenet5_modern_cifar", CIFAR, 10, 62_006, 62_006, 651_720, "lenet5_modern", "LeNet"),
    ("alexnet", (227, 227, 3), 1000, 60_965_224, 60_965_224, 724_406_816, "alexnet", "AlexNet"),
    ("alexnet_grouped", (227, 227, 3), 1000, 60_965_224, 60_965_224, 724_406_816, "alexnet", "AlexNet"),
    ("alexnet_ungrouped", (227, 227, 3), 1000, 62_378_344, 62_378_344, 1_135_256_096, "alexnet", "AlexNet"),
    ("alexnet_torchvision", IMAGENET, 1000, 61_100_840, 61_100_840, 714_188_480, "alexnet_torchvision", "AlexNet"),
    ("alexnet_224_valid", IMAGENET, 1000, 49_430_888, 49_430_888, 643_026_048, "alexnet_224_valid", "AlexNet"),
    ("vgg11", IMAGENET, 1000, 132_863_336, 132_863_336, 7_609_090_048, "vgg11", "VGG"),
    ("vgg11_bn", IMAGENET, 1000, 132_868_840, 132_874_344, 7_609_090_048, "vgg11", "VGG"),
    ("vgg13", IMAGENET, 1000, 133_047_848, 133_047_848, 11_308_466_176, "vgg13", "VGG"),
    ("vgg13_bn", IMAGENET, 1000, 133_053_736, 133_059_624, 11_308_466_176, "vgg13", "VGG"),
    ("vgg16", IMAGENET, 1000, 138_357_544, 138_357_544, 15_470_264_320, "vgg16", "VGG"),
    ("vgg16_bn", IMAGENET, 1000, 138_365_992, 138_374_440, 15_470_264_320, "vgg16", "VGG"),
    ("vgg19", IMAGENET, 1000, 143_667_240, 143_667_240, 19_632_062_464, "vgg19", "VGG"),
    ("vgg19_bn", IMAGENET, 1000, 143_678_248, 143_689_256, 19_632_062_464, "vgg19", "VGG"),
    ("vgg16_c", IMAGENET, 1000, 133_638_952, 133_638_952, 11_770_888_192, "vgg13", "VGG"),
    ("vgg16_c_bn", IMAGENET, 1000, 133_647_400, 133_655_848, 11_770_888_192, "vgg13", "VGG"),
    ("googlenet", IMAGENET, 1000, 6_998_552, 6_998_552, 1_582_671_872, "googlenet", "GoogLeNet"),
    ("googlenet_aux", IMAGENET, 1000, 13_378_280, 13_378_280, 1_591_044_096, "googlenet", "GoogLeNet"),
    ("googlenet_separable_stem", IMAGENET, 1000, 6_991_792, 6_991_792, 1_498_677_248, "googlenet", "GoogLeNet"),
    ("googlenet_torchvision", IMAGENET, 1000, 6_624_904, 6_639_464, 1_498_376_192, "googlenet_torchvision", "GoogLeNet"),
    ("googlenet_torchvision_aux", IMAGENET, 1000, 13_004_888, 13_019_960, 1_506_748_416, "googlenet_torchvision", "GoogLeNet"),
    ("bn_inception", IMAGENET, 1000, 11_285_224, 11_305_256, 2_032_600_064, "bn_inception", "BN-Inception"),
    ("bn_inception_biased", IMAGENET, 1000, 11_295_240, 11_315_272, 2_032_600_064, "bn_inception", "BN-Inception"),
    ("plain18", IMAGENET, 1000, 11_515_688, 11_523_496, 1_794_805_760, "plain18", "ResNet"),
    ("plain34", IMAGENET, 1000, 21_623_848, 21_639_080, 3_644_493_824, "plain34", "ResNet"),
    ("resnet18", IMAGENET, 1000, 11_689_512, 11_699_112, 1_814_073_344, "plain18", "ResNet"),
    ("resnet18_A", IMAGENET, 1000, 11_515_688, 11_523_496, 1_794_805_760, "plain18", "ResNet"),
    ("resnet18_C", IMAGENET, 1000, 12_043_816, 12_055_464, 1_878_298_624, "plain18", "ResNet"),
    ("resnet34", IMAGENET, 1000, 21_797_672, 21_814_696, 3_663_761_408, "plain34", "ResNet"),
    ("resnet34_A", IMAGENET, 1000, 21_623_848, 21_639_080, 3_644_493_824, "plain34", "ResNet"),
    ("resnet34_C", IMAGENET, 1000, 22_716_840, 22_739_624, 3_830_747_136, "plain34", "ResNet"),
    ("resnet50", IMAGENET, 1000, 25_557_032, 25_610_152, 3_857_973_248, "resnet50", "ResNet"),
    ("resnet50_A", IMAGENET, 1000, 22_780_456, 22_825_896, 3_498_311_680, "resnet50", "ResNet"),
    ("resnet50_C", IMAGENET, 1000, 40_128_552, 40_204_200, 6_324_224_000, "resnet50", "ResNet"),
    ("resnet101", IMAGENET, 1000, 44_549_160, 44_654_504, 7_570_194_432, "resnet101", "ResNet"),
    ("resnet101_A", IMAGENET, 1000, 41_772_584, 41_870_248, 7_210_532_864, "resnet101", "ResNet"),
    ("resnet101_C", IMAGENET, 1000, 76_981_288, 77_143_976, 13_530_300_416, "resnet101", "ResNet"),
    ("resnet152", IMAGENET, 1000, 60_192_808, 60_344_232, 11_282_415_616, "resnet152", "ResNet"),
    ("resnet152_A", IMAGENET, 1000, 57_416_232, 57_559_976, 10_922_754_048, "resnet152", "ResNet"),
    ("resnet152_C", IMAGENET, 1000, 107_335_720, 107_575_208, 20_736_376_832, "resnet152", "ResNet"),
    ("resnet50_v1_5", IMAGENET, 1000, 25_557_032, 25_610_152, 4_089_184_256, "resnet50_v1_5", "ResNet"),
    ("resnet50_keras", IMAGENET, 1000, 25_583_592, 25_636_712, 3_857_973_248, "resnet50", "ResNet"),
    ("resnet101_v1_5", IMAGENET, 1000, 44_549_160, 44_654_504, 7_801_405_440, "resnet101_v1_5", "ResNet"),
    ("resnet101_keras", IMAGENET, 1000, 44_601_832, 44_707_176, 7_570_194_432, "resnet101", "ResNet"),
    ("resnet152_v1_5", IMAGENET, 1000, 60_192_808, 60_344_232, 11_513_626_624, "resnet152_v1_5", "ResNet"),
    ("resnet152_keras", IMAGENET, 1000, 60_268_520, 60_419_944, 11_282_415_616, "resnet152", "ResNet"),
    ("resnet50_caffe", IMAGENET, 1000, 25_557_096, 25_610_216, 3_857_973_248, "resnet50", "ResNet"),
    ("resnet18_v2", IMAGENET, 1000, 11_687_720, 11_695_528, 1_814_073_344, "plain18", "ResNet-v2"),
    ("resnet34_v2", IMAGENET, 1000, 21_795_880, 21_811_112, 3_663_761_408, "plain34", "ResNet-v2"),
    ("resnet50_v2", IMAGENET, 1000, 25_549_352, 25_594_792, 4_089_184_256, "resnet50_v1_5", "ResNet-v2"),
    ("resnet101_v2", IMAGENET, 1000, 44_541_480, 44_639_144, 7_801_405_440, "resnet101_v1_5", "ResNet-v2"),
    ("resnet152_v2", IMAGENET, 1000, 60_185_128, 60_328_872, 11_513_626_624, "resnet152_v1_5", "ResNet-v2"),
    ("resnet200_v2", IMAGENET, 1000, 64_666_152, 64_834_472, 15_007_481_856, "resnet200_v2", "ResNet-v2"),
    ("resnet50_v2_keras", IMAGENET, 1000, 25_568_360, 25_613_800, 3_482_255_360, "resnet50_v2_keras", "ResNet-v2"),
    ("resnet101_v2_keras", IMAGENET, 1000, 44_577_896, 44_675_560, 7_194_476_544, "resnet101_v2_keras", "ResNet-v2"),
    ("resnet152_v2_keras", IMAGENET, 1000, 60_236_904, 60_380_648, 10_906_697_728, "resnet152_v2_keras", "ResNet-v2"),
    ("cifar_resnet20", CIFAR, 10, 269_722, 271_098, 40_551_040, "cifar_resnet20", "ResNet-CIFAR"),
    ("cifar_resnet20_B", CIFAR, 10, 272_474, 274_042, 40_813_184, "cifar_resnet20", "ResNet-CIFAR"),
    ("cifar_resnet20_C", CIFAR, 10, 283_962, 286_010, 42_648_192, "cifar_resnet20", "ResNet-CIFAR"),
    ("cifar_plain20", CIFAR, 10, 269_722, 271_098, 40_551_040, "cifar_resnet20", "ResNet-CIFAR"),
    ("cifar_resnet32", CIFAR, 10, 464_154, 466_426, 68_862_592, "cifar_resnet32", "ResNet-CIFAR"),
    ("cifar_resnet32_B", CIFAR, 10, 466_906, 469_370, 69_124_736, "cifar_resnet32", "ResNet-CIFAR"),
    ("cifar_resnet32_C", CIFAR, 10, 489_594, 492_986, 72_532_608, "cifar_resnet32", "ResNet-CIFAR"),
    ("cifar_plain32", CIFAR, 10, 464_154, 466_426, 68_862_592, "cifar_resnet32", "ResNet-CIFAR"),
    ("cifar_resnet44", CIFAR, 10, 658_586, 661_754, 97_174_144, "cifar_resnet44", "ResNet-CIFAR"),
    ("cifar_resnet44_B", CIFAR, 10, 661_338, 664_698, 97_436_288, "cifar_resnet44", "ResNet-CIFAR"),
    ("cifar_resnet44_C", CIFAR, 10, 695_226, 699_962, 102_417_024, "cifar_resnet44", "ResNet-CIFAR"),
    ("cifar_plain44", CIFAR, 10, 658_586, 661_754, 97_174_144, "cifar_resnet44", "ResNet-CIFAR"),
    ("cifar_resnet56", CIFAR, 10, 853_018, 857_082, 125_485_696, "cifar_resnet56", "ResNet-CIFAR"),
    ("cifar_resnet56_B", CIFAR, 10, 855_770, 860_026, 125_747_840, "cifar_resnet56", "ResNet-CIFAR"),
    ("cifar_resnet56_C", CIFAR, 10, 900_858, 906_938, 132_301_440, "cifar_resnet56", "ResNet-CIFAR"),
    ("cifar_plain56", CIFAR, 10, 853_018, 857_082, 125_485_696, "cifar_resnet56", "ResNet-CIFAR"),
    ("cifar_resnet110", CIFAR, 10, 1_727_962, 1_736_058, 252_887_680, "cifar_resnet110", "ResNet-CIFAR"),
    ("cifar_resnet110_B", CIFAR, 10, 1_730_714, 1_739_002, 253_149_824, "cifar_resnet110", "ResNet-CIFAR"),
    ("cifar_resnet110_C", CIFAR, 10, 1_826_202, 1_838_330, 266_781_312, "cifar_resnet110", "ResNet-CIFAR"),
    ("cifar_plain110", CIFAR, 10, 1_727_962, 1_736_058, 252_887_680, "cifar_resnet110", "ResNet-CIFAR"),
    ("cifar_resnet1202", CIFAR, 10, 19_421_274, 19_510_906, 2_829_238_912, "cifar_resnet1202", "ResNet-CIFAR"),
    ("cifar_preresnet110", CIFAR, 10, 1_727_962, 1_736_058, 252_887_680, "cifar_resnet110", "ResNet-v2-CIFAR"),
    ("cifar_preresnet164", CIFAR, 10, 1_703_258, 1_727_482, 244_500_992, "cifar_preresnet164", "ResNet-v2-CIFAR"),
    ("cifar_preresnet1001", CIFAR, 10, 10_327_706, 10_476_922, 1_487_849_984, "cifar_preresnet1001", "ResNet-v2-CIFAR"),
    ("cifar_preresnet164_c100", CIFAR, 100, 1_726_388, 1_750_612, 244_524_032, "cifar_preresnet164", "ResNet-v2-CIFAR"),
    ("cifar_preresnet1001_c100", CIFAR, 100, 10_350_836, 10_500_052, 1_487_873_024, "cifar_preresnet1001", "ResNet-v2-CIFAR"),
    ("resnext50_32x4d", IMAGENET, 1000, 25_028_904, 25_097_128, 4_230_479_872, "resnet50_v1_5", "ResNeXt"),
    ("resnext101_32x4d", IMAGENET, 1000, 44_177_704, 44_315_560, 7_969_996_800, "resnet101_v1_5", "ResNeXt"),
    ("resnext101_64x4d", IMAGENET, 1000, 83_455_272, 83_658_152, 15_460_270_080, "resnet101_v1_5", "ResNeXt"),
    ("densenet121", IMAGENET, 1000, 7_978_856, 8_062_504, 2_834_161_664, "densenet121", "DenseNet"),
    ("densenet161", IMAGENET, 1000, 28_681_000, 28_900_936, 7_727_907_072, "densenet161", "DenseNet"),
    ("densenet169", IMAGENET, 1000, 14_149_480, 14_307_880, 3_359_843_328, "densenet169", "DenseNet"),
    ("densenet201", IMAGENET, 1000, 20_013_928, 20_242_984, 4_291_365_888, "densenet201", "DenseNet"),
    ("densenet264", IMAGENET, 1000, 33_337_704, 33_736_232, 5_751_653_376, "densenet264", "DenseNet"),
    ("cifar_densenet_L40_k12", CIFAR, 10, 1_019_722, 1_037_818, 264_812_928, "cifar_densenet_L40_k12", "DenseNet-CIFAR"),
    ("cifar_densenet_L100_k12", CIFAR, 10, 6_979_642, 7_096_858, 1_769_516_448, "cifar_densenet_L100_k12", "DenseNet-CIFAR"),
    ("cifar_densenet_L100_k24", CIFAR, 10, 27_249_082, 27_480_346, 6_889_347_744, "cifar_densenet_L100_k24", "DenseNet-CIFAR"),
    ("cifar_densenet_bc_L100_k12", CIFAR, 10, 769_162, 793_150, 287_929_692, "cifar_densenet_bc_L100_k12", "DenseNet-CIFAR"),
    ("cifar_densenet_bc_L250_k24", CIFAR, 10, 15_324_406, 15_582_382, 5_418_785_724, "cifar_densenet_bc_L250_k24", "DenseNet-CIFAR"),
    ("cifar_densenet_bc_L190_k40", CIFAR, 10, 25_624_430, 25_881_390, 9_301_945_740, "cifar_densenet_bc_L190_k40", "DenseNet-CIFAR"),
    ("cifar_densenet_L40_k12_stem24", CIFAR, 10, 1_059_298, 1_078_018, 282_917_328, "cifar_densenet_L40_k12_stem24", "DenseNet-CIFAR"),
    ("cifar_densenet_L40_k12_c100", CIFAR, 100, 1_060_132, 1_078_228, 264_853_248, "cifar_densenet_L40_k12", "DenseNet-CIFAR"),
    ("cifar_densenet_L100_k12_c100", CIFAR, 100, 7_084_852, 7_202_068, 1_769_621_568, "cifar_densenet_L100_k12", "DenseNet-CIFAR"),
    ("cifar_densenet_L100_k24_c100", CIFAR, 100, 27_457_972, 27_689_236, 6_889_556_544, "cifar_densenet_L100_k24", "DenseNet-CIFAR"),
    ("cifar_densenet_bc_L100_k12_c100", CIFAR, 100, 800_032, 824_020, 287_960_472, "cifar_densenet_bc_L100_k12", "DenseNet-CIFAR"),
    ("cifar_densenet_bc_L250_k24_c100", CIFAR, 100, 15_480_556, 15_738_532, 5_418_941_784, "cifar_densenet_bc_L250_k24", "DenseNet-CIFAR"),
    ("cifar_densenet_bc_L190_k40_c100", CIFAR, 100, 25_821_620, 26_078_580, 9_302_142_840, "cifar_densenet_bc_L190_k40", "DenseNet-CIFAR"),
    ("se_resnet50", IMAGENET, 1000, 28_088_024, 28_141_144, 3_860_488_192, "resnet50", "SENet"),
    ("se_resnet101", IMAGENET, 1000, 49_326_872, 49_432_216, 7_574_937_600, "resnet101", "SENet"),
    ("se_resnet152", IMAGENET, 1000, 66_821_848, 66_973_272, 11_288_993_792, "resnet152", "SENet"),
    ("se_resnext50_32x4d", IMAGENET, 1000, 27_559_896, 27_628_120, 4_232_994_816, "resnet50_v1_5", "SENet"),
    ("se_resnext101_32x4d", IMAGENET, 1000, 48_955_416, 49_093_272, 7_974_739_968, "resnet101_v1_5", "SENet"),
    ("senet154", IMAGENET, 1000, 115_088_984, 115_336_536, 20_688_363_520, "senet154", "SENet"),
    ("se_bn_inception", IMAGENET, 1000, 11_931_622, 11_951_654, 2_033_239_424, "bn_inception", "SENet"),
    ("se_vgg16_bn", IMAGENET, 1000, 138_596_784, 138_605_232, 15_470_490_624, "vgg16", "SENet"),
    ("se_resnet50_r2", IMAGENET, 1000, 45_699_240, 45_752_360, 3_878_092_800, "resnet50", "SENet ablation"),
    ("se_resnet50_r4", IMAGENET, 1000, 35_635_688, 35_688_808, 3_868_033_024, "resnet50", "SENet ablation"),
    ("se_resnet50_r8", IMAGENET, 1000, 30_603_912, 30_657_032, 3_863_003_136, "resnet50", "SENet ablation"),
    ("se_resnet50_r16", IMAGENET, 1000, 28_088_024, 28_141_144, 3_860_488_192, "resnet50", "SENet ablation"),
    ("se_resnet50_r32", IMAGENET, 1000, 26_830_080, 26_883_200, 3_859_230_720, "resnet50", "SENet ablation"),
    ("se_resnet50_pre", IMAGENET, 1000, 27_562_140, 27_615_260, 3_859_964_416, "resnet50", "SENet ablation"),
    ("se_resnet50_post", IMAGENET, 1000, 28_088_024, 28_141_144, 3_860_488_192, "resnet50", "SENet ablation"),
    ("se_resnet50_identity", IMAGENET, 1000, 28_088_024, 28_141_144, 3_860_488_192, "resnet50", "SENet ablation"),
    ("se_resnet50_3x3", IMAGENET, 1000, 25_718_228, 25_771_348, 3_858_130_432, "resnet50", "SENet ablation"),
    ("se_resnet50_stage2_only", IMAGENET, 1000, 25_582_424, 25_635_544, 3_857_997_824, "resnet50", "SENet ablation"),
    ("se_resnet50_stage3_only", IMAGENET, 1000, 25_690_280, 25_743_400, 3_858_104_320, "resnet50", "SENet ablation"),
    ("se_resnet50_stage4_only", IMAGENET, 1000, 26_349_992, 26_403_112, 3_858_759_680, "resnet50", "SENet ablation"),
    ("se_resnet50_no_last_stage", IMAGENET, 1000, 26_508_632, 26_561_752, 3_858_915_328, "resnet50", "SENet ablation"),
    ("cifar_se_preresnet110", CIFAR, 10, 1_742_200, 1_750_296, 252_899_776, "cifar_resnet110", "SENet"),
    ("cifar_se_preresnet164", CIFAR, 10, 1_905_362, 1_929_586, 244_694_528, "cifar_preresnet164", "SENet"),
]  # fmt: skip
CONTRACTS = [Contract(*numbers, source=_SOURCES[family]) for *numbers, family in _ROWS]


@dataclass(frozen=True)
class Family:
    """A record that stands for its kind where behaviour is tested, with what only the family knows.

    Attributes:
        name: As registered.
        shape: Input that is small enough for a test.
        smallest: The smallest legal side in pixels.
        features: The layer in which the network without its top ends.
        odd: Odd height and width.
        fixed_size: Whether its top needs a fixed size.
    """

    name: str
    shape: tuple[int, int, int]
    smallest: int
    features: str
    odd: tuple[int, int] = (193, 225)
    fixed_size: bool = False


FAMILIES = [
    Family("lenet1", (28, 28, 1), 16, "H4", (29, 35), True),
    Family("lenet5_1998", (32, 32, 1), 32, "C5", (33, 39), True),
    Family("lenet5_modern", (32, 32, 1), 16, "pool2", (17, 29), True),
    Family("alexnet", (67, 67, 3), 67, "pool5", fixed_size=True),
    Family("vgg11_bn", (32, 32, 3), 32, "pool5", fixed_size=True),
    Family("googlenet", (64, 64, 3), 31, "inception5b"),
    Family("bn_inception", (64, 64, 3), 7, "inception5b"),
    Family("resnet18", (64, 64, 3), 1, "conv5_2"),
    Family("resnet50_v2", (64, 64, 3), 1, "post_relu"),
    Family("cifar_resnet20", (32, 32, 3), 1, "stage3_3", (33, 39)),
    Family("resnext50_32x4d", (64, 64, 3), 1, "conv5_3"),
    Family("densenet121", (64, 64, 3), 29, "post_relu"),
    Family("cifar_densenet_L40_k12", (32, 32, 3), 4, "post_relu", (33, 39)),
    Family("se_resnet50", (64, 64, 3), 3, "conv5_3"),
]
