"""The first schema. Until the first release, changes edit this file."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""

    op.create_table(
        "admin_acts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_admin_acts_study"), "admin_acts", ["study"], unique=False)
    op.create_table(
        "arrivals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("worker", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("condition", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_arrivals_study"), "arrivals", ["study"], unique=False)
    op.create_table(
        "hooks",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index(op.f("ix_hooks_study"), "hooks", ["study"], unique=False)
    op.create_table(
        "places",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("condition", sa.String(length=64), nullable=False),
        sa.Column("place_index", sa.Integer(), nullable=False),
        sa.Column("queue_position", sa.Integer(), nullable=False),
        sa.Column("pairings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("study", "data", "condition", "place_index"),
    )
    op.create_index(op.f("ix_places_study"), "places", ["study"], unique=False)
    op.create_table(
        "recruitments",
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("recruiter", sa.String(length=16), nullable=False),
        sa.Column("external_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("study", "data", "recruiter"),
    )
    op.create_table(
        "studies",
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("begun_with", sa.JSON(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reveal_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("study", "data"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.String(length=96), nullable=False),
        sa.Column("worker", sa.String(length=32), nullable=False),
        sa.Column("place_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("end_reason", sa.String(length=64), nullable=False),
        sa.Column("page", sa.String(length=32), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("consent_version", sa.String(length=16), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("observer", sa.String(length=16), nullable=False),
        sa.Column("recruiter", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("device", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["place_id"],
            ["places.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("scope", "worker"),
        sa.UniqueConstraint("token"),
    )
    op.create_index(op.f("ix_sessions_study"), "sessions", ["study"], unique=False)
    op.create_index(
        "one_holder_per_place",
        "sessions",
        ["place_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('active', 'finished')"),
        postgresql_where=sa.text("state IN ('active', 'finished')"),
    )
    op.create_table(
        "invites",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("study", "data", "code_digest"),
    )
    op.create_index(op.f("ix_invites_study"), "invites", ["study"], unique=False)
    op.create_table(
        "payments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("worker", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=True),
        sa.Column("encrypted", sa.Text(), nullable=False),
        sa.Column("submission_digest", sa.String(length=64), nullable=False),
        sa.Column("panel_state", sa.String(length=32), nullable=False),
        sa.Column("panel_state_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("study", "data", "worker"),
    )
    op.create_index(op.f("ix_payments_study"), "payments", ["study"], unique=False)
    op.create_index(op.f("ix_payments_submission_digest"), "payments", ["submission_digest"], unique=False)
    op.create_table(
        "trials",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("trial_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("trial", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("session_id", "trial_index", "attempt"),
    )
    op.create_index(op.f("ix_trials_session_id"), "trials", ["session_id"], unique=False)
    op.create_index(op.f("ix_trials_study"), "trials", ["study"], unique=False)
    op.create_table(
        "money_acts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("amount_cents", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["payments.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("payment_id", "act"),
    )
    op.create_index(op.f("ix_money_acts_study"), "money_acts", ["study"], unique=False)
    op.create_table(
        "responses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("trial_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("choice", sa.String(length=8), nullable=False),
        sa.Column("outcome", sa.Float(), nullable=False),
        sa.Column("rt_ms", sa.Float(), nullable=True),
        sa.Column("input", sa.String(length=8), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["trials.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("trial_id"),
    )
    op.create_index(op.f("ix_responses_study"), "responses", ["study"], unique=False)
    op.create_table(
        "trial_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("trial_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["trials.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("trial_id", "kind"),
    )
    op.create_index(op.f("ix_trial_events_study"), "trial_events", ["study"], unique=False)


def downgrade() -> None:
    """Drop all tables."""

    op.drop_index(op.f("ix_trial_events_study"), table_name="trial_events")
    op.drop_table("trial_events")
    op.drop_index(op.f("ix_responses_study"), table_name="responses")
    op.drop_table("responses")
    op.drop_index(op.f("ix_money_acts_study"), table_name="money_acts")
    op.drop_table("money_acts")
    op.drop_index(op.f("ix_trials_study"), table_name="trials")
    op.drop_index(op.f("ix_trials_session_id"), table_name="trials")
    op.drop_table("trials")
    op.drop_index(op.f("ix_payments_submission_digest"), table_name="payments")
    op.drop_index(op.f("ix_payments_study"), table_name="payments")
    op.drop_table("payments")
    op.drop_index(op.f("ix_invites_study"), table_name="invites")
    op.drop_table("invites")
    op.drop_index(
        "one_holder_per_place",
        table_name="sessions",
        sqlite_where=sa.text("state IN ('active', 'finished')"),
        postgresql_where=sa.text("state IN ('active', 'finished')"),
    )
    op.drop_index(op.f("ix_sessions_study"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_table("studies")
    op.drop_table("recruitments")
    op.drop_index(op.f("ix_places_study"), table_name="places")
    op.drop_table("places")
    op.drop_index(op.f("ix_hooks_study"), table_name="hooks")
    op.drop_table("hooks")
    op.drop_index(op.f("ix_arrivals_study"), table_name="arrivals")
    op.drop_table("arrivals")
    op.drop_index(op.f("ix_admin_acts_study"), table_name="admin_acts")
    op.drop_table("admin_acts")
