import random

import numpy as np
import pytest
import torch
from ignite.engine import create_supervised_trainer
from monai.data import MetaTensor
from monai.engines import SupervisedTrainer
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from imil import IMIL
from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, Conflict, NotFound
from imil.readers import OracleReader, Reading
from imil.training.edits import Blackoutd
from imil.training.itemfeedback import FeedbackDataset

COUNT = 24


class ScriptedReader:
    """Answers by a function of the case, and remembers the cases."""

    name = "ada"

    def __init__(self, answer=lambda case: Reading("grid", (0, 5), (3,), "why not")):
        self.answer = answer
        self.cases = []

    def read(self, case):
        self.cases.append(case)
        torch.rand(5), np.random.rand(5), random.random()  # noqa: NPY002  (a reader may use random numbers)
        return self.answer(case)


class Items(Dataset):
    """`kind` decides what an item is: a tuple, a list, a dictionary, arrays."""

    def __init__(self, kind="tuple", channels=1, count=COUNT):
        generator = torch.Generator().manual_seed(1)
        self.images = torch.rand(count, channels, 16, 16, generator=generator) + 0.1
        self.labels = torch.arange(count) % 2
        self.kind = kind

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image, label = self.images[index], int(self.labels[index])
        return {
            "tuple": (image, label),
            "triple": (image, torch.tensor(label), "more"),
            "dict": {"image": image, "label": label, "other": 3},
            "meta": {"image": MetaTensor(image), "label": np.int64(label)},
            "array": [image.numpy(), np.array(label)],
        }[self.kind]


def make_network(channels=1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip


def train(dataset, network, imil=None, *, epochs=4, engine="ignite", **loader_options):
    torch.manual_seed(7)
    loader = DataLoader(dataset, batch_size=8, shuffle=True, **loader_options)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    if engine == "ignite":
        trainer = create_supervised_trainer(network, optimizer, nn.CrossEntropyLoss())
    else:
        trainer = SupervisedTrainer(
            torch.device("cpu"), epochs, loader, network, optimizer, nn.CrossEntropyLoss(), decollate=False
        )
    if imil is not None:
        imil.attach(trainer, network)
    if engine == "ignite":
        trainer.run(loader, max_epochs=epochs)
    else:
        trainer.run()
    return network


def same(first, second):
    states = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in states)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("engine", "kind"), [("ignite", "tuple"), ("monai", "dict"), ("monai", "meta")])
def test_a_round_reads_the_worst_mispredictions_and_changes_their_images(engine, kind):
    reader = ScriptedReader()
    imil = IMIL(reader, imil_epochs=[2], num_outliers=3, grid_size=4, classes=["normal", "tb"], black=-1.0)
    items = Items(kind)
    train_set = imil.wrap(items)
    network = train(train_set, make_network(), imil, engine=engine)
    assert len(reader.cases) == 3
    for case in reader.cases:
        assert case.prediction != case.label
        assert case.image.shape == case.heatmap.shape == (16, 16)
        assert 0 <= case.image.min() <= case.image.max() <= 1
        assert sum(case.probabilities) == pytest.approx(1)
    confidences = [case.confidence for case in reader.cases]
    assert confidences == sorted(confidences, reverse=True)
    assert [entry.case_id for entry in imil.history] == [case.id for case in reader.cases]
    assert imil.history[0].epoch == 2
    assert imil.history[0].reader == "ada"
    assert imil.history[0].reading.rationale == "why not"
    index = int(reader.cases[0].id)
    item = train_set[index]
    image = item["image"] if isinstance(item, dict) else item[0]
    kept = torch.zeros(16, 16, dtype=torch.bool)
    kept[:4, :4] = kept[4:8, 4:8] = True
    assert torch.equal(image[:, kept], items.images[index][:, kept])
    assert (image[:, ~kept] == -1).all()
    assert imil.case_feedback[reader.cases[0].id].cells == (0, 5)
    assert not same(network, train(items, make_network(), engine=engine))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "answer", [lambda case: Reading("skip"), lambda case: Reading("grid", tuple(range(16)))], ids=["skip", "all_cells"]
)
def test_a_reader_who_changes_nothing_leaves_no_trace(answer, workers):
    imil = IMIL(ScriptedReader(answer), imil_epochs=[1, 2, 3], num_outliers=5, requeue=True)
    with_imil = train(imil.wrap(Items()), make_network(), imil, num_workers=workers)
    assert len(imil.history) == 15
    assert same(with_imil, train(Items(), make_network(), num_workers=workers))


