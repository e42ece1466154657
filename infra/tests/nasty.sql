-- A small schema of everything that is easy to miss. Roles "app owner" and "Reader Ünï" exist. PostgreSQL 14 and later.
CREATE SCHEMA "My Schema";
CREATE SCHEMA app AUTHORIZATION "app owner";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s happy');
ALTER TYPE mood ADD VALUE 'between' BEFORE 'ok';
CREATE DOMAIN slug AS varchar(20) DEFAULT 'x' NOT NULL CHECK (VALUE ~ '^[a-z]+$');
CREATE DOMAIN fixed AS char(5);
CREATE TYPE pair AS (a int, "B b" text);
CREATE TYPE frange AS RANGE (subtype = float8);

CREATE TABLE "My Schema"."Täble ""q"" x" (
    "Id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gone int,
    m mood DEFAULT 'ok',
    s slug,
    f fixed,
    p pair,
    r frange,
    j jsonb DEFAULT '{}',
    a text[],
    n numeric,
    ts timestamptz DEFAULT '2024-01-01 00:00:00+00',
    d date,
    iv interval,
    b bytea,
    bp bpchar,
    mo money,
    v varchar(10) CHECK (v IN ('a', 'b', 'c')),
    x float8,
    o oid,
    big text,
    total numeric GENERATED ALWAYS AS (n * 2) STORED
);
ALTER TABLE "My Schema"."Täble ""q"" x" DROP COLUMN gone;
INSERT INTO "My Schema"."Täble ""q"" x" (m, s, f, p, r, j, a, n, ts, d, iv, b, bp, mo, v, x, o, big)
SELECT 'between', 'abc', 'ab', ROW (i, 'x,y "')::pair, frange(i, i + 1), jsonb_build_object('k', i, 'v', 1.0),
    ARRAY ['a', NULL, 'b"c'], i * 1.10, '2024-01-01 00:00:00.123456+00'::timestamptz + i * interval '1 h',
    '2024-01-01'::date + i, make_interval(months => i, secs => i / 7.0), decode(md5(i::text), 'hex'), 'pad  ', i::money,
    'a', CASE i % 3 WHEN 0 THEN 0 WHEN 1 THEN NULL ELSE i / 3.0 END, 3000000000, 'naïve 외부 ' || i
FROM generate_series(1, 1000) AS i;

CREATE TABLE nokey (a int, b text);
INSERT INTO nokey SELECT i % 3, 'twice' FROM generate_series(1, 10) AS i;
ALTER TABLE nokey OWNER TO "app owner";
CREATE TABLE zero ();
INSERT INTO zero DEFAULT VALUES;
INSERT INTO zero DEFAULT VALUES;
CREATE TABLE "a:'b' :c $$ \\d
-- ;" ("x\ :'y' "" z" int PRIMARY KEY);
INSERT INTO "a:'b' :c $$ \\d
-- ;" VALUES (1);
CREATE TABLE empty (id int PRIMARY KEY);
CREATE UNLOGGED TABLE volatile (id int PRIMARY KEY, t text);
INSERT INTO volatile SELECT i, 'u' FROM generate_series(1, 50) AS i;

CREATE TABLE part (id int, at date NOT NULL, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE part_b PARTITION OF part FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') PARTITION BY HASH (id);
-- Attached with its columns in another order.
CREATE TABLE part_b1 (v text, gone int, id int NOT NULL, at date NOT NULL);
ALTER TABLE part_b1 DROP COLUMN gone;
ALTER TABLE part_b ATTACH PARTITION part_b1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_b2 PARTITION OF part_b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT i, '2024-01-01'::date + i % 59, 'v' || i FROM generate_series(1, 500) AS i;
CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, at date) PARTITION BY RANGE (at);
CREATE TABLE numbered_rest PARTITION OF numbered DEFAULT;
INSERT INTO numbered (at) SELECT '2024-01-01'::date + i FROM generate_series(1, 5) AS i;
CREATE TABLE refers (id int PRIMARY KEY, pid int, pat date, FOREIGN KEY (pid, pat) REFERENCES part);

CREATE TABLE parent (a int);
CREATE TABLE child (c text) INHERITS (parent);
ALTER TABLE parent ADD COLUMN late text DEFAULT 'l';
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (1, 'c', 'l'), (2, NULL, 'l');

CREATE TABLE secret (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_name text DEFAULT CURRENT_USER,
    kind varchar(8) NOT NULL DEFAULT 'x'
);
INSERT INTO secret (id, owner_name)
SELECT md5(i::text)::uuid, 'o' || i FROM generate_series(1, 2000) AS i;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret FOR SELECT TO "app owner", "Reader Ünï"
    USING (owner_name = CURRENT_USER AND kind IN ('x', 'y') AND EXISTS (SELECT 1 FROM nokey WHERE a = 1));
GRANT SELECT, INSERT ON secret TO "app owner";
GRANT SELECT (owner_name) ON secret TO "Reader Ünï" WITH GRANT OPTION;

CREATE VIEW one_table AS
    SELECT n.a, n.b, count(*) AS c FROM nokey AS n WHERE n.b IN ('twice', 'x') GROUP BY n.a, n.b HAVING count(*) > 0;
CREATE VIEW two_tables WITH (security_barrier) AS
    SELECT t."Id", u.t, t.v::varchar(3) AS short, CASE WHEN t.v = 'a' THEN 1 ELSE 0 END AS flag
    FROM "My Schema"."Täble ""q"" x" AS t
    LEFT JOIN volatile AS u ON u.id = t."Id"
    WHERE t.v IN ('a', 'b') AND EXISTS (SELECT 1 FROM nokey AS k WHERE k.a = t."Id");
