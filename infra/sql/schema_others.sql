-- Schemas, extensions, statistics objects and publications; then casts, operators, operator classes and families,
-- collations, conversions, text search objects, languages, transforms, access methods, foreign-data wrappers, servers,
-- user mappings and subscriptions with what they do. Options of the last four may hold passwords and are never read.
-- Columns that only some versions have are read through to_jsonb. PostgreSQL 14 and later.
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
        'suffix', o.identity, 'facts', jsonb_strip_nulls(c.facts))
    FROM (
        SELECT 'pg_cast'::regclass, k.oid, jsonb_build_object(
            'function', nullif(k.castfunc, 0)::regprocedure::text, 'context', k.castcontext, 'method', k.castmethod)
        FROM pg_cast AS k
        UNION ALL
        SELECT 'pg_operator'::regclass, o.oid, jsonb_build_object(
            'function', o.oprcode::regprocedure::text, 'result', format_type(o.oprresult, NULL),
            'commutator', nullif(o.oprcom, 0)::regoperator::text, 'negator', nullif(o.oprnegate, 0)::regoperator::text,
            'restrict', nullif(o.oprrest, 0)::regproc::text, 'join', nullif(o.oprjoin, 0)::regproc::text,
            'hashes', o.oprcanhash, 'merges', o.oprcanmerge)
        FROM pg_operator AS o
        UNION ALL
        SELECT 'pg_opclass'::regclass, p.oid, jsonb_build_object(
            'type', format_type(p.opcintype, NULL), 'default', p.opcdefault,
            'storage', CASE WHEN p.opckeytype <> 0 THEN format_type(p.opckeytype, NULL) END,
            'family', (pg_identify_object('pg_opfamily'::regclass, p.opcfamily, 0)).identity)
        FROM pg_opclass AS p
        UNION ALL
        SELECT 'pg_opfamily'::regclass, f.oid, jsonb_build_object(
            'operators', (SELECT jsonb_agg(jsonb_build_array(m.amopstrategy, m.amopopr::regoperator::text, m.amoppurpose)
                    ORDER BY m.amopstrategy, m.amopopr::regoperator::text COLLATE "C")
                FROM pg_amop AS m WHERE m.amopfamily = f.oid),
            'functions', (SELECT jsonb_agg(jsonb_build_array(m.amprocnum, m.amproc::regprocedure::text)
                    ORDER BY m.amprocnum, m.amproc::regprocedure::text COLLATE "C")
                FROM pg_amproc AS m WHERE m.amprocfamily = f.oid))
        FROM pg_opfamily AS f
        UNION ALL
        -- The locale moved twice: an ICU collation has it in collcollate in 14, in colliculocale in 15 and 16.
        SELECT 'pg_collation'::regclass, l.oid, jsonb_build_object(
            'provider', l.collprovider, 'deterministic', l.collisdeterministic,
            'locale', coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale', l.collcollate),
            'ctype', CASE WHEN l.collprovider = 'c' THEN l.collctype END,
            'rules', to_jsonb(l) ->> 'collicurules')
        FROM pg_collation AS l
        UNION ALL
        SELECT 'pg_conversion'::regclass, v.oid, jsonb_build_object(
            'from', pg_encoding_to_char(v.conforencoding), 'to', pg_encoding_to_char(v.contoencoding),
            'function', v.conproc::regproc::text, 'default', v.condefault)
        FROM pg_conversion AS v
        UNION ALL
        SELECT 'pg_ts_config'::regclass, x.oid, jsonb_build_object(
            'parser', (pg_identify_object('pg_ts_parser'::regclass, x.cfgparser, 0)).identity,
            'mapping', (SELECT jsonb_object_agg(t.alias, t.dictionaries)
                FROM (SELECT t.alias, jsonb_agg((pg_identify_object('pg_ts_dict'::regclass, m.mapdict, 0)).identity
                        ORDER BY m.mapseqno) AS dictionaries
                    FROM pg_ts_config_map AS m JOIN ts_token_type(x.cfgparser) AS t ON t.tokid = m.maptokentype
                    WHERE m.mapcfg = x.oid
                    GROUP BY t.alias) AS t))
        FROM pg_ts_config AS x
        WHERE x.oid >= 16384
        UNION ALL
        SELECT 'pg_ts_dict'::regclass, y.oid, jsonb_build_object(
            'template', (pg_identify_object('pg_ts_template'::regclass, y.dicttemplate, 0)).identity,
            'options', y.dictinitoption)
        FROM pg_ts_dict AS y
        UNION ALL
        SELECT 'pg_ts_parser'::regclass, r.oid, jsonb_build_object('functions', jsonb_build_array(
            r.prsstart::regproc::text, r.prstoken::regproc::text, r.prsend::regproc::text,
            r.prsheadline::regproc::text, r.prslextype::regproc::text))
        FROM pg_ts_parser AS r
        UNION ALL
        SELECT 'pg_ts_template'::regclass, m.oid, jsonb_build_object('functions', jsonb_build_array(
            m.tmplinit::regproc::text, m.tmpllexize::regproc::text))
        FROM pg_ts_template AS m
        UNION ALL
        SELECT 'pg_language'::regclass, g.oid, jsonb_build_object(
            'trusted', g.lanpltrusted, 'handler', nullif(g.lanplcallfoid, 0)::regproc::text,
            'inline', nullif(g.laninline, 0)::regproc::text, 'validator', nullif(g.lanvalidator, 0)::regproc::text)
        FROM pg_language AS g
        UNION ALL
        SELECT 'pg_transform'::regclass, n.oid, jsonb_build_object(
            'from_sql', nullif(n.trffromsql, 0)::regprocedure::text, 'to_sql', nullif(n.trftosql, 0)::regprocedure::text)
        FROM pg_transform AS n
        UNION ALL
        SELECT 'pg_am'::regclass, a.oid, jsonb_build_object('type', a.amtype, 'handler', a.amhandler::regproc::text)
        FROM pg_am AS a
        UNION ALL
        SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, jsonb_build_object(
            'handler', nullif(w.fdwhandler, 0)::regproc::text, 'validator', nullif(w.fdwvalidator, 0)::regproc::text)
        FROM pg_foreign_data_wrapper AS w
        UNION ALL
        SELECT 'pg_foreign_server'::regclass, s.oid, jsonb_build_object(
            'wrapper', w.fdwname, 'type', s.srvtype, 'version', s.srvversion)
        FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
        UNION ALL
        SELECT 'pg_user_mapping'::regclass, umid, '{}' FROM pg_user_mappings
        UNION ALL
        SELECT 'pg_subscription'::regclass, oid, '{}' FROM pg_subscription
        WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS c (class, oid, facts)
    CROSS JOIN LATERAL pg_identify_object(c.class, c.oid, 0) AS o
    WHERE c.oid >= 16384
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = c.class AND d.objid = c.oid AND d.deptype = 'e')
) AS rows;
