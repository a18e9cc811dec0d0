"""Run by alembic. The connection, with its transaction, comes from `imil.store.migrations`."""

from alembic import context

from imil.store.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
