import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, NotFound
from imil.settings import resolve
from imil.training.augmentation import Affine, create_augmentation
from imil.training.batches import Batches, TrainingData, batch_edges, epoch_seed
from imil.training.feedback import AppliedFeedback

CLASSES = ["normal", "tb"]


def apply(data: TrainingData, *cases: CaseFeedback) -> AppliedFeedback:
    return AppliedFeedback({case.case_id: case for case in cases}, data, CLASSES, resolve("paper"))


def order(batches: Batches) -> list[int]:
    return torch.cat([batch["index"] for batch in batches]).tolist()


def test_an_epoch_holds_every_case_once_in_an_order_of_its_own(data):
    first, again = (Batches(data, 8, seed=3, epoch=1) for _ in range(2))
    assert sorted(order(first)) == list(range(33))
    assert order(first) == order(first) == order(again)
    assert order(first) != order(Batches(data, 8, seed=3, epoch=2))
    assert order(first) != order(Batches(data, 8, seed=4, epoch=1))
    assert order(Batches(data, 8, seed=3, epoch=1, shuffle=False)) == list(range(33))


def test_the_order_does_not_depend_on_the_batch_size_or_torch(data):
    torch.manual_seed(1)
    expected = order(Batches(data, 8, seed=3, epoch=1))
    torch.manual_seed(2)
    assert order(Batches(data, 5, seed=3, epoch=1)) == expected


def test_seeds_are_the_same_on_every_machine_and_differ_by_stream():
    assert epoch_seed(7, 3, 1) == 6665335680343557524
    assert (
        len({epoch_seed(seed, epoch, stream) for seed in range(3) for epoch in range(3) for stream in range(3)}) == 27
    )


