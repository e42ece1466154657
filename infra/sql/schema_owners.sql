-- Who owns what, and who may do what with it (classes owners and privileges). Privileges are the effective ones: no ACL
-- means the default, spelled out, so that "never granted" equals "granted as by default". The owner shows as `(owner)`
-- and without MAINTAIN, which every owner has since 17 and nobody before. Schema public shows as `default` while it is
-- as initdb made it: 15 changed both its owner and its privileges. Grantors are left out. There may be millions of large
-- objects: of those each owner, and each set of privileges, shows with their number and a sum over which they are.
-- PostgreSQL 14 and later.
WITH object (kind, class, oid, objsub, schema, name, suffix, owner, acl, acltype) AS (
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
            WHEN 'f' THEN 'foreign table' ELSE 'table' END,
        'pg_class'::regclass, c.oid, 0, n.nspname, c.relname, '', c.relowner, c.relacl,
        CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't'
    UNION ALL
    SELECT 'function', 'pg_proc'::regclass, p.oid, 0, n.nspname, p.proname,
        '(' || pg_get_function_identity_arguments(p.oid) || ')', p.proowner, p.proacl, 'f'
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.oid >= 16384
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
    UNION ALL
    SELECT 'type', 'pg_type'::regclass, t.oid, 0, n.nspname, t.typname, '', t.typowner, t.typacl, 'T'
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE t.oid >= 16384 AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype <> 'm'
        AND NOT EXISTS (SELECT FROM pg_type AS el WHERE el.typarray = t.oid)
    UNION ALL
    SELECT 'schema', 'pg_namespace'::regclass, n.oid, 0, n.nspname, NULL, '', n.nspowner, n.nspacl, 'n'
    FROM pg_namespace AS n
    UNION ALL
    SELECT 'event trigger', 'pg_event_trigger'::regclass, e.oid, 0, NULL, e.evtname, '', e.evtowner, NULL, NULL
    FROM pg_event_trigger AS e
    UNION ALL
    SELECT 'publication', 'pg_publication'::regclass, p.oid, 0, NULL, p.pubname, '', p.pubowner, NULL, NULL
    FROM pg_publication AS p
    UNION ALL
    SELECT 'statistics', 'pg_statistic_ext'::regclass, s.oid, 0, n.nspname, s.stxname, '', s.stxowner, NULL, NULL
    FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
    UNION ALL
    SELECT 'server', 'pg_foreign_server'::regclass, s.oid, 0, NULL, s.srvname, '', s.srvowner, s.srvacl, 'S'
    FROM pg_foreign_server AS s
    UNION ALL
    SELECT 'database', 'pg_database'::regclass, d.oid, 0, NULL, 'this', '', d.datdba, d.datacl, 'd'
    FROM pg_database AS d WHERE d.datname = current_database()
), mine AS (
    SELECT o.*, pg_get_userbyid(o.owner) AS owner_name,
        o.kind = 'schema' AND o.schema = 'public'
            AND (o.owner = 10 OR pg_get_userbyid(o.owner) = 'pg_database_owner')
            AND o.acl IS NOT DISTINCT FROM (SELECT i.initprivs FROM pg_init_privs AS i
                WHERE i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = 0) AS untouched
    FROM object AS o
    WHERE coalesce(o.schema, '') NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND coalesce(o.schema, '') NOT LIKE 'pg\_temp\_%' AND coalesce(o.schema, '') NOT LIKE 'pg\_toast\_temp\_%'
        AND NOT EXISTS (SELECT FROM pg_depend AS d
            WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')
), granted (kind, id, suffix, grantee, privileges) AS (
    SELECT m.kind, jsonb_build_array(m.schema, m.name), m.suffix,
        CASE WHEN x.grantee = m.owner THEN '(owner)' WHEN x.grantee = 0 THEN 'public'
            ELSE pg_get_userbyid(x.grantee) END,
        string_agg(x.privilege_type || CASE WHEN x.is_grantable AND x.grantee <> m.owner THEN '*' ELSE '' END, ' '
            ORDER BY x.privilege_type COLLATE "C")
    FROM mine AS m
    CROSS JOIN LATERAL aclexplode(coalesce(m.acl, acldefault(m.acltype::"char", m.owner))) AS x
    WHERE m.acltype IS NOT NULL AND NOT m.untouched
        AND NOT (x.grantee = m.owner AND x.privilege_type = 'MAINTAIN')
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT m.kind, jsonb_build_array(m.schema, m.name), m.suffix, 'default', 'as made by initdb'
    FROM mine AS m WHERE m.untouched
    UNION ALL
    SELECT 'column', jsonb_build_array(m.schema, m.name, a.attname), '',
        CASE WHEN x.grantee = m.owner THEN '(owner)' WHEN x.grantee = 0 THEN 'public'
            ELSE pg_get_userbyid(x.grantee) END,
        string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ' '
            ORDER BY x.privilege_type COLLATE "C")
    FROM mine AS m
    JOIN pg_attribute AS a ON a.attrelid = m.oid AND m.class = 'pg_class'::regclass AND a.attacl IS NOT NULL
    CROSS JOIN LATERAL aclexplode(a.attacl) AS x
    WHERE NOT a.attisdropped
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 'default privileges of', jsonb_build_array(pg_get_userbyid(d.defaclrole), coalesce(n.nspname, '')),
        ' ' || d.defaclobjtype::text,
        CASE WHEN x.grantee = d.defaclrole THEN '(owner)' WHEN x.grantee = 0 THEN 'public'
            ELSE pg_get_userbyid(x.grantee) END,
        string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ' '
            ORDER BY x.privilege_type COLLATE "C")
    FROM pg_default_acl AS d
    LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL aclexplode(d.defaclacl) AS x
    WHERE NOT (x.grantee = d.defaclrole AND x.privilege_type = 'MAINTAIN')
    GROUP BY 1, 2, 3, 4
), large (oid, class, who) AS (
    SELECT oid, 'owners', pg_get_userbyid(lomowner) FROM pg_largeobject_metadata
    UNION ALL
    SELECT m.oid, 'privileges', concat_ws(' ', CASE WHEN x.grantee = m.lomowner THEN '(owner)'
            WHEN x.grantee = 0 THEN 'public' ELSE pg_get_userbyid(x.grantee) END,
        string_agg(x.privilege_type || CASE WHEN x.is_grantable AND x.grantee <> m.lomowner THEN '*' ELSE '' END, ' '
            ORDER BY x.privilege_type COLLATE "C"))
    FROM pg_largeobject_metadata AS m
    CROSS JOIN LATERAL aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) AS x
    GROUP BY m.oid, m.lomowner, x.grantee
)
SELECT coalesce(jsonb_agg(row), '[]')
FROM (
    SELECT jsonb_build_object('class', 'owners', 'prefix', m.kind,
        'id', (SELECT jsonb_agg(part) FROM unnest(ARRAY[m.schema, m.name]) AS part WHERE part IS NOT NULL),
        'suffix', m.suffix, 'facts', jsonb_build_object('owner',
            CASE WHEN m.kind = 'schema' AND m.schema = 'public'
                AND (m.owner = 10 OR m.owner_name = 'pg_database_owner') THEN '(default)' ELSE m.owner_name END)) AS row
    FROM mine AS m
    UNION ALL
    SELECT jsonb_build_object('class', 'privileges', 'prefix', g.kind,
        'id', (SELECT jsonb_agg(part) FROM jsonb_array_elements(g.id) AS part WHERE part <> 'null'),
        'suffix', g.suffix, 'facts', jsonb_object_agg(g.grantee, g.privileges))
    FROM granted AS g
    GROUP BY g.kind, g.id, g.suffix
    UNION ALL
    SELECT jsonb_build_object('class', class, 'prefix', 'large objects', 'id', '[]'::jsonb, 'facts',
        jsonb_object_agg(who, said))
    FROM (SELECT class, who, count(*) || ' objects, sum ' || sum(hashoidextended(oid, 1)) AS said
        FROM large GROUP BY class, who) AS l
    GROUP BY class
) AS rows;
