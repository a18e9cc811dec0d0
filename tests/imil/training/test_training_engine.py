import copy
import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, Conflict, ImilError, NotFound
from imil.settings import describe, mode_names
from imil.training import checkpoints
from imil.training.augmentation import AUGMENTATIONS
from imil.training.batches import Batches
from imil.training.edits import IMAGE_EDITS
from imil.training.engine import TrainingEngine
from imil.training.mixing import MIXINGS
from imil.training.modes import MODES
from imil.training.optimisation import learning_rate_factor

CLASSES = ["normal", "tb"]
FEEDBACK = {
    case.case_id: case
    for case in (
        CaseFeedback("case01.png", "grid", 4, (0, 1), (9,)),
        CaseFeedback("case06.png", "relabel", new_label="tb"),
        CaseFeedback("case09.png", "exclude"),
    )
}


def equal(first, second) -> bool:
    """Whether two states are the same to the bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


@pytest.fixture
def engine(data, settings):
    return TrainingEngine(settings, CLASSES, data, {"test": data.subset(range(9))})


VARIANTS = {
    "paper": {},
    "momentum_cosine": {"momentum": 0.9, "schedule": "cosine", "weight_decay": 0.01},
    "adamw_step": {"optimizer": "adamw", "schedule": "step"},
    "adam_balanced": {"optimizer": "adam", "class_weights": "balanced"},
    "affine_accumulate": {"augmentation": "affine", "accumulate": 3},
    "mixup_balanced": {"augmentation": "mixup", "class_weights": "balanced"},
    "cutmix_repeated": {"augmentation": "cutmix", "feedback_repeat": 3},
    "cutout_twice": {"augmentation": "cutout", "feedback": "cutout", "feedback_repeat": 5},
    "unedited_extra": {"augmentation": "affine", "feedback": "unedited", "extra_draws": 7, "accumulate": 2},
}


@pytest.mark.parametrize("feedback", [{}, FEEDBACK], ids=["plain", "feedback"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_paused_equals_unpaused_to_the_bit(data, tiny, tmp_path, options, feedback):
    settings = tiny(**options)
    unpaused = TrainingEngine(settings, CLASSES, data)
    unpaused.fit(3)
    unpaused.set_feedback(feedback, 1)
    unpaused.fit(6)

    first = TrainingEngine(settings, CLASSES, data)
    first.fit(3)
    checkpoints.save(tmp_path / "checkpoint.pt", first.state_dict())
    torch.manual_seed(999)  # whatever else the process does with random numbers
    torch.rand(7)
    for until in (4, 6):
        resumed = TrainingEngine(settings, CLASSES, data, state=checkpoints.load(tmp_path / "checkpoint.pt"))
        resumed.set_feedback(feedback, 1)
        resumed.fit(until)
        checkpoints.save(tmp_path / "checkpoint.pt", resumed.state_dict())

    assert resumed.epoch == unpaused.epoch == 6
    assert resumed.weights_sha256() == unpaused.weights_sha256()
    assert equal(resumed.state_dict(), unpaused.state_dict())


def test_one_fit_equals_many(data, settings):
    once, many = (TrainingEngine(settings, CLASSES, data) for _ in range(2))
    once.fit(6)
    for epoch in range(1, 7):
        many.fit(epoch)
        many.fit(epoch)  # already done: nothing happens
    assert equal(once.state_dict(), many.state_dict())


def test_evaluating_and_predicting_change_nothing(data, settings, engine):
    bare = TrainingEngine(settings, CLASSES, data)
    bare.fit(2)
    engine.fit(1, on_epoch=lambda result: engine.predict())
    engine.fit(2)
    assert bare.weights_sha256() == engine.weights_sha256()


def test_a_new_process_goes_on_with_the_same_bits(data, settings, engine, tmp_path):
    code = """
