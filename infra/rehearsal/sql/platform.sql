-- The sample platform database: schema and rows. psql variable `rows` as in labeler.sql; this database holds about
-- a third as many. Runs as the instance's superuser in an empty database.
\set ON_ERROR_STOP on
\if :{?rows}
\else
    \set rows 50000
\endif
SELECT greatest(4, :rows / 500) AS projects, greatest(20, :rows / 20) AS jobs, greatest(60, :rows / 5) AS events \gset

BEGIN;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL synchronous_commit = off;
SET LOCAL jit = off;
SET LOCAL client_min_messages = warning;

CREATE SCHEMA billing;
SET LOCAL search_path = public, billing;
CREATE TYPE job_state AS ENUM ('queued', 'running', 'succeeded', 'failed');
CREATE DOMAIN positive_amount AS numeric(14, 4) NOT NULL CHECK (VALUE > 0);

CREATE TABLE projects (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    owner_id bigint NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE training_jobs (
    id bigserial PRIMARY KEY,
    project_id integer NOT NULL REFERENCES projects ON DELETE CASCADE,
    state job_state NOT NULL DEFAULT 'queued',
    command text NOT NULL,
    hyperparameters jsonb NOT NULL,
    gpu_hours numeric(10, 3),
    started_at timestamptz,
    finished_at timestamptz,
    runtime interval GENERATED ALWAYS AS (finished_at - started_at) STORED,
    CHECK (finished_at >= started_at)
);
CREATE TABLE job_events (
    job_id bigint NOT NULL,
    region text NOT NULL,
    at timestamptz NOT NULL,
    payload jsonb
) PARTITION BY LIST (region);
CREATE TABLE job_events_kr PARTITION OF job_events FOR VALUES IN ('kr', '서울') PARTITION BY RANGE (at);
CREATE TABLE job_events_kr_h1 PARTITION OF job_events_kr FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2025-07-01 00:00+00');
CREATE TABLE job_events_kr_h2 PARTITION OF job_events_kr FOR VALUES FROM ('2025-07-01 00:00+00') TO (MAXVALUE);
CREATE TABLE job_events_hashed PARTITION OF job_events DEFAULT PARTITION BY HASH (job_id);
CREATE TABLE job_events_hashed_0 PARTITION OF job_events_hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE job_events_hashed_1 PARTITION OF job_events_hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE models (
    project_id integer REFERENCES projects ON DELETE SET NULL,
    job_id bigint REFERENCES training_jobs ON DELETE SET NULL,
    version integer NOT NULL,
    weights oid,
    digest bytea NOT NULL,
    metrics real[] NOT NULL,
    UNIQUE (project_id, version)
);
CREATE TABLE billing.invoices (
    number text COLLATE "C" PRIMARY KEY,
    project_id integer NOT NULL REFERENCES projects ON DELETE RESTRICT,
    amount positive_amount,
    issued_on date NOT NULL
);
CREATE TABLE billing.refunds (LIKE billing.invoices INCLUDING ALL);
CREATE UNLOGGED TABLE worker_leases (worker inet PRIMARY KEY, job_id bigint, expires_at timestamptz);
CREATE TABLE "user" ("order" integer PRIMARY KEY, "Group" text);

CREATE FUNCTION billing.next_invoice_number() RETURNS text LANGUAGE sql VOLATILE
    AS $$ SELECT 'INV-' || to_char(count(*) + 1, 'FM000000') FROM invoices $$;
CREATE FUNCTION billing.number_invoice() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN NEW.number := coalesce(NEW.number, next_invoice_number()); RETURN NEW; END $$;
DO $do$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = "$user", public, billing', current_database());
    EXECUTE format('ALTER DATABASE %I SET statement_timeout = %L', current_database(), '10min');
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION pg_trgm;
    END IF;
END
$do$;

INSERT INTO projects (name, owner_id, parameters, created_at)
SELECT (ARRAY['결함 검출', 'Lane "keeping"', E'path\\to'])[1 + i % 3] || ' ' || i, 1 + i % 40,
       jsonb_build_object('gpu', i % 8, '지역', '서울'), timestamptz '2024-10-01 00:00:00+00' + i * interval '3 hours'
FROM generate_series(1, :projects) AS i;
INSERT INTO training_jobs (project_id, state, command, hyperparameters, gpu_hours, started_at, finished_at)
SELECT 1 + i % :projects, ('{queued,running,succeeded,failed}'::job_state[])[1 + i % 4],
       E'python train.py \\\n\t--seed ' || i, jsonb_build_object('lr', 1.0 / (i + 1), 'epochs', i % 100),
       CASE WHEN i % 4 <> 0 THEN i % 1000 / 7.0 END,
       timestamptz '2025-01-01 00:00:00+00' + i * interval '97 seconds',
       CASE WHEN i % 4 > 1 THEN timestamptz '2025-01-01 00:00:00+00' + i * interval '98 seconds' END
FROM generate_series(1, :jobs) AS i;
INSERT INTO job_events
SELECT 1 + i % :jobs, (ARRAY['kr', '서울', 'us', 'eu'])[1 + i % 4],
       timestamptz '2025-01-01 00:00:00+00' + (i % 500) * interval '1 day',
       CASE WHEN i % 6 <> 0 THEN jsonb_build_object('step', i, 'message', E'손실\t감소\n') END
FROM generate_series(1, :events) AS i;
SELECT count(lo_from_bytea((800000 + i)::oid, decode(repeat(md5('w' || i), 5000 * i), 'hex'))) AS large_objects
FROM generate_series(1, 3) AS i \gset
INSERT INTO models
SELECT 1 + i % :projects, CASE WHEN i % 5 <> 0 THEN i END, i, CASE WHEN i <= 3 THEN 800000 + i END,
       decode(md5(i::text) || md5('x' || i), 'hex'), ARRAY[i / 10.0, 'NaN', -0.0]::real[]
FROM generate_series(1, 20) AS i;
INSERT INTO billing.invoices
SELECT 'INV-' || to_char(i, 'FM000000'), 1 + i % :projects, i * 1.2345, date '2025-01-01' + i % 365
FROM generate_series(1, :projects) AS i;
INSERT INTO worker_leases SELECT inet '10.0.0.0' + i, i, 'infinity' FROM generate_series(1, 8) AS i;
INSERT INTO "user" VALUES (1, 'admins'), (2, E'it''s\t"odd"');
-- Behind its column: the next job the application starts collides until somebody notices.
SELECT setval('training_jobs_id_seq', 5) \gset

CREATE TRIGGER invoices_number BEFORE INSERT ON billing.invoices
    FOR EACH ROW EXECUTE FUNCTION billing.number_invoice();
CREATE INDEX training_jobs_project_idx ON training_jobs (project_id);
CREATE INDEX training_jobs_active_idx ON training_jobs (started_at) WHERE finished_at IS NULL;
CREATE INDEX training_jobs_rate_idx ON training_jobs (((hyperparameters ->> 'epochs')::integer));
CREATE INDEX projects_parameters_idx ON projects USING gin (parameters);
CREATE INDEX job_events_at_idx ON job_events (at);
CREATE VIEW active_jobs AS SELECT * FROM training_jobs WHERE state IN ('queued', 'running') WITH CHECK OPTION;
CREATE MATERIALIZED VIEW project_costs AS
    SELECT p.id, p.name, coalesce(sum(j.gpu_hours), 0) AS gpu_hours
    FROM projects AS p LEFT JOIN training_jobs AS j ON j.project_id = p.id GROUP BY p.id;
COMMENT ON TABLE training_jobs IS '학습 작업';
COMMENT ON COLUMN models.weights IS 'a large object';

DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'Platform Service') THEN
        GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO "Platform Service";
        GRANT EXECUTE ON FUNCTION billing.next_invoice_number() TO "Platform Service";
    END IF;
END
$do$;
COMMIT;
