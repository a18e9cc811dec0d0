"""What an experiment did, in words."""

from imil.experiments.report.style import plain_text
from imil.experiments.results import NOBODY, Outcome
from imil.experiments.tables.phrases import count, joined
from imil.settings import mode_names

SPLITS = {"train": "for training", "val": "for validation", "test": "for testing"}
SELECTIONS = {
    "highest_confidence": "those that the network gets most confidently wrong",
    "least_confident": "those that the network is least confident about",
    "class_balanced": "the hardest ones of each class",
    "out_of_fold": "those that models trained on the other folds get most confidently wrong",
    "random": "random ones",
}
FILLS = {
    "least_confident": ", and where these are too few, those that it is least confident about",
    "out_of_fold": ", and where these are too few, those that models trained on the other folds get wrong",
}
FEEDBACK = {
    "blackout": "everything outside of the cells of a fed-back image is black",
    "randomise": "everything outside of the cells of a fed-back image comes from elsewhere, anew at each draw",
    "cutmix": "the cells of a fed-back image are put into other images, and labels are mixed",
    "mixup": "the cells of a fed-back image are blended into other images, and labels are mixed",
    "rrr": "input gradients outside of the cells of fed-back images are penalised",
    "cam_align": "heat outside of the cells of fed-back images is penalised",
    "propagate": "cells that hardly any reader chose are swapped between all training images",
    "counterfactual": (
        "what readers called misleading is found in all training images, taken off, and added as a decoy to any"
    ),
    "cutout": "a random square of a fed-back image is black, another at each draw",
    "unedited": "nothing is changed",
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}


def what_was_done(outcome: Outcome) -> list[str]:
    """Study, training, feedback and seeds, a sentence or two each. Arms may differ in what the table says of them."""
    return [_study(outcome), _training(outcome), *_feedback(outcome), _seeds(outcome)]


def _study(outcome: Outcome) -> str:
    classes = joined([f"“{plain_text(name)}”" for name in outcome.evaluation.classes])
    sizes = [f"{number} images {SPLITS.get(split, f'in {split}')}" for split, number in _ordered(outcome.splits)]
    patients = len(set(outcome.evaluation.patients))
    text = f"The study “{plain_text(outcome.study)}” has the classes {classes}"
    text += f", with {joined(sizes)}" if sizes else ""
    lesions = len(outcome.evaluation.lesion_cases)
    text += f". The arms are measured on the {outcome.evaluation.split} images of {count(patients, 'patient')}"
    return f"{text}, and where they look on {lesions} of these that have a lesion mask." if lesions else f"{text}."


def _ordered(splits: dict[str, int]) -> list[tuple[str, int]]:
    names = [*SPLITS, *sorted(set(splits) - set(SPLITS))]
    return [(name, splits[name]) for name in names if splits.get(name)]


def _training(outcome: Outcome) -> str:
    get = outcome.settings.get
    start = {"": "random weights", "timm": "the weights that timm offers"}.get(get("pretrained", ""), "given weights")
    momentum = f", momentum {get('momentum'):g}" if get("optimizer") == "sgd" and get("momentum") else ""
    decay = f", weight decay {get('weight_decay'):g}" if get("weight_decay") else ""
    optimizer = OPTIMIZERS.get(get("optimizer", ""), get("optimizer"))
    schedule = get("schedule", "constant")
    rate = (
        f"a constant learning rate of {get('lr')}"
        if schedule == "constant"
        else f"a learning rate of {get('lr')} ({schedule})"
    )
    return (
        f"Each training is {get('epochs')} epochs of {get('network')} on {get('image_size')} × {get('image_size')} "
        f"pixels from {start}, with {optimizer}, {rate}{momentum}{decay} and batches of {get('batch_size')}."
    )


def _feedback(outcome: Outcome) -> list[str]:
    get = outcome.settings.get
    epochs = [str(epoch) for epoch in get("imil_epochs") or ()]
    if not epochs or outcome.reader == NOBODY:
        return []
    when = f"After epoch {epochs[0]}" if len(epochs) == 1 else f"After each of the epochs {joined(epochs)}"
    return [
        f"{when}, {_fed_back(outcome)}. Feedback comes from {plain_text(outcome.reader)}. From then on, "
        f"{_mode(str(get('feedback')))}. Until then the arms share one network for each seed, but for those that are "
        "trained in a way of their own from the first epoch. Where an arm's title says otherwise, that holds for this "
        "arm.",
        *(plain_text(text) for text in outcome.about_readers),
    ]


def _mode(feedback: str) -> str:
    """What a feedback mode, or several joined by +, does; one of the user's own has its name only."""
    names = mode_names(feedback)
    return joined([FEEDBACK.get(name, f"the mode “{plain_text(name)}” is at work") for name in names])


def _fed_back(outcome: Outcome) -> str:
    get = outcome.settings.get
    if outcome.recorded:
        return "the training images that readers have answered are fed back"
    grid = f"{get('grid_size')} × {get('grid_size')}"
    selection = SELECTIONS.get(str(get("selection")), str(get("selection")))
    fill = FILLS.get(str(get("fill")), "")
    return f"up to {get('num_outliers')} training images are fed back on a grid of {grid} cells: {selection}{fill}"


def _seeds(outcome: Outcome) -> str:
    seeds = joined([str(seed) for seed in outcome.seeds])
    return f"{'Seed' if len(outcome.seeds) == 1 else 'Seeds'}: {seeds}."
