-- Databases whose text indexes were built with other collation rules than this machine has now. One JSON array.
-- PostgreSQL 15 and later record the version; before that there is nothing to compare.
SET search_path = pg_catalog;
SELECT current_setting('server_version_num')::int >= 150000 AS recorded \gset
\if :recorded
SELECT coalesce(json_agg(json_build_object('database', datname, 'recorded', datcollversion, 'actual', actual) ORDER BY datname), '[]'::json)
FROM (SELECT datname, datcollversion, pg_database_collation_actual_version(oid) AS actual FROM pg_database WHERE datallowconn) d
WHERE datcollversion <> actual;
\else
SELECT '[]';
\endif
