-- Constraints of tables and domains. Left out: NOT NULL constraints, which are rows of pg_constraint only since 17
-- (domains) and 18 (tables) and are compared as `not_null` of the column; and the foreign keys that PostgreSQL makes for
-- each partition out of the parent's, because their number and names depend on the version. PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object(
        'class', 'constraints',
        'id', jsonb_build_array(n.nspname, coalesce(c.relname, t.typname), k.conname),
        'facts', jsonb_build_object(
            'kind', CASE k.contype
                WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' WHEN 'p' THEN 'primary key'
                WHEN 'u' THEN 'unique' WHEN 'x' THEN 'exclusion' ELSE k.contype::text END,
            'definition', pg_get_constraintdef(k.oid))) AS row
    FROM pg_constraint AS k
    JOIN pg_namespace AS n ON n.oid = k.connamespace
    LEFT JOIN pg_class AS c ON c.oid = k.conrelid
    LEFT JOIN pg_type AS t ON t.oid = k.contypid
    WHERE k.contype NOT IN ('n', 't')
        AND (k.contype <> 'f' OR k.conparentid = 0)
        AND coalesce(c.relpersistence, 'p') <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.deptype = 'e' AND (
                (d.classid = 'pg_class'::regclass AND d.objid = k.conrelid)
                OR (d.classid = 'pg_type'::regclass AND d.objid = k.contypid)))
) AS rows;
