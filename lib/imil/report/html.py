"""The report as one self-contained HTML page: every figure is a data URI, nothing is loaded from elsewhere."""

import base64
import math
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from imil.report import figures, pictures, taughtpictures
from imil.report.model import TITLES, CasePictures, Evaluation, FloatArray, ReportData
from imil.report.taught import Taught

METRICS = (
    ("accuracy", "Accuracy", "higher is better"),
    ("auroc", "AUROC", "higher is better"),
    ("ece", "Calibration error", "ECE, lower is better"),
    ("brier", "Brier score", "lower is better"),
)
ACTIONS = {
    "grid": "cells chosen",
    "skip": "skipped",
    "relabel": "label changed",
    "exclude": "left out of training",
    "": "not reviewed",
}
REASONS = {
    "misprediction": "wrong with high confidence",
    "least_confident": "among the least confident",
    "class_balanced": "among the hardest of its class",
    "out_of_fold": "wrong when held out of training",
    "random": "drawn at random",
}


def render(data: ReportData) -> str:
    """The page as text."""
    return (
        environment("imil.report")
        .get_template("template.html.j2")
        .render(
            facts=data.facts,
            metrics=METRICS,
            titles=TITLES,
            actions=ACTIONS,
            reasons=REASONS,
            figures=_figures(data),
            rounds=_rounds(data),
            colour_bar=data_uri(pictures.colour_bar_png(), "image/png"),
        )
    )


def environment(package: str) -> Environment:
    """Templates of a package, with the reports' style sheet ``base.css`` and the filter ``number``."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in dict.fromkeys((package, "imil.report"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    return made


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """A number for the page; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def _figures(data: ReportData) -> list[dict[str, Any]]:
    """The page's groups of figures: heading, caption, and the figures themselves."""
    evaluation = data.evaluation
    groups: list[dict[str, Any]] = []
    if evaluation.models:
        calibration = [
            (figures.reliability_figure(evaluation, model), f"Reliability diagram: {model.title}")
            for model in evaluation.models
        ]
        groups += [
            _group("ROC curves", _ROC_CAPTION, _roc_figures(evaluation)),
            _group("Calibration", _CALIBRATION_CAPTION, calibration),
        ]
    epochs = [entry["epoch"] for entry in data.facts["rounds"]]
    measured = {row.split for rows in data.curves.values() for row in rows}
    splits = [split for split in ("train", "val", "test") if split in measured]
    curves = [
        (
            figures.curve_figure(data.curves, metric, split, epochs),
            f"{metric.capitalize()} on the {split} split by epoch",
        )
        for metric in ("loss", "accuracy")
        for split in splits
    ]
    if curves:
        caption = "Solid: with feedback; dashed: without. A mark stands at each epoch that opened a round of feedback."
        groups.append(_group("Training", caption, curves) | {"wide": True})
    return groups


_ROC_CAPTION = "The band is the 95 % bootstrap interval over patients; the thin grey lines repeat the other models."
_CALIBRATION_CAPTION = (
    "On the diagonal, a confidence of 0.8 is right in 8 of 10 cases. Below: how many cases have that confidence."
)


def _roc_figures(evaluation: Evaluation) -> list[tuple[bytes, str]]:
    """Two classes: one figure for each model. More: one for each class against the rest, with the last model's band."""
    if len(evaluation.classes) == 2:
        positive = evaluation.classes[1]
        return [
            (figures.roc_figure(evaluation, model, 1, model.title), f"ROC curve for {positive}: {model.title}")
            for model in evaluation.models
        ]
    model = evaluation.model("after") or evaluation.models[-1]
    return [
        (
            figures.roc_figure(evaluation, model, index, f"{name} against the rest"),
            f"ROC curve for {name}: {model.title}",
        )
        for index, name in enumerate(evaluation.classes)
    ]


def _group(heading: str, caption: str, drawn: list[tuple[bytes, str]]) -> dict[str, Any]:
    return {
        "heading": heading,
        "caption": caption,
        "wide": False,
        "images": [{"uri": data_uri(svg, "image/svg+xml"), "alt": alt} for svg, alt in drawn],
    }


def _rounds(data: ReportData) -> list[dict[str, Any]]:
    rounds = []
    for index, facts in enumerate(data.facts["rounds"]):
        cases = [
            {"facts": case, "pictures": _case_pictures(case, data.pictures[index, position])}
            for position, case in enumerate(facts["cases"])
            if (index, position) in data.pictures
        ]
        taught = data.taught.get(index)
        rounds.append({"facts": facts, "cases": cases, "taught": None if taught is None else shown_taught(taught)})
    return rounds


def render_taught(study: str, run: int, taught: Taught) -> str:
    """What one round's answers taught, as a page of its own."""
    page = environment("imil.report").get_template("taughtpage.html.j2")
    return page.render(study=study, run=run, taught=shown_taught(taught))


def shown_taught(taught: Taught) -> dict[str, Any]:
    """What the template ``taught.html.j2`` shows of it."""
    return {
        "facts": taught.facts,
        "note": taught.note,
        "grids": data_uri(taughtpictures.grids_svg(taught.facts, taught.mean), "image/svg+xml"),
        "finds": [
            {
                "facts": find.facts,
                "uri": data_uri(
                    taughtpictures.find_jpeg(find.image, find.place, vetoed=find.facts["vetoed"]), "image/jpeg"
                ),
            }
            for find in taught.finds
        ],
        "examples": [
            {
                "id": example.id,
                "label": example.label,
                "what": example.what,
                "before": data_uri(pictures.grey_jpeg(_enlarged(example.before)), "image/jpeg"),
                "after": data_uri(pictures.grey_jpeg(_enlarged(example.after)), "image/jpeg"),
            }
            for example in taught.examples
        ],
    }


def _enlarged(image: FloatArray) -> FloatArray:
    return pictures.fit(image, pictures.shown_size(image.shape[0], image.shape[1]))


def _case_pictures(case: dict[str, Any], images: CasePictures) -> list[dict[str, Any]]:
    """Up to five pictures with title and alternative text."""
    image, name = images.image, case["id"]
    shown = [("Image", pictures.grey_jpeg(image), f"Image {name}")]
    if images.before is not None:
        text = f"Heat map when {name} was queued, for class {case['prediction']}"
        shown.append(("Heat map before", pictures.heat_jpeg(image, images.before), text))
    if images.grid is not None:
        text = f"Chosen cells of {name}: {', '.join(map(str, case['cells'])) or 'none'}"
        drawn = pictures.cells_jpeg(image, images.grid, case["cells"], case["misleading"])
        shown.append(("Chosen cells", drawn, text))
    if images.changed is not None:
        shown.append(("Trained with", pictures.grey_jpeg(images.changed), f"{name} as training saw it after the round"))
    if images.after is not None:
        text = f"Heat map of {name} at the end, for class {case['after']['prediction']}"
        shown.append(("Heat map after", pictures.heat_jpeg(image, images.after), text))
    return [{"title": title, "uri": data_uri(content, "image/jpeg"), "alt": alt} for title, content, alt in shown]


def data_uri(content: bytes, kind: str) -> Markup:
    """The content as a data URI of that media type, e.g. ``image/png``."""
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")  # noqa: S704 - our own bytes, in base64
