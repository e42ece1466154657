-- Number, bytes and content checksum of all large objects, read from their pages: for roles that may read
-- pg_largeobject (superusers). Pages of 2 kB hash without trailing zero bytes and all-zero pages do not count, because
-- pg_dump writes the holes of a sparse object as zeros; each object's length is hashed beside its pages.
-- PostgreSQL 14 and later.
WITH page AS (
    SELECT loid, pageno, octet_length(data) AS length, rtrim(data, '\x00'::bytea) AS data FROM pg_largeobject
), piece (text) AS (
    SELECT concat(loid, ' ', pageno, ' ', encode(data, 'hex')) FROM page WHERE octet_length(data) > 0
    UNION ALL
    SELECT concat(m.oid, ' length ', coalesce(max(p.pageno::bigint * 2048 + p.length), 0))
    FROM pg_largeobject_metadata AS m
    LEFT JOIN page AS p ON p.loid = m.oid
    GROUP BY m.oid
)
SELECT jsonb_build_object(
    'count', (SELECT count(*) FROM pg_largeobject_metadata),
    'first', concat(coalesce(sum(hashtextextended(text COLLATE "C", 1)), 0)),
    'second', concat(coalesce(sum(hashtextextended(text COLLATE "C", 2)), 0)))
FROM piece;
