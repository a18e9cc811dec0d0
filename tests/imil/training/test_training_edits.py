import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import Compose, MapTransform

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, NotFound
from imil.grid import Grid
from imil.settings import resolve
from imil.training.edits import IMAGE_EDITS, Blackoutd, ImageEdit, create_image_edit, register_edit
from imil.training.feedback import AppliedFeedback

CLASSES = ["normal", "tb"]


def test_blackout_by_hand():
    # A 5 x 4 image and a 2 x 2 grid: rows 0-1 and 2-4, columns 0-1 and 2-3. Cell 2 is the bottom left one.
    image = torch.arange(1.0, 21.0).reshape(1, 5, 4)
    changed = Blackoutd("image")({"image": image, "cells": [2], "misleading": [], "grid_size": 2})["image"]
    expected = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [9, 10, 0, 0], [13, 14, 0, 0], [17, 18, 0, 0.0]])
    assert torch.equal(changed[0], expected)
    assert image[0, 0, 0] == 1


@given(
    size=st.integers(1, 6),
    shape=st.tuples(st.integers(6, 12), st.integers(6, 12)),
    channels=st.integers(1, 3),
    draw=st.data(),
)
def test_blackout_keeps_the_relevant_cells_and_nothing_else(size, shape, channels, draw):
    cells = draw.draw(st.sets(st.integers(0, size * size - 1), min_size=1))
    misleading = draw.draw(st.sets(st.integers(0, size * size - 1))) - cells
    image = torch.rand(channels, *shape) + 0.1
    changed = Blackoutd()({"image": image, "cells": cells, "misleading": misleading, "grid_size": size})["image"]
    relevant = torch.from_numpy(Grid.square(size, shape).mask(cells) == 1)
    assert torch.equal(changed[:, relevant], image[:, relevant])
    assert (changed[:, ~relevant] == 0).all()


def test_black_has_the_value_of_the_images_scale():
    image = torch.zeros(1, 4, 4)
    changed = Blackoutd(black=-1024.0)({"image": image, "cells": [0], "misleading": [], "grid_size": 2})["image"]
    assert changed[0].tolist() == [[0, 0, -1024, -1024]] * 2 + [[-1024] * 4] * 2


def test_it_is_a_monai_dictionary_transform():
    transform = Compose([Blackoutd(["image"])])
    assert isinstance(transform.transforms[0], MapTransform)
    data = {"image": np.ones((1, 4, 4), np.float32), "cells": [0], "misleading": [], "grid_size": 2, "label": 1}
    changed = transform(data)
    assert changed["label"] == 1
    assert float(changed["image"].sum()) == 4
    assert data["image"].sum() == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": []}, "No relevant cell"),
        ({"cells": [4]}, "Cell 4 doesn't exist"),
        ({"cells": [0], "misleading": [0]}, "both"),
        ({"grid_size": 9}, "doesn't fit"),
        ({"image": torch.ones(4, 4)}, "channels, rows, columns"),
    ],
)
def test_bad_input_is_refused(changes, message):
    data = {"image": torch.ones(1, 4, 4), "cells": [1], "misleading": [], "grid_size": 2}
    with pytest.raises(BadInput, match=message):
        Blackoutd()(data | changes)


def test_edits_join_by_name():
    @register_edit("halve_for_test")
    class Halved(ImageEdit):
        def change(self, image, grid, cells, misleading, random):
            return image / 2

    try:
        changed = create_image_edit("halve_for_test")(
            {"image": torch.ones(1, 2, 2), "cells": [0], "misleading": [], "grid_size": 1}
        )
        assert changed["image"].tolist() == [[[0.5, 0.5], [0.5, 0.5]]]
    finally:
        del IMAGE_EDITS["halve_for_test"]


def test_an_unknown_edit_names_the_known_ones():
    with pytest.raises(NotFound, match=r"'sepia'.*blackout"):
        create_image_edit("sepia")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (CaseFeedback("nobody.png", "exclude"), "nobody.png"),
        (CaseFeedback("case00.png", "relabel", new_label="flu"), "'flu'.*normal, tb"),
        (CaseFeedback("case00.png", "grid", 4), "No relevant cell"),
        (CaseFeedback("case00.png", "grid", 4, (16,)), "Cell 16"),
        (CaseFeedback("case00.png", "grid", 17, (1,)), "doesn't fit"),
        (CaseFeedback("case00.png", "skip"), "'skip'"),
    ],
)
def test_feedback_that_does_not_fit_is_found_before_training(data, case, message):
    with pytest.raises(BadInput, match=message):
        AppliedFeedback({case.case_id: case}, data, CLASSES, resolve("paper")).use(None)


def test_excluding_everything_is_refused(data):
    feedback = {case: CaseFeedback(case, "exclude") for case in data.ids}
    with pytest.raises(BadInput, match="all 33"):
        AppliedFeedback(feedback, data, CLASSES, resolve("paper")).use(None)
