-- Indexes, those behind constraints included. Invalid indexes (a failed CREATE INDEX CONCURRENTLY) are left out as
-- pg_dump leaves them out, except on partitioned tables: so one that is invalid after a restore counts as missing.
-- `with` are the options that the definition prints. Those of an extension (`lists` and `m` of pgvector, `length` of bloom)
-- are documented there and compared as part of the definition; only options of the server itself, whose names begin with
-- pg_, are taken out of it (manifest/options.rs). PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object(
        'class', 'indexes',
        'id', jsonb_build_array(n.nspname, c.relname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'table', jsonb_build_array(tn.nspname, t.relname),
            'definition', pg_get_indexdef(i.indexrelid),
            'with', to_jsonb(c.reloptions),
            'clustered', CASE WHEN i.indisclustered THEN true END,
            'replica_identity', CASE WHEN i.indisreplident THEN true END,
            'partition_invalid', CASE WHEN NOT i.indisvalid THEN true END,
            'statistics', (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attstattarget) ORDER BY a.attnum)
                FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attstattarget >= 0)
        ))) AS row
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_class AS t ON t.oid = i.indrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
    WHERE (i.indisvalid OR t.relkind = 'p')
        AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_class'::regclass AND d.objid IN (c.oid, t.oid) AND d.deptype = 'e')
) AS rows;
