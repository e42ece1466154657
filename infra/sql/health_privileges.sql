-- What this role may not do. One JSON array; everything is rolled back (a sequence keeps the number it gave: it never
-- takes one back). `INSERT .. DEFAULT VALUES` asks for the table and for every sequence behind its defaults; a constraint
-- that then refuses the row proves that the privilege was there.
BEGIN;
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';
DO $do$
DECLARE
  t record;
  refused jsonb := '[]';
BEGIN
  FOR t IN
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relrowsecurity AS guarded
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 2
  LOOP
    IF NOT has_table_privilege(t.oid, 'SELECT') THEN
      refused := refused || jsonb_build_object('object', t.name, 'what', 'SELECT', 'why', 'permission denied');
    END IF;
    IF NOT (has_table_privilege(t.oid, 'UPDATE') AND has_table_privilege(t.oid, 'DELETE')) THEN
      refused := refused || jsonb_build_object('object', t.name, 'what', 'UPDATE, DELETE', 'why', 'permission denied');
    END IF;
    -- Row-level security refuses with the same code as a missing privilege.
    IF t.guarded THEN
      IF NOT has_table_privilege(t.oid, 'INSERT') THEN
        refused := refused || jsonb_build_object('object', t.name, 'what', 'INSERT', 'why', 'permission denied');
      END IF;
      CONTINUE;
    END IF;
    BEGIN
      EXECUTE format('INSERT INTO %s DEFAULT VALUES', t.name);
    EXCEPTION
      WHEN insufficient_privilege THEN
        refused := refused || jsonb_build_object('object', t.name, 'what', 'INSERT', 'why', SQLERRM);
      -- A constraint, a trigger or a partition without a place for the row: past the privileges.
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  PERFORM set_config('xtask.refused', refused::text, true);
END
$do$;
SELECT current_setting('xtask.refused');
ROLLBACK;
