-- One JSON document a line for every sequence that gives a column a number which is there already, or lies behind it: the sequence belongs to
-- the column, or the column's default asks it. A descending one is held against the smallest number; one that cycles gives old
-- numbers on purpose. Names come out with their schema, whatever the database's search_path is.
SET search_path = pg_catalog;
SELECT format(
  $f$SELECT json_build_object('sequence', %1$L, 'column', %2$L, 'next', next, 'reached', reached::text)
  FROM (SELECT CASE WHEN is_called THEN last_value + %3$s ELSE last_value END AS next FROM %4$s) s,
    (SELECT %5$s(%6$I) FILTER (WHERE %6$I::numeric <> 'NaN') AS reached FROM %7$s) c
  WHERE reached %8$s next$f$,
  x.sequence::regclass, format('%s.%I', x.relation::regclass, a.attname), s.seqincrement, x.sequence::regclass,
  CASE WHEN s.seqincrement > 0 THEN 'max' ELSE 'min' END, a.attname, x.relation::regclass,
  CASE WHEN s.seqincrement > 0 THEN '>=' ELSE '<=' END)
FROM (
  SELECT objid AS sequence, refobjid AS relation, refobjsubid AS column FROM pg_depend
  WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass AND refobjsubid > 0
  UNION
  SELECT d.refobjid, v.adrelid, v.adnum FROM pg_depend d JOIN pg_attrdef v ON d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid
  WHERE d.refclassid = 'pg_class'::regclass) x
JOIN pg_sequence s ON s.seqrelid = x.sequence
JOIN pg_class r ON r.oid = x.relation AND r.relkind IN ('r', 'p')
JOIN pg_attribute a ON a.attrelid = x.relation AND a.attnum = x.column
WHERE NOT s.seqcycle AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
ORDER BY x.sequence::regclass::text, x.relation::regclass::text
\gexec
