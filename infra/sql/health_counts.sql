-- One JSON document a line for every table of the psql variable `tables` (a JSON array of quoted names): its rows, or
-- null where there is no such table.
-- Names come out with their schema, whatever the database's search_path is.
SET search_path = pg_catalog;
SELECT CASE WHEN to_regclass(t.name) IS NULL
  THEN format($f$SELECT json_build_object('table', %L, 'rows', NULL)$f$, t.name)
  ELSE format($f$SELECT json_build_object('table', %L, 'rows', (SELECT count(*) FROM %s))$f$, t.name, to_regclass(t.name)) END
FROM json_array_elements_text(:'tables'::json) AS t(name)
\gexec
