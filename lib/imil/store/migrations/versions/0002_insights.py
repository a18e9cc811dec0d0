"""What a round's answers taught, readers' corrections of it, and settings that are given anew during a run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSAL = "corrections are only ever appended"


def upgrade() -> None:
    op.add_column("rounds", sa.Column("changed_settings", sa.JSON(), nullable=False, server_default="{}"))
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes_sqlite()
    elif op.get_bind().dialect.name == "postgresql":
        _refuse_changes_postgresql()


def downgrade() -> None:
    raise NotImplementedError("What readers said isn't thrown away; restore a copy of the older database instead.")


def _refuse_changes_sqlite() -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER insight_corrections_no_{change.lower()} BEFORE {change} ON insight_corrections "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def _refuse_changes_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION insight_corrections_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER insight_corrections_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON insight_corrections "
        "FOR EACH STATEMENT EXECUTE FUNCTION insight_corrections_refuse()"
    )


def _create_tables() -> None:
    op.create_table(
        "insights",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("feedback", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("discarded", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run", "round"], ["rounds.run", "rounds.round"], name="fk_insights_run_round"),
        sa.PrimaryKeyConstraint("id", name="pk_insights"),
    )
    op.create_index("ix_insights_run_round", "insights", ["run", "round"])
    op.create_table(
        "insight_corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("insight", sa.Integer(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("cells", sa.JSON(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["insight"], ["insights.id"], name="fk_insight_corrections_insight"),
        sa.PrimaryKeyConstraint("id", name="pk_insight_corrections"),
        sa.UniqueConstraint("key", name="uq_insight_corrections_key"),
    )
    op.create_index("ix_insight_corrections_insight", "insight_corrections", ["insight"])
