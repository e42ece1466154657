-- The sample users database: schema and rows. psql variable `rows` as in labeler.sql; this database holds about
-- a fifth as many. Runs as the instance's superuser in an empty database.
\set ON_ERROR_STOP on
\if :{?rows}
\else
    \set rows 50000
\endif
SELECT greatest(40, :rows / 50) AS users, greatest(3, :rows / 5000) AS organizations, greatest(50, :rows / 8) AS logins \gset

-- A value added later sorts first but is numbered last; it must be committed before it can be used.
CREATE TYPE membership_role AS ENUM ('member', 'admin', 'owner');
ALTER TYPE membership_role ADD VALUE 'guest' BEFORE 'member';

BEGIN;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL synchronous_commit = off;
SET LOCAL jit = off;
SET LOCAL client_min_messages = warning;

CREATE DOMAIN email AS text CHECK (VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+$');
CREATE SEQUENCE user_number START WITH 1000 CACHE 10;

CREATE TABLE organizations (
    id serial PRIMARY KEY,
    name text NOT NULL,
    domains text[] NOT NULL DEFAULT '{}',
    parent_id integer REFERENCES organizations ON DELETE CASCADE DEFERRABLE
);
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number integer NOT NULL DEFAULT nextval('user_number'),
    email email NOT NULL,
    display_name text NOT NULL,
    initials text GENERATED ALWAYS AS (left(display_name, 1)) STORED,
    password_hash bytea NOT NULL,
    preferences jsonb NOT NULL DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
ALTER SEQUENCE user_number OWNED BY users.number;
-- A dropped column leaves a hole in the attribute numbers that the copy does not have.
ALTER TABLE users ADD COLUMN fax text;
ALTER TABLE users DROP COLUMN fax;
ALTER TABLE users ADD COLUMN locale varchar(10) NOT NULL DEFAULT 'ko-KR';
CREATE TABLE memberships (
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    organization_id integer NOT NULL REFERENCES organizations ON DELETE CASCADE,
    role membership_role NOT NULL DEFAULT 'member',
    PRIMARY KEY (user_id, organization_id)
);
CREATE TABLE api_tokens (
    digest bytea PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    scopes text[] NOT NULL,
    valid tstzrange NOT NULL
);
CREATE TABLE login_audit (
    user_id bigint REFERENCES users ON DELETE SET NULL,
    address inet NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL
) PARTITION BY RANGE (at);
CREATE TABLE login_audit_2024 PARTITION OF login_audit FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
CREATE TABLE login_audit_2025 PARTITION OF login_audit FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2026-01-01 00:00+00');
CREATE TABLE login_audit_rest PARTITION OF login_audit DEFAULT;
CREATE TABLE private_notes (id serial PRIMARY KEY, user_id bigint NOT NULL, body text NOT NULL);
ALTER TABLE private_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE private_notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own_notes ON private_notes USING (user_id = nullif(current_setting('app.user_id', true), '')::bigint);
CREATE UNLOGGED TABLE sessions (token text PRIMARY KEY, user_id bigint, data json);
CREATE TABLE invitations (email email, organization_id integer);
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext') THEN
        CREATE EXTENSION citext;
        ALTER TABLE organizations ADD COLUMN handle citext UNIQUE;
    END IF;
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgcrypto') THEN
        CREATE SCHEMA crypto;
        CREATE EXTENSION pgcrypto SCHEMA crypto;
    END IF;
    EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L', current_database(), 'repeatable read');
    EXECUTE format('ALTER DATABASE %I SET intervalstyle = %L', current_database(), 'iso_8601');
    EXECUTE format('ALTER DATABASE %I SET bytea_output = %L', current_database(), 'escape');
END
$do$;

INSERT INTO organizations (name, domains, parent_id)
SELECT (ARRAY['비전 연구소', 'Field & Sons', E'Tab\tInc'])[1 + i % 3] || ' ' || i, ARRAY['team' || i || '.example', NULL],
       CASE WHEN i > 2 THEN i / 2 END
FROM generate_series(1, :organizations) AS i;
INSERT INTO users (email, display_name, password_hash, preferences, is_active, created_at, deleted_at, locale)
SELECT 'user' || i || '@team' || i % 10 || '.example',
       (ARRAY['사용자', 'Labeler', E'back\\slash', ' leading'])[1 + i % 4] || ' ' || i,
       decode(md5('p' || i) || md5('q' || i), 'hex'),
       jsonb_build_object('theme', (ARRAY['dark', '밝게'])[1 + i % 2], 'shortcuts', jsonb_build_array(i, NULL)),
       i % 17 <> 0, timestamptz '2024-02-01 00:00:00.5+00' + i * interval '1 hour',
       CASE WHEN i % 17 = 0 THEN timestamptz '2025-01-01 00:00:00+00' END,
       (ARRAY['ko-KR', 'en-US'])[1 + i % 2]
FROM generate_series(1, :users) AS i;
INSERT INTO memberships
SELECT i, 1 + i % :organizations, ('{guest,member,admin,owner}'::membership_role[])[1 + i % 4] FROM generate_series(1, :users) AS i;
INSERT INTO api_tokens
SELECT decode(md5('t' || i), 'hex'), i, ARRAY['read', 'write:' || i],
       tstzrange(timestamptz '2025-01-01 00:00:00+00', CASE WHEN i % 2 = 0 THEN timestamptz '2026-01-01 00:00:00+00' END)
FROM generate_series(1, :users / 2) AS i;
INSERT INTO login_audit
SELECT CASE WHEN i % 9 <> 0 THEN 1 + i % :users END, inet '10.1.0.0' + i % 60000,
       timestamptz '2024-06-01 00:00:00+00' + (i % 700) * interval '1 day' + i * interval '1 second',
       (ARRAY['ok', 'wrong password', '잠김'])[1 + i % 3]
FROM generate_series(1, :logins) AS i;
INSERT INTO private_notes (user_id, body) SELECT 1 + i % 5, E'비밀 메모\n' || i FROM generate_series(1, 50) AS i;
INSERT INTO sessions SELECT md5('s' || i), i, '{"k" : "v",  "k": null}' FROM generate_series(1, 25) AS i;

CREATE UNIQUE INDEX users_email_key ON users (lower(email)) WHERE deleted_at IS NULL;
CREATE INDEX users_preferences_idx ON users USING gin (preferences jsonb_path_ops);
CREATE INDEX login_audit_address_idx ON login_audit USING gist (address inet_ops);
CREATE INDEX memberships_organization_idx ON memberships (organization_id);
CREATE FUNCTION user_handle(person users) RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT split_part(person.email, '@', 1) $$;
CREATE VIEW active_users AS SELECT u.id, u.email, user_handle(u) AS handle FROM users AS u WHERE u.deleted_at IS NULL;
CREATE MATERIALIZED VIEW organization_sizes AS
    SELECT organization_id, count(*) AS members FROM memberships GROUP BY organization_id;
CREATE RULE no_invitation_update AS ON UPDATE TO invitations DO INSTEAD NOTHING;
COMMENT ON TABLE users IS '사용자 계정';
COMMENT ON CONSTRAINT users_pkey ON users IS 'never reused';

DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'labeler_readonly') THEN
        GRANT SELECT (id, email, display_name) ON users TO labeler_readonly;
        GRANT SELECT ON active_users TO labeler_readonly;
    END IF;
END
$do$;
COMMIT;
