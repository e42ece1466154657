-- What a role that should only read can change, found out by trying: everything happens inside a transaction that is rolled
-- back, and no statement touches a row. Rights on a single column show only where that column is named; EXPLAIN asks for the
-- same rights as the statement and fires no trigger. The transaction says READ WRITE itself, as the role could: a default of
-- the role or the database takes no right away. One JSON document; PostgreSQL 14 to 18.
BEGIN READ WRITE;
SET LOCAL lock_timeout = '5s';
DO $do$
DECLARE
  can text[] := '{}';
  one record;
  line text;
  changes boolean;
BEGIN
  FOR one IN
    WITH relations AS (
      SELECT c.oid, c.relkind, c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    )
    SELECT format('create tables in schema %I', nspname) AS what, format('CREATE TABLE %I.xtask_probe ()', nspname) AS sql,
      NULL AS whole, 1 AS step
    FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL SELECT 'create schemas', 'CREATE SCHEMA xtask_probe', NULL, 2
    UNION ALL SELECT 'delete from ' || name, format('EXPLAIN DELETE FROM %s WHERE false', name), NULL, 3 FROM relations
    UNION ALL SELECT 'write to ' || name, format('LOCK TABLE %s IN ROW EXCLUSIVE MODE NOWAIT', name), NULL, 4 FROM relations
    WHERE relkind <> 'v'
    UNION ALL
    SELECT format('%s column %I of %s', word, a.attname, r.name),
      format(statement, r.name, a.attname, CASE a.attidentity WHEN 'a' THEN 'DEFAULT' ELSE 'NULL' END), 'write to ' || r.name, 5
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    CROSS JOIN (VALUES ('update', 'EXPLAIN UPDATE %s SET %I = %s WHERE false'),
      ('insert', 'EXPLAIN INSERT INTO %s (%I) OVERRIDING SYSTEM VALUE SELECT NULL WHERE false')) v (word, statement)
    ORDER BY step, what
  LOOP
    -- More are not shown, and each further one would hold its lock.
    EXIT WHEN cardinality(can) >= 5;
    -- Whoever may write to all of a table need not be told of each column.
    CONTINUE WHEN one.whole = ANY (can);
    BEGIN
      changes := one.sql NOT LIKE 'EXPLAIN %';
      IF changes THEN EXECUTE one.sql;
      ELSE
        -- A rule may make nothing of a statement, and then no right is asked for.
        FOR line IN EXECUTE one.sql LOOP changes := changes OR line ~ '^ *(Insert|Update|Delete) on '; END LOOP;
      END IF;
      IF changes THEN can := can || one.what; END IF;
    EXCEPTION
      WHEN insufficient_privilege THEN NULL;
      -- Rights are looked at before the lock is asked for.
      WHEN lock_not_available THEN
        IF one.sql NOT LIKE 'LOCK %' THEN RAISE; END IF;
        can := can || one.what;
      -- Views that nobody can write through.
      WHEN object_not_in_prerequisite_state OR feature_not_supported OR generated_always THEN NULL;
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
