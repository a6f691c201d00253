"""What Alembic runs for every step: on the connection it is given, in the transaction under way."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
