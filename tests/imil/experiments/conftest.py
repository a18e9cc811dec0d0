"""What the tests of experiments share."""

import pytest
import torch

from tests.imil.experiments.experiment_helpers import make_study


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory):
    """A study that nobody changes; see `make_study`."""
    return make_study(tmp_path_factory.mktemp("tiny") / "study")
