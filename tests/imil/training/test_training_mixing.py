import math

import numpy as np
import pytest
import timm.data
import torch
from torch import nn

from imil.training.batches import Batches
from imil.training.mixing import CUTMIX_ALPHA, MIXINGS, MIXUP_ALPHA, TargetLoss, cutmix, mixup

BOTH = pytest.mark.parametrize("name", MIXINGS)


def of_class(labels, size=8):
    """Images (B, 3, size, size) of three classes; channel c is 1 in images of class c and 0 in others."""
    one_hot = torch.eye(3)[torch.tensor(labels)]
    return one_hot[:, :, None, None].expand(-1, -1, size, size).clone(), torch.tensor(labels)


# -- images and labels -------------------------------------------------------------------------------------------------


def test_the_label_of_mixup_is_the_weight_of_each_pixel():
    images, labels = of_class([0, 1, 2, 0, 1, 2, 2, 1])
    mixed, targets = mixup(3)(images, labels, seed=4)
    assert targets.dtype == torch.float32
    assert ((targets > 0.01).sum(1) == 2).any()
    torch.testing.assert_close(mixed, targets[:, :, None, None].expand_as(mixed), atol=1e-6, rtol=0)


def test_the_label_of_cutmix_is_the_visible_area_to_the_pixel():
    images, labels = of_class([0, 1, 2, 0] * 5, size=7)
    mixed, targets = cutmix(3)(images, labels, seed=4)
    assert ((targets > 0).sum(1) == 2).sum() > 5
    assert set(mixed.unique().tolist()) == {0.0, 1.0}
    pixels = mixed.sum((2, 3))
    torch.testing.assert_close(targets * 49, pixels, atol=1e-4, rtol=0)
    for image, own in zip(mixed, labels, strict=True):  # what isn't its own is one rectangle
        foreign = image[own] == 0
        assert foreign.sum() == foreign.any(0).sum() * foreign.any(1).sum()


def test_images_are_mixed_with_the_one_opposite():
    images, labels = of_class([0, 1, 1, 2])
    _, targets = mixup(3)(images, labels, seed=1)
    assert (targets[[0, 3], 1] == 0).all()  # 0 with 3, and 1 with 2
    assert (targets[[1, 2], 1] == 1).all()


@BOTH
def test_the_last_of_an_odd_batch_stays_as_it_is(name):
    images, labels = of_class([0, 1, 2, 0, 1])
    mixed, targets = MIXINGS[name](3)(images, labels, seed=2)
    even, even_targets = MIXINGS[name](3)(images[:4], labels[:4], seed=2)
    assert torch.equal(mixed[4], images[4])
    assert targets[4].tolist() == [0, 1, 0]
    assert torch.equal(mixed[:4], even)
    assert torch.equal(targets[:4], even_targets)


@BOTH
def test_a_batch_of_one_stays_as_it_is(name):
    images, labels = of_class([2])
    mixed, targets = MIXINGS[name](3)(images, labels, seed=2)
    assert torch.equal(mixed, images)
    assert targets.tolist() == [[0, 0, 1]]


@BOTH
def test_mixing_depends_on_its_seed_alone(name):
    images, labels = of_class([0, 1, 2, 0, 1, 2])
    before = images.clone()
    first = MIXINGS[name](3)(images, labels, seed=5)
    np.random.seed(1)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    again = MIXINGS[name](3)(images, labels, seed=5)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert all(map(torch.equal, first, again))
    assert torch.equal(images, before)
    for other in (6, 5 + 2**32):
        assert not torch.equal(MIXINGS[name](3)(images, labels, seed=other)[0], first[0])


@pytest.mark.parametrize(("name", "alphas"), [("mixup", (0.2, 0.0)), ("cutmix", (0.0, 1.0))])
def test_timm_gives_the_same(name, alphas):
    assert (MIXUP_ALPHA, CUTMIX_ALPHA) == (0.2, 1.0)
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(6, 1, 9, 9, generator=generator), torch.tensor([0, 1, 0, 2, 2, 1])
    np.random.seed([77, 0])  # noqa: NPY002
    peer = timm.data.Mixup(*alphas, mode="elem", label_smoothing=0.0, num_classes=3)
    expected = peer(images.clone(), labels)
    assert all(map(torch.equal, MIXINGS[name](3)(images, labels, seed=77), expected))


# -- loss --------------------------------------------------------------------------------------------------------------

LOGITS = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]).log()
TARGETS = torch.tensor([[0.75, 0.25, 0.0], [0.0, 1.0, 0.0]])


def test_the_loss_of_mixed_labels_by_hand():
    first = 0.75 * math.log(2) + 0.25 * math.log(4)
    second = -math.log(0.8)
    assert float(TargetLoss()(LOGITS, TARGETS)) == pytest.approx((first + second) / 2)


def test_the_weighted_loss_of_mixed_labels_by_hand():
    # Weights 1 and 2: the first image weighs 0.75 + 0.25 * 2, the second 2.
    first = 1 * 0.75 * math.log(2) + 2 * 0.25 * math.log(4)
    second = -2 * math.log(0.8)
    loss = TargetLoss(weight=torch.tensor([1.0, 2.0, 4.0]))
    assert float(loss(LOGITS, TARGETS)) == pytest.approx((first + second) / (1.25 + 2))


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 2.0, 0.0])], ids=["equal", "weighted"])
def test_one_hot_targets_give_the_loss_and_gradient_of_class_indices(weight):
    generator = torch.Generator().manual_seed(3)
    labels = torch.tensor([0, 1, 1, 0, 1])
    hard, soft = (torch.randn(5, 3, generator=generator.manual_seed(3), requires_grad=True) for _ in range(2))
    expected = nn.CrossEntropyLoss(weight=weight)(hard, labels)
    loss = TargetLoss(weight=weight)(soft, torch.eye(3)[labels])
    assert torch.equal(TargetLoss(weight=weight)(hard, labels), expected)
    torch.testing.assert_close(loss, expected)
    expected.backward()
    loss.backward()
    torch.testing.assert_close(soft.grad, hard.grad)


# -- in batches --------------------------------------------------------------------------------------------------------


@BOTH
def test_batches_mix_by_seed_epoch_and_batch(data, name):
    def targets(epoch, seed=3):
        return [batch["target"] for batch in Batches(data, 8, seed, epoch, mixing=MIXINGS[name](2))]

    first = targets(1)
    assert [len(batch) for batch in first] == [8, 8, 8, 9]
    assert all(map(torch.equal, first, targets(1)))
    assert not torch.equal(first[0], targets(2)[0])
    assert not torch.equal(first[0], targets(1, seed=4)[0])
    assert not torch.equal(first[0].sort(0).values, first[1].sort(0).values)
    assert torch.equal(first[3][8], torch.eye(2)[list(Batches(data, 8, 3, 1))[-1]["label"][8]])


def test_images_are_mixed_before_they_are_normalised(data):
    options = {"shuffle": False, "mixing": cutmix(2)}
    (plain,), (scaled,) = (Batches(data, 64, 0, 1, mean=mean, **options) for mean in (0.0, 0.5))
    torch.testing.assert_close(scaled["image"], plain["image"] - 0.5)
    assert scaled["label"].tolist() == data.labels.tolist()


def test_without_mixing_there_are_no_targets(data):
    assert set(next(iter(Batches(data, 8, 3, 1)))) == {"image", "label", "index"}
