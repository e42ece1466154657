-- The roles that row-level security policies of this database name: a restore without them fails, whoever owns the rest.
-- One JSON document; PostgreSQL 14 to 18.
SELECT coalesce(json_agg(DISTINCT r.rolname ORDER BY r.rolname), '[]'::json)
FROM pg_policy p CROSS JOIN LATERAL unnest(p.polroles) AS u(role) JOIN pg_roles r ON r.oid = u.role;
