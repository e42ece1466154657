-- The same answer as manifest_large_objects.sql for roles that may not read pg_largeobject: every object is opened.
-- An object that the role may not read is an error. PostgreSQL 14 and later.
WITH handle AS MATERIALIZED (
    -- 262144 is INV_READ.
    SELECT oid, lo_open(oid, 262144) AS fd FROM pg_largeobject_metadata
), sized AS MATERIALIZED (
    SELECT oid, fd, lo_lseek64(fd, 0, 2) AS length FROM handle
), closed AS MATERIALIZED (
    SELECT oid, length, lo_close(fd) AS closed FROM sized
), page AS (
    SELECT oid, pageno, rtrim(lo_get(oid, pageno * 2048, 2048), '\x00'::bytea) AS data
    FROM closed, generate_series(0, (length + 2047) / 2048 - 1) AS pageno
), piece (text) AS (
    SELECT concat(oid, ' ', pageno, ' ', encode(data, 'hex')) FROM page WHERE octet_length(data) > 0
    UNION ALL
    SELECT concat(oid, ' length ', length) FROM closed
)
SELECT jsonb_build_object(
    'count', (SELECT count(*) FROM pg_largeobject_metadata),
    'first', concat(coalesce(sum(hashtextextended(text COLLATE "C", 1)), 0)),
    'second', concat(coalesce(sum(hashtextextended(text COLLATE "C", 2)), 0)))
FROM piece;
