import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sqlalchemy import text

from imil.errors import BadInput, Conflict, Unavailable
from imil.store import Store, heatmaps, migrations
from imil.store.database import SCHEMA_VERSION, Database
from imil.store.models import Base


def test_the_migrations_make_the_tables_of_the_models(url: str) -> None:
    database = Database.open(url)
    with database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_the_newest_migration_is_the_version_we_open_at_once(url: str) -> None:
    assert migrations.known_versions()[0] == SCHEMA_VERSION
    database = Database.open(url)
    assert database.schema_version() == SCHEMA_VERSION
    database.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    database = Database.open(url)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadInput, match=r"made by a newer version of IMIL \(schema 9999"):
        Store.open(url)
    assert database.schema_version() == "9999"
    database.close()


def test_opening_a_known_database_needs_no_alembic_and_no_torch(empty_database: Path) -> None:
    code = (
        "import sys; from imil.store import Store; "
        f"Store.open('sqlite:///{empty_database}').close(); "
        "print([name for name in ('alembic', 'torch', 'monai') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


OPENER = """
import sys
from imil.store import Store
from imil.store import migrations
print("ready", flush=True)
sys.stdin.readline()
store = Store.open(sys.argv[1])
print(store.create_run({"epochs": 1, "imil_epochs": []}, ["a", "b"]).id)
"""


def test_processes_may_open_a_new_database_at_once(url: str, tmp_path: Path) -> None:
    (tmp_path / "imil.db").unlink(missing_ok=True)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert sorted(out for out, _ in answers) == ["1\n", "2\n", "3\n", "4\n"], answers


def test_sqlite_is_set_up_to_keep_what_it_acknowledged(empty_database: Path) -> None:
    database = Database.open(f"sqlite:///{empty_database}")
    with database.read() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    database.close()


def test_a_file_that_isnt_a_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "imil.db"
    path.write_bytes(b"this is a text file, not a database\n" * 100)
    with pytest.raises(BadInput, match="can't be opened: file is not a database"):
        Store.for_study(tmp_path)
    assert path.read_bytes().startswith(b"this is a text")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////no/such/folder/imil.db", "unable to open database file"),
        ("sqlite://", "not one in memory"),
        ("nonsense", "can't be used"),
        ("nosuchdatabase://host/name", "can't be used"),
    ],
)
def test_a_url_that_cant_be_opened_is_refused_in_a_sentence(url: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        Store.open(url)


def test_the_environment_names_the_database_of_a_study_that_doesnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMIL_DATABASE", f"sqlite:///{tmp_path / 'environment.db'}")
    Store.for_study(tmp_path).close()
    Store.for_study(tmp_path, f"sqlite:///{tmp_path / 'study.db'}").close()
    monkeypatch.delenv("IMIL_DATABASE")
    Store.for_study(tmp_path).close()
    assert {path.name for path in tmp_path.glob("*.db")} == {"environment.db", "study.db", "imil.db"}


def test_a_folder_with_odd_characters_holds_a_database(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c%d#é"
    folder.mkdir()
    Store.for_study(folder).close()
    assert (folder / "imil.db").is_file()


def test_a_write_that_waits_too_long_says_so(empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imil.store.database.BUSY_SECONDS", 0.1)
    store = Store.open(f"sqlite:///{empty_database}")
    other = sqlite3.connect(empty_database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Conflict, match="locked by another process"):
        store.create_run({"epochs": 1, "imil_epochs": []}, ["a", "b"])
    assert store.runs() == []  # readers don't wait for a writer
    other.execute("ROLLBACK")
    other.close()
    store.close()


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.floats(0, 1, width=32)))
def test_heat_maps_come_back_exactly(heatmap: np.ndarray) -> None:
    rows, cols = heatmap.shape
    found = heatmaps.unpack(heatmaps.pack(heatmap), rows, cols)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, heatmap)


def test_damaged_heat_maps_are_refused_without_making_more_than_they_claim() -> None:
    packed = heatmaps.pack(np.zeros((2000, 2000), np.float32))
    for data, rows, cols in (
        (packed, 4, 4),
        (packed[:-10], 2000, 2000),
        (b"nonsense", 4, 4),
        (packed, 2000, 2001),
        (packed, 10**9, 10**9),
        (packed, 0, 4),
    ):
        with pytest.raises(BadInput, match="stored heat map"):
            heatmaps.unpack(data, rows, cols)


def test_a_full_disk_is_a_sentence_and_leaves_the_database_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    store = Store.open(f"sqlite:///{tmp_path / 'imil.db'}")
    run = store.create_run({"epochs": 2, "imil_epochs": []}, ["a", "b"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(Unavailable, match="can't be written"):
            store.create_run({"epochs": 2, "imil_epochs": [], "note": "x" * 100_000}, ["a", "b"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [known.id for known in store.runs()] == [run.id]
    store.close()
