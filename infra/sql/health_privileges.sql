-- What this role may not do, of what an application does: one JSON array. Only asked, never tried: an INSERT that is
-- rolled back still moves sequences and fires triggers, and a verification changes nothing.
-- A sequence behind a column's default needs its own USAGE (UPDATE does as well); one behind an identity column does not.
BEGIN READ ONLY;
SET LOCAL search_path = pg_catalog;
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';
WITH tables AS (
  SELECT c.oid, n.oid AS schema, format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), sequences AS (
  SELECT DISTINCT s.oid, n.oid AS schema, format('%I.%I', n.nspname, s.relname) AS name
  FROM tables t
  JOIN pg_attrdef a ON a.adrelid = t.oid
  JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
  JOIN pg_namespace n ON n.oid = s.relnamespace
), refused AS (
  SELECT t.name AS object, w.what, 'permission denied' AS why, w.rank
  FROM tables t, (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE')) AS w (rank, what)
  WHERE NOT has_table_privilege(t.oid, w.what)
  UNION ALL
  SELECT q.name, 'USAGE', 'permission denied for a sequence that fills a column', 5
  FROM sequences q
  WHERE NOT has_sequence_privilege(q.oid, 'USAGE, UPDATE')
  UNION ALL
  SELECT format('schema %I', n.nspname), 'USAGE', 'permission denied, so everything in it is', 0
  FROM pg_namespace n
  WHERE n.oid IN (SELECT schema FROM tables UNION SELECT schema FROM sequences)
    AND NOT has_schema_privilege(n.oid, 'USAGE')
)
SELECT coalesce(jsonb_agg(jsonb_build_object('object', object, 'what', what, 'why', why) ORDER BY rank, object), '[]')
FROM refused;
ROLLBACK;
