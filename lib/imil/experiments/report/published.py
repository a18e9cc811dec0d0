"""What the paper reports, to stand beside one's own results, never among them."""

from dataclasses import dataclass
from typing import Any

from imil.experiments.results import Outcome
from imil.settings import resolve

CITATION = (
    "Adrit Rao, Andrea Fisher, Ken Chang, John Christopher Panagides, Katherine McNamara, Joon-Young Lee and Oliver "
    "Aalami: IMIL: Interactive Medical Image Learning Framework. Proceedings of the IEEE/CVF Conference on Computer "
    "Vision and Pattern Recognition (CVPR) Workshops, 2024, pages 5241-5250, Table 1. arXiv:2404.10965."
)
SOURCE = "shenzhen"
"""`Outcome.source` of the data that the paper used."""
DATA = (
    "Shenzhen chest radiographs: 530 for training and 132 for testing; one training a row, without intervals; for "
    "IMIL, one round of 20 images after epoch 70 of 100."
)
SPLITS = {"train": 530, "test": 132}
SETTINGS = (
    "network",
    "image_size",
    "epochs",
    "imil_epochs",
    "num_outliers",
    "grid_size",
    "optimizer",
    "lr",
    "batch_size",
    "feedback",
)
"""Settings that the paper names (section 3.3); the preset `paper` has its values."""
DISAGREEMENTS = (
    "The paper gives two values for MixUp's calibration error: 0.161 in Table 1, and 0.179 in section 4.2, which is "
    "Resident 1's in the table.",
    "Section 4.2 says that IMIL did not outperform CutMix and CutOut in calibration; in Table 1 all three IMIL rows "
    "have a lower calibration error than CutOut, and a higher one than CutMix and MixUp.",
)


@dataclass(frozen=True)
class Published:
    """A row of the paper's Table 1 (Rao et al. 2024).

    Attributes:
        name: as it stands in our files.
        images: training images with feedback.
        ece_in_text: the calibration error in the paper's text, where it isn't the table's.
    """

    name: str
    title: str
    group: str
    accuracy: float
    auroc: float
    ece: float
    images: int = 0
    ece_in_text: float | None = None


TABLE_1 = (
    Published("published_baseline", "Baseline (ResNet-50)", "baseline", 0.804, 0.832, 0.2),
    Published("published_cutmix", "CutMix", "augmentation", 0.812, 0.853, 0.15),
    Published("published_cutout", "CutOut", "augmentation", 0.797, 0.817, 0.201),
    Published("published_mixup", "MixUp", "augmentation", 0.834, 0.878, 0.161, ece_in_text=0.179),
    Published("published_resident_1", "IMIL + Resident 1", "readers", 0.846, 0.857, 0.179, 20),
    Published("published_resident_2", "IMIL + Resident 2", "readers", 0.835, 0.853, 0.175, 20),
    Published("published_resident_3", "IMIL + Resident 3", "readers", 0.824, 0.858, 0.183, 20),
)
MEASURES = ("accuracy", "auroc", "ece")


def published(outcome: Outcome) -> dict[str, Any]:
    """The paper's Table 1 as plain values: ``citation, data, comparable, note, disagreements, rows``.

    Args:
        outcome: what it stands beside. It's comparable if data and settings are the paper's.
    """
    baseline = TABLE_1[0]
    note = _what_differs(outcome)
    return {
        "citation": CITATION,
        "data": DATA,
        "comparable": not note,
        "note": note,
        "disagreements": list(DISAGREEMENTS),
        "rows": [
            {
                "name": row.name,
                "title": row.title,
                "group": row.group,
                "images": row.images,
                "measures": {key: getattr(row, key) for key in MEASURES},
                "differences": None
                if row is baseline
                else {key: round(getattr(row, key) - getattr(baseline, key), 3) for key in MEASURES},
                "ece_in_text": row.ece_in_text,
            }
            for row in TABLE_1
        ],
    }


def _what_differs(outcome: Outcome) -> str:
    """Why the published values can't be compared with the outcome's, as a sentence; empty if they can."""
    if outcome.source != SOURCE:
        return (
            "This study isn't the paper's: the published values were measured on the Shenzhen radiographs, so they "
            "can't be compared with those above."
        )
    differs = [
        f"{outcome.splits.get(split, 0)} images in {split} instead of {number}"
        for split, number in SPLITS.items()
        if outcome.splits.get(split, 0) != number
    ]
    paper = resolve("paper").model_dump(mode="json")
    differs += [
        f"{name} {outcome.settings.get(name)} instead of {paper[name]}"
        for name in SETTINGS
        if outcome.settings.get(name) != paper[name]
    ]
    if not differs:
        return ""
    return (
        f"These trainings aren't the paper's ({'; '.join(differs)}), so its values can't be compared with those above."
    )
