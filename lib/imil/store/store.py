"""The store as one object: what a study remembers about its runs."""

import os
from pathlib import Path

from sqlalchemy import URL

from imil.store.database import Database
from imil.store.events import EventStore
from imil.store.insights import InsightStore
from imil.store.leases import LeaseStore
from imil.store.queue import QueueStore
from imil.store.runs import RunStore

DATABASE_VARIABLE = "IMIL_DATABASE"
"""Environment variable with the database's URL, for studies that don't name one themselves."""


class Store(RunStore, QueueStore, LeaseStore, EventStore, InsightStore):
    """Runs, rounds, queues, leases, feedback and what it taught, of one study, in one database.

    May be used by several threads, and opened by several processes at once. Every method is one transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> "Store":
        """Open the database at a SQLAlchemy URL; a new one gets its tables, an older one is brought up to date.

        Raises:
            BadInput: if it can't be opened, or a newer version of IMIL made it.
        """
        return cls(Database.open(url))

    @classmethod
    def for_study(cls, state_dir: Path, url: str = "") -> "Store":
        """The store of a study: at ``url``, else where IMIL_DATABASE says, else ``imil.db`` in ``state_dir``."""
        url = url or os.environ.get(DATABASE_VARIABLE, "")
        if not url:
            path = str((state_dir / "imil.db").absolute())
            url = URL.create("sqlite", database=path).render_as_string()
        return cls.open(url)

    def close(self) -> None:
        """Give back the connections; the store can't be used afterwards."""
        self._database.close()
