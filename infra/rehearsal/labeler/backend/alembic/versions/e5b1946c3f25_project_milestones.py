"""project milestones

The revision that sample data has not seen yet.
"""

from alembic import op

revision = "e5b1946c3f25"
down_revision = "d4085f2a7b14"


def upgrade():
    op.execute("ALTER TABLE annotation_projects ADD COLUMN priority smallint NOT NULL DEFAULT 0")
    op.execute(
        """
        CREATE TABLE project_milestones (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            project_id integer NOT NULL REFERENCES annotation_projects ON DELETE CASCADE,
            title text NOT NULL,
            reached_at timestamptz
        )
        """
    )
    op.execute("CREATE INDEX project_milestones_project_idx ON project_milestones (project_id)")


def downgrade():
    op.execute("DROP TABLE project_milestones")
    op.execute("ALTER TABLE annotation_projects DROP COLUMN priority")
