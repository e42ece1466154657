-- The revisions a database stands at: none, one, or several when branches are open. Fails when the table is missing.
SELECT coalesce(json_agg(version_num ORDER BY version_num), '[]'::json) FROM public.alembic_version;
