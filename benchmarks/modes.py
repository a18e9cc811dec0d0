"""What the feedback modes cost: a step of each against a step without feedback.

    python -m benchmarks.modes [--quick] [--json FILE]

All modes train the same network on the same images, with a simulated reader's cells on 20 of them, and take turns with
plain training, epoch by epoch, in one process. Modes that draw fed-back images more often have longer epochs, so what's
compared is the time of a step on average over an epoch. ``<mode>_vs_plain`` are medians of the paired ratios of seconds
a step (above 1: dearer than plain); ``worst_mode_vs_plain`` is the largest, ``rrr`` aside, whose second derivatives are
dear. What a mode learns once a round is told in seconds and in plain epochs. ``processor_ratios`` are the same in
seconds of the processor, which other work on the machine disturbs less.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.output import environment, write_json
from imil.casefeedback import CaseFeedback
from imil.grid import Grid
from imil.phantom import CLASSES, Phantoms, PhantomSettings, generate
from imil.settings import FEEDBACK, RunSettings
from imil.training.batches import TrainingData
from imil.training.engine import TrainingEngine

FED_BACK = 20
GRID = 4
WITHOUT_WORST = "rrr"


class Cost(NamedTuple):
    """Of one step, on average over an epoch: on the wall's clock and on the processor's (all threads together)."""

    wall: float
    processor: float


def training_data(phantoms: Phantoms) -> TrainingData:
    """The phantoms as the engine takes them."""
    count = len(phantoms.labels)
    pixels = np.round(phantoms.pixels * 255).astype(np.uint8)
    labels = np.array([CLASSES.index(label) for label in phantoms.labels], np.int64)
    return TrainingData(tuple(f"{number:05d}" for number in range(count)), pixels, np.arange(count), labels)


def answers(phantoms: Phantoms, data: TrainingData) -> dict[str, CaseFeedback]:
    """What a reader who knows the masks says about the first images of each class."""
    side = data.image_size
    grid = Grid.square(GRID, (side, side))
    found: dict[str, CaseFeedback] = {}
    for label in range(len(CLASSES)):
        for index in np.flatnonzero(data.labels == label)[: FED_BACK // len(CLASSES)].tolist():
            shares = {cell: grid.mask([cell]) == 1 for cell in range(GRID * GRID)}
            misleading = {cell for cell, inside in shares.items() if phantoms.marker_mask[index][inside].mean() > 0.02}
            target = phantoms.lesion[index] if label else phantoms.lung[index]
            cells = {cell for cell, inside in shares.items() if target[inside].mean() > 0.1} - misleading
            case_id = data.ids[index]
            chosen = tuple(sorted(cells)) or (5,)
            found[case_id] = CaseFeedback(case_id, "grid", GRID, chosen, tuple(sorted(misleading - set(chosen))))
    return found


def one_epoch(engine: TrainingEngine) -> Cost:
    """Train one epoch further."""
    steps = 0

    def count(*_: Any) -> None:
        nonlocal steps
        steps += 1

    handle = engine.optimizer.register_step_post_hook(count)
    wall, processor = time.perf_counter(), time.process_time()
    engine.fit(engine.epoch + 1)
    if engine.device.type == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    handle.remove()
    return Cost(wall / steps, processor / steps)


def take_turns(
    settings: RunSettings, data: TrainingData, feedback: Mapping[str, CaseFeedback], epochs: int
) -> tuple[dict[str, list[Cost]], dict[str, float]]:
    """The costs of a step by mode, ``plain`` right before each mode under ``<mode>/plain``; seconds of learning."""
    plain = TrainingEngine(settings, CLASSES, data)
    plain.fit(1)  # a warm-up
    costs: dict[str, list[Cost]] = {}
    learning: dict[str, float] = {}
    for name in FEEDBACK:
        engine = TrainingEngine(settings.model_copy(update={"feedback": name}), CLASSES, data)
        engine.fit(1)
        started = time.perf_counter()
        insight = engine.learn(feedback)
        if insight is not None:
            learning[name] = time.perf_counter() - started
        engine.set_feedback(feedback, 1, insight)
        pairs = [(one_epoch(plain), one_epoch(engine)) for _ in range(epochs)]
        costs[f"{name}/plain"], costs[name] = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return costs, learning


def ratios(costs: Mapping[str, list[Cost]], clock: str) -> dict[str, float]:
    """Medians of the paired ratios of seconds a step, each mode's to those of plain training beside it."""
    found = {
        f"{name}_vs_plain": statistics.median(
            getattr(mode, clock) / getattr(plain, clock)
            for mode, plain in zip(costs[name], costs[f"{name}/plain"], strict=True)
        )
        for name in FEEDBACK
    }
    found["worst_mode_vs_plain"] = max(value for name, value in found.items() if not name.startswith(WITHOUT_WORST))
    return found


def measure(*, quick: bool) -> dict[str, Any]:
    size, count, epochs, network = (64, 530, 3, "imil_resnet8") if quick else (224, 256, 3, "resnet18")
    phantoms = generate(count, 0, PhantomSettings(size=size, shortcut=0.95))
    data = training_data(phantoms)
    total = 2 + len(FEEDBACK) * epochs
    settings = RunSettings(
        network=network, image_size=size, batch_size=32, epochs=total, imil_epochs=(1,), insight="go_on"
    )
    costs, learning = take_turns(settings, data, answers(phantoms, data), epochs)
    plain = statistics.median(cost.wall for name, values in costs.items() if name.endswith("/plain") for cost in values)
    epoch = plain * -(-count // settings.batch_size)
    return {
        "ratios": ratios(costs, "wall"),
        "processor_ratios": ratios(costs, "processor"),
        "learning_seconds": learning,
        "learning_in_plain_epochs": {name: seconds / epoch for name, seconds in learning.items()},
        "plain_seconds_a_step": plain,
        "images": count,
        "image_size": size,
        "network": network,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        **environment(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small network and small images")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    figures = measure(quick=arguments.quick)
    print(
        f"{figures['images']} images of {figures['image_size']} x {figures['image_size']}, {figures['network']}: "
        f"{1000 * figures['plain_seconds_a_step']:.1f} ms a plain step"
    )
    for name, ratio in figures["ratios"].items():
        print(f"  {name:34} {ratio:.3f}  (by processor time {figures['processor_ratios'][name]:.3f})")
    for name, seconds in figures["learning_seconds"].items():
        epochs = figures["learning_in_plain_epochs"][name]
        print(f"  learning, once a round: {name:24} {seconds:6.1f} s, or {epochs:.1f} plain epochs")
    if arguments.json is not None:
        write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
