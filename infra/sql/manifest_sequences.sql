-- Names of all sequences outside system and temporary schemas, except members of extensions that are not configuration.
-- Their values are asked from the sequences themselves: pg_sequences hides those the role may not read.
-- PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(jsonb_build_array(n.nspname, c.relname)
    ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"), '[]')
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'S'
    AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND (EXISTS (SELECT FROM pg_extension AS e WHERE c.oid = ANY (e.extconfig)) OR NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'));
