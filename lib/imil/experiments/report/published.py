"""What the paper reports, to stand beside one's own results, never among them."""

from dataclasses import dataclass
from typing import Any

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
OTHER_DATA = (
    "This study isn't the paper's: the published values were measured on the Shenzhen radiographs, so they can't be "
    "compared with those above."
)
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


def published(source: str) -> dict[str, Any]:
    """The paper's Table 1 as plain values: ``citation, data, comparable, note, disagreements, rows``.

    Args:
        source: `Outcome.source` of the study that it stands beside.
    """
    baseline = TABLE_1[0]
    return {
        "citation": CITATION,
        "data": DATA,
        "comparable": source == SOURCE,
        "note": "" if source == SOURCE else OTHER_DATA,
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