def test_unedited_feedback_leaves_no_trace():
    imil = IMIL(ScriptedReader(), imil_epochs=[1, 2], num_outliers=5, feedback="unedited")
    with_imil = train(imil.wrap(Items()), make_network(), imil)
    assert imil.case_feedback
    assert same(with_imil, train(Items(), make_network()))


@pytest.mark.parametrize("workers", [0, 2])
def test_random_squares_differ_by_epoch_and_repeat_with_the_seed(workers):
    imil = IMIL(ScriptedReader(), imil_epochs=[1], feedback="cutout", black=-1.0)
    dataset = imil.wrap(Items("array" if workers else "tuple", count=4))
    for index in range(4):
        dataset.set_feedback(index, CaseFeedback(dataset.ids[index], "grid", 2, (1,)), ["a", "b"])

    def epochs():
        torch.manual_seed(3)
        loader = DataLoader(dataset, batch_size=2, num_workers=workers)
        return [torch.cat([images for images, _ in loader]) == -1 for _ in range(3)]

    first = epochs()
    assert all(map(torch.equal, first, epochs()))
    holes = torch.cat(first)
    assert (holes.sum((1, 2, 3)) > 0).all()
    assert len(torch.unique(holes, dim=0)) > 8  # of 12


@pytest.mark.parametrize("feedback", ["propagate", "cutmix", "rrr", "blackout+cam_align"])
def test_modes_that_need_more_than_one_image_are_refused(feedback):
    with pytest.raises(BadInput, match=r"more than the single images .* takes one of blackout, cutout, unedited, all"):
        IMIL(ScriptedReader(), imil_epochs=[1], feedback=feedback)


