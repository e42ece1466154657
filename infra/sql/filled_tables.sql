-- One JSON document a line for every table of the psql variable `tables` (a JSON array of quoted names): whether it holds a
-- row, or null where there is no such table. Stops at the first row: nothing is counted.
SET search_path = pg_catalog;
SELECT CASE WHEN to_regclass(t.name) IS NULL
  THEN format($f$SELECT json_build_object('table', %L, 'filled', NULL)$f$, t.name)
  ELSE format($f$SELECT json_build_object('table', %L, 'filled', EXISTS (SELECT FROM %s))$f$, t.name, to_regclass(t.name)) END
FROM json_array_elements_text(:'tables'::json) AS t(name)
\gexec
