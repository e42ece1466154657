-- What is true of the database as a whole: encoding, locale, settings made for it (for all roles or one), comment, size,
-- extension versions. PostgreSQL 14 and later; columns that only some versions have are read through to_jsonb.
WITH made AS (
    SELECT s.setdatabase, s.setrole, (
        -- A dotted name is the application's own and its value may be a secret: keep a fingerprint.
        SELECT jsonb_object_agg(
            split_part(item, '=', 1),
            CASE
                WHEN split_part(item, '=', 1) LIKE '%.%' THEN
                    'sha256:' || encode(sha256(convert_to(substr(item, strpos(item, '=') + 1), 'UTF8')), 'hex')
                ELSE substr(item, strpos(item, '=') + 1)
            END)
        FROM unnest(s.setconfig) AS item) AS settings
    FROM pg_db_role_setting AS s
)
SELECT jsonb_build_object(
    'name', d.datname,
    'server_version_num', current_setting('server_version_num')::integer,
    'encoding', pg_encoding_to_char(d.encoding),
    'collate', d.datcollate,
    'ctype', d.datctype,
    'locale_provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
    'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
    'comment', shobj_description(d.oid, 'pg_database'),
    'bytes', pg_database_size(d.oid),
    'settings', (
        SELECT coalesce(jsonb_object_agg(
            coalesce(r.rolname, ''),
            f.settings), '{}')
        FROM made AS f LEFT JOIN pg_roles AS r ON r.oid = f.setrole
        WHERE f.setdatabase = d.oid),
    'role_settings', (
        SELECT coalesce(jsonb_object_agg(r.rolname, f.settings), '{}')
        FROM made AS f JOIN pg_roles AS r ON r.oid = f.setrole
        WHERE f.setdatabase = 0),
    'extension_versions', (
        SELECT coalesce(jsonb_object_agg(extname, extversion), '{}') FROM pg_extension))
FROM pg_database AS d
WHERE d.datname = current_database();
