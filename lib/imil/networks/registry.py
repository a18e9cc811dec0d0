"""Which network a name means, and how its input is normalised.

timm is imported only when one of its names is asked for: the import takes seconds.
"""

import difflib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from imil.errors import BadInput, NotFound
from imil.networks.modes import evaluation_mode
from imil.networks.weights import hub_offline_when_unreachable, load_local

NetworkFactory = Callable[[int, int], nn.Module]
"""Makes a network with random weights from ``(num_classes, in_chans)``."""

GREY_NORMALISATION = (0.5, 0.25)
"""Mean and standard deviation taken off pixels in [0, 1] when the weights come with no statistics of their own."""

TIMM = "timm"

_OWN: dict[str, NetworkFactory] = {}


def register_network(name: str) -> Callable[[NetworkFactory], NetworkFactory]:
    """Decorator that adds a network to the registry, where it comes before a timm network of the same name.

    Raises:
        ValueError: another network has the name already.
    """

    def register(factory: NetworkFactory) -> NetworkFactory:
        if name in _OWN and _OWN[name] is not factory:
            raise ValueError(f"a network named {name!r} is registered already")
        _OWN[name] = factory
        return factory

    return register


def network_names() -> list[str]:
    """Names in IMIL's own registry, sorted. Any classifier of timm works by its name too, e.g. ``resnet50``."""
    return sorted(_OWN)


def create_network(
    name: str, num_classes: int, *, pretrained: str = "", in_chans: int = 1, image_size: int | None = None
) -> nn.Module:
    """A classifier that maps float images (B, in_chans, S, S) to logits (B, num_classes).

    Args:
        name: a name in IMIL's registry, or a timm model such as ``resnet50`` or ``resnet50.a1_in1k``.
        num_classes: number of classes, at least 2.
        pretrained: ``""`` for random weights, ``"timm"`` for timm's own download, else a local file (safetensors, or
            torch loaded with ``weights_only=True``). A classifier head with another number of classes starts anew and
            the first convolution is converted to `in_chans`.
        in_chans: channels of the images, 1 for grey ones.
        image_size: side of the images in pixels. Networks that are built for one size (vision transformers and their
            kin) are built for this one, and a blank image is tried; ``None`` builds those for the size timm gives them.

    Raises:
        NotFound: no network has the name; the sentence names near ones.
        BadInput: a number out of range, weights that can't be had or don't fit, a size the network can't be built for.
    """
    if num_classes < 2:
        raise BadInput(f"A classifier can't have {num_classes} classes; it needs at least 2.")
    if in_chans < 1:
        raise BadInput(f"A network can't have {in_chans} input channels; it needs at least 1 (1 for grey images).")
    if name in _OWN:
        if pretrained == TIMM:
            raise BadInput(
                f"timm has no weights for {name!r}, which is IMIL's own; leave pretrained empty or name a local file."
            )
        network = _OWN[name](num_classes, in_chans)
    else:
        network = _create_timm(name, num_classes, in_chans, image_size, download=pretrained == TIMM)
    if pretrained not in ("", TIMM):
        load_local(network, Path(pretrained), network_name=name)
    if image_size is not None:
        _check_takes(network, name, in_chans, image_size)
    return network


def normalisation(name: str, pretrained: str) -> tuple[float, float]:
    """Mean and standard deviation for pixels in [0, 1], so that the network sees ``(pixel - mean) / std``.

    Weights that timm downloads expect the statistics they were trained with; those are averaged over the colour
    channels, because the images here have one. Everything else uses `GREY_NORMALISATION`.

    Raises:
        NotFound: `pretrained` is ``"timm"`` and timm has no such network.
    """
    if pretrained != TIMM or name in _OWN:
        return GREY_NORMALISATION
    config = _timm_config(name)
    return sum(config.mean) / len(config.mean), sum(config.std) / len(config.std)


def _create_timm(name: str, num_classes: int, in_chans: int, image_size: int | None, *, download: bool) -> nn.Module:
    config = _timm_config(name)
    import timm

    if download and not config.has_weights:
        raise BadInput(f"timm has no weights for {name!r}; leave pretrained empty or name a local file.")
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans}
    built_for = config.input_size[-1]
    if image_size is not None and config.fixed_input_size and image_size != built_for:
        options["img_size"] = image_size
    if download:
        return _download(name, options)
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, **options)
        return network
    except (TypeError, AssertionError, ValueError) as error:
        if "img_size" not in options:
            raise
        raise BadInput(
            f"The network {name!r} can't be built for images of {image_size} x {image_size} pixels ({_short(error)}); "
            f"set image_size to {built_for} or choose a convolutional network."
        ) from error


def _download(name: str, options: dict[str, Any]) -> nn.Module:
    import timm

    with hub_offline_when_unreachable() as hub:
        try:
            network: nn.Module = timm.create_model(name, pretrained=True, **options)
            return network
        except Exception as error:  # timm, the hub's client and the file readers each raise kinds of their own
            reason = f"{hub.address} can't be reached" if hub.offline else _short(error)
            raise BadInput(
                f"timm couldn't get the weights of {name!r} ({reason}); check the network connection, leave pretrained "
                "empty, or name a local file."
            ) from error


def _check_takes(network: nn.Module, name: str, in_chans: int, image_size: int) -> None:
    """Run one blank image through the network, so that a size it can't take is told before training starts."""
    try:
        with evaluation_mode(network), torch.no_grad():
            network(torch.zeros(1, in_chans, image_size, image_size))
    except Exception as error:
        raise BadInput(
            f"The network {name!r} can't take images of {image_size} x {image_size} pixels ({_short(error)}); choose "
            "another image_size (224 suits most networks) or another network."
        ) from error


def _timm_config(name: str) -> Any:
    """The `PretrainedCfg` timm has for the name, with or without a tag after a dot."""
    import timm

    if not _plain(name) or not timm.is_model(name):
        raise NotFound(_unknown(name, timm.list_models()))
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:
        tagged = timm.list_models(f"{name.split('.')[0]}*", pretrained=True)
        raise NotFound(_unknown(name, tagged)) from None
    # A name that timm has since renamed has no configuration of its own; the network it makes has.
    return config if config is not None else _renamed_config(name)


def _renamed_config(name: str) -> Any:
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # timm's note on the new name, which is what is wanted here
        network = timm.create_model(name, pretrained=False)
    found = timm.get_pretrained_cfg(network.pretrained_cfg.get("architecture") or name)
    return found if found is not None else timm.models.PretrainedCfg()


def _plain(name: str) -> bool:
    """Whether this is a model name, and not one of the prefixes by which timm fetches foreign code or files."""
    return bool(name) and ":" not in name and "/" not in name


def _unknown(name: str, timm_names: list[str]) -> str:
    near = difflib.get_close_matches(name, [*network_names(), *timm_names], n=4, cutoff=0.5)
    hint = f"near names are {', '.join(near)}" if near else f"IMIL's own are {', '.join(network_names())}"
    return f"There is no network {name!r}; {hint}, and every classifier of timm works by its name (e.g. resnet50)."


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(". ") if lines else type(error).__name__
