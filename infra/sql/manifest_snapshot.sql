-- Exports the snapshot of the running transaction; it can be imported as long as this transaction is open.
-- PostgreSQL 9.2 and later.
SELECT jsonb_build_object('id', pg_export_snapshot());
