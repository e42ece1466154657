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
      'sessions', (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid()),
      -- A DROP DATABASE that was cut off leaves this; older servers leave nothing to tell it by.
      'invalid', d.datconnlimit = -2
    )), '{}'::json)
    FROM pg_database d WHERE NOT d.datistemplate),
  'roles', (
    SELECT coalesce(json_object_agg(rolname, json_build_object(
      'superuser', rolsuper, 'login', rolcanlogin, 'createdb', rolcreatedb, 'createrole', rolcreaterole,
      'connection_limit', rolconnlimit)), '{}'::json)
    FROM pg_roles WHERE rolname !~ '^pg_'),
  'available_extensions', (SELECT coalesce(json_agg(name ORDER BY name), '[]'::json) FROM pg_available_extensions),
  'creatable_extensions', (
    -- Trusted ones by whoever owns the database; on RDS its administrators create those that the service allows.
    SELECT coalesce(json_agg(DISTINCT v.name ORDER BY v.name), '[]'::json) FROM pg_available_extension_versions v
    WHERE v.trusted OR NOT v.superuser
      OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
      OR (EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'rds_superuser' AND pg_has_role(current_user, r.oid, 'MEMBER'))
        AND v.name = ANY (regexp_split_to_array(coalesce(current_setting('rds.extensions', true), ''), '\s*,\s*')))),
  'bypass_rls', (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user),
  'tls', (SELECT version || ' ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),
  'system_identifier', CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
    THEN (SELECT system_identifier::text FROM pg_control_system()) END,
  'started', extract(epoch FROM pg_postmaster_start_time())::text,
  -- Hidden from roles that may not read all settings.
  'data_directory', (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
  'standby', pg_is_in_recovery(),
  'read_only', current_setting('default_transaction_read_only')::bool,
  'own_port', inet_server_port(),
  'member_of', (
    SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]'::json) FROM pg_roles
    WHERE rolname !~ '^pg_' AND pg_has_role(current_user, oid, 'MEMBER'))
);
