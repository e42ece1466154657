-- The roles that own or are given something in this database, that its policies and user mappings name, or that log in to
-- it by :'login', with their stored password verifiers. `bypass`: policies that bind everybody else did not bind it.
-- One JSON document; needs a superuser (pg_authid). The answer is secret.
SELECT coalesce(json_agg(json_build_object(
  'name', a.rolname, 'login', a.rolcanlogin, 'inherit', a.rolinherit, 'createdb', a.rolcreatedb,
  'connection_limit', a.rolconnlimit, 'verifier', a.rolpassword,
  'bypass', (a.rolsuper OR a.rolbypassrls) AND EXISTS (SELECT FROM pg_class c
    WHERE c.relrowsecurity AND (c.relforcerowsecurity OR c.relowner <> a.oid)),
  'member_of', (SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(m.roleid)), '[]'::json) FROM pg_auth_members m WHERE m.member = a.oid)
  ) ORDER BY a.rolname), '[]'::json)
FROM pg_authid a, (SELECT oid, datdba FROM pg_database WHERE datname = current_database()) AS here
WHERE a.rolname !~ '^pg_' AND (
  a.rolname = :'login'
  OR a.oid = here.datdba
  OR EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = a.oid
    AND (d.dbid = here.oid OR d.classid = 'pg_database'::regclass AND d.objid = here.oid)));
