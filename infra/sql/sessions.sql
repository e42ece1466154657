-- Who is connected to the database :'database', and whether we may end it; whether it can be connected to; how many
-- sessions there ever were. Asked from another database, or from it. One JSON document; PostgreSQL 14 to 18; any role.
SELECT json_build_object(
  'allowed', d.datallowconn,
  -- Another one after every ALTER DATABASE that opens or closes it.
  'door', d.xmin::text,
  'owned', pg_has_role(current_user, d.datdba, 'MEMBER'),
  'ever', (SELECT sessions FROM pg_stat_database s WHERE s.datid = d.oid),
  -- A person's reset shows at the database, counters lost in a crash at the instance's.
  'statistics_reset', concat_ws(' ',
    (SELECT extract(epoch FROM stats_reset) FROM pg_stat_database WHERE datid = d.oid),
    (SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter)),
  'uncounted', (
    -- For all (as our own session shows), or for a role or database. Also "on": then what counts for the others is hidden.
    SELECT coalesce(json_agg(said), '[]'::json) FROM (
      SELECT 'track_counts is off' AS said WHERE NOT current_setting('track_counts')::boolean
      UNION ALL
      SELECT format('ALTER ROLE %s%s SET %s', CASE WHEN s.setrole = 0 THEN 'ALL' ELSE quote_ident(pg_get_userbyid(s.setrole)) END,
        ' IN DATABASE ' || quote_ident(db.datname), c.setting)
      FROM pg_db_role_setting s LEFT JOIN pg_database db ON db.oid = s.setdatabase
      CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
      WHERE c.setting LIKE 'track\_counts=%' AND (s.setdatabase = 0 OR db.datname = d.datname)) o),
  'prepared', (
    SELECT coalesce(json_agg(json_build_object('gid', p.gid, 'owner', p.owner,
      'at', to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) ORDER BY p.gid), '[]'::json)
    FROM pg_prepared_xacts p WHERE p.database = d.datname),
  'replication', (
    SELECT coalesce(json_agg(said ORDER BY said), '[]'::json) FROM (
      SELECT format('replication slot %I (%s)', r.slot_name,
        CASE WHEN r.active THEN format('in use by pid %s', r.active_pid) ELSE 'not in use now' END) AS said
      FROM pg_replication_slots r WHERE r.database = d.datname
      UNION ALL
      SELECT format('subscription %I (%s)', u.subname, CASE WHEN u.subenabled THEN 'enabled' ELSE 'disabled' END)
      FROM pg_subscription u WHERE u.subdbid = d.oid) o),
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
