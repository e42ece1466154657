-- Types people made: enums with their labels in order, domains, composites, ranges, base types.
-- Row types of tables, array types and the multiranges made beside ranges follow from these. PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object(
        'class', 'types',
        'id', jsonb_build_array(n.nspname, t.typname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'kind', CASE t.typtype
                WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite'
                WHEN 'r' THEN 'range' WHEN 'b' THEN 'base' ELSE 'shell' END,
            'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid),
            'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
            'not_null', CASE WHEN t.typnotnull THEN true END,
            'default', coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault),
            'collation', CASE WHEN t.typtype = 'd' THEN (
                SELECT jsonb_build_array(cn.nspname, co.collname)
                FROM pg_collation AS co
                JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
                JOIN pg_type AS b ON b.oid = t.typbasetype
                WHERE co.oid = t.typcollation AND t.typcollation <> b.typcollation) END,
            'attributes', (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod))
                    ORDER BY a.attnum)
                FROM pg_attribute AS a
                WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
            'subtype', (SELECT format_type(r.rngsubtype, NULL) FROM pg_range AS r WHERE r.rngtypid = t.oid),
            'input', CASE WHEN t.typtype = 'b' THEN t.typinput::regproc::text END
        ))) AS row
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE t.oid >= 16384
        AND (t.typrelid = 0 OR c.relkind = 'c')
        AND t.typtype <> 'm'
        AND NOT EXISTS (SELECT FROM pg_type AS el WHERE el.typarray = t.oid)
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND n.nspname NOT LIKE 'pg\_temp\_%'
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
) AS rows;
