"""What Alembic runs to bring a database up to date; `database` hands the connection over, in a transaction of its own.

The next version: change `tables`, add `versions/v0002_what.py` like the one before it, set `tables.HEAD`. SQLite
alters a table by making it anew: use `op.batch_alter_table`.
"""

from alembic import context

from huggingtweets.web.tables import KEPT_IN, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=KEPT_IN,
    render_as_batch=True,
)
context.run_migrations()
