"""One engine per database. Nothing connects until a request needs it."""

from sqlalchemy import create_engine, text

from app.config import settings


def _engine(prefix):
    return create_engine(
        settings.url(prefix),
        pool_size=5,
        max_overflow=10,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "application_name": "labeler-backend"},
    )


platform_engine = _engine("platform_db")
user_engine = _engine("user_db")
labeler_engine = _engine("labeler_db")

# A table that only the right database has: a login to an empty database is not a connection.
PROBES = {
    "platform_db": (platform_engine, "SELECT 1 FROM training_jobs LIMIT 1"),
    "users_db": (user_engine, "SELECT 1 FROM users LIMIT 1"),
    "labeler_db": (labeler_engine, "SELECT 1 FROM datasets LIMIT 1"),
}


def health():
    """`connected` or `error: ...` for each database."""
    answer = {}
    for name, (engine, query) in PROBES.items():
        try:
            with engine.connect() as connection:
                connection.execute(text(query))
            answer[name] = "connected"
        except Exception as error:  # the endpoint reports every failure instead of raising it
            cause = getattr(error, "orig", None) or error
            answer[name] = "error: " + " ".join(str(cause).split())
    return answer
