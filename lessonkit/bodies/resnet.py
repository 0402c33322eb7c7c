"""Residual networks with the names that torchvision gives their parts (He and others, 2016).

arXiv:1512.03385. `conv1`, `bn1`, `layer1` to `layer4`, `fc`: whoever knows a ResNet-18 finds the
same places here. There is no pooling after `conv1`, for the images are small.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions, and a way past them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            way = nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = nn.Sequential(way, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """`(n, before, h, w)` to `(n, after, h / stride, w / stride)`."""
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.downsample(x))


class ResNet(nn.Module):
    """A residual network for images `(n, channels, h, w)`; gives `(n, classes)`.

    `ResNet()` is thin, with one block a layer. `ResNet(64, blocks=2, channels=3, stem=7)` has the
    parameters of ResNet-18.
    """

    def __init__(
        self,
        width: int = 16,
        *,
        blocks: int = 1,
        channels: int = 1,
        stem: int = 3,
        classes: int = 10,
    ) -> None:
        """A network of random weights; `stem` is the size of the first convolution's kernel."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, stem, 2, stem // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _layer(width, width, blocks, 1)
        self.layer2 = _layer(width, 2 * width, blocks, 2)
        self.layer3 = _layer(2 * width, 4 * width, blocks, 2)
        self.layer4 = _layer(4 * width, 8 * width, blocks, 2)
        self.fc = nn.Linear(8 * width, classes)

    def maps(self, x: Tensor) -> Tensor:
        """What `layer4` gives, before it is averaged over places: `(n, 8 width, h, w)`."""
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.fc(self.maps(x).mean((2, 3)))  # type: ignore[no-any-return]


def _layer(before: int, after: int, blocks: int, stride: int) -> nn.Sequential:
    first = Block(before, after, stride)
    return nn.Sequential(first, *(Block(after, after, 1) for _ in range(blocks - 1)))