def test_without_mispredictions_nobody_is_asked_and_nothing_changes():
    class Perfect(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images):
            score = self.weight * (images.mean((1, 2, 3)) - 0.5)
            return torch.stack([-score, score], 1)

    images = torch.cat([torch.full((4, 1, 8, 8), 0.1), torch.full((4, 1, 8, 8), 0.9)])
    reader = ScriptedReader()
    imil = IMIL(reader, imil_epochs=[1])
    items = TensorDataset(images, torch.arange(8) // 4)
    assert same(train(imil.wrap(items), Perfect(), imil), train(items, Perfect()))
    assert reader.cases == imil.history == []
    assert "mispredicts none" in imil.messages[0]


def test_worker_processes_get_the_changed_images():
    network = make_network()
    imil = IMIL(ScriptedReader(lambda case: Reading("grid", (0,))), [1], num_outliers=COUNT, fill="least_confident")
    train_set = imil.wrap(Items())
    seen = []
    spy = network.register_forward_pre_hook(
        lambda module, inputs: seen.append((module.training, (inputs[0] == 0).float().mean().item()))
    )
    train(train_set, network, imil, epochs=2, num_workers=2)
    spy.remove()
    black = [share for training, share in seen if training]
    assert black[:3] == [0, 0, 0]
    assert black[3:] == pytest.approx([15 / 16] * 3)


def test_several_rounds_queue_a_case_once_unless_asked():
    def ids(**options):
        reader = ScriptedReader(lambda case: Reading("skip"))
        imil = IMIL(reader, [1, 2], num_outliers=8, fill="least_confident", **options)
        train(imil.wrap(Items()), make_network(), imil, epochs=3)
        return [case.id for case in reader.cases]

    assert len(set(ids())) == 16
    assert len(set(ids(requeue=True))) < 16


def test_relabel_and_exclude_take_effect():
    answers = iter([Reading("relabel", new_label="tb"), Reading("exclude")])

    def answer(case):
        return next(answers) if case.label == "normal" else Reading("skip")

    reader = ScriptedReader(answer)
    imil = IMIL(reader, [1], num_outliers=2, classes=["normal", "tb"], selection="random", seed=3)
    items = Items(count=12)
    items.labels[:] = 0
    train_set = imil.wrap(items, ids=[f"case-{number}" for number in range(12)])
    train(train_set, make_network(), imil, epochs=2)
    relabelled, excluded = (int(case.id.removeprefix("case-")) for case in reader.cases)
    assert train_set[relabelled][1] == 1
    assert items[relabelled][1] == 0
    assert not torch.equal(train_set[excluded][0], items[excluded][0])
    assert len(train_set) == 12
    assert {feedback.action for feedback in imil.case_feedback.values()} == {"relabel", "exclude"}


def test_random_changes_come_after_the_feedback_and_are_not_predicted():
    reader = ScriptedReader()
    imil = IMIL(reader, [1], num_outliers=1)
    items = Items()
    train_set = imil.wrap(items, transform=lambda item: (item[0].flip(2) + 5, item[1]))
    train(train_set, make_network(), imil, epochs=2)
    (case,) = reader.cases
    index = int(case.id)
    image = items.images[index, 0]
    expected = (image - image.min()) / (image.max() - image.min())
    np.testing.assert_allclose(case.image, expected.numpy(), atol=1e-6)
    assert train_set[index][0][0, 0, 15] == image[0, 0] + 5
    assert train_set[index][0][0, 15, 15] == 5


def test_colour_images_and_a_grid_that_does_not_divide_them():
    imil = IMIL(ScriptedReader(lambda case: Reading("grid", (0,))), [1], num_outliers=2, grid_size=3)
    train_set = imil.wrap(Items("triple", channels=3))
    train(DropThird(train_set), make_network(3), imil, epochs=2)
    index = int(imil.history[0].case_id)
    image, label, more = train_set[index]
    assert (image[:, :5, :5] > 0).all()
    assert (image[:, 5:] == 0).all()
    assert isinstance(label, torch.Tensor)
    assert more == "more"


class DropThird(Dataset):
    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return self.dataset[index][:2]


def test_own_loops_call_hold_round():
    reader = ScriptedReader()
    imil = IMIL(reader, [], num_outliers=2)
    imil.wrap(Items("array"))
    network = make_network().train()
    imil.hold_round(network, epoch=5)
    assert network.training
    assert [entry.epoch for entry in imil.history] == [5, 5]


def test_a_simulated_reader_without_masks_skips():
    imil = IMIL(OracleReader(), [1], num_outliers=2)
    train(imil.wrap(Items()), make_network(), imil, epochs=2)
    assert [entry.reading.action for entry in imil.history] == ["skip", "skip"]
    assert imil.case_feedback == {}


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"imil_epochs": [0]}, BadInput, "counted from 1"),
        ({"imil_epochs": [1], "fill": "out_of_fold"}, BadInput, "fill='out_of_fold' trains further models"),
        ({"imil_epochs": [1], "selection": "out_of_fold"}, BadInput, "selection='out_of_fold' trains further models"),
        ({"imil_epochs": [1], "feedback": "sepia"}, NotFound, "sepia"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        IMIL(ScriptedReader(), **options)


def test_persistent_workers_are_refused_at_the_start():
    imil = IMIL(ScriptedReader(), [1])
    with pytest.raises(BadInput, match=r"persistent_workers=True.*set it to False"):
        train(imil.wrap(Items()), make_network(), imil, num_workers=1, persistent_workers=True)


def test_another_data_set_is_refused_and_a_subset_is_not():
    imil = IMIL(ScriptedReader(), [1], num_outliers=1)
    train_set = imil.wrap(Items())
    with pytest.raises(BadInput, match="doesn't draw from the data set that wrap returned"):
        train(Items(), make_network(), imil)
    train(Subset(train_set, range(16)), make_network(), imil)
    assert len(imil.history) == 1


def test_epochs_that_never_come_are_refused():
    imil = IMIL(ScriptedReader(), [4])
    with pytest.raises(BadInput, match=r"imil_epochs have 4, but training ends after epoch 4"):
        train(imil.wrap(Items()), make_network(), imil, epochs=4)


def test_epochs_shorter_than_the_loader_are_refused_with_workers():
    imil = IMIL(ScriptedReader(), [1])
    network = make_network()
    trainer = create_supervised_trainer(network, torch.optim.SGD(network.parameters(), lr=0.1), nn.CrossEntropyLoss())
    loader = DataLoader(imil.wrap(Items()), batch_size=8, num_workers=1)
    imil.attach(trainer, network)
    with pytest.raises(BadInput, match=r"epoch_length is 2, but the data loader has 3"):
        trainer.run(loader, max_epochs=2, epoch_length=2)


def test_attach_before_wrap_is_refused():
    with pytest.raises(Conflict, match="call wrap first"):
        IMIL(ScriptedReader(), [1]).attach(create_supervised_trainer(nn.Identity(), None, None), nn.Identity())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Reading("grid"), "No relevant cell"),
        (Reading("grid", (16,)), "Cell 16"),
        (Reading("relabel", new_label="flu"), "'flu' isn't a class; there are 0, 1"),
        (Reading("dance"), "'dance'"),
    ],
)
def test_impossible_answers_are_refused_and_change_nothing(answer, message):
    imil = IMIL(ScriptedReader(lambda case: answer), [1], num_outliers=1)
    items = Items()
    train_set = imil.wrap(items)
    with pytest.raises(BadInput, match=message):
        imil.hold_round(make_network(), 1)
    assert imil.case_feedback == {}
    assert all(torch.equal(train_set[index][0], items[index][0]) for index in range(COUNT))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((torch.rand(8, 8), 0), "item 0 has shape"),
        (("image.png", 0), "item 0 is a str"),
        ((torch.rand(1, 8, 8), torch.tensor([0.0, 1.0])), "label of item 0"),
        ((torch.rand(1, 8, 8), -1), "label of item 0 is -1"),
        ({"picture": 3}, "'image' and 'label'"),
        (torch.rand(1), "without image and label"),
    ],
)
def test_items_that_are_no_labelled_images_are_refused(item, message):
    imil = IMIL(ScriptedReader(), [1])
    imil.wrap([item] * 4)
    with pytest.raises(BadInput, match=message):
        imil.hold_round(make_network(), 1)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Flatten(0), {}, r"network gives \(6144,\)"),
        (nn.Flatten(), {"classes": ["a", "b"]}, "2 class names, but the network has 256 outputs"),
    ],
)
def test_networks_that_are_no_classifiers_are_refused(network, options, message):
    imil = IMIL(ScriptedReader(), [1], **options)
    imil.wrap(Items())
    with pytest.raises(BadInput, match=message):
        imil.hold_round(network, 1)


def test_data_sets_that_cannot_be_wrapped_are_refused():
    imil = IMIL(ScriptedReader(), [1])
    with pytest.raises(BadInput, match="a length and an index"):
        imil.wrap(iter([]))
    with pytest.raises(BadInput, match="empty"):
        imil.wrap([])
    with pytest.raises(BadInput, match="2 ids, 1 of them different, for 24 items"):
        imil.wrap(Items(), ids=["a", "a"])


def test_every_case_excluded_is_refused():
    dataset = FeedbackDataset(Items(count=3), Blackoutd(), ("image", "label"))
    classes = ["0", "1"]
    dataset.set_feedback(0, CaseFeedback("0", "exclude"), classes)
    assert torch.equal(dataset[0][0], dataset[2][0])  # the next case of the same class
    dataset.set_feedback(2, CaseFeedback("2", "exclude"), classes)
    assert torch.equal(dataset[0][0], dataset[1][0])
    with pytest.raises(BadInput, match="all 3"):
        dataset.set_feedback(1, CaseFeedback("1", "exclude"), classes)
