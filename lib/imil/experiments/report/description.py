"""What an experiment did, in words."""

from imil.experiments.report.style import plain_text
from imil.experiments.results import Outcome
from imil.experiments.tables.phrases import count, joined

SPLITS = {"train": "for training", "val": "for validation", "test": "for testing"}
SELECTIONS = {
    "highest_confidence": "those that the network gets most confidently wrong",
    "least_confident": "those that the network is least confident about",
    "class_balanced": "the hardest ones of each class",
    "out_of_fold": "those that models trained on the other folds get most confidently wrong",
    "random": "random ones",
}
FEEDBACK = {
    "blackout": "everything outside of the cells is blacked out",
    "cutout": "a random square of each is blacked out at each draw",
    "unedited": "they stay as they are",
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
NOBODY = "nobody"


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
    selection = SELECTIONS.get(str(get("selection")), str(get("selection")))
    edit = FEEDBACK.get(str(get("feedback")), f"they are changed by “{get('feedback')}”")
    return [
        f"{when}, up to {get('num_outliers')} training images are fed back: {selection}. The reader, "
        f"{plain_text(outcome.reader)}, chooses cells of a {get('grid_size')} × {get('grid_size')} grid, and from then "
        f"on {edit}. Until then the arms share one network for each seed, but for those that are trained in a way of "
        "their own from the first epoch. Where an arm's title says otherwise, that holds for this arm."
    ]


def _seeds(outcome: Outcome) -> str:
    seeds = joined([str(seed) for seed in outcome.seeds])
    return f"{'Seed' if len(outcome.seeds) == 1 else 'Seeds'}: {seeds}."
