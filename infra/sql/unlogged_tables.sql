-- Unlogged tables with the bytes of their rows, without indexes and TOAST. After a crash PostgreSQL empties them when
-- it starts again: then the bytes are 0.
SELECT coalesce(json_object_agg(format('%I.%I', n.nspname, c.relname), pg_relation_size(c.oid)), '{}')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'u';