CREATE MATERIALIZED VIEW mv AS SELECT a, count(*) FROM nokey GROUP BY a;
CREATE MATERIALIZED VIEW mv_never AS SELECT 1 AS x WITH NO DATA;
CREATE UNIQUE INDEX ON mv (a);
CREATE INDEX partial ON "My Schema"."Täble ""q"" x" (lower(v)) WHERE v IN ('a', 'b');
CREATE INDEX ON nokey USING hash (b);
CREATE INDEX ON part (v);
CREATE STATISTICS both_columns (ndistinct, dependencies) ON a, b FROM nokey;

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION standard(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql IMMUTABLE RETURN a + 1;
CREATE PROCEDURE proc(INOUT x int) LANGUAGE plpgsql AS 'BEGIN x := 1; END';
CREATE AGGREGATE mysum (int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE FUNCTION mood_number(mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE CAST (mood AS int) WITH FUNCTION mood_number(mood);
CREATE OPERATOR public.=== (LEFTARG = int, RIGHTARG = int, PROCEDURE = int4eq);
CREATE COLLATION plain (locale = 'C');
CREATE TABLE collated (id int PRIMARY KEY, t text COLLATE plain);
CREATE TRIGGER touched BEFORE UPDATE OF v ON "My Schema"."Täble ""q"" x"
    FOR EACH ROW WHEN (old.v IS DISTINCT FROM new.v) EXECUTE FUNCTION touch();
CREATE TRIGGER on_part AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO volatile DO INSTEAD NOTHING;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION on_ddl();
CREATE PUBLICATION pub FOR TABLE empty, part;
CREATE FOREIGN DATA WRAPPER fw;
CREATE SERVER far FOREIGN DATA WRAPPER fw;
CREATE FOREIGN TABLE far_table (a int) SERVER far;
CREATE USER MAPPING FOR "app owner" SERVER far OPTIONS (password 'hush hush');

-- Casts that leave something out have no say in what a value is.
CREATE TYPE money2 AS (amount numeric, cur text);
CREATE DOMAIN price AS money2;
CREATE FUNCTION currency(money2) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ($1).cur';
CREATE CAST (money2 AS text) WITH FUNCTION currency(money2) AS IMPLICIT;
CREATE FUNCTION nothing(numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT '0'$$;
CREATE CAST (numeric AS text) WITH FUNCTION nothing(numeric);
CREATE TABLE priced (article money2 PRIMARY KEY, price price, history price[]);
INSERT INTO priced SELECT ROW (i, 'EUR')::money2, ROW (i, 'EUR')::price, ARRAY [ROW (i, 'EUR')::price]
FROM generate_series(1, 5) AS i;
INSERT INTO priced VALUES (ROW (6, 'EUR'), NULL, NULL), (ROW (7, 'EUR'), ROW (NULL, NULL), '{}');

-- Expressions that print differently after a restore, and casts and qualifiers that mean something.
CREATE TABLE loose (
    id int PRIMARY KEY CHECK (id BETWEEN 0 AND 99 AND id <> 50),
    n int CHECK (n BETWEEN 0 AND 9 OR n > 99),
    a text,
    b text,
    v varchar(5),
    at timestamptz DEFAULT now()::date,
    ts timestamp,
    CHECK (a NOT IN (v, 'x') AND a = ANY (ARRAY ['q', v])),
    CHECK (v IN ('a', 'b') AND n BETWEEN 1 AND 5 AND NOT (id BETWEEN 7 AND 8 AND n = 1))
);
CREATE UNIQUE INDEX loose_day ON loose ((ts::date));
CREATE VIEW ordered AS SELECT o.a::int < o.b::int AS less FROM loose AS o
    WHERE o.v IN ('a', 'b') AND o.id BETWEEN 1 AND 2 AND EXISTS (SELECT 1 FROM loose AS i WHERE i.n = o.id);
CREATE VIEW self_joined AS SELECT x.a FROM loose AS x JOIN loose AS y ON y.n = x.id;
CREATE POLICY less ON loose USING (a::int < b::int);
CREATE FUNCTION twice(x text) RETURNS text LANGUAGE sql IMMUTABLE RETURN (x::int)::text;
CREATE STATISTICS of_expressions ON (lower(v)), (v IN ('a', 'b')) FROM loose;
CREATE TEXT SEARCH CONFIGURATION search (COPY = simple);
CREATE COLLATION other (locale = 'C');

CREATE SEQUENCE "Seq 1" INCREMENT 5;
SELECT nextval('"Seq 1"'), nextval('"Seq 1"') \g (format=unaligned tuples_only)
COMMENT ON TABLE nokey IS 'it''s';
COMMENT ON COLUMN "My Schema"."Täble ""q"" x".v IS 'Ünï';
SELECT lo_from_bytea(4242, decode(repeat('ab', 5000), 'hex')), lo_create(4243), lo_from_bytea(4244, '\x00');
SELECT lo_put(4244, 100000, '\x01ff');
ALTER LARGE OBJECT 4243 OWNER TO "app owner";
GRANT SELECT ON LARGE OBJECT 4244 TO "Reader Ünï";
ALTER DATABASE :"DBNAME" SET work_mem = '8MB';
ALTER ROLE "app owner" IN DATABASE :"DBNAME" SET "app.secret" = 'hush hush';
ALTER DEFAULT PRIVILEGES FOR ROLE "app owner" IN SCHEMA app GRANT SELECT ON TABLES TO "Reader Ünï";
