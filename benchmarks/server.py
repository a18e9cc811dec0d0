"""Next case and submission over HTTP at 1,000 images, beside stock MONAI Label on the same calls.

    python -m benchmarks.server [--quick] [--json FILE]

Two real servers on loopback, each with 1,000 images: IMIL with a queue in its store, and MONAI Label's own
`LocalDatastore` with its strategy `random`. MONAI Label's client asks each in turn for the next image and sends a mask
back; `next_vs_stock` and `submit_vs_stock` are the ratios of the medians (below 1 is faster than stock).
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import requests
from monailabel.client import MONAILabelClient
from PIL import Image
from rich.progress import track

from benchmarks.output import environment, write_json
from imil import images
from imil.grid import Grid
from imil.serve import free_port, server_command
from imil.settings import resolve
from imil.store import QueuedCase
from imil.study import Study, create_study

IMAGES, SIZE = 1000, 256
START_SECONDS = 180.0
WANTED_MILLISECONDS = 20.0
STOCK_APP = "from monailabel.interfaces.app import MONAILabelApp\n\n\nclass StockApp(MONAILabelApp):\n    pass\n"
CALLS = ("next", "submit", "info", "heat map", "stock next", "stock submit", "stock info")


def make_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        path = folder / ("normal", "tb")[number % 2] / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE), np.uint8)).save(path, compress_level=1)


def make_study(folder: Path, queued: int) -> Study:
    """A study whose first round awaits review: training isn't what is measured here."""
    make_images(folder)
    study = create_study(folder, "folders")
    rng = np.random.default_rng(1)
    settings = resolve("quick", num_outliers=queued)
    run = study.store.create_run(settings.model_dump(mode="json"), study.classes)
    names = [case.id for case in study.cases if case.split == "train"][:queued]
    queue = [
        QueuedCase(
            case_id=name,
            label=study.case(name).label,
            prediction="tb" if study.case(name).label == "normal" else "normal",
            confidence=0.9,
            probabilities=(0.1, 0.9),
            reason="misprediction",
            heatmap=rng.random((settings.image_size, settings.image_size), np.float32),
            method="gradcam",
            layer="features",
        )
        for name in names
    ]
    study.store.open_round(run.id, 1, "0" * 64, queue)
    return study


@contextlib.contextmanager
def serving(command: list[str], port: int, log: Path) -> Iterator[str]:
    """A server process; the address, once it answers."""
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} doesn't answer:\n{log.read_text()[-2000:]}")
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{url}/info/", timeout=60).ok:
                    break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, by its name."""
    study = make_study(folder / "study", rounds + 1)
    make_images(folder / "stock")
    for path in (folder / "stock").rglob("*.png"):  # stock datastores are flat
        path.rename(folder / "stock" / path.name)
    (folder / "app").mkdir()
    (folder / "app" / "main.py").write_text(STOCK_APP)
    mask = folder / "mask.nii.gz"
    images.write_mask(mask, Grid.square(4, (SIZE, SIZE)).mask([5, 6]), study.image_path(study.cases[0].id))
    ports = [free_port("127.0.0.1", 0) for _ in range(2)]
    stock_command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(folder / "app")]
    stock_command += ["--studies", str(folder / "stock"), "--host", "127.0.0.1", "--port", str(ports[1])]
    with (
        serving(server_command(study.folder, port=ports[0]), ports[0], folder / "imil.log") as url,
        serving(stock_command, ports[1], folder / "stock.log") as stock_url,
    ):
        ours, stock = (MONAILabelClient(address, str(folder), "bench") for address in (url, stock_url))
        times: dict[str, list[float]] = {name: [] for name in CALLS}
        for number in track(range(rounds + 1), "Asking both servers", disable=not sys.stdout.isatty()):
            took = one_round(ours, stock, mask)
            if number > 0:  # the first calls load what the servers load lazily
                for name, milliseconds in took.items():
                    times[name].append(milliseconds)
        return times


def one_round(ours: Any, stock: Any, mask: Path) -> dict[str, float]:
    took: dict[str, float] = {}

    def timed(name: str, call: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        reply = call(*arguments)
        took[name] = 1000 * (time.perf_counter() - started)
        return reply

    case = timed("next", ours.next_sample, "imil_outlier", {})
    answer = {"run": case["run"], "round": case["round"], "cells": [5, 6], "key": str(uuid.uuid4())}
    Path(timed("heat map", ours.download_label, case["id"], "cam")).unlink()
    timed("submit", ours.save_label, case["id"], str(mask), "imil", answer)
    timed("info", ours.info)
    image = timed("stock next", stock.next_sample, "random", {})
    timed("stock submit", stock.save_label, image["id"], str(mask), "final", {})
    timed("stock info", stock.info)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    rounds = 40 if arguments.quick else 200
    with tempfile.TemporaryDirectory() as folder:
        times = measure(Path(folder), rounds)
    p95 = {name: float(np.percentile(values, 95)) for name, values in times.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {f"{call}_vs_stock": medians[call] / medians[f"stock {call}"] for call in ("next", "submit")}
    print(f"{IMAGES} images of {SIZE} x {SIZE}, {rounds} calls each; load average {os.getloadavg()[0]:.1f}")
    print(f"  {'':14}{'median':>8}{'p95':>8}   ms")
    for name in CALLS:
        goal = f"   (wanted: p95 at most {WANTED_MILLISECONDS:g})" if name in ("next", "submit") else ""
        print(f"  {name:14}{medians[name]:8.1f}{p95[name]:8.1f}{goal}")
    for name, value in ratios.items():
        print(f"  {name:16}{value:6.3f}")
    if arguments.json:
        milliseconds = {"median": medians, "p95": p95}
        write_json(arguments.json, {"ratios": ratios, "milliseconds": milliseconds, **environment()})


if __name__ == "__main__":
    main()
