-- Whether the role may read the pages of large objects, and whether there are any. PostgreSQL 9.0 and later.
SELECT jsonb_build_object(
    'pages', has_table_privilege('pg_catalog.pg_largeobject', 'SELECT'),
    'any', EXISTS (SELECT FROM pg_largeobject_metadata));
