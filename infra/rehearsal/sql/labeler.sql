-- Sample rows for the labeler database, after labeler-schema.sql or `alembic upgrade d4085f2a7b14`.
-- psql variable `rows`: how many annotations; the other tables follow. Runs as the instance's superuser.
-- Optional psql variable `role_policy` (any true value): also bind a policy and a setting to labeler_readonly, so that a
-- restore needs this role to exist.
\set ON_ERROR_STOP on
\if :{?rows}
\else
    \set rows 50000
\endif
\if :{?role_policy}
\else
    \set role_policy off
\endif

SELECT greatest(3, :rows / 1000) AS datasets,
       greatest(6, :rows / 500) AS projects,
       greatest(12, :rows / 10) AS images,
       greatest(5, least(500, :rows / 100)) AS annotators,
       least(1000, greatest(12, :rows / 10)) AS embeddings \gset

BEGIN;
-- Every value below is a function of its row number: two loads of the same size hold the same rows. Pinned are the
-- settings that turn text into values; replica mode leaves out triggers and foreign keys, which the data respects.
SET LOCAL search_path = public, audit, extensions;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL session_replication_role = replica;
SET LOCAL synchronous_commit = off;
SET LOCAL maintenance_work_mem = '256MB';
-- A container's /dev/shm is too small for a parallel index build.
SET LOCAL max_parallel_maintenance_workers = 0;
SET LOCAL jit = off;
SET LOCAL client_min_messages = warning;
SET LOCAL client_encoding = 'UTF8';

CREATE TEMPORARY TABLE dropped_indexes ON COMMIT DROP AS
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index
    WHERE indrelid IN ('annotations'::regclass, 'images'::regclass)
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid);
SELECT 'DROP INDEX ' || name FROM dropped_indexes \gexec

INSERT INTO annotators (id, display_name, joined_on)
SELECT i, (ARRAY['김 서연', 'Ana', 'Oleksandr', '佐藤', 'annotator'])[1 + i % 5] || ' ' || i, date '2024-01-01' + i
FROM generate_series(1, :annotators) AS i;

INSERT INTO datasets (name, slug, source, owner_id, tags, settings, size_bytes, fingerprint, cover_image_id, created_at, updated_at)
SELECT (ARRAY['도로 주행', 'Night  Drive', 'Warehouse "A"', E'Depth\\RGB'])[1 + i % 4] || ' #' || i,
       'set-' || i,
       ('{upload,bucket,video frames,외부 제공}'::dataset_source[])[1 + i % 4],
       1 + i % 40,
       CASE WHEN i % 7 = 0 THEN '{}' ELSE ARRAY['낮', 'city,"quoted"', 'tag ' || i % 13, NULL] END,
       jsonb_build_object('fps', i % 60, 'camera', jsonb_build_array('front', i), '설명', E'탭\t줄\n'),
       ((i % 1000)::numeric ^ 4) * 1000003,
       decode(md5(i::text), 'hex'),
       CASE WHEN i % 3 = 0 THEN 1 + (i * 4) % :images END,
       timestamptz '2024-11-01 00:00:00.123456+00' + i * interval '37 minutes',
       timestamptz '2025-01-01 00:00:00+00' + i * interval '41 minutes'
FROM generate_series(1, :datasets) AS i;

INSERT INTO images (dataset_id, path, width, height, taken_at)
SELECT 1 + i % :datasets,
       format('frames/%s/%s %s.png', i % 97, (ARRAY['왼쪽', 'left', 'right'])[1 + i % 3], i),
       640 + i % 1280, 480 + i % 600,
       timestamptz '2024-06-01 00:00:00+00' + i * interval '13 seconds'
FROM generate_series(1, :images) AS i;

INSERT INTO annotation_projects (dataset_id, parent_id, name, class_names, settings, due_on, time_budget, created_at, updated_at)
SELECT 1 + i % :datasets,
       CASE WHEN i > 3 AND i % 4 = 0 THEN i / 2 END,
       '프로젝트 ' || i,
       ARRAY['car', 'person', '자전거'],
       jsonb_build_object('review', i % 2 = 0),
       date '2025-03-01' + i % 90,
       make_interval(days => i % 5, mins => i % 60),
       timestamptz '2024-11-02 00:00:00+00' + i * interval '1 hour',
       timestamptz '2024-12-02 00:00:00+00' + i * interval '1 hour'
FROM generate_series(1, :projects) AS i;

INSERT INTO annotation_classes (project_id, code, label, color, weight)
SELECT p, c.code, c.label, c.color, 1 + p::real / 3
FROM generate_series(1, :projects) AS p,
     (VALUES ('car', '자동차', '{r,g}'::"char"[]), ('person', '사람', '{}'), ('bike', E'자전거\t(두 바퀴)', '{b}'))
         AS c (code, label, color);

-- jsonb is dear to build: the annotations share these, and numbers of rows that have no common divisor mix them.
CREATE TEMPORARY TABLE boxes ON COMMIT DROP AS
    SELECT i AS box, jsonb_build_object('x', i % 1900, 'y', i % 1060, 'w', 1 + i % 300, 'h', 1 + i % 211) AS geometry
    FROM generate_series(0, 2999) AS i;
