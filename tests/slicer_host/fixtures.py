"""The pytest fixture `host`: the application, reset before each test, failing the test for errors that raised nowhere.

A conftest.py makes it known with `from slicer_host.fixtures import host`. Nothing of VTK or Qt is imported until a test
asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slicer_host.host import Host, start


@pytest.fixture
def host() -> Iterator[Host]:
    """The host, without modules, with an empty scene, in the conventional layout.

    A test that expects an error takes it out of `host.errors`.
    """
    try:
        running = start()
    except RuntimeError as problem:
        pytest.fail(str(problem), pytrace=False)
    running.errors.clear()
    running.errors.take_hooks()
    running.activate()
    yield running
    running.reset()
    found = list(running.errors)
    running.errors.clear()
    assert not found, "Errors that raised nowhere:\n" + "\n".join(found)
