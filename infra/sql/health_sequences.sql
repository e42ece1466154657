-- One JSON document a line for every sequence that fills a column: where it stands, and the column's largest value.
-- Names come out with their schema, whatever the database's search_path is.
SET search_path = pg_catalog;
SELECT format(
  $f$SELECT json_build_object('sequence', %L, 'column', %L, 'next',
    (SELECT CASE WHEN is_called THEN last_value + %s ELSE last_value END FROM %s), 'largest', (SELECT max(%I)::bigint FROM %s))$f$,
  s.seqrelid::regclass, format('%s.%I', d.refobjid::regclass, a.attname), s.seqincrement, s.seqrelid::regclass,
  a.attname, d.refobjid::regclass)
FROM pg_sequence s
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.seqincrement > 0 AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
ORDER BY s.seqrelid::regclass::text
\gexec
