"""Training speed against a bare PyTorch loop, and against a stock MONAI Label train task.

    python -m benchmarks.training [--quick] [--json FILE]

The three take turns, epoch by epoch, in one process: same images, network, optimizer, batch size. The bare loop works
on the same cached arrays and does nothing but what every training must do. The stock task is MONAI Label's
`BasicTrainTask` with what a classifier has to add to it, reading the same PNG files into its own memory cache, which is
the fastest of its options. `training_vs_bare` and `training_vs_stock` are medians of the paired ratios of images/s
(above 1: IMIL is faster); `processor_ratios` are the same in seconds of the processor, which other work on the machine
disturbs less. Beside them stands the time from PNG files on disk to the end of the last epoch.
"""

import argparse
import contextlib
import hashlib
import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ignite.engine import Events
from ignite.metrics import Accuracy
from monai.handlers import from_engine
from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped, LoadImaged, Resized, ScaleIntensityRanged
from monailabel.tasks.train.basic_train import BasicTrainTask
from torch import nn

from benchmarks.output import environment, write_json
from imil.cache import PixelCache
from imil.cases import Case, class_names, read_manifest
from imil.networks import create_network, normalisation
from imil.phantom import write_phantoms
from imil.settings import RunSettings, resolve
from imil.training.batches import TrainingData
from imil.training.engine import TrainingEngine

NAMES = ("imil", "bare", "stock")


class Seconds(NamedTuple):
    """On the wall's clock and on the processor's (all threads together)."""

    wall: float
    processor: float


class Clock:
    """Takes both times of what happens between `start` and `stop`, on a device that may lag behind."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def start(self) -> None:
        self._started = self._now()

    def stop(self) -> Seconds:
        now = self._now()
        return Seconds(now.wall - self._started.wall, now.processor - self._started.processor)

    def _now(self) -> Seconds:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return Seconds(time.perf_counter(), time.process_time())


def load(folder: Path, cases: Sequence[Case], size: int, cache: Path) -> TrainingData:
    """The training cases on cached pixels; decodes the images if ``cache`` doesn't hold them yet."""
    items = [(hashlib.sha256((folder / case.id).read_bytes()).hexdigest(), folder / case.id) for case in cases]
    pixels = PixelCache.open(cache, items, size)
    labels = [class_names(cases).index(case.label) for case in cases]
    return TrainingData(tuple(case.id for case in cases), pixels, np.arange(len(cases)), np.array(labels, np.int64))


