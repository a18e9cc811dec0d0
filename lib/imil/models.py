"""Trained models, loaded from a run's checkpoint to predict and explain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imil.errors import BadInput
from imil.explain import HeatMaps, heat_maps
from imil.networks import create_network, normalisation
from imil.settings import RunSettings
from imil.training import checkpoints
from imil.training.optimisation import choose_device


@dataclass(frozen=True)
class Model:
    """A classifier as it was at the end of some epoch. Its methods take uint8 pixels (N, S, S) of its image size."""

    network: nn.Module
    classes: list[str]
    settings: RunSettings
    epoch: int
    sha256: str
    device: torch.device
    mean: float
    std: float

    def predict(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Class probabilities, float32 (N, classes)."""
        size = self.settings.batch_size
        with torch.inference_mode():
            parts = [
                torch.softmax(self.network(self._images(pixels[start : start + size])).float(), dim=1).cpu()
                for start in range(0, len(pixels), size)
            ]
        return torch.cat(parts).numpy()

    def heat_maps(
        self,
        pixels: npt.NDArray[np.uint8],
        classes: Sequence[int] | npt.NDArray[np.int64] | None = None,
        *,
        method: str = "",
        layer: str = "",
    ) -> HeatMaps:
        """Heat maps, float32 (N, S, S) in [0, 1]; of the predicted class where none is given."""
        return heat_maps(
            self.network,
            self._images(pixels),
            None if classes is None else torch.as_tensor(np.asarray(classes, np.int64)),
            method=method or self.settings.heatmap,
            layer=layer or self.settings.target_layer,
        )

    def _images(self, pixels: npt.NDArray[np.uint8]) -> Tensor:
        size = self.settings.image_size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size):
            raise BadInput(
                f"The pixels are {pixels.dtype} {pixels.shape}; needed is uint8 of shape (N, {size}, {size})."
            )
        scaled = torch.from_numpy(np.array(pixels)).to(self.device).to(torch.float32).div_(255.0)
        return scaled.unsqueeze_(1).sub_(self.mean).div_(self.std)


def load_model(path: Path, device: str = "auto") -> Model:
    """The model of a checkpoint, in evaluation mode.

    Raises:
        NotFound: if there is no such file.
        BadInput: if it's damaged or isn't a checkpoint of this version.
    """
    state = checkpoints.load(path)
    try:
        settings, classes = RunSettings(**state["settings"]), list(state["classes"])
        network = create_network(settings.network, len(classes), image_size=settings.image_size)
        network.load_state_dict(state["network"])
        epoch = int(state["epoch"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"The checkpoint {path} doesn't fit this version of IMIL: {str(error).splitlines()[0]}."
        ) from error
    chosen = choose_device(device)
    mean, std = normalisation(settings.network, settings.pretrained)
    sha256 = checkpoints.weights_sha256(state["network"])
    return Model(network.to(chosen).eval(), classes, settings, epoch, sha256, chosen, mean, std)
