-- Roles that the sample databases know beside their owner. Run once in every old instance, in any database;
-- roles belong to the instance. None of them can log in.
\set ON_ERROR_STOP on
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'labeler_readonly') THEN
        CREATE ROLE labeler_readonly NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'Platform Service') THEN
        CREATE ROLE "Platform Service" NOLOGIN CONNECTION LIMIT 5;
    END IF;
END
$do$;