class BareLoop:
    """The floor: shuffle, gather, normalise, forward, backward, step; the mean loss is looked at once an epoch."""

    def __init__(self, settings: RunSettings, data: TrainingData, device: torch.device) -> None:
        self.settings, self.data, self.device = settings, data, device
        self.mean, self.std = normalisation(settings.network, "")
        self.network = create_network(settings.network, 2).to(device).train()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=settings.lr)
        self.loss = nn.CrossEntropyLoss()

    def epoch(self) -> None:
        total = torch.zeros((), device=self.device)
        for chosen in np.array_split(np.random.default_rng().permutation(len(self.data)), self._batches()):
            images = torch.from_numpy(self.data.pixels[self.data.rows[chosen]]).to(self.device).float().div_(255)
            labels = torch.from_numpy(self.data.labels[chosen]).to(self.device)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(self.network(images.sub_(self.mean).div_(self.std).unsqueeze(1)), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        if not torch.isfinite(total):
            raise RuntimeError("the bare loop diverged")

    def _batches(self) -> int:
        return -(-len(self.data) // self.settings.batch_size)


class StockTask(BasicTrainTask):
    """MONAI Label's task with the least that makes it a classifier; its handlers and bookkeeping as they come."""

    def __init__(self, folder: Path, settings: RunSettings, after_epoch: Callable[[Seconds], None]) -> None:
        super().__init__(str(folder), "stock", amp=False)
        self.settings, self.after_epoch = settings, after_epoch

    def network(self, context: Any) -> nn.Module:
        return create_network(self.settings.network, 2)

    def optimizer(self, context: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(context.network.parameters(), lr=self.settings.lr)

    def loss_function(self, context: Any) -> nn.Module:
        return nn.CrossEntropyLoss()

    def train_pre_transforms(self, context: Any) -> Compose:
        mean, std = normalisation(self.settings.network, "")
        size = (self.settings.image_size, self.settings.image_size)
        return Compose(
            [
                LoadImaged("image"),
                EnsureChannelFirstd("image"),
                Resized("image", size),
                ScaleIntensityRanged("image", 0, 255, -mean / std, (1 - mean) / std),
                EnsureTyped("image"),
            ]
        )

    def train_post_transforms(self, context: Any) -> None:
        return None

    def train_key_metric(self, context: Any) -> dict[str, Any]:
        def stacked(output: Any) -> tuple[torch.Tensor, torch.Tensor]:
            predictions, labels = from_engine(["pred", "label"])(output)
            return torch.stack(list(predictions)), torch.stack([torch.as_tensor(label) for label in labels])

        return {"train_acc": Accuracy(output_transform=stacked)}

    def val_inferer(self, context: Any) -> None:
        return None

    def finalize(self, context: Any) -> None:
        super().finalize(context)
        clock = Clock(context.device)
        context.trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: clock.start())
        context.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: self.after_epoch(clock.stop()))


class Datalist:
    """What the task asks a datastore for."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        names = class_names(cases)
        self._items = [{"image": str(folder / case.id), "label": names.index(case.label)} for case in cases]

    def datalist(self) -> list[dict[str, Any]]:
        return self._items


def run_stock(folder: Path, models: Path, cases: Sequence[Case], settings: RunSettings, **hooks: Any) -> float:
    """Trains the stock task for ``settings.epochs``; returns seconds from files on disk to the end."""
    task = StockTask(models, settings, hooks.get("after_epoch", lambda seconds: None))
    request = {
        "max_epochs": settings.epochs,
        "train_batch_size": settings.batch_size,
        "val_split": 0.0,
        "dataset": "CacheDataset",
        "dataloader": "ThreadDataLoader",
        "device": hooks["device"].type,
        "multi_gpu": False,
        "pretrained": False,
        "tracking": "None",
    }
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        task(request, Datalist(folder, cases))
    return time.perf_counter() - started


def timed(work: Callable[[], Any], device: torch.device) -> Seconds:
    clock = Clock(device)
    clock.start()
    work()
    return clock.stop()


def take_turns(
    folder: Path, cases: Sequence[Case], settings: RunSettings, data: TrainingData
) -> dict[str, list[Seconds]]:
    """The times of each epoch by name; the first epoch, a warm-up, is left out."""
    engine = TrainingEngine(settings, class_names(cases), data)
    bare = BareLoop(settings, data, engine.device)
    seconds: dict[str, list[Seconds]] = {name: [] for name in NAMES}

    def others(stock: Seconds) -> None:
        def one_epoch() -> None:
            engine.fit(engine.epoch + 1)

        turns: list[tuple[str, Callable[[], None]]] = [("imil", one_epoch), ("bare", bare.epoch)]
        for name, work in turns if engine.epoch % 2 else reversed(turns):
            seconds[name].append(timed(work, engine.device))
        seconds["stock"].append(stock)

    run_stock(folder, folder / ".stock", cases, settings, device=engine.device, after_epoch=others)
    return {name: values[1:] for name, values in seconds.items()}


def from_disk(folder: Path, cases: Sequence[Case], settings: RunSettings) -> dict[str, float]:
    """Seconds from PNG files to the end of the last epoch: ours without and with a pixel cache, and the stock task."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def ours() -> None:
        data = load(folder, cases, settings.image_size, folder / ".cache")
        TrainingEngine(settings, class_names(cases), data).fit(settings.epochs)

    return {
        "imil_cold_cache": timed(ours, device).wall,
        "imil_warm_cache": timed(ours, device).wall,
        "stock": run_stock(folder, folder / ".stock-disk", cases, settings, device=device),
    }


def ratios(seconds: dict[str, list[Seconds]], clock: str) -> dict[str, float]:
    """Medians of the paired ratios of speed, ours to each peer's."""
    return {
        f"training_vs_{peer}": statistics.median(
            getattr(theirs, clock) / getattr(ours, clock)
            for ours, theirs in zip(seconds["imil"], seconds[peer], strict=True)
        )
        for peer in ("bare", "stock")
    }


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    count, size, rounds, epochs = (64, 96, 6, 2) if quick else (384, 224, 5, 2)
    images = folder / "images"
    write_phantoms(images, count + 20, test_share=20 / (count + 20), seed=0)
    cases = [case for case in read_manifest(images / "manifest.csv") if case.split != "test"]
    shared: dict[str, Any] = {"network": "resnet18", "image_size": size, "batch_size": 32, "imil_epochs": ()}
    disk = from_disk(images, cases, resolve(epochs=epochs, **shared))
    data = load(images, cases, size, images / ".cache")
    seconds = take_turns(images, cases, resolve(epochs=rounds + 1, **shared), data)
    return {
        "ratios": ratios(seconds, "wall"),
        "processor_ratios": ratios(seconds, "processor"),
        "images_per_second": {
            name: len(cases) / statistics.median(value.wall for value in values) for name, values in seconds.items()
        },
        "seconds_from_disk": disk,
        "images": len(cases),
        "epochs_from_disk": epochs,
        "rounds": rounds,
        "settings": shared,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        **environment(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller images")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), quick=arguments.quick)
    shared = figures["settings"]
    print(
        f"{figures['images']} images of {shared['image_size']} x {shared['image_size']}, {shared['network']}, in turns"
    )
    for name, speed in figures["images_per_second"].items():
        print(f"  {name:6} {speed:8.1f} images/s")
    print(f"From files on disk to the end of epoch {figures['epochs_from_disk']}")
    for name, seconds in figures["seconds_from_disk"].items():
        print(f"  {name:16} {seconds:8.2f} s")
    for name, ratio in figures["ratios"].items():
        print(f"  {name:20} {ratio:.3f}  (by processor time {figures['processor_ratios'][name]:.3f})")
    if arguments.json is not None:
        write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
