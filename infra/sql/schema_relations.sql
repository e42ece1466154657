-- Tables, views, materialized views, foreign tables and sequences with what is said about each as a whole.
-- Rows: {class, id, facts}. Tablespaces are left out: they belong to a machine. Which `options` are compared is decided in
-- manifest/options.rs. PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object(
        'class', CASE c.relkind WHEN 'v' THEN 'views' WHEN 'm' THEN 'matviews' WHEN 'S' THEN 'sequences' ELSE 'tables' END,
        'id', jsonb_build_array(n.nspname, c.relname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'kind', CASE c.relkind
                WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table'
                WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' END,
            'unlogged', CASE WHEN c.relpersistence = 'u' AND c.relkind <> 'S' THEN true END,
            'row_security', CASE WHEN c.relrowsecurity THEN true END,
            'force_row_security', CASE WHEN c.relforcerowsecurity THEN true END,
            'replica_identity', CASE WHEN c.relkind IN ('r', 'p') AND c.relreplident <> 'd' THEN c.relreplident END,
            'access_method', am.amname,
            'options', (SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest(c.reloptions) AS o),
            'toast_options', (SELECT jsonb_agg(o ORDER BY o COLLATE "C")
                FROM pg_class AS t, unnest(t.reloptions) AS o WHERE t.oid = c.reltoastrelid),
            'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
            'partition_key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
            'partition_bound', pg_get_expr(c.relpartbound, c.oid),
            'inherits', (SELECT jsonb_agg(jsonb_build_array(pn.nspname, p.relname) ORDER BY i.inhseqno)
                FROM pg_inherits AS i
                JOIN pg_class AS p ON p.oid = i.inhparent
                JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
                WHERE i.inhrelid = c.oid),
            'foreign_server', (SELECT s.srvname
                FROM pg_foreign_table AS f JOIN pg_foreign_server AS s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
            'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
            'unpopulated', CASE WHEN NOT c.relispopulated THEN true END,
            'sequence', (SELECT jsonb_build_object(
                    'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement,
                    'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle)
                FROM pg_sequence AS s WHERE s.seqrelid = c.oid),
            'owned_by', (SELECT jsonb_build_array(tn.nspname, t.relname, a.attname)
                FROM pg_depend AS d
                JOIN pg_class AS t ON t.oid = d.refobjid
                JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
                JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
                WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0)
        ))) AS row
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_am AS am ON am.oid = c.relam AND c.relkind IN ('r', 'm')
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
        AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
) AS rows;
