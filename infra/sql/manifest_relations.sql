-- Every relation that holds rows, partitioned tables and foreign tables included: its kind, size, columns with the base
-- type that decides how a value is hashed and the function that prints it, and its primary key. Left out: what came with the server, temporary
-- schemas and TOAST. Of an extension's configuration tables pg_dump dumps the rows that match `filter`, of its other members
-- none: their rows count, so that a copy that lacks them is found.
-- PostgreSQL 14 and later.
WITH RECURSIVE base (typ, base, next, kind, output) AS (
    SELECT oid, oid, typbasetype, typtype, typoutput FROM pg_type
    UNION ALL
    SELECT base.typ, t.oid, t.typbasetype, t.typtype, t.typoutput
    FROM base
    JOIN pg_type AS t ON t.oid = base.next
    WHERE base.kind = 'd'
), config (oid, filter) AS (
    SELECT e.extconfig[i], e.extcondition[i]
    FROM pg_extension AS e, generate_subscripts(e.extconfig, 1) AS i
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'oid', c.oid::bigint,
    'schema', n.nspname,
    'name', c.relname,
    'kind', CASE
        WHEN config.oid IS NOT NULL THEN 'extension-config'
        WHEN member.objid IS NOT NULL THEN 'extension-member'
        WHEN c.relkind = 'p' THEN 'partitioned'
        WHEN c.relkind = 'f' THEN 'foreign'
        WHEN c.relkind = 'm' THEN 'matview'
        WHEN c.relispartition THEN 'partition'
        WHEN c.relpersistence = 'u' THEN 'unlogged'
        ELSE 'ordinary'
    END,
    'filter', nullif(btrim(config.filter), ''),
    'populated', c.relispopulated,
    'parent', (SELECT i.inhparent::bigint FROM pg_inherits AS i WHERE i.inhrelid = c.oid AND c.relispartition),
    -- Only the heap is known to scan ranges of ctid without reading the whole table.
    'heap', coalesce(am.amname = 'heap', false),
    'pages', CASE WHEN c.relkind IN ('r', 'm') THEN
        pg_relation_size(c.oid) / current_setting('block_size')::bigint ELSE 0 END,
    'bytes', CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE 0 END,
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'base', base.base::regtype::text,
            'output', base.output::text, 'generated', a.attgenerated <> '')
            ORDER BY a.attname COLLATE "C"), '[]')
        FROM pg_attribute AS a
        JOIN base ON base.typ = a.atttypid AND base.kind <> 'd'
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'key', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'base', base.base::regtype::text,
            'output', base.output::text, 'generated', a.attgenerated <> '')
            ORDER BY k.place), '[]')
        FROM pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        JOIN base ON base.typ = a.atttypid AND base.kind <> 'd'
        WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts)
    ) ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"), '[]')
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN config ON config.oid = c.oid
LEFT JOIN pg_depend AS member
    ON member.classid = 'pg_class'::regclass AND member.objid = c.oid AND member.deptype = 'e'
WHERE c.relkind IN ('r', 'p', 'm', 'f')
    AND c.relpersistence <> 't'
    AND n.nspname <> 'pg_toast'
    -- What came with the server; a person may have put more there.
    AND (c.oid >= 16384 OR n.nspname NOT IN ('pg_catalog', 'information_schema'));
