-- After manifest_pins.sql: starts a read-only transaction (inside the snapshot named by the psql variable `snapshot`, when
-- it is set) and answers with the session and its server.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
\if :{?snapshot}
SET TRANSACTION SNAPSHOT :'snapshot';
\endif
SELECT jsonb_build_object(
    'pid', pg_backend_pid(),
    'version', current_setting('server_version_num')::integer);
