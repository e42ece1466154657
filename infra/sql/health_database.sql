-- What `verify` must know about a database, beside its facts. One JSON document; PostgreSQL 14 to 18; changes nothing.
-- Names come out with their schema, whatever the database's search_path is.
SET search_path = pg_catalog;
SELECT json_build_object(
  'tables', (
    SELECT coalesce(json_agg(json_build_array(n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]'::json)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
  'invalid_indexes', (
    SELECT coalesce(json_agg(i.indexrelid::regclass::text ORDER BY i.indexrelid::regclass::text), '[]'::json)
    FROM pg_index i WHERE NOT i.indisvalid OR NOT i.indisready),
  'unvalidated_constraints', (
    SELECT coalesce(json_agg(format('%s on %s', quote_ident(o.conname), o.conrelid::regclass) ORDER BY o.conrelid::regclass::text, o.conname), '[]'::json)
    FROM pg_constraint o WHERE NOT o.convalidated AND o.conrelid <> 0),
  'foreign_servers', (SELECT coalesce(json_agg(srvname ORDER BY srvname), '[]'::json) FROM pg_foreign_server),
  'extensions', (SELECT coalesce(json_agg(extname ORDER BY extname), '[]'::json) FROM pg_extension),
  'foreign_owners', (
    SELECT coalesce(json_object_agg(owner, things), '{}'::json) FROM (
      SELECT pg_get_userbyid(c.relowner) AS owner, count(*) AS things
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND c.relowner <> (SELECT datdba FROM pg_database WHERE datname = current_database())
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      GROUP BY 1) x),
  'writing_readers', (
    SELECT coalesce(json_agg(format('%s on %s', quote_ident(r.rolname), c.oid::regclass) ORDER BY r.rolname, c.oid::regclass::text), '[]'::json)
    FROM pg_roles r CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.rolname ~* '(read_?only|_ro$)' AND NOT r.rolsuper AND c.relkind IN ('r', 'p')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
);