def test_images_are_the_normalised_pixels_of_their_rows(data):
    (batch,) = Batches(data, 64, 0, 1, mean=0.5, std=0.25, shuffle=False)
    assert batch["image"].shape == (33, 1, 16, 16)
    assert batch["image"].dtype == torch.float32
    expected = (data.pixels[data.rows[7]].astype(np.float64) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(batch["image"][7, 0].numpy(), expected, atol=1e-6)
    assert batch["label"].tolist() == data.labels.tolist()


@given(count=st.integers(1, 300), batch_size=st.integers(1, 40))
def test_batches_cover_the_cases_and_none_is_alone_at_the_end(count, batch_size):
    edges = batch_edges(count, batch_size)
    sizes = np.diff(edges)
    assert sizes.sum() == count
    assert sizes.min() >= 1
    assert sizes.max() <= batch_size + 1
    if batch_size > 1 and count > 1:
        assert sizes[-1] > 1


def test_feedback_changes_only_its_own_cases_and_never_the_cache(data):
    before = data.pixels.copy()
    feedback = apply(data, CaseFeedback("case04.png", "grid", 4, cells=(0, 5), misleading=(10,)))
    plain, changed = (next(iter(Batches(data, 64, 0, 1, shuffle=False, feedback=f))) for f in (None, feedback))
    differs = (plain["image"] != changed["image"]).flatten(1).any(1)
    assert differs.nonzero().flatten().tolist() == [4]
    expected = np.zeros((16, 16), np.float32)
    original = data.pixels[data.rows[4]] / np.float32(255)
    expected[:4, :4] = original[:4, :4]
    expected[4:8, 4:8] = original[4:8, 4:8]
    np.testing.assert_array_equal(changed["image"][4, 0].numpy(), expected)
    np.testing.assert_array_equal(data.pixels, before)


def test_black_is_black_before_normalisation(data):
    feedback = apply(data, CaseFeedback("case00.png", "grid", 2, cells=(3,)))
    (batch,) = Batches(data, 64, 0, 1, mean=0.5, std=0.25, shuffle=False, feedback=feedback)
    assert batch["image"][0, 0, 0, 0] == -2  # (0 - 0.5) / 0.25


def test_excluded_cases_are_left_out_and_the_others_keep_their_order(data):
    feedback = apply(data, CaseFeedback("case03.png", "exclude"), CaseFeedback("case20.png", "exclude"))
    expected = [index for index in order(Batches(data, 8, 3, 1)) if index not in (3, 20)]
    batches = Batches(data, 8, 3, 1, feedback=feedback)
    assert order(batches) == expected
    assert len(batches) == len(list(batches))


def test_relabelled_cases_get_the_new_label(data):
    feedback = apply(data, CaseFeedback("case03.png", "relabel", new_label="normal"))
    (batch,) = Batches(data, 64, 0, 1, shuffle=False, feedback=feedback)
    assert data.labels[3] == 1
    assert batch["label"][3] == 0
    assert (batch["label"].numpy() != data.labels).sum() == 1


def test_changes_are_counted(data):
    feedback = apply(
        data,
        CaseFeedback("case01.png", "grid", 4, (1,)),
        CaseFeedback("case02.png", "grid", 4, (1,)),
        CaseFeedback("case03.png", "exclude"),
        CaseFeedback("case04.png", "relabel", new_label="tb"),
    )
    assert feedback.counts == {"grid": 2, "relabel": 1, "exclude": 1}


def test_augmentation_of_a_case_depends_on_seed_and_epoch_only(data):
    def images(epoch, **options):
        batches = Batches(data, options.pop("batch_size", 8), 3, epoch, augmentation=Affine(), **options)
        return {int(i): image for batch in batches for i, image in zip(batch["index"], batch["image"], strict=True)}

    expected = images(1)
    excluded = images(1, feedback=apply(data, CaseFeedback("case03.png", "exclude")), batch_size=5)
    assert set(expected) - set(excluded) == {3}
    assert all(torch.allclose(image, expected[index], atol=1e-6) for index, image in excluded.items())
    assert not torch.equal(images(2)[0], expected[0])


def test_affine_in_the_middle_of_its_ranges_changes_nothing():
    images = torch.rand(2, 1, 9, 9)
    torch.testing.assert_close(Affine()(images, torch.full((2, 4), 0.5)), images)


def test_affine_shifts_by_a_share_of_the_side():
    images = torch.zeros(1, 1, 10, 10)
    images[0, 0, 5, 5] = 1
    moved = Affine(degrees=0, shift=0.1, zoom=0)(images, torch.tensor([[0.5, 0.5, 1.0, 0.5]]))
    assert moved.flatten().argmax() == 54


def test_affine_keeps_shapes_when_it_turns():
    # A quarter turn of a symmetric cross gives the cross again: nothing is stretched.
    cross = torch.zeros(1, 1, 9, 9)
    cross[0, 0, 4], cross[0, 0, :, 4] = 1, 1
    turned = Affine(degrees=90, shift=0, zoom=0)(cross, torch.tensor([[1.0, 0.5, 0.5, 0.5]]))
    torch.testing.assert_close(turned, cross, atol=1e-5, rtol=0)


def test_unknown_augmentation_names_the_known_ones():
    assert create_augmentation("none") is None
    with pytest.raises(NotFound, match=r"'blur'.*none, affine"):
        create_augmentation("blur")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ()}, "at least one"),
        ({"pixels": np.zeros((40, 16, 16), np.float32)}, "float32"),
        ({"ids": ("a",)}, "1 ids, 33 rows"),
        ({"rows": np.arange(33) + 20}, "52 of 40"),
        ({"labels": np.arange(33) - 1}, "label -1"),
    ],
)
def test_data_that_does_not_fit_together_is_refused(data, changes, message):
    fields = {"ids": data.ids, "pixels": data.pixels, "rows": data.rows, "labels": data.labels}
    with pytest.raises(BadInput, match=message):
        TrainingData(**(fields | changes))


def test_a_subset_shares_the_pixels(data):
    part = data.subset([5, 2])
    assert part.ids == ("case05.png", "case02.png")
    assert part.pixels is data.pixels
    assert part.labels.tolist() == [1, 0]
