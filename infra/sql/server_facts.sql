-- What the preflight must know about an instance: version, limits, databases, roles, extensions that may be created.
-- One JSON document; PostgreSQL 14 to 18; readable by any role.
SELECT json_build_object(
  'version_num', current_setting('server_version_num')::int,
  'max_connections', current_setting('max_connections')::int,
  'reserved_connections', current_setting('superuser_reserved_connections')::int,
  'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'role', current_user,
  'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  'createdb', (SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user),
  'createrole', (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user),
  'databases', (
    SELECT coalesce(json_object_agg(d.datname, json_build_object(
      'oid', d.oid::bigint,
      'owner', pg_get_userbyid(d.datdba),
      'encoding', pg_encoding_to_char(d.encoding),
      'collate', d.datcollate,
      'ctype', d.datctype,
      'allow_connections', d.datallowconn,
      'bytes', CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END,
      'sessions', (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid())
    )), '{}'::json)
    FROM pg_database d WHERE NOT d.datistemplate),
  'roles', (
    SELECT coalesce(json_object_agg(rolname, json_build_object(
      'superuser', rolsuper, 'login', rolcanlogin, 'createdb', rolcreatedb, 'createrole', rolcreaterole)), '{}'::json)
    FROM pg_roles WHERE rolname !~ '^pg_'),
  'available_extensions', (SELECT coalesce(json_agg(name ORDER BY name), '[]'::json) FROM pg_available_extensions)
);
