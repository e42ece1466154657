"""exports

Exports, thumbnails kept as large objects, and the tables nobody designed on purpose.
"""

from alembic import op

revision = "d4085f2a7b14"
down_revision = "c93e1b6f8d03"

EXPORTS = r'''
CREATE SCHEMA "Exports";
CREATE TABLE "Exports"."Export Job" (
    "Id" serial PRIMARY KEY,
    "파일 이름" text NOT NULL,
    "select" boolean NOT NULL DEFAULT false,
    "it's 100%" numeric,
    dataset_id bigint REFERENCES datasets ON DELETE RESTRICT
);
CREATE INDEX "Export Job ""by name""" ON "Exports"."Export Job" (lower("파일 이름"));
CREATE TABLE "Exports"."odd""name" ("a""b" integer PRIMARY KEY, "A" text, a text);
CREATE VIEW "Exports"."Selected" AS SELECT "Id", "파일 이름" FROM "Exports"."Export Job" WHERE "select";
CREATE SEQUENCE "Exports"."Batch Number" AS smallint INCREMENT BY -5 MINVALUE -1000 MAXVALUE -5 CYCLE
'''

TABLES = r"""
CREATE TABLE dataset_thumbnails (
    dataset_id bigint PRIMARY KEY REFERENCES datasets ON DELETE CASCADE,
    image oid NOT NULL
);
CREATE UNLOGGED TABLE upload_sessions (
    token uuid PRIMARY KEY,
    dataset_id bigint REFERENCES datasets ON DELETE CASCADE,
    received bigint NOT NULL,
    started_at timestamptz NOT NULL
);
CREATE TABLE webhooks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL,
    secret bytea
);
CREATE TABLE heartbeats ();
CREATE TABLE import_log (line text, at timestamptz);
CREATE TABLE bookings (
    id serial PRIMARY KEY,
    machine integer NOT NULL,
    span tstzrange NOT NULL,
    EXCLUDE USING gist (span WITH &&) DEFERRABLE
);
CREATE TABLE legacy_scores (
    annotation_id bigint NOT NULL,
    score double precision
);
CREATE TABLE type_samples (
    id integer PRIMARY KEY,
    an_integer smallint,
    a_number numeric,
    a_real real,
    a_double double precision,
    a_text text,
    a_char character(5),
    a_json json,
    a_jsonb jsonb,
    some_bytes bytea,
    a_timestamp timestamp,
    a_timestamptz timestamptz,
    a_time timetz,
    an_interval interval,
    a_range numrange,
    a_multirange int4multirange,
    a_matrix integer[][],
    some_bits bit varying(12),
    a_network cidr,
    a_point point,
    a_polygon polygon,
    a_document tsvector,
    a_pixel pixel,
    a_table regclass
)
"""

COMMENTS = r"""
COMMENT ON TABLE annotations IS '라벨: one row per box, it''s the big one
(second line, a backslash \ and a quote ")';
COMMENT ON COLUMN annotations.area IS 'computed from geometry';
COMMENT ON COLUMN "Exports"."Export Job"."파일 이름" IS '내보낸 파일의 이름';
COMMENT ON INDEX annotations_open_idx IS 'the annotators'' work list';
COMMENT ON FUNCTION normalize_label(text) IS 'lower case, single blanks';
COMMENT ON POLICY own_tenant ON audit.reviewer_notes IS 'each tenant sees its own notes';
COMMENT ON TYPE annotation_state IS 'in the order of the work';
COMMENT ON SCHEMA audit IS 'who changed what'
"""


def upgrade():
    op.execute(EXPORTS)
    op.execute(TABLES)
    op.execute(COMMENTS)


def downgrade():
    raise NotImplementedError("restore a backup instead")
