"""search and statistics

Indexes of every kind the labeler uses, views, and what the installed extensions allow.
"""

from alembic import op

revision = "b27d54e9a0c2"
down_revision = "a1f0c3d27e41"

INDEXES = r"""
CREATE INDEX annotations_project_state_idx ON annotations (project_id, state);
CREATE UNIQUE INDEX annotations_image_class_id_key ON annotations (image_id, class_code, id);
CREATE INDEX annotations_annotator_idx ON annotations (annotator_id) INCLUDE (state);
CREATE INDEX annotations_created_at_idx ON annotations (created_at DESC);
CREATE INDEX annotations_created_at_brin ON annotations USING brin (created_at);
CREATE INDEX annotations_open_idx ON annotations (updated_at) WHERE state IN ('draft', 'submitted');
CREATE INDEX annotations_doubtful_idx ON annotations (confidence) WHERE confidence < 0.5;
CREATE INDEX annotations_class_lower_idx ON annotations (lower(class_code));
CREATE INDEX annotations_weather_idx ON annotations ((attributes ->> 'weather'));
CREATE INDEX annotations_attributes_idx ON annotations USING gin (attributes jsonb_path_ops);
CREATE INDEX annotations_labels_idx ON annotations USING gin (labels);
CREATE INDEX annotations_area_idx ON annotations (area);
CREATE INDEX annotations_external_id_idx ON annotations USING hash (external_id);
CREATE INDEX datasets_normalized_name_idx ON datasets (normalize_label(name), id);
CREATE INDEX datasets_settings_idx ON datasets USING gin (settings);
CREATE INDEX images_path_search_idx ON images USING gin (to_tsvector('simple', path));
CREATE STATISTICS annotations_project_class (dependencies, ndistinct) ON project_id, class_code FROM annotations
"""

# project_progress looks up its table when it is called; dataset_title is bound when it is created.
VIEWS = r"""
CREATE FUNCTION project_progress(project integer) RETURNS numeric
    LANGUAGE sql STABLE
    AS $$
        SELECT coalesce(round(avg((state = 'approved')::integer) * 100, 2), 0)
        FROM annotations WHERE project_id = project
    $$;
CREATE FUNCTION dataset_title(dataset bigint) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT d.name || ' (' || d.slug || ')' FROM datasets AS d WHERE d.id = dataset;
    END;
CREATE VIEW project_overview WITH (security_barrier = true) AS
    SELECT p.id, p.name, dataset_title(p.dataset_id) AS dataset, project_progress(p.id) AS percent
    FROM annotation_projects AS p;
CREATE MATERIALIZED VIEW dataset_statistics AS
    SELECT d.id AS dataset_id, normalize_label(d.name) AS name_key,
           count(a.id) AS annotations, avg(a.confidence) AS confidence
    FROM datasets AS d
    LEFT JOIN annotation_projects AS p ON p.dataset_id = d.id
    LEFT JOIN annotations AS a ON a.project_id = p.id
    GROUP BY d.id;
CREATE UNIQUE INDEX dataset_statistics_key ON dataset_statistics (dataset_id);
CREATE MATERIALIZED VIEW class_statistics AS
    SELECT class_code, count(*) AS annotations FROM annotations GROUP BY class_code WITH NO DATA;
CREATE VIEW busy_datasets AS
    SELECT d.id, d.name, s.annotations FROM dataset_statistics AS s JOIN datasets AS d ON d.id = s.dataset_id
    WHERE s.annotations > 0
"""

# Which extensions exist depends on the build: contrib may be missing, pgvector may be missing.
EXTENSIONS = r"""
CREATE SCHEMA extensions;
CREATE TABLE image_embeddings (
    image_id bigint PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    model text NOT NULL,
    features real[] NOT NULL
);
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
        CREATE EXTENSION vector;
        ALTER TABLE image_embeddings ADD COLUMN embedding vector(8);
        CREATE INDEX image_embeddings_embedding_idx ON image_embeddings
            USING hnsw (embedding vector_l2_ops);
    END IF;
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION pg_trgm;
        CREATE INDEX datasets_name_trgm_idx ON datasets USING gin (name gin_trgm_ops);
    END IF;
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hstore') THEN
        CREATE EXTENSION hstore SCHEMA extensions;
        ALTER TABLE datasets ADD COLUMN legacy_labels extensions.hstore;
    END IF;
END
$do$
"""


def upgrade():
    op.execute(INDEXES)
    op.execute(VIEWS)
    op.execute(EXTENSIONS)


def downgrade():
    raise NotImplementedError("restore a backup instead")
