"""The schema's history, run by alembic from inside the program: no configuration file is needed."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration; with a connection, everything happens in that connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def known_versions() -> list[str]:
    """All migrations, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()]


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version, within the connection's transaction."""
    command.upgrade(configuration(connection), "head")
