"""`imil_small`: a small network for demonstrations and tests on a CPU."""

from torch import Tensor, nn

from imil.networks.registry import register_network

_CHANNELS = (16, 32, 64, 96, 128)
_STRIDES = (2, 2, 2, 2, 1)
_GROUPS = 8


class SmallNetwork(nn.Module):
    """Five stages of 3 x 3 convolution, group normalisation and ReLU, then global average pooling and a linear layer.

    Group normalisation (Wu and He, 2018; groups of at least two channels) treats an image alike in training and in
    prediction. With batch normalisation and the few small batches of a demonstration, the running statistics lag
    behind the weights, and whole epochs are predicted as one class.

    About 190,000 parameters. The last map is a sixteenth of the input along each side, so 6 x 6 for 96 x 96 pixels.

    Input: float tensor (batch, in_chans, rows, cols). Output: logits (batch, num_classes).
    """

    def __init__(self, num_classes: int, in_chans: int = 1) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = in_chans
        for width, stride in zip(_CHANNELS, _STRIDES, strict=True):
            stages.append(_stage(channels, width, stride))
            channels = width
        self.features = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, num_classes)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.head(self.pool(self.features(images)).flatten(1))
        return logits


def _stage(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.GroupNorm(_GROUPS, out_channels), nn.ReLU(inplace=True))


@register_network("imil_small")
def imil_small(num_classes: int, in_chans: int) -> nn.Module:
    """A `SmallNetwork` with random weights."""
    return SmallNetwork(num_classes, in_chans)
