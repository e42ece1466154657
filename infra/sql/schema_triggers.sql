-- Triggers, event triggers, rewrite rules (except those that make a view) and row-level security policies.
-- Triggers that PostgreSQL copies to partitions follow from the parent's. PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object(
        'class', 'triggers',
        'id', jsonb_build_array(n.nspname, c.relname, t.tgname),
        'facts', jsonb_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)) AS row
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.deptype = 'e' AND (
            (d.classid = 'pg_trigger'::regclass AND d.objid = t.oid)
            OR (d.classid = 'pg_class'::regclass AND d.objid = c.oid)))
    UNION ALL
    SELECT jsonb_build_object(
        'class', 'event_triggers',
        'id', jsonb_build_array(e.evtname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'event', e.evtevent, 'enabled', e.evtenabled, 'function', e.evtfoid::regprocedure::text,
            'tags', (SELECT jsonb_agg(tag ORDER BY tag COLLATE "C") FROM unnest(e.evttags) AS tag))))
    FROM pg_event_trigger AS e
    WHERE NOT EXISTS (SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
    UNION ALL
    SELECT jsonb_build_object(
        'class', 'rules',
        'id', jsonb_build_array(n.nspname, c.relname, r.rulename),
        'facts', jsonb_build_object('definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled))
    FROM pg_rewrite AS r
    JOIN pg_class AS c ON c.oid = r.ev_class
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND r.oid >= 16384 AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.deptype = 'e' AND (
            (d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid)
            OR (d.classid = 'pg_class'::regclass AND d.objid = c.oid)))
    UNION ALL
    SELECT jsonb_build_object(
        'class', 'policies',
        'id', jsonb_build_array(n.nspname, c.relname, p.polname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'command', p.polcmd,
            'permissive', p.polpermissive,
            'roles', (SELECT jsonb_agg(coalesce(r.rolname, 'public') ORDER BY r.rolname COLLATE "C")
                FROM unnest(p.polroles) AS role LEFT JOIN pg_roles AS r ON r.oid = role),
            'using', pg_get_expr(p.polqual, p.polrelid),
            'check', pg_get_expr(p.polwithcheck, p.polrelid))))
    FROM pg_policy AS p
    JOIN pg_class AS c ON c.oid = p.polrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
) AS rows;
