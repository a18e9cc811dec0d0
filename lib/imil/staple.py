"""What several readers' masks tell about the truth, if readers are better and worse."""

import numpy as np
import numpy.typing as npt

MAX_ITERATIONS = 10_000
"""Of the estimation; it usually converges in a few dozen."""


def staple(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The probability that a place truly counts, by STAPLE (Warfield, Zou and Wells 2004), with SimpleITK's filter.

    Each reader's sensitivity and specificity and the truth are estimated in turn, from all places together. The share
    of places that count is taken as the mean over all masks.

    Where the readers all agree, also if there is only one of them, or nothing was chosen, there is nothing to estimate,
    and the answer is what they say: 0 or 1.

    Args:
        masks: bool (readers, ...), the same places for every reader; at least one reader.

    Returns:
        float64 of the shape of one mask, in [0, 1].
    """
    agreed: npt.NDArray[np.float64] = masks[0].astype(np.float64)
    if (masks == masks[0]).all():
        return agreed
    import SimpleITK  # here, because it takes a moment to load and few runs need it

    estimate = SimpleITK.STAPLEImageFilter()
    estimate.SetForegroundValue(1.0)
    estimate.SetMaximumIterations(MAX_ITERATIONS)
    # One row of places: the filter knows images of two or more dimensions.
    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8).reshape(1, -1)) for mask in masks]
    found: npt.NDArray[np.float64] = SimpleITK.GetArrayFromImage(estimate.Execute(images)).reshape(agreed.shape)
    return found
