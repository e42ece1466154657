-- `ALTER DATABASE .. SET` and `ALTER ROLE .. IN DATABASE .. SET` of this database, as stored: pg_dump without -C leaves
-- them out. One JSON document; PostgreSQL 14 to 18. Values may be secrets.
SELECT coalesce(json_agg(json_build_object(
  'role', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END,
  'name', split_part(c.setting, '=', 1),
  'value', substr(c.setting, strpos(c.setting, '=') + 1)) ORDER BY s.setrole, c.setting), '[]'::json)
FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database());
