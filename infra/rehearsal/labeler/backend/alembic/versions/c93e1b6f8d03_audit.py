"""audit

A partitioned history filled by a trigger, row-level security, and the database's own settings.
"""

from alembic import op

revision = "c93e1b6f8d03"
down_revision = "b27d54e9a0c2"

HISTORY = r"""
CREATE SCHEMA audit;
CREATE TABLE audit.annotation_history (
    id bigint GENERATED ALWAYS AS IDENTITY,
    annotation_id bigint NOT NULL,
    operation text NOT NULL,
    changed_at timestamptz NOT NULL,
    before jsonb,
    after jsonb,
    PRIMARY KEY (changed_at, operation, id)
) PARTITION BY RANGE (changed_at);
CREATE TABLE audit.annotation_history_2024 PARTITION OF audit.annotation_history
    FOR VALUES FROM (MINVALUE) TO ('2025-01-01 00:00:00+00');
CREATE TABLE audit.annotation_history_2025 PARTITION OF audit.annotation_history
    FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')
    PARTITION BY LIST (operation);
CREATE TABLE audit.annotation_history_2025_insert PARTITION OF audit.annotation_history_2025
    FOR VALUES IN ('INSERT');
CREATE TABLE audit.annotation_history_2025_other PARTITION OF audit.annotation_history_2025
    FOR VALUES IN ('UPDATE', 'DELETE');
CREATE TABLE audit.annotation_history_rest PARTITION OF audit.annotation_history DEFAULT;
CREATE INDEX annotation_history_annotation_idx ON audit.annotation_history (annotation_id)
"""

# The trigger function names neither the schema of the table nor of jsonb_changes: it works only where the
# database's search_path holds audit. Losing that setting on the way shows at the first write.
TRIGGERS = r"""
CREATE FUNCTION audit.jsonb_changes(before jsonb, after jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
        SELECT coalesce(jsonb_object_agg(key, value), '{}')
        FROM jsonb_each(after) WHERE before -> key IS DISTINCT FROM value
    $$;
CREATE FUNCTION audit.record_annotation_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO annotation_history (annotation_id, operation, changed_at, after)
            VALUES (NEW.id, TG_OP, clock_timestamp(), to_jsonb(NEW));
        ELSIF TG_OP = 'UPDATE' THEN
            INSERT INTO annotation_history (annotation_id, operation, changed_at, before, after)
            VALUES (NEW.id, TG_OP, clock_timestamp(), to_jsonb(OLD), jsonb_changes(to_jsonb(OLD), to_jsonb(NEW)));
        ELSE
            INSERT INTO annotation_history (annotation_id, operation, changed_at, before)
            VALUES (OLD.id, TG_OP, clock_timestamp(), to_jsonb(OLD));
        END IF;
        RETURN NULL;
    END
    $$;
CREATE TRIGGER annotations_history AFTER INSERT OR UPDATE OR DELETE ON annotations
    FOR EACH ROW EXECUTE FUNCTION audit.record_annotation_change();
CREATE TRIGGER annotations_touch BEFORE UPDATE ON annotations
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER datasets_touch BEFORE UPDATE ON datasets
    FOR EACH ROW WHEN (OLD.settings IS DISTINCT FROM NEW.settings) EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER annotators_redundant BEFORE UPDATE ON annotators
    FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE annotators DISABLE TRIGGER annotators_redundant
"""

# Both tables look empty to anyone whom the policies leave out, the owner included; hidden_reviews has
# no policy at all, so only a role that bypasses row-level security sees its rows.
POLICIES = r"""
CREATE TABLE audit.reviewer_notes (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    body text NOT NULL
);
ALTER TABLE audit.reviewer_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.reviewer_notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON audit.reviewer_notes
    USING (tenant = current_setting('app.tenant', true))
    WITH CHECK (tenant = current_setting('app.tenant', true));
CREATE POLICY only_long_notes ON audit.reviewer_notes AS RESTRICTIVE FOR SELECT USING (length(body) > 1);
CREATE TABLE audit.hidden_reviews (
    annotation_id bigint NOT NULL,
    verdict annotation_state NOT NULL,
    PRIMARY KEY (annotation_id)
);
ALTER TABLE audit.hidden_reviews ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.hidden_reviews FORCE ROW LEVEL SECURITY
"""

SETTINGS = r"""
DO $do$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, audit, extensions, "Exports"', current_database());
    EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Seoul');
    EXECUTE format('ALTER DATABASE %I SET app.motto = %L', current_database(), 'it''s 100% "labelled", 라벨');
END
$do$
"""


def upgrade():
    op.execute(HISTORY)
    op.execute(TRIGGERS)
    op.execute(POLICIES)
    op.execute(SETTINGS)


def downgrade():
    raise NotImplementedError("restore a backup instead")
