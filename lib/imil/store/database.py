"""The connection to the database: how SQLite is set up, transactions, and the schema's version."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from imil.errors import BadInput, Conflict, Unavailable

SCHEMA_VERSION = "0002"
"""The newest migration; `Database.open` needs alembic (a second of imports) only where the database is at another."""

BUSY_SECONDS = 10
"""How long a transaction waits for another process's before it gives up."""


class Database:
    """An engine with two kinds of transactions: `read`, and `write`, which locks before it reads.

    SQLite: WAL, foreign keys on, ``synchronous=FULL`` (what was acknowledged survives a power cut), and
    ``BEGIN IMMEDIATE`` for writes, so that two processes that read and then write wait for each other rather than
    fail. Other databases: row locks (``SELECT ... FOR UPDATE``) do the same.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(imil_write=True)

    @classmethod
    def open(cls, url: str) -> "Database":
        """Connect, and bring the schema up to date. Safe when several processes do so at once.

        Raises:
            BadInput: if the URL can't be used, the file isn't a database, or a newer version of IMIL made it.
        """
        parsed = _parse(url)
        engine = _sqlite_engine(parsed) if parsed.get_backend_name() == "sqlite" else _server_engine(parsed)
        database = cls(engine)
        try:
            if database.schema_version() != SCHEMA_VERSION:
                database._migrate()
        except DBAPIError as error:
            engine.dispose()
            raise BadInput(f"The database {engine.url!r} can't be opened: {error.orig}.") from error
        except BaseException:
            engine.dispose()
            raise
        return database

    def close(self) -> None:
        self._engine.dispose()

    def schema_version(self) -> str:
        """The migration this database is at; empty for a new one."""
        with self._engine.connect() as connection:
            return _version(connection)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one consistent state."""
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed, durably, when the block ends, or rolled back when it raises.

        Raises:
            Conflict: if another process kept the database locked for too long; nothing was written.
            Unavailable: if the disk is full or the database doesn't answer; nothing was written.
        """
        try:
            with Session(self._writing) as session, session.begin():
                yield session
        except OperationalError as error:
            if "locked" not in str(error.orig):
                raise Unavailable(
                    f"The study's database can't be written ({error.orig}); nothing was written; see that the disk has "
                    "room and the database answers, then try again."
                ) from error
            raise Conflict(
                f"The study's database was locked by another process for {BUSY_SECONDS} seconds; nothing was "
                "written; try again."
            ) from error

    def _migrate(self) -> None:
        from imil.store import migrations

        with self._writing.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(4915277)"))
            found = _version(connection)
            if found == SCHEMA_VERSION:
                return
            if found and found not in migrations.known_versions():
                raise BadInput(
                    f"The database {connection.engine.url!r} was made by a newer version of IMIL (schema {found}, "
                    f"this one knows {SCHEMA_VERSION}); install that version to open it."
                )
            migrations.upgrade(connection)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise BadInput(
            f"The database URL {url.split('@')[-1]!r} can't be used ({error}); a URL looks like "
            "sqlite:////folder/imil.db or postgresql+psycopg://user@host/name."
        ) from None
    if parsed.get_backend_name() == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise BadInput("The database must be a file that several processes can open, not one in memory.")
    return parsed


def _server_engine(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise BadInput(
            f"The database {url.render_as_string()!r} needs the driver {error.name!r}, which isn't installed."
        ) from None


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver would otherwise begin transactions by itself, and too late: only at the first write.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        _use_wal(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("imil_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite doesn't wait when another connection is in the middle of the same change, so this does."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
