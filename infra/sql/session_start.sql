-- When our session began, and what time it is, by the server's clock in seconds since 1970.
-- One JSON document; PostgreSQL 14 to 18; any role.
SELECT json_build_object(
  'began', extract(epoch FROM backend_start)::float8, 'now', extract(epoch FROM clock_timestamp())::float8)
FROM pg_stat_activity WHERE pid = pg_backend_pid();
