"""The figures of an experiment's report, each with what its caption has to say."""

import io
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from imil.experiments.report.figures import differences_figure, reliability_figure, roc_figure
from imil.experiments.report.mapfigures import heatmaps_figure, more_heatmaps_figure, samples_figure
from imil.experiments.report.style import plain_text, saved
from imil.experiments.results import Outcome
from imil.experiments.tables import Table
from imil.experiments.tables.phrases import count
from imil.report.pictures import jpeg


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        name: of its files.
        photographic: whether it is made of images, which a page shows as JPEG rather than as SVG.
    """

    name: str
    heading: str
    caption: str
    png: bytes
    svg: bytes
    photographic: bool

    def for_page(self) -> tuple[bytes, str]:
        """Content and media type."""
        if not self.photographic:
            return self.svg, "image/svg+xml"
        return jpeg(Image.open(io.BytesIO(self.png)).convert("RGB")), "image/jpeg"


NAMES = ("roc", "reliability", "differences", "heatmaps", "heatmaps_more", "samples")


def draw_all(outcome: Outcome, table: Table) -> list[Drawn]:
    """The figures that the outcome has something for; none without any result."""
    if not table.rows:
        return []
    figures: dict[str, tuple[Figure | None, str, str, bool]] = {
        "roc": (roc_figure(outcome, table), "ROC curves", _roc(outcome), False),
        "reliability": (reliability_figure(outcome, table), "Calibration", _reliability(outcome), False),
        "differences": (
            differences_figure(outcome, table),
            "Differences to the baseline",
            _differences(outcome),
            False,
        ),
        "heatmaps": (heatmaps_figure(outcome), "Where the networks look", _heatmaps(outcome), True),
        "heatmaps_more": (
            more_heatmaps_figure(outcome),
            "Where the other arms look",
            f"As in the figure before, for the other arms, on some of the images. {_FIRST_SEED}",
            True,
        ),
        "samples": (samples_figure(outcome), "What was fed back", _samples(outcome), True),
    }
    return [
        Drawn(name, heading, caption, *saved(figure), photographic)
        for name, (figure, heading, caption, photographic) in figures.items()
        if figure is not None
    ]


_FIRST_SEED = "All maps are of the first seed."


def _measured_on(outcome: Outcome) -> str:
    evaluation = outcome.evaluation
    patients = count(len(set(evaluation.patients)), "patient")
    return f"{len(evaluation.case_ids)} {evaluation.split} images of {patients}"


def _roc(outcome: Outcome) -> str:
    classes = [plain_text(name) for name in outcome.evaluation.classes]
    what = f"for “{classes[1]}” against “{classes[0]}”" if len(classes) == 2 else "for each class against the rest"
    return (
        f"ROC curves {what}, on {_measured_on(outcome)}. Lines: mean over {count(len(outcome.seeds), 'seed')} of the "
        "sensitivity at each specificity. Bands, where there are any: pointwise 95 % bootstrap interval of that mean "
        "over patients; what other seeds would give is not in them. The dotted baseline is repeated in each panel."
    )


def _reliability(outcome: Outcome) -> str:
    seeds = len(outcome.seeds)
    pooled = f"The predictions of {seeds} seeds are pooled: each image counts {seeds} times. " if seeds > 1 else ""
    return (
        f"Reliability diagrams in 15 bins, on {_measured_on(outcome)}. {pooled}On the diagonal, a confidence of 0.8 is "
        "right in 8 of 10 cases. Marks: mean confidence of a bin. Below: the share of predictions in each bin. "
        + ("ECE: mean over seeds of each seed's own; that of the pooled bins would be lower." if seeds > 1 else "")
    )


def _differences(outcome: Outcome) -> str:
    seeds = len(outcome.seeds)
    none = " With one seed there is no interval over seeds." if seeds < 2 else ""
    return (
        f"Each arm minus the baseline that it is compared with, paired by seed: mean over {count(seeds, 'seed')} and "
        f"95 % t-interval over seeds, on {_measured_on(outcome)}. An arrow head: the interval goes on beyond the axes. "
        "Shown to differ: p < 0.05 in the paired t-test over seeds after Holm's correction over all arms, and the 95 % "
        f"bootstrap interval over patients excludes zero.{none}"
    )


def _heatmaps(outcome: Outcome) -> str:
    images = len(outcome.evaluation.shown)
    return (
        f"Heat maps for the true class of {images} {outcome.evaluation.split} images, which were drawn without a look "
        f"at any prediction. {_FIRST_SEED} Each map is scaled to its own maximum, so that brightness can't be compared "
        "between maps."
    )


def _samples(outcome: Outcome) -> str:
    return (
        "Images that were fed back with the first seed, and the arm whose reader answered. From the left: the image, "
        "the heat map for the predicted class when it was queued, the cells that were chosen, the image as "
        "training saw it from then on, and the reason that was given. “Predicted” has the network's confidence."
    )
