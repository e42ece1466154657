-- The roles that row-level security policies and user mappings of this database name: a restore without them fails, whoever
-- owns the rest. One JSON document; PostgreSQL 14 to 18.
SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]'::json) FROM pg_roles
WHERE oid IN (SELECT unnest(polroles) FROM pg_policy UNION SELECT umuser FROM pg_user_mappings);
