-- What a role that should only read can change, found out by trying: everything happens inside a transaction that is rolled
-- back, and no statement touches a row. One JSON document; PostgreSQL 14 to 18.
BEGIN;
SET LOCAL lock_timeout = '5s';
DO $do$
DECLARE
  can text[] := '{}';
  one record;
BEGIN
  FOR one IN
    SELECT format('create tables in schema %I', nspname) AS what, format('CREATE TABLE %I.xtask_probe ()', nspname) AS sql
    FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL SELECT 'create schemas', 'CREATE SCHEMA xtask_probe'
    UNION ALL
    SELECT format('%s %s', word, c.oid::regclass), format(statement, c.oid::regclass)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('delete from', 'DELETE FROM %s WHERE false'), ('write to', 'LOCK TABLE %s IN ROW EXCLUSIVE MODE NOWAIT'))
      v (word, statement)
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  LOOP
    BEGIN
      EXECUTE one.sql;
      can := can || one.what;
    EXCEPTION WHEN insufficient_privilege OR lock_not_available THEN NULL;
    END;
  END LOOP;
  PERFORM set_config('xtask.can', array_to_string(can[1:5], ', '), true);
END
$do$;
SELECT json_build_object(
  'can', coalesce(current_setting('xtask.can', true), ''),
  'readable', (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')),
  'tables', (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'));
ROLLBACK;
