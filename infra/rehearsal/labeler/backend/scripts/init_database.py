"""Create or update the schema of the labeler database."""

import sys
from pathlib import Path

BACKEND = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BACKEND))

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from app.config import settings

EXPECTED = [
    "alembic_version",
    "annotation_classes",
    "annotation_projects",
    "annotations",
    "datasets",
    "images",
    "project_milestones",
]


def main():
    for stream in (sys.stdout, sys.stderr):
        # Windows consoles and pipes default to a code page without these marks.
        stream.reconfigure(encoding="utf-8", errors="replace")

    place = f"{settings.labeler_db_host}:{settings.labeler_db_port}/{settings.labeler_db_name}"
    print(f"Connecting to {place} as {settings.labeler_db_user} ...")
    engine = create_engine(settings.url("labeler_db"))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except Exception as error:
        print(f"✗ Connection failed: {error}")
        return 1
    print("✓ Connection successful!")

    tables = inspect(engine).get_table_names()
    if tables:
        print(f"⚠️  Database already has {len(tables)} tables")
        sys.stdout.flush()
        if input("Continue anyway? (y/N): ").strip().lower() != "y":
            print("Aborted.")
            return 0

    try:
        command.upgrade(Config(str(BACKEND / "alembic.ini")), "head")
    except Exception as error:
        print(f"✗ Migrations failed: {error}")
        return 1
    print("✓ Migrations completed successfully")

    tables = inspect(engine).get_table_names()
    missing = [table for table in EXPECTED if table not in tables]
    if missing:
        print("✗ Missing tables: " + ", ".join(missing))
        return 1
    print("✓ All expected tables exist")
    return 0


if __name__ == "__main__":
    sys.exit(main())
