-- Names of all sequences that did not come with the server, members of extensions included: no dump has the values of those that are
-- no configuration.
-- Their values are asked from the sequences themselves: pg_sequences hides those the role may not read.
-- PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(jsonb_build_array(n.nspname, c.relname)
    ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"), '[]')
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'S'
    AND c.relpersistence <> 't'
    AND n.nspname <> 'pg_toast'
    -- What came with the server; a person may have put more there.
    AND (c.oid >= 16384 OR n.nspname NOT IN ('pg_catalog', 'information_schema'));