import importlib.util, sys
import numpy as np, torch
from pathlib import Path
spec = importlib.util.spec_from_file_location("fixtures", sys.argv[1])
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)
from imil.training import checkpoints
from imil.training.batches import TrainingData
from imil.training.engine import TrainingEngine
torch.set_num_threads(1)
folder = Path(sys.argv[2])
pixels, rows, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pixels", "rows", "labels"))
data = TrainingData(tuple(f"case{number:02}.png" for number in range(33)), pixels, np.array(rows), np.array(labels))
state = checkpoints.load(folder / "checkpoint.pt")
engine = TrainingEngine(fixtures.tiny_settings(), ["normal", "tb"], data, state=state)
engine.fit(6)
print(engine.weights_sha256())
"""
    for name in ("pixels", "rows", "labels"):
        np.save(tmp_path / f"{name}.npy", getattr(data, name))
    engine.fit(3)
    checkpoints.save(tmp_path / "checkpoint.pt", engine.state_dict())
    fixtures = Path(__file__).with_name("conftest.py")
    output = subprocess.run(
        [sys.executable, "-c", code, str(fixtures), str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert output.returncode == 0, output.stderr
    engine.fit(6)
    assert output.stdout.split() == [engine.weights_sha256()]


def test_epochs_are_reported_with_metrics_of_each_split(data, engine):
    results = []
    engine.fit(2, on_epoch=results.append)
    assert [result.epoch for result in results] == [1, 2]
    assert results[0].images == 33
    assert results[0].lr == pytest.approx(0.01)
    assert results[0].images_per_second > 0
    assert list(results[1].metrics) == ["train", "test"]
    test = data.subset(range(9))
    probabilities = engine.predict(test)
    metrics = results[1].metrics["test"]
    assert metrics.accuracy == pytest.approx((probabilities.argmax(1) == test.labels).mean())
    expected = -np.log(probabilities[np.arange(9), test.labels]).mean()
    assert metrics.loss == pytest.approx(expected, rel=1e-5)
    assert metrics.brier == pytest.approx(((probabilities - np.eye(2)[test.labels]) ** 2).sum(1).mean(), rel=1e-5)


def test_the_engine_learns(data, tiny):
    engine = TrainingEngine(tiny(epochs=30, lr=0.05, optimizer="adam"), CLASSES, data)
    engine.fit(30)
    assert (engine.predict().argmax(1) == data.labels).mean() > 0.9


def test_predictions_are_of_unedited_images_in_the_datas_order(data, settings, engine):
    engine.set_feedback(FEEDBACK, 1)
    engine.fit(1)
    probabilities = engine.predict()
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (33, 2)
    engine.network.eval()
    with torch.no_grad():
        pixels = torch.from_numpy(data.pixels[data.rows]).float()[:, None] / 255
        expected = functional.softmax(engine.network((pixels - 0.5) / 0.25), 1)
    np.testing.assert_allclose(probabilities, expected.numpy(), atol=1e-6)
    torch.testing.assert_close(engine.images([4, 1]), ((pixels - 0.5) / 0.25)[[4, 1]])


def test_one_step_of_sgd_by_hand(data, tiny):
    settings = tiny(batch_size=64, class_weights="balanced", weight_decay=0.1)
    data = data.subset(range(11))  # 6 normal, 5 tb
    engine = TrainingEngine(settings, CLASSES, data)
    engine.network[3].p = 0.0  # no dropout, so that the step can be repeated
    network = copy.deepcopy(engine.network)
    engine.fit(1)
    images = ((torch.from_numpy(data.pixels[data.rows]).float()[:, None] / 255) - 0.5) / 0.25
    log_probabilities = functional.log_softmax(network.train()(images), 1)
    weights = torch.tensor([11 / 12, 11 / 10])[torch.from_numpy(data.labels)]
    losses = -log_probabilities[torch.arange(11), torch.from_numpy(data.labels)]
    ((weights * losses).sum() / weights.sum()).backward()
    for name, parameter in network.named_parameters():
        expected = parameter - 0.01 * (parameter.grad + 0.1 * parameter)
        torch.testing.assert_close(engine.network.get_parameter(name), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("augmentation", ["mixup", "cutmix"])
def test_mixed_labels_reach_loss_and_metrics(data, tiny, augmentation):
    settings = tiny(batch_size=64, class_weights="balanced", augmentation=augmentation)
    engine = TrainingEngine(settings, CLASSES, data)
    engine.network[3].p = 0.0
    network = copy.deepcopy(engine.network).train()
    results = []
    engine.fit(1, on_epoch=results.append)
    (batch,) = Batches(data, 64, settings.seed, 1, mean=0.5, std=0.25, mixing=MIXINGS[augmentation](2))
    logits, targets = network(batch["image"]), batch["target"]
    weights = torch.tensor([33 / (2 * 17), 33 / (2 * 16)])  # by the cases' own labels
    expected = -(weights * targets * functional.log_softmax(logits, 1)).sum() / (weights * targets).sum()
    train = results[0].metrics["train"]
    assert train.loss == pytest.approx(expected.item(), rel=1e-5)
    assert train.accuracy == pytest.approx(float((logits.argmax(1) == targets.argmax(1)).float().mean()))
    assert ((targets > 0).sum(1) == 2).sum() > 5
    expected.backward()
    moved = network[6].weight - 0.01 * network[6].weight.grad
    torch.testing.assert_close(engine.network[6].weight, moved, atol=1e-6, rtol=1e-5)


def test_other_splits_are_measured_on_unmixed_images(data, tiny):
    results = []
    engine = TrainingEngine(tiny(augmentation="mixup"), CLASSES, data, {"test": data})
    engine.fit(1, on_epoch=results.append)
    probabilities = engine.predict()
    assert results[0].metrics["test"].accuracy == pytest.approx((probabilities.argmax(1) == data.labels).mean())
    expected = -np.log(probabilities[np.arange(33), data.labels]).mean()
    assert results[0].metrics["test"].loss == pytest.approx(expected, rel=1e-5)


def test_three_classes_are_mixed(data, tiny):
    data = dataclasses.replace(data, labels=np.arange(33) % 3)
    for augmentation in ("mixup", "cutmix"):
        engine = TrainingEngine(tiny(augmentation=augmentation, batch_size=11), ["a", "b", "c"], data)
        engine.fit(1)
        assert engine.predict().shape == (33, 3)


def test_the_settings_name_every_mode_and_augmentation():
    choices = {name: set(entry.get("choices", ())) for name, entry in describe().items()}
    single = {name for choice in choices["feedback"] for name in mode_names(choice)}
    # Other tests, and the benchmark refocus, register modes of their own.
    known = {**MODES, **IMAGE_EDITS}
    assert single == {name for name, mode in known.items() if mode.__module__.startswith("imil.training.")}
    assert choices["augmentation"] == {"none", *AUGMENTATIONS, *MIXINGS}


def test_accumulated_batches_make_one_step(data, tiny):
    """Four batches of 8, accumulated by four, move the weights by the mean gradient of the four."""
    data = data.subset(range(32))
    engine = TrainingEngine(tiny(accumulate=4), CLASSES, data)
    engine.network[1] = torch.nn.Identity()
    engine.network[3].p = 0.0
    network = copy.deepcopy(engine.network)
    engine.fit(1)
    images = engine.images(range(32))
    functional.cross_entropy(network(images), torch.from_numpy(data.labels)).backward()
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            expected = parameter - 0.01 * parameter.grad
            torch.testing.assert_close(engine.network.get_parameter(name), expected, atol=1e-6, rtol=1e-5)


def test_schedules_by_hand():
    epochs = 8
    assert [learning_rate_factor("constant", epochs)(done) for done in range(8)] == [1] * 8
    step = [learning_rate_factor("step", epochs)(done) for done in range(8)]
    assert step == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    cosine = [learning_rate_factor("cosine", epochs)(done) for done in (0, 2, 4, 8)]
    assert cosine == pytest.approx([1, (1 + math.sqrt(0.5)) / 2, 0.5, 0])


def test_the_schedule_is_followed_across_pauses(data, tiny):
    rates = []
    settings = tiny(schedule="step")
    engine = TrainingEngine(settings, CLASSES, data)
    engine.fit(4, on_epoch=lambda result: rates.append(result.lr))
    engine = TrainingEngine(settings, CLASSES, data, state=engine.state_dict())
    engine.fit(6, on_epoch=lambda result: rates.append(result.lr))
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001, 0.0001])


def test_the_initial_weights_come_from_the_seed(data, tiny):
    hashes = {seed: TrainingEngine(tiny(seed=seed), CLASSES, data).weights_sha256() for seed in (1, 2)}
    torch.rand(3)
    assert TrainingEngine(tiny(seed=1), CLASSES, data).weights_sha256() == hashes[1]
    assert hashes[1] != hashes[2]


def test_feedback_changes_the_course_and_is_counted(data, settings, engine):
    other = TrainingEngine(settings, CLASSES, data)
    assert other.set_feedback(FEEDBACK, 1).counts == {"grid": 1, "relabel": 1, "exclude": 1}
    images = []
    other.fit(1, on_epoch=lambda result: images.append(result.images))
    engine.fit(1)
    assert images == [32]
    assert other.weights_sha256() != engine.weights_sha256()


def test_a_forgotten_round_is_refused(data, settings, engine):
    engine.set_feedback(FEEDBACK, 1)
    engine.fit(1)
    resumed = TrainingEngine(settings, CLASSES, data, state=engine.state_dict())
    with pytest.raises(Conflict, match=r"feedback of round 1.*round 0"):
        resumed.fit(2)
    resumed.set_feedback(FEEDBACK, 1)
    resumed.fit(2)


def test_a_loss_that_is_not_finite_names_epoch_and_rate(data, tiny):
    engine = TrainingEngine(tiny(lr=10, momentum=0.99, weight_decay=1, epochs=60), CLASSES, data)
    with pytest.raises(ImilError, match=r"epoch \d+ \(learning rate 10\).*try a lower lr"):
        engine.fit(60)


def test_what_the_listener_raises_reaches_the_caller(data, settings, engine, capfd):
    def stop(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.fit(6, on_epoch=stop)
    assert engine.epoch == 1
    engine.fit(2)
    unpaused = TrainingEngine(settings, CLASSES, data)
    unpaused.fit(2)
    assert engine.weights_sha256() == unpaused.weights_sha256()
    assert "terminating" not in capfd.readouterr().err


def test_mixed_precision_on_a_cpu_is_noted(data, tiny):
    engine = TrainingEngine(tiny(amp=True), CLASSES, data)
    assert engine.notes == ["The setting amp is ignored on cpu: mixed precision needs a GPU."]
    engine.fit(1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_mixed_precision_on_a_gpu_pauses_with_its_scale(data, tiny, tmp_path):
    settings = tiny(amp=True, device="cuda")
    engine = TrainingEngine(settings, CLASSES, data, {"test": data})
    engine.fit(3)
    checkpoints.save(tmp_path / "checkpoint.pt", engine.state_dict())
    state = checkpoints.load(tmp_path / "checkpoint.pt")
    assert state["scaler"]["scale"] > 0
    resumed = TrainingEngine(settings, CLASSES, data, state=state)
    resumed.set_feedback(FEEDBACK, 1)
    resumed.fit(6)
    assert np.isfinite(resumed.predict()).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image_size": 32}, BadInput, "16 x 16, but image_size is 32"),
        ({"device": "nowhere"}, BadInput, "'nowhere' can't be used"),
        ({"feedback": "sepia"}, NotFound, "'sepia'"),
        ({"network": "resnot"}, NotFound, "resnot"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(data, tiny, options, error, message):
    with pytest.raises(error, match=message):
        TrainingEngine(tiny(**options), CLASSES, data)


def test_labels_beyond_the_classes_are_refused(data, settings):
    with pytest.raises(BadInput, match="label 1 isn't an index of the 1 classes"):
        TrainingEngine(settings, ["normal"], data)


def test_epochs_beyond_the_runs_are_refused(engine):
    with pytest.raises(BadInput, match="Epoch 7 lies beyond the run's 6"):
        engine.fit(7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version 2.*update IMIL"),
        ({"classes": ["a", "b"]}, "classes a, b.*normal, tb"),
        ({"settings": {"network": "resnet18"}}, "resnet18"),
        ({"network": {}}, "doesn't fit the network"),
        ({"optimizer": {}}, "doesn't fit the network"),
    ],
)
def test_a_foreign_checkpoint_is_refused(data, settings, engine, changes, message):
    with pytest.raises(BadInput, match=message):
        TrainingEngine(settings, CLASSES, data, state=engine.state_dict() | changes)
