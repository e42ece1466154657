-- What a role (psql variable `role`) may not do in this database, of what an application does, and the statements that
-- allow it and take it back. One JSON document; asked by an administrator; changes nothing. A role that is called
-- read-only is asked for reading alone: giving it more is nobody's repair.
SET search_path = pg_catalog;
WITH me AS (
  SELECT oid, rolname, rolname ~* '(read_?only|_ro$)' AS reader FROM pg_roles WHERE rolname = :'role'
), tables AS (
  SELECT c.oid, c.relowner, n.oid AS schema, n.nspname, format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), sequences AS (
  SELECT DISTINCT s.oid, s.relowner, n.oid AS schema, n.nspname, format('%I.%I', n.nspname, s.relname) AS name
  FROM tables t
  JOIN pg_attrdef a ON a.adrelid = t.oid
  JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
  JOIN pg_namespace n ON n.oid = s.relnamespace
), refused AS (
  SELECT 1 AS rank, 'DATABASE' AS kind, quote_ident(d.datname::text) AS name, 'CONNECT' AS what, NULL::oid AS owner, NULL::name AS schema
  FROM pg_database d, me WHERE d.datname = current_database() AND NOT has_database_privilege(me.oid, d.oid, 'CONNECT')
  UNION ALL
  SELECT 2, 'SCHEMA', quote_ident(n.nspname::text), 'USAGE', NULL, NULL
  FROM pg_namespace n, me
  WHERE n.oid IN (SELECT schema FROM tables UNION SELECT schema FROM sequences) AND NOT has_schema_privilege(me.oid, n.oid, 'USAGE')
  UNION ALL
  SELECT 3, 'TABLE', t.name, w.what, t.relowner, t.nspname
  FROM tables t, me, (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS w (what)
  WHERE (w.what = 'SELECT' OR NOT me.reader) AND NOT has_table_privilege(me.oid, t.oid, w.what)
  UNION ALL
  SELECT 4, 'SEQUENCE', q.name, 'USAGE', q.relowner, q.nspname
  FROM sequences q, me WHERE NOT me.reader AND NOT has_sequence_privilege(me.oid, q.oid, 'USAGE, UPDATE')
), objects AS (
  SELECT rank, kind, name, string_agg(what, ', ' ORDER BY array_position(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'], what)) AS what
  FROM refused GROUP BY rank, kind, name
), statements AS (
  SELECT rank, kind, what, format('%s ON %s %s', what, kind, string_agg(name, ', ' ORDER BY name)) AS grants, NULL AS defaults
  FROM objects GROUP BY rank, kind, what
  UNION ALL
  -- What the owner makes from now on, unless somebody has said so already.
  SELECT 5, kind, what, format('%s ON %sS', what, kind), format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I', pg_get_userbyid(owner), schema)
  FROM (
    SELECT DISTINCT r.kind, r.owner, r.schema, CASE WHEN r.kind = 'SEQUENCE' THEN 'USAGE' WHEN me.reader THEN 'SELECT'
      ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS what
    FROM refused r, me WHERE r.rank IN (3, 4) AND NOT EXISTS (
      SELECT FROM pg_default_acl a JOIN pg_namespace n ON n.oid = a.defaclnamespace CROSS JOIN LATERAL aclexplode(a.defaclacl) x
      WHERE a.defaclrole = r.owner AND n.nspname = r.schema AND x.grantee = me.oid
        AND a.defaclobjtype = CASE WHEN r.kind = 'SEQUENCE' THEN 'S'::"char" ELSE 'r'::"char" END)) d
)
SELECT json_build_object(
  'refused', (SELECT coalesce(json_agg(format('%s on %s %s', what, lower(kind), name) ORDER BY rank, name), '[]'::json) FROM objects),
  'grant', (SELECT coalesce(json_agg(format('%sGRANT %s TO %I;', defaults || ' ', grants, rolname) ORDER BY rank, kind, what), '[]'::json)
            FROM statements, me),
  'revoke', (SELECT coalesce(json_agg(format('%sREVOKE %s FROM %I;', defaults || ' ', grants, rolname) ORDER BY rank, kind, what), '[]'::json)
             FROM statements, me)
);
