-- Indexes of partitioned tables that are invalid: a part of theirs is missing, or was attached without being seen. Whole names.
-- PostgreSQL 14 and later.
SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]'::json)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'I' AND NOT i.indisvalid;
