-- Who is connected to the database :'database', and whether we may end it; whether it can be connected to; how many
-- sessions there ever were. Asked from another database, or from it. One JSON document; PostgreSQL 14 to 18; any role.
SELECT json_build_object(
  'allowed', d.datallowconn,
  'owned', pg_has_role(current_user, d.datdba, 'MEMBER'),
  'ever', (SELECT sessions FROM pg_stat_database s WHERE s.datid = d.oid),
  'statistics_reset', (SELECT stats_reset::text FROM pg_stat_database s WHERE s.datid = d.oid),
  'others', (
    SELECT coalesce(json_agg(json_build_object(
      'pid', a.pid,
      -- Without pg_read_all_stats another role's state is hidden from us: null.
      'in_transaction', CASE WHEN a.state IS NOT NULL THEN a.xact_start IS NOT NULL END,
      'role', a.usename, 'application', a.application_name, 'address', host(a.client_addr),
      'may_end', CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN true
        WHEN (SELECT rolsuper FROM pg_roles r WHERE r.oid = a.usesysid) THEN false
        ELSE pg_has_role(current_user, a.usesysid, 'USAGE') OR pg_has_role(current_user, 'pg_signal_backend', 'USAGE') END)
      ORDER BY a.pid), '[]'::json)
    FROM pg_stat_activity a
    WHERE a.datid = d.oid AND a.pid <> pg_backend_pid()
      -- Autovacuum has no role. What kind of process another role's session is may be hidden from us: then it counts.
      AND a.usesysid IS NOT NULL AND coalesce(a.backend_type, 'client backend') <> 'parallel worker')
)
FROM pg_database d WHERE d.datname = :'database';
