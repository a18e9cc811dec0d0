"""`imil_resnet8`: a small residual network for studies of many trainings on a CPU."""

from torch import Tensor, nn
from torch.nn import functional

from imil.networks.registry import register_network

_WIDTH = 16


class SmallResNet(nn.Module):
    """A residual network (He et al. 2016) of eight layers: a convolution, three basic blocks, and a linear layer.

    Batch normalisation makes it learn anew within a few epochs, which `imil_small` with its group normalisation doesn't
    on some hundred images. About 75,000 parameters. The last map is an eighth of the input along each side.

    Input: float tensor (batch, in_chans, rows, cols). Output: logits (batch, num_classes).
    """

    def __init__(self, num_classes: int, in_chans: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(in_chans, _WIDTH, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(_WIDTH), nn.ReLU()
            ),
            _Block(_WIDTH, _WIDTH, 1),
            _Block(_WIDTH, 2 * _WIDTH, 2),
            _Block(2 * _WIDTH, 4 * _WIDTH, 2),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4 * _WIDTH, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.head(self.pool(self.features(images)).flatten(1))
        return logits


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, images: Tensor) -> Tensor:
        maps = functional.relu(self.first_norm(self.first(images)))
        return functional.relu(self.second_norm(self.second(maps)) + self.shortcut(images))


@register_network("imil_resnet8")
def imil_resnet8(num_classes: int, in_chans: int) -> nn.Module:
    """A `SmallResNet` with random weights."""
    return SmallResNet(num_classes, in_chans)