CREATE TEMPORARY TABLE tracks ON COMMIT DROP AS
    SELECT i AS track, jsonb_build_object('weather', (ARRAY['맑음', 'rain', 'fog', 'night'])[1 + i % 4], 'track', i, 'occluded', i % 5 = 0)
               AS attributes
    FROM generate_series(0, 5002) AS i;
ANALYZE boxes, tracks;

INSERT INTO annotations (project_id, image_id, annotator_id, class_code, geometry, attributes, labels, outline,
                         confidence, state, note, external_id, checksum, created_at, updated_at)
SELECT 1 + i % :projects,
       1 + (i * 7919::bigint) % :images,
       CASE WHEN i % 11 <> 0 THEN 1 + i % :annotators END,
       (ARRAY['car', 'Person', 'bike', 'CAR'])[1 + i % 4],
       geometry,
       attributes,
       ARRAY['label ' || i % 101, (ARRAY['앞', '뒤', 'side'])[1 + i % 3]],
       CASE WHEN i % 50 = 0 THEN ARRAY[ROW(i % 1900, i % 1060)::pixel, NULL, ROW(NULL, i % 7)::pixel] END,
       (i * 7 % 10000) / 10000.0,
       ('{draft,submitted,approved,rejected}'::annotation_state[])[1 + i % 4],
       CASE i % 12
           WHEN 0 THEN '확인 필요: 가려진 물체'
           WHEN 1 THEN E'a\ttab and a \\ backslash'
           WHEN 2 THEN E'two\nlines\r\nand CRLF'
           WHEN 3 THEN E'\\N'
           WHEN 4 THEN E'\\.'
           WHEN 5 THEN 'it''s "quoted", 100 %; 🚗'
           WHEN 6 THEN ''
           WHEN 7 THEN E'  blanks around\u00a0 '
       END,
       lpad(to_hex(i * 2654435761), 32, '0')::uuid,
       int8send(i * 2654435761) || '\x005c0a',
       timestamptz '2024-12-01 00:00:00.000001+00' + i * interval '11 seconds',
       timestamptz '2025-01-01 00:00:00+00' + i * interval '13 seconds'
FROM generate_series(1, :rows) AS i
JOIN boxes ON box = i % 3000
JOIN tracks ON track = i % 5003;

SELECT definition FROM dropped_indexes ORDER BY name \gexec

INSERT INTO annotation_history (annotation_id, operation, changed_at, before, after)
SELECT i, (ARRAY['INSERT', 'UPDATE', 'DELETE'])[1 + i % 3],
       timestamptz '2024-10-01 00:00:00+00' + (i % 600) * interval '1 day' + i * interval '1 microsecond',
       CASE WHEN i % 3 <> 0 THEN '{"state": "draft", "note": "a\\b"}'::jsonb END,
       CASE WHEN i % 3 <> 2 THEN '{"state": "submitted"}'::jsonb END
FROM generate_series(1, :rows / 5) AS i;

INSERT INTO image_embeddings (image_id, model, features)
SELECT i, 'clip', ARRAY[i, i / 3.0, -i, 1e-20 * i, 'NaN', 'Infinity']::real[]
FROM generate_series(1, :embeddings) AS i;
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
        UPDATE image_embeddings
        SET embedding = format('[%s,%s,%s,4,5,6,7,8]', image_id % 17, image_id % 5, image_id / 7.0)::vector;
    END IF;
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'hstore') THEN
        UPDATE datasets SET legacy_labels = extensions.hstore(ARRAY['키', 'a=>b', 'none'], ARRAY[name, '"', NULL])
        WHERE id % 2 = 0;
    END IF;
END
$do$;

INSERT INTO reviewer_notes (tenant, body)
SELECT (ARRAY['seoul', 'busan', 'o''hare'])[1 + i % 3], '메모 ' || i FROM generate_series(1, greatest(30, :rows / 1000)) AS i;
INSERT INTO hidden_reviews (annotation_id, verdict)
SELECT i, 'rejected' FROM generate_series(1, greatest(20, :rows / 500)) AS i;

INSERT INTO "Exports"."Export Job" ("Id", "파일 이름", "select", "it's 100%", dataset_id)
SELECT i * 10, '내보내기 ' || i || '.zip', i % 2 = 0, CASE WHEN i % 9 = 0 THEN 'NaN' ELSE i / 7.0 END, 1 + i % :datasets
FROM generate_series(1, greatest(10, :rows / 1000)) AS i;
-- The rows above brought their own numbers: the sequence is behind its column, as in a database filled by hand.
SELECT setval('"Exports"."Export Job_Id_seq"', 3) \gset
SELECT setval('"Exports"."Batch Number"', -25, false) \gset
INSERT INTO "Exports"."odd""name" VALUES (1, 'upper', 'lower'), (2, E'\\', NULL), (3, '', E'\n');

