"""Alembic environment: the URL comes from the application's settings."""

from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine, pool

from app.config import settings

fileConfig(context.config.config_file_name, disable_existing_loggers=False)

if context.is_offline_mode():
    # The dialect alone: a rendered script must not depend on anyone's .env.
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(settings.url("labeler_db"), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
