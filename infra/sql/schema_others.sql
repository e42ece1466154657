-- Schemas, extensions, statistics objects, publications, and by name only: casts, operators, operator classes and
-- families, collations, conversions, text search objects, languages, transforms, access methods, foreign-data wrappers,
-- servers, user mappings and subscriptions (their options may hold passwords and are never read).
-- PostgreSQL 14 and later.
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object('class', 'schemas', 'id', jsonb_build_array(n.nspname), 'facts', '{}'::jsonb) AS row
    FROM pg_namespace AS n
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
    UNION ALL
    SELECT jsonb_build_object('class', 'extensions', 'id', jsonb_build_array(e.extname),
        'facts', jsonb_build_object('schema', n.nspname))
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
    UNION ALL
    SELECT jsonb_build_object('class', 'statistics', 'id', jsonb_build_array(n.nspname, s.stxname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'definition', pg_get_statisticsobjdef(s.oid), 'target', nullif(s.stxstattarget, -1))))
    FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
    UNION ALL
    SELECT jsonb_build_object('class', 'publications', 'id', jsonb_build_array(p.pubname),
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'all_tables', p.puballtables, 'insert', p.pubinsert, 'update', p.pubupdate, 'delete', p.pubdelete,
            'truncate', p.pubtruncate, 'via_root', p.pubviaroot,
            'tables', (SELECT jsonb_agg(
                    jsonb_build_array(t.schemaname, t.tablename, to_jsonb(t) ->> 'rowfilter')
                    ORDER BY t.schemaname COLLATE "C", t.tablename COLLATE "C")
                FROM pg_publication_tables AS t WHERE t.pubname = p.pubname))))
    FROM pg_publication AS p
    UNION ALL
    SELECT jsonb_build_object('class', 'others', 'prefix', o.type, 'id', '[]'::jsonb,
        'suffix', o.identity, 'facts', '{}'::jsonb)
    FROM (
        SELECT 'pg_cast'::regclass, oid FROM pg_cast
        UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator
        UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass
        UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily
        UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation
        UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion
        UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
        UNION ALL SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser
        UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template
        UNION ALL SELECT 'pg_language'::regclass, oid FROM pg_language
        UNION ALL SELECT 'pg_transform'::regclass, oid FROM pg_transform
        UNION ALL SELECT 'pg_am'::regclass, oid FROM pg_am
        UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid FROM pg_foreign_server
        UNION ALL SELECT 'pg_user_mapping'::regclass, umid FROM pg_user_mappings
        UNION ALL SELECT 'pg_subscription'::regclass, oid FROM pg_subscription
            WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS c (class, oid)
    CROSS JOIN LATERAL pg_identify_object(c.class, c.oid, 0) AS o
    WHERE c.oid >= 16384
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = c.class AND d.objid = c.oid AND d.deptype = 'e')
) AS rows;
