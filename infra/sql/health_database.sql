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
  -- A role also writes as every role that it is a member of: SET ROLE asks for no inheritance.
  'writing_readers', (
    WITH acts AS (
      SELECT r.rolname AS reader, m.oid, m.rolsuper,
        CASE WHEN m.oid = r.oid THEN '' ELSE format(' as %I', m.rolname) END AS via
      FROM pg_roles r JOIN pg_roles m ON m.oid = r.oid OR NOT r.rolsuper AND pg_has_role(r.oid, m.oid, 'MEMBER')
      WHERE r.rolname ~* '(read_?only|_ro$)'),
    relations AS (
      SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
    writes AS (
      SELECT reader, via, 'is a superuser' AS what FROM acts WHERE rolsuper
      UNION ALL
      SELECT reader, via, format('on %s', c.oid::regclass) FROM acts a CROSS JOIN relations c
      WHERE NOT a.rolsuper AND c.relkind IN ('r', 'p', 'v', 'f')
        AND (has_table_privilege(a.oid, c.oid, 'DELETE, TRUNCATE') OR has_any_column_privilege(a.oid, c.oid, 'INSERT, UPDATE'))
      UNION ALL
      SELECT reader, via, format('on sequence %s', c.oid::regclass) FROM acts a CROSS JOIN relations c
      WHERE NOT a.rolsuper AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(a.oid, c.oid, 'UPDATE') ELSE false END
      UNION ALL
      SELECT reader, via, format('creates in schema %I', n.nspname) FROM acts a CROSS JOIN pg_namespace n
      WHERE NOT a.rolsuper AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND has_schema_privilege(a.oid, n.oid, 'CREATE')
      UNION ALL
      SELECT reader, via, 'creates schemas' FROM acts a
      WHERE NOT a.rolsuper AND has_database_privilege(a.oid, current_database(), 'CREATE'))
    SELECT coalesce(json_agg(format('%I%s %s', reader, via, what) ORDER BY reader, what), '[]'::json)
    FROM (SELECT reader, min(via) AS via, what FROM writes GROUP BY reader, what) x)
);
