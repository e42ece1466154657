-- What counts writes in this database, from the server's own statistics. Statistics of our own catalogue reads are no
-- writes; pg_statistic is written by ANALYZE and counts for nothing. One JSON document; PostgreSQL 14 to 18; any role.
SELECT json_build_object(
  'taken_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
  'next_transaction', pg_snapshot_xmax(pg_current_snapshot())::text,
  'wal', CASE WHEN has_function_privilege('pg_catalog.pg_current_wal_insert_lsn()', 'EXECUTE') AND NOT pg_is_in_recovery()
    THEN pg_current_wal_insert_lsn()::text END,
  'server_started', extract(epoch FROM pg_postmaster_start_time())::text,
  -- A person's reset shows at the database, counters lost in a crash at the instance's.
  'statistics_reset', concat_ws(' ',
    (SELECT extract(epoch FROM stats_reset) FROM pg_stat_database WHERE datname = current_database()),
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
      WHERE c.setting LIKE 'track\_counts=%' AND (s.setdatabase = 0 OR db.datname = current_database())) o),
  'tables', (
    SELECT coalesce(json_object_agg(format('%I.%I', s.schemaname, s.relname), json_build_object(
      'inserted', s.n_tup_ins, 'updated', s.n_tup_upd, 'deleted', s.n_tup_del, 'file', pg_relation_filenode(s.relid)::bigint)), '{}'::json)
    FROM pg_stat_user_tables s),
  'sequences', (
    SELECT coalesce(json_object_agg(format('%I.%I', schemaname, sequencename), last_value), '{}'::json) FROM pg_sequences),
  'large_objects', (
    SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_sys_tables
    WHERE schemaname = 'pg_catalog' AND relname IN ('pg_largeobject', 'pg_largeobject_metadata')),
  'definitions', (
    SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_sys_tables
    WHERE schemaname = 'pg_catalog' AND relname IN ('pg_class', 'pg_attribute', 'pg_proc', 'pg_type', 'pg_constraint',
      'pg_index', 'pg_trigger', 'pg_policy', 'pg_namespace', 'pg_attrdef', 'pg_enum', 'pg_rewrite', 'pg_description'))
);
