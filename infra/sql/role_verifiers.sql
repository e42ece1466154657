-- The roles that own something in this database or may log in to it by :'login', with their stored password verifiers.
-- One JSON document; needs a superuser (pg_authid). The answer is secret.
SELECT coalesce(json_agg(json_build_object(
  'name', a.rolname, 'login', a.rolcanlogin, 'inherit', a.rolinherit, 'createdb', a.rolcreatedb,
  'connection_limit', a.rolconnlimit, 'verifier', a.rolpassword) ORDER BY a.rolname), '[]'::json)
FROM pg_authid a
WHERE a.rolname !~ '^pg_' AND (
  a.rolname = :'login'
  OR a.oid = (SELECT datdba FROM pg_database WHERE datname = current_database())
  OR EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = a.oid
    AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())));
