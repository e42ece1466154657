-- What the preflight must know about one database: is it empty, what does it need, where does Alembic stand.
-- One JSON document; PostgreSQL 14 to 18. Members of extensions and system schemas do not count as content.
SELECT json_build_object(
  'name', current_database(),
  'oid', (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
  'bytes', pg_database_size(current_database()),
  'relations', (
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
  'routines_and_types', (
    SELECT count(*) FROM (
      SELECT p.oid, 'pg_proc'::regclass::oid AS class FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      UNION ALL
      SELECT t.oid, 'pg_type'::regclass::oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typtype IN ('e', 'd', 'r')
    ) o
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')),
  'large_objects', (SELECT count(*) FROM pg_largeobject_metadata),
  'schemas', (
    SELECT count(*) FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('public', 'information_schema')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')),
  'extensions', (SELECT coalesce(json_object_agg(extname, extversion), '{}'::json) FROM pg_extension WHERE extname <> 'plpgsql'),
  'owners', (
    SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(c.relowner)), '[]'::json)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')),
  'prepared_transactions', (SELECT coalesce(json_agg(gid ORDER BY gid), '[]'::json) FROM pg_prepared_xacts WHERE database = current_database()),
  'connection_limit', (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
  -- What other roles have here or for all databases, but for the one we log in as and those that policies name.
  'role_settings', (
    SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(s.setrole) || ': ' || split_part(c.setting, '=', 1)), '[]'::json)
    FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
    WHERE s.setrole NOT IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
      AND s.setrole NOT IN (SELECT unnest(polroles) FROM pg_policy)
      AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))),
  'tablespaces', (
    SELECT coalesce(json_object_agg(spcname, pg_tablespace_location(oid)), '{}'::json) FROM pg_tablespace
    WHERE spcname NOT IN ('pg_default', 'pg_global') AND oid IN (
      SELECT reltablespace FROM pg_class
      UNION ALL SELECT dattablespace FROM pg_database WHERE datname = current_database())),
  'has_alembic_version', to_regclass('public.alembic_version') IS NOT NULL
);
