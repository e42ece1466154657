-- What belongs neither to a role (psql variable `role`) nor to one it is a member of: such a thing stops its next
-- `alembic upgrade`. With the statements that give it over and back. One JSON array; changes nothing.
SET search_path = pg_catalog;
WITH me AS (SELECT oid, rolname FROM pg_roles WHERE rolname = :'role'),
object AS (
  SELECT 1 AS rank, 'DATABASE' AS kind, quote_ident(d.datname::text) AS name, d.datdba AS owner, d.datacl AS acl, NULL::oid AS relation
  FROM pg_database d WHERE d.datname = current_database()
  UNION ALL
  SELECT 2, 'SCHEMA', quote_ident(n.nspname::text), n.nspowner, n.nspacl, NULL
  FROM pg_namespace n
  WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
  UNION ALL
  -- A sequence that belongs to a column follows its table.
  SELECT 3, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
      WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, format('%I.%I', n.nspname, c.relname), c.relowner, c.relacl, c.oid
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND (d.deptype = 'e' OR (c.relkind = 'S' AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0)))
  UNION ALL
  SELECT 4, 'ROUTINE', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proowner, p.proacl, NULL
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
  UNION ALL
  SELECT 5, 'TYPE', format('%I.%I', n.nspname, t.typname), t.typowner, t.typacl, NULL
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  UNION ALL
  SELECT 6, 'STATISTICS', format('%I.%I', n.nspname, s.stxname), s.stxowner, NULL, NULL
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
)
SELECT coalesce(json_agg(json_build_object('object', format('%s %s', lower(kind), name), 'owner', pg_get_userbyid(owner),
  'give', format('ALTER %s %s OWNER TO %I;', kind, name, rolname),
  -- What the role was granted is lost when it becomes the owner and stops being it.
  'back', format('ALTER %s %s OWNER TO %I;', kind, name, pg_get_userbyid(owner)) || coalesce((
    SELECT format(' GRANT %s ON %s %s TO %I;', string_agg(x.privilege_type, ', '),
      CASE WHEN kind IN ('VIEW', 'MATERIALIZED VIEW', 'FOREIGN TABLE') THEN 'TABLE' ELSE kind END, name, rolname)
    FROM aclexplode(acl) x WHERE x.grantee = me.oid HAVING count(*) > 0), '') || coalesce((
    -- The sequences of its columns went along.
    SELECT string_agg(' ' || g.sql, '' ORDER BY g.sql) FROM (
      SELECT format('GRANT %s ON SEQUENCE %I.%I TO %I;', string_agg(x.privilege_type, ', '), n.nspname, q.relname, rolname) AS sql
      FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_namespace n ON n.oid = q.relnamespace
      CROSS JOIN LATERAL aclexplode(q.relacl) x
      WHERE d.classid = 'pg_class'::regclass AND d.refobjid = relation AND d.deptype IN ('a', 'i') AND x.grantee = me.oid
      GROUP BY n.nspname, q.relname) g), '')) ORDER BY rank, kind, name), '[]'::json)
FROM object, me
WHERE NOT pg_has_role(me.oid, owner, 'USAGE');
