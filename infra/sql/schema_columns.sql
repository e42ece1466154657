-- Columns of tables, views and materialized views: type, collation, default, identity, generation, storage.
-- `position` counts only columns that are left, and not those of inheritance children: pg_dump puts inherited columns
-- first there. Partitions show no identity: since 17 they take over their parent's, before they had none. Storage, compression and statistics target show only where they differ from the default (17 writes
-- "none" as NULL, older versions as -1). Which `options` are compared is decided in manifest/options.rs.
-- PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object(
        'class', 'columns',
        'id', jsonb_build_array(n.nspname, c.relname, a.attname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'position', CASE WHEN c.relispartition
                    OR NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid)
                THEN rank() OVER (PARTITION BY c.oid ORDER BY a.attnum) END,
            'type', format_type(a.atttypid, a.atttypmod),
            'collation', CASE WHEN a.attcollation <> t.typcollation THEN (
                SELECT jsonb_build_array(cn.nspname, co.collname)
                FROM pg_collation AS co JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
                WHERE co.oid = a.attcollation) END,
            'not_null', CASE WHEN a.attnotnull THEN true END,
            'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'generated', CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END,
            'expression', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'identity', CASE WHEN NOT c.relispartition THEN
                CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END END,
            'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END,
            'compression', nullif(a.attcompression, ''),
            'statistics', nullif(a.attstattarget, -1),
            'options', (SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest(a.attoptions) AS o)
        ))) AS row
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
        AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
        AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND NOT EXISTS (SELECT FROM pg_depend AS e
            WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
) AS rows;
