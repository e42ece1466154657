-- `ALTER DATABASE .. SET`, `ALTER ROLE .. IN DATABASE .. SET` and `ALTER ROLE .. SET` as they count in this database, as
-- stored: pg_dump leaves them out. One JSON document; PostgreSQL 14 to 18. Values may be secrets.
WITH counts AS (
  SELECT DISTINCT ON (s.setrole, split_part(c.setting, '=', 1)) s.setrole, c.setting
  FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
  WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
     OR (s.setdatabase = 0 AND s.setrole <> 0)
  -- A role's setting for this database beats its setting for all.
  ORDER BY s.setrole, split_part(c.setting, '=', 1), s.setdatabase DESC
)
SELECT coalesce(json_agg(json_build_object(
  'role', CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole) END,
  'name', split_part(setting, '=', 1),
  'value', substr(setting, strpos(setting, '=') + 1)) ORDER BY setrole, setting), '[]'::json)
FROM counts;
