-- Who holds connections, and what limits them. One JSON document; PostgreSQL 14 to 18; changes nothing.
-- Only a superuser sees the sessions of others, the file a setting came from, and the machine's free memory.
SET search_path = pg_catalog;
SELECT json_build_object(
  'max', current_setting('max_connections')::int,
  'reserved', current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int,
  'used', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'altered', (SELECT CASE WHEN sourcefile LIKE '%postgresql.auto.conf' THEN reset_val END FROM pg_settings WHERE name = 'max_connections'),
  'shared_memory', current_setting('shared_memory_type'),
  'holders', (
    SELECT coalesce(json_agg(json_build_object('database', datname, 'role', usename, 'application', application_name,
      'sessions', n, 'idle', idle, 'longest_idle', longest) ORDER BY n DESC, datname, usename, application_name), '[]'::json)
    FROM (
      SELECT coalesce(datname, '') AS datname, coalesce(usename, '') AS usename, coalesce(application_name, '') AS application_name,
        count(*) AS n, count(*) FILTER (WHERE state LIKE 'idle%') AS idle,
        coalesce(extract(epoch FROM max(now() - state_change) FILTER (WHERE state LIKE 'idle%')), 0)::bigint AS longest
      FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
      GROUP BY 1, 2, 3) s),
  'database_limits', (SELECT coalesce(json_object_agg(datname, datconnlimit), '{}'::json) FROM pg_database WHERE datconnlimit >= 0),
  'role_limits', (SELECT coalesce(json_object_agg(rolname, rolconnlimit), '{}'::json) FROM pg_roles WHERE rolconnlimit >= 0),
  'memory', CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    least(
      substring(pg_read_file('/proc/meminfo', 0, 8192, true) FROM 'MemAvailable:\s+(\d+) kB')::bigint * 1024,
      substring(pg_read_file('/sys/fs/cgroup/memory.max', 0, 64, true) FROM '^\d+')::numeric
        - substring(pg_read_file('/sys/fs/cgroup/memory.current', 0, 64, true) FROM '^\d+')::numeric)::bigint
    END
);
