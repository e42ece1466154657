-- What stands in the way of a role without superuser: what it may not read whole here, and what it may not create
-- elsewhere. Asked of a source. One JSON document; PostgreSQL 14 to 18. Members of extensions are theirs.
WITH members AS (
  SELECT classid, objid, refobjid AS extension FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
), relations AS (
  SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT json_build_object(
  'owned', (SELECT pg_has_role(current_user, datdba, 'MEMBER') FROM pg_database WHERE datname = current_database()),
  'roles_with_settings', (
    SELECT coalesce(json_agg(DISTINCT r.rolname ORDER BY r.rolname), '[]'::json) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
    WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND r.rolname <> current_user),
  'unreadable', (
    SELECT coalesce(json_agg(format('%s %s.%s', kind, schema, name) ORDER BY schema, name), '[]'::json) FROM (
      SELECT 'table' AS kind, r.relnamespace::regnamespace::text AS schema, quote_ident(r.relname) AS name FROM relations r
      WHERE r.relkind IN ('r', 'p', 'm')
        AND (NOT has_schema_privilege(r.relnamespace, 'USAGE') OR NOT has_table_privilege(r.oid, 'SELECT')
          OR row_security_active(r.oid))
      UNION ALL
      SELECT 'sequence', r.relnamespace::regnamespace::text, quote_ident(r.relname) FROM relations r
      WHERE r.relkind = 'S'
        AND (NOT has_schema_privilege(r.relnamespace, 'USAGE') OR NOT has_sequence_privilege(r.oid, 'SELECT'))
      UNION ALL
      SELECT 'large object', 'pg_catalog', l.oid::text FROM (
        SELECT oid FROM pg_largeobject_metadata
        WHERE NOT pg_has_role(current_user, lomowner, 'MEMBER')
          AND NOT coalesce((SELECT bool_or(a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(current_user, a.grantee, 'MEMBER')))
            FROM aclexplode(lomacl) a), false)
        LIMIT 3) l
    ) u),
  'forced_policies', (
    SELECT coalesce(json_agg(format('%s.%s', r.relnamespace::regnamespace, quote_ident(r.relname)) ORDER BY r.relname), '[]'::json)
    FROM relations r WHERE r.relrowsecurity AND r.relforcerowsecurity),
  'policy_roles', (
    SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]'::json) FROM pg_roles
    WHERE oid IN (SELECT unnest(polroles) FROM pg_policy UNION SELECT umuser FROM pg_user_mappings)),
  'needs_superuser', (
    SELECT coalesce(json_agg(what ORDER BY what), '[]'::json) FROM (
      SELECT format('function %s (language %s)', p.oid::regprocedure, l.lanname) AS what
      FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
      WHERE p.oid >= 16384 AND NOT l.lanpltrusted AND l.lanname <> 'sql'
        AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
      UNION ALL
      SELECT format('function %s (leakproof)', p.oid::regprocedure) FROM pg_proc p
      WHERE p.oid >= 16384 AND p.proleakproof
        AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
      UNION ALL
      SELECT format('language %s', l.lanname) FROM pg_language l
      WHERE l.oid >= 16384 AND NOT l.lanpltrusted
        AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_language'::regclass AND m.objid = l.oid)
      UNION ALL
      SELECT format('base type %s', t.oid::regtype) FROM pg_type t
      WHERE t.oid >= 16384 AND t.typtype = 'b' AND t.typelem = 0 AND t.typsubscript = 0
        AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
      UNION ALL
      SELECT format('foreign-data wrapper %s', f.fdwname) FROM pg_foreign_data_wrapper f
      WHERE NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_foreign_data_wrapper'::regclass AND m.objid = f.oid)
      UNION ALL
      SELECT format('operator class %s', o.opcname) FROM pg_opclass o
      WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_opclass'::regclass AND m.objid = o.oid)
      UNION ALL
      SELECT format('cast from %s to %s without a function', c.castsource::regtype, c.casttarget::regtype) FROM pg_cast c
      WHERE c.oid >= 16384 AND c.castmethod = 'b'
        AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_cast'::regclass AND m.objid = c.oid)
    ) s),
  'left_out', (
    SELECT coalesce(json_agg(json_build_object('class', class, 'name', name) ORDER BY class, name), '[]'::json) FROM (
      SELECT 'event trigger' AS class, evtname::text AS name FROM pg_event_trigger t
      WHERE NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_event_trigger'::regclass AND m.objid = t.oid)
      UNION ALL SELECT 'publication', pubname FROM pg_publication WHERE puballtables
      -- Of a name with a dot nobody can tell whose it is; PostgreSQL lets only superusers keep one.
      UNION SELECT 'setting', name FROM (
        SELECT split_part(item, '=', 1) AS name FROM pg_db_role_setting, unnest(setconfig) AS item
        WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) s
      WHERE name LIKE '%.%' OR EXISTS (SELECT FROM pg_settings p
        WHERE p.name = s.name AND p.context IN ('superuser', 'superuser-backend'))
      UNION ALL SELECT 'subscription', subname FROM pg_subscription
      WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) l),
  'extensions', (
    SELECT coalesce(json_object_agg(e.extname, (
      SELECT coalesce(json_agg(what), '[]'::json) FROM (
        SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS what
        FROM members m JOIN pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.objid AND d.deptype IN ('n', 'a')
        WHERE m.extension = e.oid
          AND NOT EXISTS (SELECT FROM members x WHERE x.classid = d.classid AND x.objid = d.objid)
          AND d.classid <> 'pg_extension'::regclass
          -- The rule of a view of the extension, for example, is a part of that view.
          AND NOT EXISTS (SELECT FROM pg_depend i JOIN members x ON x.classid = i.refclassid AND x.objid = i.refobjid
            WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i')
        UNION ALL
        SELECT 'rows of its own tables' WHERE e.extconfig IS NOT NULL
        LIMIT 3) w)), '{}'::json)
    FROM pg_extension e WHERE e.extname <> 'plpgsql')
);
