"""Stores for the tests: SQLite always, PostgreSQL where IMIL_TEST_POSTGRESQL names a database to make schemas in."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text

from imil.store import QueuedCase, Run, Store

SERVER = os.environ.get("IMIL_TEST_POSTGRESQL", "")
MakeQueue = Callable[..., list[QueuedCase]]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and no rows, to copy: faster than migrating anew for each test."""
    folder = tmp_path_factory.mktemp("database")
    Store.for_study(folder).close()
    return folder / "imil.db"


@pytest.fixture(params=["sqlite", "postgresql"] if SERVER else ["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "imil.db")
        yield f"sqlite:///{tmp_path / 'imil.db'}"
        return
    schema = f"test_{uuid.uuid4().hex}"
    engine = create_engine(SERVER)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    options = {"options": f"-csearch_path={schema}"}
    yield make_url(SERVER).update_query_dict(options).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()


@pytest.fixture
def make_queue() -> MakeQueue:
    def make(count: int, size: int = 8) -> list[QueuedCase]:
        rng = np.random.default_rng(count)
        return [
            QueuedCase(
                case_id=f"images/{number}.png",
                label="normal",
                prediction="tb",
                confidence=0.9,
                probabilities=(0.1, 0.9),
                reason="misprediction",
                heatmap=rng.random((size, size), np.float32),
                method="gradcam",
                layer="layer4",
            )
            for number in range(1, count + 1)
        ]

    return make


@pytest.fixture
def training(store: Store) -> Run:
    return store.create_run({"epochs": 10, "imil_epochs": [4, 7], "grid_size": 4}, ["normal", "tb"])


@pytest.fixture
def review(store: Store, training: Run, make_queue: MakeQueue) -> Run:
    """A run with five cases under review in round 1."""
    store.open_round(training.id, 4, "f" * 64, make_queue(5))
    return store.run(training.id)