SELECT count(lo_from_bytea((900000 + i)::oid, decode(repeat(md5('lo' || i), 200 + 100 * i), 'hex'))) AS large_objects
FROM generate_series(1, 5) AS i \gset
SELECT lo_from_bytea(900042, ''::bytea) AS empty_large_object \gset
COMMENT ON LARGE OBJECT 900001 IS '첫 번째 thumbnail';
INSERT INTO dataset_thumbnails SELECT i, 900000 + i FROM generate_series(1, 3) AS i;

INSERT INTO upload_sessions
SELECT md5('u' || i)::uuid, 1 + i % :datasets, i * 1048576::bigint, timestamptz '2025-02-01 00:00:00+00' + i * interval '1 minute'
FROM generate_series(1, 200) AS i;
INSERT INTO heartbeats DEFAULT VALUES;
INSERT INTO heartbeats DEFAULT VALUES;
INSERT INTO heartbeats DEFAULT VALUES;
-- No key, and equal rows on purpose.
INSERT INTO import_log
SELECT CASE i % 3 WHEN 0 THEN 'ok' WHEN 1 THEN E'warn\tline ' || i % 5 END, timestamptz '2025-01-05 00:00:00+00' + (i % 4) * interval '1 hour'
FROM generate_series(1, 300) AS i;
INSERT INTO bookings (machine, span)
SELECT i, tstzrange(timestamptz '2025-01-01 00:00:00+00' + i * interval '1 day', timestamptz '2025-01-01 00:00:00+00' + (i + 1) * interval '1 day')
FROM generate_series(1, 20) AS i;
-- Rows that break the rules added after them: both constraints stay NOT VALID, in the copy too.
INSERT INTO legacy_scores SELECT i, CASE i % 10 WHEN 0 THEN -1 WHEN 1 THEN 'NaN' ELSE 1 / i::double precision END
FROM generate_series(1, 100) AS i;
INSERT INTO legacy_scores VALUES (-1, 0.1), (-2, 0.2);
ALTER TABLE legacy_scores ADD CONSTRAINT legacy_scores_positive CHECK (score >= 0) NOT VALID;
ALTER TABLE legacy_scores ADD CONSTRAINT legacy_scores_annotation_id_fkey
    FOREIGN KEY (annotation_id) REFERENCES annotations ON DELETE CASCADE NOT VALID;

INSERT INTO type_samples VALUES
    (1, -32768, 'NaN', 'NaN', '-Infinity', E'\\ \t \n \r \b \f \v \x7f', 'a', '{"a":1,  "a": 2}', '{"b": [null, 1e400]}',
     '\x00ff5c2e0a', 'infinity', '-infinity', '23:59:59.999999+09', '-1 year 2 mons -3 days 04:05:06.789', '[1.5,)',
     '{[1,3),[5,9)}', '{{1,2},{3,NULL}}', B'101', '10.0.0.0/8', '(1.5,-0)', '((0,0),(1,1),(1,0))', 'a:1A ''b c'':2',
     ROW(1, NULL), 'annotations'),
    (2, 32767, '123456789012345678901234567890.000000000000000000010', 1.1754944e-38, 0.1, '한글 ᄒ\u0301 e' || U&'\0301', '가나다',
     '[]', 'null', '', '0044-03-15 12:00:00 BC', '2024-03-10 02:30:00.000001+00', '00:00:00-12', 'P0Y', 'empty', '{}', '{}', B'',
     '::/0', '(NaN,Infinity)', NULL, '', NULL, '"Exports"."Export Job"'),
    (3, NULL, 'Infinity', '-0', 5e-324, repeat('긴 글 ', 40000), NULL, NULL, NULL, decode(repeat('00ff10', 30000), 'hex'),
     NULL, NULL, NULL, NULL, NULL, NULL, '[2:3]={7,8}', NULL, NULL, NULL, NULL, NULL, ROW(NULL, NULL), NULL);

-- The history of the sequences continues behind the rows, except where it was set above.
SELECT setval(pg_get_serial_sequence('annotators', 'id'), 1000) \gset
SELECT setval(pg_get_serial_sequence('webhooks', 'id'), 41) \gset

DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'labeler_readonly') THEN
        GRANT USAGE ON SCHEMA public, audit TO labeler_readonly;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO labeler_readonly;
        GRANT SELECT (id, tenant) ON audit.reviewer_notes TO labeler_readonly;
        GRANT SELECT ON LARGE OBJECT 900001 TO labeler_readonly;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO labeler_readonly;
    END IF;
END
$do$;
\if :role_policy
    CREATE POLICY readers ON audit.hidden_reviews FOR SELECT TO labeler_readonly USING (verdict = 'rejected');
    DO $do$ BEGIN
        EXECUTE format('ALTER ROLE labeler_readonly IN DATABASE %I SET statement_timeout = %L', current_database(), '30s');
    END $do$;
\endif

-- For every database of the instance, which the new one shares with others.
DO $do$ BEGIN
    EXECUTE format('ALTER ROLE %I SET lock_timeout = %L', current_user, '11s');
END $do$;

REFRESH MATERIALIZED VIEW dataset_statistics;
COMMIT;
