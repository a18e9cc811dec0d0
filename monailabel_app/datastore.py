"""A study as MONAI Label's datastore. Ids and tags that a client sends are looked up, never made part of a path."""

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from monailabel.interfaces.datastore import Datastore
from PIL import Image

from imil import images
from imil.errors import BadInput, NotFound
from imil.grid import Grid
from imil.rounds import Rounds
from imil.store import Event, Run
from imil.study import Study
from monailabel_app.answers import AnswerParams, read_answer_mask
from monailabel_app.finds import Finds

CAM = "cam"
"""Tag of a queued case's heat map."""
ANSWER = "imil"
"""Tag of a reader's answer."""
FIND = "find"
"""Tag of what a round's answers made the run find in an image."""
FIXED_IMAGES = "The images of a study are fixed; make a new study to change them."
MAX_SERVED_FILES = 200
"""Heat maps and masks that are kept to be sent again; they can be made anew."""
HEAT_MAP_STEPS = 1024
_APPEND_ONLY = "Answers are never changed or removed; send another one, with replace or with the action 'undo'."


class ImilDatastore(Datastore):
    """MONAI Label's view of one study. Everything that could change an image or an answer afterwards is refused."""

    def __init__(self, study: Study, rounds: Rounds) -> None:
        self.study = study
        self.rounds = rounds
        self._files = study.state_dir / "served"
        self._finds = Finds(study, rounds)
        self._writing = Lock()
        self.size = cache(self._size)
        self.run = cache(self._run)

    # -- what IMIL adds --------------------------------------------------------------------------------------------

    def grid(self, run_id: int, image_id: str) -> Grid:
        """The grid of a run over one image, in the image's own pixels."""
        return Grid.square(int(self.run(run_id).settings["grid_size"]), self.size(image_id))

    def submit(self, image_id: str, label_file: Path, tag: str, params: dict[str, Any]) -> dict[str, Any]:
        """Record a reader's answer.

        Args:
            image_id: the case.
            label_file: the mask: NIfTI, NRRD or PNG in the image's geometry; may be empty unless the action is grid.
            tag: must be ``imil``.
            params: see `AnswerParams`.

        Returns:
            ``event`` (its number), ``remaining`` and ``total`` cases of the round, ``repeated``.

        Raises:
            BadInput, NotFound, Conflict: as `imil.rounds.Rounds.submit` says; nothing is written then.
        """
        if tag != ANSWER:
            raise BadInput(f"Labels can't be saved under the tag {tag!r}; the only tag for that is {ANSWER!r}.")
        parsed = AnswerParams.parse(params)
        mask = read_answer_mask(label_file, self.size(image_id), parsed.action)
        receipt = self.rounds.submit(parsed.answer(image_id), mask)
        return {
            "event": receipt.event_id,
            "remaining": receipt.remaining,
            "total": receipt.total,
            "repeated": receipt.repeated,
        }

    def _size(self, image_id: str) -> tuple[int, int]:
        return images.read_size(self.study.image_path(image_id))

    def _run(self, run_id: int) -> Run:
        # Cached: of a run only settings and classes are used here, and those never change.
        return self.study.store.run(run_id)

    # -- reading -----------------------------------------------------------------------------------------------------

    def name(self) -> str:
        return self.study.folder.name

    def description(self) -> str:
        return f"IMIL study of {len(self.study.cases)} images"

    def list_images(self) -> list[str]:
        return [case.id for case in self.study.cases]

    def get_image(self, image_id: str, params: Any = None) -> Any:
        """The image file's content, as bytes."""
        return Path(self.get_image_uri(image_id)).read_bytes()

    def get_image_uri(self, image_id: str) -> str:
        return str(self.study.image_path(image_id))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        case = self.study.case(image_id)
        return {"label": case.label, "split": case.split}

    def datalist(self) -> list[dict[str, Any]]:
        """The training cases: ``image`` is a path, ``label`` a class name."""
        return [
            {"image": self.get_image_uri(case.id), "label": case.label}
            for case in self.study.cases
            if case.split == "train"
        ]

    def status(self) -> dict[str, Any]:
        run = self.study.store.latest_run()
        answered = sum(info.reviewed for info in self.study.store.rounds(run.id)) if run else 0
        return {
            "name": self.name(),
            "total": len(self.study.cases),
            "completed": answered,
            "label_tags": {ANSWER: answered},
        }

    def json(self) -> dict[str, Any]:
        answers = self._answers()
        return {
            "name": self.name(),
            "description": self.description(),
            "objects": {
                case.id: {
                    "image": {"info": self.get_image_info(case.id)},
                    "labels": {ANSWER: _event_info(answers[case.id])} if case.id in answers else {},
                }
                for case in self.study.cases
            },
        }

    # -- labels ------------------------------------------------------------------------------------------------------

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        self.study.case(image_id)
        tags = {ANSWER: image_id in self._answers(), CAM: self._round_of(image_id), FIND: self._finds.has(image_id)}
        return {tag: image_id for tag, there in tags.items() if there}

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        return image_id if tag in self.get_labels_by_image_id(image_id) else ""

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        """The label file's content, as bytes."""
        return Path(self.get_label_uri(label_id, label_tag)).read_bytes()

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """A NIfTI file in the image's geometry: the heat map (``cam``), the last answer's mask (``imil``) or what was
        found (``find``).
        """
        image_path = self.study.image_path(label_id)
        _check_tag(label_tag)
        files = {CAM: self._heat_map_file, ANSWER: self._mask_file, FIND: self._find_file}
        return str(files[label_tag](label_id, image_path))

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        self.study.case(label_id)
        _check_tag(label_tag)
        if label_tag == ANSWER:
            return _event_info(self._answer(label_id))
        if label_tag == FIND:
            return self._finds.info(label_id)
        run, number = self._queued_in(label_id)
        entry = self.study.store.queue_entry(run, number, label_id)
        return {
            "run": run,
            "round": number,
            "prediction": entry.prediction,
            "confidence": entry.confidence,
            "method": entry.method,
            "layer": entry.layer,
        }

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        return sorted(self._answers())

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        answered = self._answers()
        return [case.id for case in self.study.cases if case.id not in answered]

    def _answers(self) -> dict[str, Event]:
        """The newest effective answer of each case of the newest run."""
        run = self.study.store.latest_run()
        if run is None:
            return {}
        return {
            event.case_id: event for event in sorted(self.study.store.effective(run.id), key=lambda event: event.id)
        }

    def _answer(self, image_id: str) -> Event:
        answers = self._answers()
        if image_id not in answers:
            raise NotFound(f"Nobody has answered {image_id!r} in the newest run; there is no label {ANSWER!r} of it.")
        return answers[image_id]

    def _round_of(self, image_id: str) -> tuple[int, int] | None:
        """The newest run and its newest round that queued the case."""
        run = self.study.store.latest_run()
        if run is None:
            return None
        for number in range(run.round, 0, -1):
            if any(entry.case_id == image_id for entry in self.study.store.queue(run.id, number)):
                return run.id, number
        return None

    def _queued_in(self, image_id: str) -> tuple[int, int]:
        found = self._round_of(image_id)
        if found is None:
            raise NotFound(f"No round of the newest run has queued {image_id!r}; only queued cases have a heat map.")
        return found

    def _heat_map_file(self, image_id: str, image_path: Path) -> Path:
        run, number = self._queued_in(image_id)
        path = self._served_file(f"{CAM} {run} {number} {image_id}")
        if not path.exists():
            heat_map = self.study.store.heatmap(run, number, image_id)
            write_heat_map(path, heat_map, self.size(image_id), image_path)
        return path

    def _mask_file(self, image_id: str, image_path: Path) -> Path:
        event = self._answer(image_id)
        path = self._served_file(f"{ANSWER} {event.id}")
        if not path.exists():
            grid = Grid.square(event.grid_size, self.size(image_id))
            images.write_mask(path, grid.mask(event.cells, event.misleading), image_path)
        return path

    def _find_file(self, image_id: str, image_path: Path) -> Path:
        info = self._finds.info(image_id)
        cells = info["cells"] if info["corrected"] else "as found"
        path = self._served_file(f"{FIND} {info['insight']} {cells} {image_id}")
        if not path.exists():
            images.write_mask(path, self._finds.mask(info, self.size(image_id)), image_path)
        return path

    def _served_file(self, facts: str) -> Path:
        """Where the file that shows these facts is, or is to be written; the oldest make room for it."""
        path = self._files / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}.nii.gz"
        if not path.exists():
            self._files.mkdir(parents=True, exist_ok=True)
            files = sorted(self._files.glob("*.nii.gz"), key=lambda file: file.stat().st_mtime)
            for file in files[: -MAX_SERVED_FILES + 1]:
                file.unlink(missing_ok=True)
        return path

    # -- refused -----------------------------------------------------------------------------------------------------

    def set_name(self, name: str) -> None:
        raise BadInput("A study is named by its folder; rename that.")

    def set_description(self, description: str) -> None:
        raise BadInput("The description of a study can't be set.")

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        raise BadInput(FIXED_IMAGES)

    def remove_image(self, image_id: str) -> None:
        raise BadInput(FIXED_IMAGES)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Record an answer (see `submit`) and return the label's id, which is the image's."""
        self.submit(image_id, Path(label_filename), label_tag, label_info)
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        raise BadInput(_APPEND_ONLY)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        raise BadInput("What is known of an image comes from manifest.csv; change it there and restart the server.")

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        raise BadInput(_APPEND_ONLY)

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        raise BadInput("Images aren't packed for download; copy the study's folder, and use `imil export` for answers.")

    def refresh(self) -> None:
        """Nothing to do: all state is in the store."""


def write_heat_map(path: Path, heat_map: npt.NDArray[np.float32], size: tuple[int, int], image_path: Path) -> None:
    """Write a heat map as NIfTI, float32 in [0, 1], stretched bilinearly to ``size`` in the geometry of the image.

    Values are rounded to multiples of 1/1024, which nobody can see, and which makes the file a tenth of the size.
    """
    rows, cols = size
    picture = Image.fromarray(np.ascontiguousarray(heat_map, np.float32))
    stretched = np.asarray(picture.resize((cols, rows), Image.Resampling.BILINEAR), np.float32)
    steps = np.float32(HEAT_MAP_STEPS)
    images.write_float(path, np.clip(np.rint(stretched * steps) / steps, 0, 1), image_path)


def _check_tag(tag: str) -> None:
    if tag not in (CAM, ANSWER, FIND):
        raise NotFound(
            f"There is no label tag {tag!r}; the tags are {CAM!r} (heat map), {ANSWER!r} (the last answer) and "
            f"{FIND!r} (what was found)."
        )


def _event_info(event: Event) -> dict[str, Any]:
    info: dict[str, Any] = json.loads(json.dumps(asdict(event), default=str))
    return info
