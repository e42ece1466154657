-- What the preflight must know about one database: is it empty, what does it need, where does Alembic stand.
-- One JSON document; PostgreSQL 14 to 18. Members of extensions and system schemas do not count as content.
-- Names in privileges are whole ones, whatever the role's own search_path is.
SET search_path TO pg_catalog;
WITH objects (class, oid, kind, name, owner, acl, usual) AS (
  SELECT 'pg_class'::regclass::oid, oid, 'relation', '', relowner, relacl,
    acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner)
  FROM pg_class WHERE relacl IS NOT NULL AND oid >= 16384
  UNION ALL
  SELECT 'pg_proc'::regclass, oid, 'routine', oid::regprocedure::text, proowner, proacl, acldefault('f', proowner)
  FROM pg_proc WHERE proacl IS NOT NULL AND oid >= 16384
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, 'type', format('%I.%I', n.nspname, t.typname), t.typowner, t.typacl, acldefault('T', t.typowner)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typacl IS NOT NULL AND t.oid >= 16384
  UNION ALL
  SELECT 'pg_namespace'::regclass, oid, 'schema', format('%I', nspname), nspowner, nspacl, acldefault('n', nspowner)
  FROM pg_namespace WHERE nspacl IS NOT NULL AND (oid >= 16384 OR nspname = 'public')
  UNION ALL
  SELECT 'pg_language'::regclass, oid, 'language', format('%I', lanname), lanowner, lanacl, acldefault('l', lanowner)
  FROM pg_language WHERE lanacl IS NOT NULL
  UNION ALL
  SELECT 'pg_foreign_data_wrapper'::regclass, oid, 'wrapper', '', fdwowner, fdwacl, acldefault('F', fdwowner)
  FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
  UNION ALL
  SELECT 'pg_foreign_server'::regclass, oid, 'server', '', srvowner, srvacl, acldefault('S', srvowner)
  FROM pg_foreign_server WHERE srvacl IS NOT NULL
  UNION ALL
  SELECT 'pg_largeobject_metadata'::regclass, oid, 'large object', '', lomowner, lomacl, acldefault('L', lomowner)
  FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL
  UNION ALL
  SELECT 'pg_database'::regclass, oid, 'database', '', datdba, datacl, acldefault('d', datdba)
  FROM pg_database WHERE datname = current_database() AND datacl IS NOT NULL
  UNION ALL
  SELECT 'pg_default_acl'::regclass, oid, 'default', CASE defaclobjtype WHEN 'f' THEN 'ROUTINES' ELSE 'TYPES' END, defaclrole, defaclacl,
    -- What a schema adds takes nothing away.
    CASE WHEN defaclnamespace = 0 AND defaclobjtype IN ('f', 'T') THEN acldefault(defaclobjtype, defaclrole) END
  FROM pg_default_acl
), privileges AS (
  SELECT o.class, o.oid, o.kind, o.name, o.owner, o.acl, coalesce(i.initprivs, o.usual) AS usual,
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e') AS member
  FROM objects o LEFT JOIN pg_init_privs i ON i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = 0
  UNION ALL
  SELECT c.tableoid, c.oid, 'column', '', c.relowner, a.attacl, NULL, false
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL AND c.oid >= 16384
), here AS (
  SELECT oid, datdba FROM pg_database WHERE datname = current_database()
), carried AS (
  -- The roles that own or are given something here, or that a policy or user mapping names.
  SELECT r.* FROM pg_roles r, here WHERE r.rolname !~ '^pg_' AND (r.oid = here.datdba
    OR EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
      AND (d.dbid = here.oid OR d.classid = 'pg_database'::regclass AND d.objid = here.oid)))
), undumped AS (
  -- What pg_dump leaves out though a person may have put rows there.
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, e.extname AS extension
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
  WHERE c.oid >= 16384 AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND pg_relation_size(c.oid) > 0
    AND (e.oid IS NOT NULL AND NOT coalesce(c.oid = ANY (e.extconfig), false)
      OR e.oid IS NULL AND n.nspname IN ('pg_catalog', 'information_schema'))
)
SELECT json_build_object(
  'name', current_database(),
  'oid', (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
  'bytes', pg_database_size(current_database()),
  'relations', (
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' OR c.oid IN (SELECT oid FROM undumped))
      AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
  'routines_and_types', (
    SELECT count(*) FROM (
      SELECT p.oid, 'pg_proc'::regclass::oid AS class FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      UNION ALL
      SELECT t.oid, 'pg_type'::regclass::oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typtype IN ('e', 'd', 'r')
    ) o
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')),
  'large_objects', (SELECT count(*) FROM pg_largeobject_metadata),
  'schemas', (
    SELECT count(*) FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('public', 'information_schema')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')),
  'extensions', (SELECT coalesce(json_object_agg(extname, extversion), '{}'::json) FROM pg_extension WHERE extname <> 'plpgsql'),
  'owners', (
    SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(c.relowner)), '[]'::json)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')),
  'prepared_transactions', (SELECT coalesce(json_agg(gid ORDER BY gid), '[]'::json) FROM pg_prepared_xacts WHERE database = current_database()),
  'undumped', (
    SELECT coalesce(json_agg(json_build_object('table', name, 'extension', extension) ORDER BY name), '[]'::json) FROM undumped),
  'connection_limit', (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
  -- What other roles have here or for all databases, but for the one we log in as and those that policies name.
  'role_settings', (
    SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(s.setrole) || ': ' || split_part(c.setting, '=', 1)), '[]'::json)
    FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
    WHERE s.setrole NOT IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
      AND s.setrole NOT IN (SELECT unnest(polroles) FROM pg_policy)
      AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))),
  'tablespaces', (
    SELECT coalesce(json_object_agg(spcname, pg_tablespace_location(oid)), '{}'::json) FROM pg_tablespace
    WHERE spcname NOT IN ('pg_default', 'pg_global') AND oid IN (
      SELECT reltablespace FROM pg_class
      UNION ALL SELECT dattablespace FROM pg_database WHERE datname = current_database())),
  'access', json_build_object(
    'granted', (SELECT coalesce(json_object_agg(role, number), '{}'::json) FROM (
      SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END AS role, count(*) AS number
      FROM privileges p CROSS JOIN LATERAL aclexplode(p.acl) x
      WHERE x.grantee <> p.owner AND x.grantee <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
        AND NOT EXISTS (SELECT FROM aclexplode(p.usual) u WHERE (u.grantee, u.privilege_type) = (x.grantee, x.privilege_type))
      GROUP BY 1) g),
    'closed', (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('kind', p.kind, 'name', p.name, 'privilege', u.privilege_type, 'member', p.member)), '[]'::json)
      FROM privileges p CROSS JOIN LATERAL aclexplode(p.usual) u
      WHERE u.grantee = 0
        AND NOT EXISTS (SELECT FROM aclexplode(p.acl) x WHERE x.grantee = 0 AND x.privilege_type = u.privilege_type)),
    'database', (SELECT coalesce(json_agg(json_build_object('role', pg_get_userbyid(x.grantee), 'privilege', x.privilege_type, 'grantable', x.is_grantable)), '[]'::json)
      FROM privileges p CROSS JOIN LATERAL aclexplode(p.acl) x
      WHERE p.kind = 'database' AND x.grantee NOT IN (0, p.owner)),
    'carried', (SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]'::json) FROM carried),
    'named', (SELECT coalesce(json_agg(DISTINCT r.rolname), '[]'::json) FROM pg_roles r
      WHERE r.oid IN (SELECT unnest(polroles) FROM pg_policy UNION SELECT umuser FROM pg_user_mappings)),
    'memberships', (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('member', pg_get_userbyid(m.member), 'role', pg_get_userbyid(m.roleid))), '[]'::json)
      FROM pg_auth_members m WHERE pg_get_userbyid(m.member) !~ '^pg_' AND m.member <> 10),
    'bypassing', (SELECT coalesce(json_agg(r.rolname ORDER BY r.rolname), '[]'::json) FROM pg_roles r
      WHERE (r.rolsuper OR r.rolbypassrls) AND r.rolname !~ '^pg_' AND EXISTS (SELECT FROM pg_class c
        WHERE c.relrowsecurity AND (c.relforcerowsecurity OR c.relowner <> r.oid))),
    'superusers', (SELECT coalesce(json_agg(what ORDER BY what), '[]'::json) FROM (
      SELECT format('foreign-data wrapper %I', fdwname) AS what, 'pg_foreign_data_wrapper'::regclass AS class, oid FROM pg_foreign_data_wrapper
      UNION ALL SELECT format('event trigger %I', evtname), 'pg_event_trigger'::regclass, oid FROM pg_event_trigger) s
      WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = s.class AND d.objid = s.oid AND d.deptype = 'e')),
    'subscriptions', (SELECT coalesce(json_agg(subname ORDER BY subname), '[]'::json) FROM pg_subscription, here WHERE subdbid = here.oid),
    'slots', (SELECT coalesce(json_agg(slot_name ORDER BY slot_name), '[]'::json) FROM pg_replication_slots
      WHERE database = current_database() AND slot_type = 'logical' AND NOT temporary))
);
