"""Phantom radiographs a second, beside one process that draws the same pictures one after another.

    python -m benchmarks.phantom [--quick] [--json FILE]

`phantom_vs_one_process` is how much faster `imil.phantom.generate` is than a plain loop. Writing the files is counted
separately, because most of that is PNG compression.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.output import environment, write_json
from imil.phantom import PhantomSettings, generate, write_phantoms

SETTINGS = PhantomSettings(size=256, shortcut=0.9)


def together(count: int) -> float:
    started = time.perf_counter()
    generate(count, 1, SETTINGS)
    return count / (time.perf_counter() - started)


def one_by_one(count: int) -> float:
    started = time.perf_counter()
    for number in range(count):
        generate(1, 1, SETTINGS, start=number)
    return count / (time.perf_counter() - started)


def written(count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_phantoms(Path(folder) / "phantoms", count, settings=SETTINGS)
        return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pictures")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    count = 200 if arguments.quick else 800
    together(40), one_by_one(4)
    pairs = [(together(count), one_by_one(count // 4)) for _ in range(5)]
    ratio = statistics.median(ours / peer for ours, peer in pairs)
    drawn, alone = (statistics.median(values) for values in zip(*pairs, strict=True))
    files = written(count)
    print(f"{count} phantoms of 256 x 256; median of {len(pairs)}")
    print(f"  drawn                   {drawn:7.0f} a second   (wanted: at least 200)")
    print(f"  drawn by one process    {alone:7.0f} a second")
    print(f"  drawn and written       {files:7.0f} a second")
    if arguments.json:
        figures = {"drawn": drawn, "one_process": alone, "written": files}
        write_json(
            arguments.json,
            {"ratios": {"phantom_vs_one_process": ratio}, "images_per_second": figures, **environment()},
        )


if __name__ == "__main__":
    main()
