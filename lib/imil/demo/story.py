"""What the demo shows: models before and after a round, on new images from which the marker has been removed.

The sample data is drawn by a program, so images of the same kind can be drawn that no model has seen, each with the
marker and without, alike in all else. What a model makes of the difference is what it makes of the marker.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imil import runs
from imil.demo.storypage import Example, draw, render
from imil.errors import NotFound
from imil.experiments.refocus.data import TestPart as Drawn
from imil.experiments.refocus.data import read_test, write
from imil.experiments.refocus.measures import Predict, measure
from imil.experiments.refocus.presets import Setting, Size
from imil.experiments.refocus.sources import DrawnRadiographs
from imil.models import Model, load_model
from imil.phantom import PhantomSettings
from imil.store import IMIL, WITHOUT_FEEDBACK, Run
from imil.study import Study

IMAGES = 600
SEED = 20
"""Of the new images; their series isn't the sample data's."""
COLUMNS = (("accuracy_with", "with the marker"), ("accuracy_without", "marker removed"), ("flipped", "changed by it"))
"""Measures that are shown: accuracies, and the share of images whose predicted class changes with the marker."""
SHOWN_OF_A_CLASS = 2


@dataclass(frozen=True)
class ToldModel:
    """A model and what it's worth; ``measures`` as in `imil.experiments.refocus.measures`."""

    name: str
    title: str
    measures: Mapping[str, float | None]


@dataclass(frozen=True)
class Story:
    """What the demo shows.

    Attributes:
        page: the HTML page.
        images: number of new images.
        models: before the round, and at the end of each run.
        sentences: what the models are worth, in words.
        taught: what the answers taught, in words.
    """

    page: Path
    images: int
    models: list[ToldModel]
    sentences: list[str]
    taught: list[str]


def tell(study: Study, taught: list[str], out: Path) -> Story:
    """Measure the demo's models, and write ``story.html``, ``story.json`` and ``story.png`` to ``out``.

    Args:
        study: the demo's study; its runs have come to their ends.
        taught: what the answers taught, in sentences.
        out: folder.

    Raises:
        NotFound: if a run is missing.
    """
    models = _models(study)
    images = _new_images(models["before"].settings.image_size, out / "new-images.npz")
    told = [ToldModel(name, TITLES[name], measure(_predictor(model), images)) for name, model in models.items()]
    story = Story(out / "story.html", len(images.data), told, _sentences(told), taught)
    picture = draw(_examples(images, models))
    (out / "story.png").write_bytes(picture)
    facts = asdict(story) | {"page": story.page.name}
    (out / "story.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    story.page.write_text(render(facts, COLUMNS, picture), encoding="utf-8")
    return story


TITLES = {
    "before": "Before the round",
    "without_feedback": "After it, without feedback",
    "blackout": "After it, by blackout",
    "counterfactual": "After it, by counterfactual",
}
"""The models, in the order in which they are shown."""


def _models(study: Study) -> dict[str, Model]:
    healed = _newest(study, IMIL, "counterfactual")
    paths = {
        "before": runs.round_checkpoint_path(study, healed.id, 1),
        "without_feedback": runs.checkpoint_path(study, _newest(study, WITHOUT_FEEDBACK, "counterfactual").id),
        "blackout": runs.checkpoint_path(study, _newest(study, IMIL, "blackout").id),
        "counterfactual": runs.checkpoint_path(study, healed.id),
    }
    return {name: load_model(paths[name]) for name in TITLES}


def _predictor(model: Model) -> Predict:
    return lambda data: model.predict(data.pixels[data.rows])


def _newest(study: Study, kind: str, feedback: str) -> Run:
    found = [run for run in study.store.runs() if run.kind == kind and run.settings["feedback"] == feedback]
    if not found:
        raise NotFound(f"The study {study.folder} has no run of the kind {kind} with feedback={feedback}.")
    return max(found, key=lambda run: run.id)


def _new_images(side: int, path: Path) -> Drawn:
    setting = Setting("demo", "Sample data", "As the sample data.", PhantomSettings(size=side))
    write(path, DrawnRadiographs(setting, Size(test=IMAGES)).test(SEED))
    images = read_test(path)
    path.unlink()
    return images


def _sentences(told: Sequence[ToldModel]) -> list[str]:
    accuracy = {model.name: f"{model.measures['accuracy_without'] or 0:.0%}" for model in told}
    flipped = {model.name: f"{model.measures['flipped'] or 0:.0%}" for model in told}
    return [
        f"With the marker removed, the model is right in {accuracy['before']} of new images; of all images, "
        f"{flipped['before']} change their class with the marker.",
        f"Twenty answers later it's right in {accuracy['blackout']} by blackout, and in "
        f"{accuracy['counterfactual']} by counterfactual ({accuracy['without_feedback']} without "
        f"feedback); the marker then changes "
        f"{flipped['blackout']} and {flipped['counterfactual']}.",
    ]


def _examples(images: Drawn, models: Mapping[str, Model]) -> list[Example]:
    """Images of both classes with their heat maps for the class that the marker goes with.

    Diseased ones without the marker, normal ones with it: where a model that reads the marker is wrong.
    """
    assert images.with_marker is not None
    assert images.without_marker is not None
    labels = images.data.labels
    diseased = np.flatnonzero(labels == 1)[:SHOWN_OF_A_CLASS]
    normal = np.flatnonzero(labels == 0)[:SHOWN_OF_A_CLASS]
    pixels: npt.NDArray[np.uint8] = np.concatenate(
        [images.without_marker.pixels[diseased], images.with_marker.pixels[normal]]
    )
    classes = next(iter(models.values())).classes
    chances = {name: model.predict(pixels)[:, 1] for name, model in models.items()}
    heat = {name: model.heat_maps(pixels, [1] * len(pixels)).maps for name, model in models.items()}
    shown = [name for name in TITLES if name != "without_feedback"]
    return [
        Example(
            image=image.astype(np.float32) / 255,
            title=f"{classes[int(label)]}, {'without' if label else 'with'} the marker",
            heat=[(TITLES[name], heat[name][number], f"{classes[1]}: {chances[name][number]:.0%}") for name in shown],
        )
        for number, (image, label) in enumerate(zip(pixels, labels[[*diseased, *normal]], strict=True))
    ]
