"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("specs", sa.Text, nullable=False),
        sa.Column("titles", sa.Text, nullable=False),
        sa.Column("bot", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("minutes", sa.Float(53)),
        sa.Column("straight", sa.Boolean, nullable=False),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("beat", sa.Float(53), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("changed", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_bot", "jobs", ["bot"])
    op.create_index("ix_jobs_state_number", "jobs", ["state", "number"])
    op.create_index("ix_jobs_owner_created", "jobs", ["owner", "created"])

    op.create_table(
        "predictions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("bot", sa.Text, nullable=False),
        sa.Column("start", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("draw", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("temperature", sa.Float(53), nullable=False),
        sa.Column("top_p", sa.Float(53), nullable=False),
        sa.Column("max_length", sa.BigInteger, nullable=False),
        sa.Column("copied_from", sa.Text),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("weights", sa.Text, nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_draw", "predictions", ["draw"])
    op.create_index("ix_predictions_bot_created", "predictions", ["bot", "created"])
    op.create_index("ix_predictions_created", "predictions", ["created"])

    op.create_table(
        "bots",
        sa.Column("bot", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("bot", name="pk_bots"),
    )

    op.create_table(
        "complaints",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("bot", sa.Text, nullable=False),
        sa.Column("prediction", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_complaints"),
    )
    op.create_index("ix_complaints_bot", "complaints", ["bot"])

    op.create_table(
        "users",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )

    op.create_table(
        "keys",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("expires", sa.Float(53)),
        sa.PrimaryKeyConstraint("digest", name="pk_keys"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_keys_user", ondelete="CASCADE"),
    )
    op.create_index("ix_keys_user", "keys", ["user"])
