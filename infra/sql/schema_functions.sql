-- Functions, procedures, window functions and aggregates. A body is kept as a SHA-256: it is compared, not shown.
-- An SQL-standard body has no text of its own; its printed form is the `definition`. PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object(
        'class', 'functions',
        'id', jsonb_build_array(n.nspname, p.proname),
        'suffix', '(' || pg_get_function_identity_arguments(p.oid) || ')',
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'kind', CASE p.prokind
                WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'window function' END,
            'arguments', nullif(pg_get_function_arguments(p.oid), ''),
            'result', pg_get_function_result(p.oid),
            'language', l.lanname,
            'volatility', p.provolatile,
            'parallel', p.proparallel,
            'strict', p.proisstrict,
            'security_definer', p.prosecdef,
            'leakproof', p.proleakproof,
            'cost', p.procost,
            'rows', p.prorows,
            'config', (SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest(p.proconfig) AS o),
            'body', CASE WHEN p.prokind <> 'a' AND p.prosqlbody IS NULL THEN
                'sha256:' || encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') END,
            'library', p.probin,
            'definition', pg_get_function_sqlbody(p.oid),
            'aggregate', (SELECT jsonb_strip_nulls(jsonb_build_object(
                    'kind', a.aggkind, 'state', a.aggtransfn::regprocedure::text,
                    'type', format_type(a.aggtranstype, NULL),
                    'final', nullif(a.aggfinalfn::regprocedure::text, '-'),
                    'combine', nullif(a.aggcombinefn::regprocedure::text, '-'),
                    'moving', nullif(a.aggmtransfn::regprocedure::text, '-'),
                    'sort', nullif(a.aggsortop, 0)::regoperator::text,
                    'initial', a.agginitval))
                FROM pg_aggregate AS a WHERE a.aggfnoid = p.oid)
        ))) AS row
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_language AS l ON l.oid = p.prolang
    WHERE p.oid >= 16384
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND n.nspname NOT LIKE 'pg\_temp\_%'
        -- Constructors of a range type come with the type.
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
) AS rows;
