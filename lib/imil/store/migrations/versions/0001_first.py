"""The first schema: runs, rounds, the queue with its heat maps and leases, feedback events, scores."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REFUSAL = "feedback events are only ever appended"


def upgrade() -> None:
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes_sqlite()
    elif op.get_bind().dialect.name == "postgresql":
        _refuse_changes_postgresql()


def downgrade() -> None:
    raise NotImplementedError("There is no schema before the first one; delete the database instead.")


def _refuse_changes_sqlite() -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER feedback_events_no_{change.lower()} BEFORE {change} ON feedback_events "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def _refuse_changes_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION feedback_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER feedback_events_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON feedback_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION feedback_events_refuse()"
    )


def _create_tables() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["parent"], ["runs.id"], name="fk_runs_parent"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_table(
        "epochs",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=32), nullable=False),
        sa.Column("loss", sa.Double(), nullable=True),
        sa.Column("accuracy", sa.Double(), nullable=True),
        sa.Column("auroc", sa.Double(), nullable=True),
        sa.Column("ece", sa.Double(), nullable=True),
        sa.Column("brier", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_epochs_run"),
        sa.PrimaryKeyConstraint("run", "epoch", "split", name="pk_epochs"),
    )
    op.create_table(
        "rounds",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("early", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("opened", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_rounds_run"),
        sa.PrimaryKeyConstraint("run", "round", name="pk_rounds"),
    )
    op.create_table(
        "scores",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=32), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_scores_run"),
        sa.PrimaryKeyConstraint("run", "round", "epoch", "split", name="pk_scores"),
    )
    op.create_table(
        "queued_cases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("prediction", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run", "round"], ["rounds.run", "rounds.round"], name="fk_queued_cases_run_round"),
        sa.PrimaryKeyConstraint("id", name="pk_queued_cases"),
        sa.UniqueConstraint("run", "round", "case_id", name="uq_queued_cases_run_round_case_id"),
        sa.UniqueConstraint("run", "round", "position", name="uq_queued_cases_run_round_position"),
    )
    op.create_table(
        "feedback_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("queued_case", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("grid_size", sa.Integer(), nullable=False),
        sa.Column("cells", sa.JSON(), nullable=False),
        sa.Column("misleading", sa.JSON(), nullable=False),
        sa.Column("new_label", sa.Text(), nullable=False),
        sa.Column("rationale", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("heatmap_method", sa.Text(), nullable=False),
        sa.Column("replace", sa.Boolean(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["queued_case"], ["queued_cases.id"], name="fk_feedback_events_queued_case"),
        sa.PrimaryKeyConstraint("id", name="pk_feedback_events"),
        sa.UniqueConstraint("key", name="uq_feedback_events_key"),
    )
    op.create_index("ix_feedback_events_run_round", "feedback_events", ["run", "round"])
    op.create_table(
        "heat_maps",
        sa.Column("queued_case", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("cols", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["queued_case"], ["queued_cases.id"], name="fk_heat_maps_queued_case"),
        sa.PrimaryKeyConstraint("queued_case", name="pk_heat_maps"),
    )
    op.create_table(
        "leases",
        sa.Column("queued_case", sa.Integer(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["queued_case"], ["queued_cases.id"], name="fk_leases_queued_case"),
        sa.PrimaryKeyConstraint("queued_case", "reader", name="pk_leases"),
    )
    op.create_table(
        "answers",
        sa.Column("queued_case", sa.Integer(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["feedback_events.id"], name="fk_answers_event"),
        sa.ForeignKeyConstraint(["queued_case"], ["queued_cases.id"], name="fk_answers_queued_case"),
        sa.PrimaryKeyConstraint("queued_case", "reader", name="pk_answers"),
    )
