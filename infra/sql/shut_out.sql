-- What a role (psql variable `login`) may not read of this database. One JSON document, null without that role; changes
-- nothing.
SET search_path = pg_catalog;
WITH me AS (SELECT oid FROM pg_roles WHERE rolname = :'login'),
refused AS (
  SELECT format('%I.%I', n.nspname, c.relname) AS name
  FROM me, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT (has_schema_privilege(me.oid, n.oid, 'USAGE') AND has_table_privilege(me.oid, c.oid, 'SELECT'))
)
SELECT coalesce((
  SELECT json_build_object(
    'connect', has_database_privilege(me.oid, current_database(), 'CONNECT'),
    'tables', (SELECT count(*) FROM refused),
    'example', (SELECT min(name) FROM refused))
  FROM me), 'null'::json);
