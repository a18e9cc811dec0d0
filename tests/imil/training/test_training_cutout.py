import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imil.casefeedback import CaseFeedback
from imil.settings import RunSettings
from imil.training.augmentation import CutOut, squares
from imil.training.batches import Batches
from imil.training.edits import IMAGE_EDITS, create_image_edit
from imil.training.feedback import AppliedFeedback


@pytest.mark.parametrize(("size", "side"), [(224, 50), (448, 100), (112, 25), (96, 21), (16, 4), (2, 1)])
def test_the_square_grows_with_the_image(size, side):
    assert CutOut().side(size, size) == CutOut().side(size + 9, size) == side
    images = torch.ones(1, 1, size, size)
    changed = CutOut()(images, torch.full((1, 2), 0.5))
    assert int((changed == 0).sum()) == side**2
    assert (images == 1).all()


def test_a_square_at_the_corner_is_cut_off():
    changed = CutOut()(torch.ones(2, 1, 224, 224), torch.tensor([[0.0, 0.0], [0.0, 0.9999999]]))
    assert changed.sum((1, 2, 3)).tolist() == [224**2 - 25 * 25, 224**2 - 25 * 26]
    assert (changed[0, 0, :25, :25] == 0).all()
    assert (changed[1, 0, :25, -26:] == 0).all()


@given(st.integers(0, 11), st.integers(0, 8), st.integers(1, 7))
def test_squares_are_those_of_the_authors_code(row, col, half):
    expected = np.zeros((12, 9), bool)
    top, bottom = np.clip([row - half, row + half], 0, 12)
    left, right = np.clip([col - half, col + half], 0, 9)
    expected[top:bottom, left:right] = True
    np.testing.assert_array_equal(squares(torch.tensor([[row, col]]), 2 * half, 12, 9)[0].numpy(), expected)


def test_every_pixel_can_be_the_centre():
    draws = torch.cartesian_prod(*[torch.arange(0, 1, 1 / 16)] * 2)
    cut_out = CutOut(share=1 / 16)  # a square of one pixel
    holes = cut_out(torch.ones(256, 1, 16, 16), draws) == 0
    assert (holes.sum((1, 2, 3)) == 1).all()
    assert (holes.sum(0) == 1).all()


def test_each_case_has_a_square_of_its_own_at_each_draw(data):
    def holes(epoch):
        (batch,) = Batches(data, 64, 3, epoch, mean=-1, shuffle=False, augmentation=CutOut())
        return (batch["image"][:, 0] == 1) & torch.from_numpy(data.pixels[data.rows] > 0)

    assert torch.equal(holes(1), holes(1))
    assert (holes(1).flatten(1) != holes(2).flatten(1)).any(1).sum() > 25
    assert len(torch.unique(holes(1), dim=0)) > 25


# -- as a feedback mode ------------------------------------------------------------------------------------------------


def mode_data(image, **others):
    return {"image": image, "cells": [0], "misleading": [], "grid_size": 2, **others}


def test_the_mode_blacks_out_one_square_whatever_the_cells():
    mode = IMAGE_EDITS["cutout"](black=-1024.0)
    image = torch.ones(2, 60, 45)
    seen = set()
    for seed in range(40):
        changed = mode(mode_data(image, random=np.random.default_rng(seed)))["image"]
        assert torch.equal(changed[0], changed[1])
        rows, cols = ((changed[0] == -1024).any(axis).nonzero().flatten().tolist() for axis in (1, 0))
        assert int((changed[0] == -1024).sum()) == len(rows) * len(cols)
        assert len(rows) <= 10  # 50 / 224 of 45 pixels
        assert len(cols) <= 10
        seen.add((rows[0], cols[0], len(rows), len(cols)))
        again = mode(mode_data(image, cells=[3], random=np.random.default_rng(seed)))["image"]
        assert torch.equal(again, changed)
    assert len(seen) > 35
    assert (image == 1).all()


def test_without_a_generator_the_mode_follows_torch():
    image, mode = torch.ones(1, 60, 60), create_image_edit("cutout")
    torch.manual_seed(1)
    first, second = (mode(mode_data(image))["image"] for _ in range(2))
    torch.manual_seed(1)
    assert torch.equal(mode(mode_data(image))["image"], first)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("name", ["blackout", "unedited"])
def test_modes_that_draw_nothing_leave_torch_alone(name):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    create_image_edit(name)(mode_data(torch.ones(1, 6, 6)))
    assert torch.equal(torch.get_rng_state(), state)


def test_unedited_is_a_copy():
    image = torch.rand(1, 6, 6)
    changed = create_image_edit("unedited")(mode_data(image))["image"]
    assert torch.equal(changed, image)
    assert changed.data_ptr() != image.data_ptr()


def test_fed_back_images_get_a_new_square_at_each_draw_of_each_epoch(data):
    case = CaseFeedback("case04.png", "grid", 4, (5,))
    applied = AppliedFeedback(
        {case.case_id: case}, data, ["normal", "tb"], RunSettings(feedback="cutout", feedback_repeat=20)
    )

    def images(epoch):
        batches = Batches(data, 8, 3, epoch, feedback=applied)
        return torch.cat([batch["image"][batch["index"] == 4, 0] for batch in batches])

    first = images(1)
    original = torch.from_numpy(data.pixels[data.rows[4]] / np.float32(255))
    assert len(first) == 20
    assert len(torch.unique(first, dim=0)) > 15
    assert ((first == original) | (first == 0)).all()
    assert torch.equal(images(1), first)
    assert not torch.equal(images(2), first)
