"""How long it takes from the call to continue to the first batch, and where that time goes.

    python -m benchmarks.startup [--quick] [--json FILE]

A study of phantoms is trained to its round and answered. Then a fresh process does what the server's training process
does: it imports MONAI Label and the app, opens the study, plans, loads the checkpoint and trains. The peer is the same
process stopped after `import monai`, which every MONAI Label training pays: `imports_vs_monai` is the ratio of the two
import times, `start_vs_monai` that of what comes between our imports and the first batch.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from benchmarks.output import environment, write_json
from imil.phantom import PhantomSettings, write_phantoms
from imil.rounds import Rounds, StartRequest
from imil.settings import resolve
from imil.store import Action, Answer
from imil.study import Study, create_study

CHILD = """
import json, os, sys, time
began = time.perf_counter()
import monailabel.interfaces.app
import monailabel_app.trainers
from imil.rounds import Rounds, StartRequest
from imil.runs import advance
from imil.settings import RunSettings
from imil.study import Study
if not sys.argv[2].startswith("imil_"):
    import timm
imported = time.perf_counter()

def report(progress):
    if progress.phase == "training":
        print(json.dumps({"imports": imported - began, "first_batch": time.perf_counter() - imported}), flush=True)
        os._exit(0)

study = Study.open(sys.argv[1])
advance(study, Rounds(study).plan(StartRequest()), report)
"""
PEER = "import time; began = time.perf_counter(); import monai; print(time.perf_counter() - began)"


def make_study(folder: Path, network: str, size: int, count: int) -> Study:
    """A study whose first round is answered, so that the next call continues it."""
    from imil.runs import advance

    write_phantoms(folder, count, settings=PhantomSettings(size=128))
    study = create_study(folder, "csv")
    settings = resolve(
        network=network, image_size=size, epochs=3, imil_epochs=(1,), num_outliers=4, fill="least_confident"
    )
    rounds = Rounds(study)
    advance(study, rounds.plan(StartRequest(settings=settings)))
    while (entry := rounds.next_case("benchmark")) is not None:
        rounds.submit(
            Answer(entry.case_id, entry.run, entry.round, "benchmark", Action.GRID, cells=(5, 6), key=str(uuid.uuid4()))
        )
    return study


def child(study: Path, network: str) -> dict[str, float]:
    command = [sys.executable, "-c", CHILD, str(study), network]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def peer() -> float:
    return float(subprocess.run([sys.executable, "-c", PEER], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small network, fewer images and repeats")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    network, size, count, repeats = ("imil_small", 96, 80, 3) if arguments.quick else ("resnet50", 224, 300, 5)
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder) / "study", network, size, count)
        child(study.folder, network), peer()
        pairs = [(child(study.folder, network), peer()) for _ in range(repeats)]
        study.store.close()
    imports = statistics.median(ours["imports"] for ours, _ in pairs)
    first = statistics.median(ours["first_batch"] for ours, _ in pairs)
    monai = statistics.median(theirs for _, theirs in pairs)
    print(f"{network}, {count} images of {size} x {size}; median of {repeats}")
    print(f"  imports of the training process       {imports:6.2f} s")
    print(f"  from there to the first batch         {first:6.2f} s   (wanted: at most 2)")
    print(f"  import monai alone                    {monai:6.2f} s")
    if arguments.json:
        ratios = {"imports_vs_monai": imports / monai, "start_vs_monai": first / monai}
        seconds = {"imports": imports, "first_batch": first, "import_monai": monai}
        write_json(arguments.json, {"ratios": ratios, "seconds": seconds, **environment()})


if __name__ == "__main__":
    main()
