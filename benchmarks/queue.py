"""Queue building against its floor: a bare forward pass over the training set, a forward and backward over the queue.

    python -m benchmarks.queue [--quick] [--json FILE]

Ours predicts the training set, picks the cases, computes the heat maps, and stores queue and maps in a real database.
The two take turns in one process, on the same arrays, network and batch size; `queue_vs_bare` is the median of the
paired ratios of their times (below 1 is faster than the floor).
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.output import environment, write_json
from imil.queueing import build_queue
from imil.settings import resolve
from imil.store import Store
from imil.training.batches import TrainingData
from imil.training.engine import TrainingEngine

CLASSES = ["normal", "tb"]


def make_engine(cases: int, size: int, network: str) -> TrainingEngine:
    """An untrained engine over random images: the time doesn't depend on what the network has learnt."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (cases, size, size), np.uint8)
    labels = rng.integers(0, 2, cases)
    ids = tuple(f"{number:05}.png" for number in range(cases))
    settings = resolve(network=network, image_size=size, num_outliers=20, fill="least_confident")
    return TrainingEngine(settings, CLASSES, TrainingData(ids, pixels, np.arange(cases), labels))


def ours(engine: TrainingEngine, store: Store) -> float:
    run = store.create_run(engine.settings.model_dump(mode="json"), CLASSES)
    started = time.perf_counter()
    queue = build_queue(engine)
    store.open_round(run.id, 1, engine.weights_sha256(), queue.cases, queue.message)
    return time.perf_counter() - started


def bare(engine: TrainingEngine) -> float:
    """What any implementation must do: no selection, no maps, no store."""
    data, batch, network = engine.train, engine.settings.batch_size, engine.network
    started = time.perf_counter()
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(data), batch):
            network(_images(data.pixels[start : start + batch]))
    logits = network(_images(data.pixels[: engine.settings.num_outliers]).requires_grad_())
    logits.max(dim=1).values.sum().backward()
    elapsed = time.perf_counter() - started
    network.zero_grad(set_to_none=True)
    return elapsed


def _images(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).to(torch.float32).div_(255).unsqueeze(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller images")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    cases, size, network, repeats = (192, 96, "resnet18", 5) if arguments.quick else (530, 224, "resnet18", 7)
    engine = make_engine(cases, size, network)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.for_study(Path(folder))
        ours(engine, store), bare(engine)
        pairs = [(ours(engine, store), bare(engine)) for _ in range(repeats)]
        store.close()
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{cases} images of {size} x {size}, {network}, 20 queued; median of {repeats} pairs")
    print(f"  IMIL            {statistics.median(a for a, _ in pairs):8.3f} s")
    print(f"  bare            {statistics.median(b for _, b in pairs):8.3f} s")
    print(f"  queue_vs_bare   {ratio:8.3f}   (wanted: at most 1.05)")
    if arguments.json:
        seconds = {"imil": [a for a, _ in pairs], "bare": [b for _, b in pairs]}
        write_json(arguments.json, {"ratios": {"queue_vs_bare": ratio}, "seconds": seconds, **environment()})


if __name__ == "__main__":
    main()
