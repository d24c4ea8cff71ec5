"""The convolutions of a ResNet-50, with torchvision's parameter names."""

from jaxtyping import Float
from torch import Tensor, nn

EXPANSION = 4
BLOCKS_PER_LAYER = (3, 4, 6, 3)
NUM_CLASSES = 1000  # of ImageNet: the classifier is kept for its name and never called


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 convolutions around a shortcut (He et al. 2015; the stride as in v1.5).

    Args:
        num_inputs: channels that come in.
        width: channels of the middle convolution; four times as many go out.
        stride: of the middle convolution and the shortcut.
    """

    def __init__(self, num_inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        num_outputs = EXPANSION * width
        self.conv1 = nn.Conv2d(num_inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, num_outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(num_outputs)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or num_inputs != num_outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(num_inputs, num_outputs, 1, stride, bias=False), nn.BatchNorm2d(num_outputs)
            )

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 H2 W2"]:
        """Adds the three convolutions to the shortcut."""
        shortcut = maps if self.downsample is None else self.downsample(maps)
        inner = self.relu(self.bn1(self.conv1(maps)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        return self.relu(self.bn3(self.conv3(inner)) + shortcut)


class ResNet50Maps(nn.Module):
    """A ResNet-50 up to its last feature maps, for any number of input channels.

    Args:
        num_inputs: channels of the picture.
        width: channels after the first convolution, 64 in ResNet-50; small in tests.
    """

    def __init__(self, num_inputs: int, *, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_inputs, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [width * 2**number for number in range(len(BLOCKS_PER_LAYER))]
        self.layer1 = _layer(width, widths[0], num_blocks=BLOCKS_PER_LAYER[0], stride=1)
        self.layer2 = _layer(EXPANSION * widths[0], widths[1], num_blocks=BLOCKS_PER_LAYER[1], stride=2)
        self.layer3 = _layer(EXPANSION * widths[1], widths[2], num_blocks=BLOCKS_PER_LAYER[2], stride=2)
        self.layer4 = _layer(EXPANSION * widths[2], widths[3], num_blocks=BLOCKS_PER_LAYER[3], stride=2)
        self.num_outputs = EXPANSION * widths[3]
        self.fc = nn.Linear(self.num_outputs, NUM_CLASSES).requires_grad_(False)

    def forward(self, pictures: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 H2 W2"]:
        """Feature maps at a thirty-second of the resolution."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(pictures))))
        return self.layer4(self.layer3(self.layer2(self.layer1(maps))))


def _layer(num_inputs: int, width: int, *, num_blocks: int, stride: int) -> nn.Sequential:
    """Bottlenecks of one resolution; the first one changes it."""
    first = Bottleneck(num_inputs, width, stride=stride)
    others = [Bottleneck(EXPANSION * width, width, stride=1) for _ in range(num_blocks - 1)]
    return nn.Sequential(first, *others)
