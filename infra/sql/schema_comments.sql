-- Comments on everything people made. The comments of extensions come from their control files and differ by version;
-- the one on schema public is PostgreSQL's own unless somebody changed it. PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'class', 'comments', 'prefix', o.type, 'id', '[]'::jsonb, 'suffix', o.identity,
    'facts', jsonb_build_object('comment', c.description))), '[]')
FROM pg_description AS c
CROSS JOIN LATERAL pg_identify_object(c.classoid, c.objoid, c.objsubid) AS o
WHERE (c.objoid >= 16384 OR c.classoid = 'pg_namespace'::regclass)
    AND NOT (c.classoid = 'pg_namespace'::regclass AND c.description IN (
        'standard public schema', 'system catalog schema', 'reserved schema for TOAST tables'))
    AND c.classoid <> 'pg_extension'::regclass
    AND coalesce(o.schema, '') NOT LIKE 'pg\_temp\_%'
    AND coalesce(o.schema, '') NOT IN ('pg_toast', 'information_schema')
    AND NOT EXISTS (SELECT FROM pg_depend AS d
        WHERE d.classid = c.classoid AND d.objid = c.objoid AND d.deptype = 'e');
