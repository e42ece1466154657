-- The revisions a database stands at: none, one, or several when branches are open. No table: none. Without a schema the only
-- table of that name counts, of several the one in public; null when that does not decide.
SET search_path = pg_catalog;
WITH tables AS (
  SELECT n.nspname, c.relname, count(*) OVER () AS found
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relname = :'table' AND c.relkind IN ('r', 'p')
    AND (n.nspname = :'schema' OR (:'schema' = '' AND n.nspname NOT LIKE 'pg\_%'))
), chosen AS (SELECT * FROM tables WHERE found = 1 OR nspname = 'public')
SELECT format('SELECT coalesce(json_agg(version_num ORDER BY version_num), ''[]''::json) FROM %I.%I', nspname, relname) FROM chosen
UNION ALL
SELECT CASE WHEN EXISTS (SELECT FROM tables) THEN 'SELECT ''null''' ELSE 'SELECT ''[]''' END WHERE NOT EXISTS (SELECT FROM chosen)
\gexec
