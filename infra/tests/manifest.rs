//! Manifest and compare on real servers: a faithful copy has no difference, whatever the versions; damage has one.

#[path = "support/left_out.rs"]
#[expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it left out, and may panic"
)]
mod left_out;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use infra::command::CommandError;
use infra::postgres::manifest::{
    CompareOptions, DatabaseManifest, Difference, State, TableKind, collect, compare, examples,
    options_not_compared,
};
use infra::postgres::{Server, Snapshot, archive, programs, quote, release};
use infra::{Interrupt, Runner, wait};
use support::{TestCluster, installations};

const NASTY: &str = include_str!("nasty.sql");
const ROLES: &str = "CREATE ROLE \"app owner\" LOGIN PASSWORD 'x'; CREATE ROLE \"Reader Ünï\";";

/// What a dump and a restore into an existing database keep.
const RESTORED: CompareOptions = CompareOptions {
    owners: true,
    privileges: true,
    extension_versions: false,
    settings: false,
    locale: true,
    database_comment: true,
    database_access: true,
    matview_contents: true,
    extra_objects: true,
};

fn take(cluster: &TestCluster, database: &str) -> DatabaseManifest {
    collect(&cluster.runner, &cluster.server, database, None, 2, &|_| {})
        .unwrap_or_else(|error| panic!("{error}"))
}

fn sentences(differences: &[Difference]) -> Vec<&str> {
    differences
        .iter()
        .map(|difference| difference.sentence.as_str())
        .collect()
}

/// A database with the nasty schema, on the newest server of this machine.
fn nasty() -> (TestCluster, String) {
    let newest = installations().pop().expect("installations is never empty");
    let cluster = TestCluster::start(&newest, &newest);
    cluster.sql("postgres", ROLES);
    let database = cluster.database("nasty \"1\"");
    cluster.sql(&database, NASTY);
    (cluster, database)
}

#[test]
fn everything_is_counted_and_nothing_skipped() {
    let (cluster, database) = nasty();
    let manifest = take(&cluster, &database);
    let kind = |name: &str| manifest.tables[name].kind;
    let rows = |name: &str| manifest.tables[name].rows;
    assert_eq!(rows("\"My Schema\".\"Täble \"\"q\"\" x\""), 1000);
    assert_eq!(
        (rows("public.nokey"), kind("public.nokey")),
        (10, TableKind::Ordinary)
    );
    assert_eq!(rows("public.zero"), 2);
    assert_eq!(
        (rows("public.volatile"), kind("public.volatile")),
        (50, TableKind::Unlogged)
    );
    assert_eq!(rows("public.secret"), 2000);
    assert_eq!((rows("public.parent"), rows("public.child")), (1, 2));
    assert_eq!(
        (rows("public.part"), kind("public.part")),
        (500, TableKind::Partitioned)
    );
    assert_eq!(kind("public.part_b"), TableKind::Partitioned);
    assert_eq!(
        rows("public.part_a") + rows("public.part_b1") + rows("public.part_b2"),
        500
    );
    let leaves =
        ["public.part_a", "public.part_b1", "public.part_b2"].map(|leaf| manifest.tables[leaf].checksum);
    assert_eq!(
        manifest.tables["public.part"].checksum,
        leaves[0].plus(leaves[1]).plus(leaves[2])
    );
    let all: u64 = manifest.tables.values().map(|table| table.rows).sum();
    let parents = manifest
        .tables
        .values()
        .filter(|table| table.kind == TableKind::Partitioned);
    let twice: u64 = parents.map(|table| table.rows).sum();
    assert_eq!(manifest.rows() + twice, all, "a row of a partition is one row");
    assert!(manifest.tables["public.far_table"].not_counted.is_some());
    assert!(manifest.tables["public.mv_never"].not_counted.is_some());
    assert_eq!(rows("public.mv"), 3);
    assert_eq!(manifest.large_objects.count, 3);
    let sequence = manifest.sequences["public.\"Seq 1\""];
    assert_eq!((sequence.last_value, sequence.is_called), (6, true));
    assert_eq!(manifest.settings[""]["work_mem"], "8MB");

    let text = serde_json::to_string(&manifest).unwrap();
    assert!(
        !text.contains("hush"),
        "a secret setting or option is in the manifest"
    );
    assert!(!text.contains("o1999"), "a row's value is in the manifest");
    assert_eq!(serde_json::from_str::<DatabaseManifest>(&text).unwrap(), manifest);
    assert_eq!(
        serde_json::to_string(&take(&cluster, &database)).unwrap(),
        text,
        "the same database gives the same bytes"
    );
}

#[test]
fn a_restored_copy_compares_equal_on_every_version() {
    let installations = installations();
    let clusters: Vec<TestCluster> = installations
        .iter()
        .map(|installation| TestCluster::start(installation, installation))
        .collect();
    for cluster in &clusters {
        cluster.sql("postgres", ROLES);
    }
    for (place, source) in clusters.iter().enumerate() {
        let database = source.database("source");
        source.sql(&database, NASTY);
        let expected = take(source, &database);
        for target in &clusters[place..] {
            let version = |cluster: &TestCluster| {
                programs::version(&source.runner, &cluster.server.clients, "pg_dump").unwrap()
            };
            let (from, to) = (version(source), version(target));
            let clients = [target, source]
                .into_iter()
                .find(|cluster| release::serves(version(cluster), from, to) == Some(true));
            let Some(clients) = clients else {
                left_out::left_out(&format!(
                    "a copy from PostgreSQL {from} on {to}: neither has programs that serve both"
                ));
                continue;
            };
            let archive = tempfile::tempdir().unwrap();
            let asked = source.with_clients(&clients.installation);
            source
                .runner
                .run(&archive::dump(&asked, &database, archive.path(), "a", 2, None))
                .unwrap_or_else(|error| panic!("{error}"));
            let copy = target.database("copy");
            target.restore_with(&clients.installation, &copy, archive.path());
            let found = compare(&expected, &take(target, &copy), &RESTORED);
            assert!(
                found.is_empty(),
                "{} -> {}: {:#?}",
                source.installation.major,
                target.installation.major,
                sentences(&found)
            );
        }
    }
}

/// What a server of November 2026 does by itself to every column, and what another one may do to tables and indexes.
const OPTIONS_OF_THE_SERVER: &str = "SET allow_system_table_mods = on;
    UPDATE pg_attribute SET attoptions = array_append(attoptions, 'pg_colver=7') WHERE attrelid = 'kept'::regclass AND attnum > 0;
    UPDATE pg_class SET reloptions = array_append(reloptions, 'pg_relver=7') WHERE oid = 'kept'::regclass;
    UPDATE pg_class SET reloptions = array_prepend('pg_idxver=7', reloptions) WHERE oid = 'kept_b'::regclass;";

#[test]
fn options_that_only_the_server_knows_are_counted_and_all_others_compared() {
    let newest = installations().pop().expect("installations is never empty");
    let cluster = TestCluster::start(&newest, &newest);
    let make = |name: &str| {
        let database = cluster.database(name);
        cluster.sql(
            &database,
            "CREATE TABLE kept (a int PRIMARY KEY, b text) WITH (fillfactor = 70, toast.autovacuum_enabled = off); \
             ALTER TABLE kept ALTER a SET (n_distinct = 5); CREATE INDEX kept_b ON kept (b) WITH (fillfactor = 80);",
        );
        database
    };
    let (one, two) = (make("one"), make("two"));
    cluster.sql(&one, OPTIONS_OF_THE_SERVER);
    let expected = take(&cluster, &one);
    let found = compare(&expected, &take(&cluster, &two), &RESTORED);
    assert!(found.is_empty(), "{:#?}", sentences(&found));
    assert_eq!(expected.unknown_options["pg_relver"], 1);
    assert_eq!(expected.unknown_options["pg_idxver"], 1);
    assert_eq!(expected.unknown_options["pg_colver"], 2);
    let notes = options_not_compared(&expected, &take(&cluster, &two));
    let said = "option pg_relver is not compared: PostgreSQL's manual does not list it (expected on 1 objects, found on 0)";
    assert!(notes.iter().any(|note| note == said), "{notes:#?}");
    for (sql, object, aspect) in [
        (
            "ALTER TABLE kept ALTER a SET (n_distinct = 6)",
            "public.kept.a",
            "n_distinct",
        ),
        (
            "ALTER TABLE kept SET (fillfactor = 71)",
            "public.kept",
            "fillfactor",
        ),
        (
            "ALTER TABLE kept SET (toast.autovacuum_enabled = on)",
            "public.kept",
            "autovacuum_enabled",
        ),
        (
            "ALTER INDEX kept_b SET (fillfactor = 81)",
            "public.kept_b",
            "fillfactor",
        ),
    ] {
        let before = compare(&expected, &take(&cluster, &two), &RESTORED).len();
        cluster.sql(&two, &format!("{sql};"));
        let found = compare(&expected, &take(&cluster, &two), &RESTORED);
        assert_eq!(found.len(), before + 1, "{sql}: {:#?}", sentences(&found));
        assert!(
            found
                .iter()
                .any(|d| d.object == object && d.sentence.contains(aspect)),
            "{sql}: {:#?}",
            sentences(&found)
        );
    }
}

#[test]
fn rows_that_no_dump_has_are_counted_and_missed() {
    let installation = &installations()[0];
    let cluster = TestCluster::start(installation, installation);
    let database = cluster.database("undumped");
    cluster.sql(
        &database,
        "CREATE TABLE public.adopted (id serial PRIMARY KEY); INSERT INTO adopted SELECT FROM generate_series(1, 20);
         ALTER EXTENSION plpgsql ADD TABLE public.adopted; ALTER EXTENSION plpgsql ADD SEQUENCE public.adopted_id_seq;
         CREATE TABLE information_schema.hidden AS SELECT generate_series(1, 5);",
    );
    let facts = infra::postgres::facts::database(&cluster.runner, &cluster.server, &database).unwrap();
    let undumped: Vec<(&str, Option<&str>)> = facts
        .undumped
        .iter()
        .map(|one| (one.table.as_str(), one.extension.as_deref()))
        .collect();
    assert_eq!(
        undumped,
        [
            ("information_schema.hidden", None),
            ("public.adopted", Some("plpgsql"))
        ]
    );
    assert!(
        !facts.is_empty(),
        "a database with such rows is never dropped as empty"
    );
    let expected = take(&cluster, &database);
    let archive = cluster.dump(&database, None).unwrap();
    let copy = cluster.database("copy");
    cluster.restore(&copy, archive.path());
    let found = compare(&expected, &take(&cluster, &copy), &RESTORED);
    let found = sentences(&found);
    for missing in [
        "table information_schema.hidden with 5 rows is missing",
        "extension table public.adopted with 20 rows is missing",
        "sequence public.adopted_id_seq",
    ] {
        assert!(
            found.iter().any(|said| said.contains(missing)),
            "{missing}: {found:#?}"
        );
    }
}

#[test]
fn an_index_of_a_partitioned_table_that_lacks_a_part_is_listed() {
    let installation = &installations()[0];
    let cluster = TestCluster::start(installation, installation);
    let database = cluster.database("parts");
    cluster.sql(
        &database,
        "CREATE TABLE whole (n int) PARTITION BY LIST (n); CREATE TABLE part PARTITION OF whole FOR VALUES IN (1);
         CREATE INDEX \"by N\" ON ONLY whole (n); CREATE INDEX part_n ON part (n);",
    );
    let listed = || {
        infra::postgres::facts::invalid_partitioned_indexes(&cluster.runner, &cluster.server, &database)
            .unwrap()
    };
    assert_eq!(listed(), ["public.\"by N\""]);
    let name = take(&cluster, &database).schema["indexes"]["public.\"by N\""].clone();
    assert_eq!(name["partition_invalid"], "true");
    cluster.sql(&database, "ALTER INDEX \"by N\" ATTACH PARTITION part_n;");
    assert_eq!(listed(), [] as [&str; 0]);
}

#[test]
fn damage_is_found_and_named() {
    let (cluster, database) = nasty();
    let expected = take(&cluster, &database);
    let archive = cluster.dump(&database, None).unwrap();
    let wide = "\"My Schema\".\"Täble \"\"q\"\" x\"";
    let damages: Vec<(String, &str, String)> = [
        (format!("DELETE FROM {wide} WHERE \"Id\" = 700"), "rows", wide),
        (format!("UPDATE {wide} SET n = -n WHERE \"Id\" = 5"), "contents", wide),
        (format!("UPDATE {wide} SET n = n + 0.000 WHERE \"Id\" = 5"), "contents", wide),
        (format!("UPDATE {wide} SET x = NULL WHERE \"Id\" = 3"), "contents", wide),
        (format!("UPDATE {wide} SET j = '{{\"k\": 5, \"v\": 1}}' WHERE \"Id\" = 5"), "contents", wide),
        (format!("UPDATE {wide} SET bp = 'pad ' WHERE \"Id\" = 5"), "contents", wide),
        (format!("UPDATE {wide} SET m = 'sad' WHERE \"Id\" = 5"), "contents", wide),
        (format!("UPDATE {wide} SET iv = interval '1 month' WHERE iv = interval '30 days'; UPDATE {wide} SET ts = ts + interval '1 microsecond' WHERE \"Id\" = 9"), "contents", wide),
        // Sums over single columns stay the same here.
        (format!("UPDATE {wide} AS t SET big = o.big FROM {wide} AS o WHERE (t.\"Id\", o.\"Id\") IN ((1, 2), (2, 1))"), "contents", wide),
        ("UPDATE nokey SET (a, b) = (SELECT 2, 'twice') WHERE ctid = (SELECT min(ctid) FROM nokey WHERE a = 1)".to_owned(), "contents", "public.nokey"),
        ("DELETE FROM zero WHERE ctid = (SELECT min(ctid) FROM zero)".to_owned(), "rows", "public.zero"),
        ("UPDATE part SET v = 'other' WHERE id = 62".to_owned(), "contents", "public.part_a"),
        ("TRUNCATE volatile".to_owned(), "rows", "public.volatile"),
        ("UPDATE secret SET owner_name = 'me' WHERE id = md5('77')::uuid".to_owned(), "contents", "public.secret"),
        ("DROP TABLE refers".to_owned(), "rows", "public.refers"),
        ("SELECT setval('\"Seq 1\"', 1)".to_owned(), "sequences", "public.\"Seq 1\""),
        ("SELECT lo_put(4242, 10, '\\x00')".to_owned(), "large objects", "large objects"),
        ("SELECT lo_unlink(4243)".to_owned(), "large objects", "large objects"),
        ("DROP INDEX \"My Schema\".partial".to_owned(), "indexes", "\"My Schema\".partial"),
        (format!("ALTER TABLE {wide} DROP CONSTRAINT \"Täble \"\"q\"\" x_v_check\""), "constraints", "\"My Schema\".\"Täble \"\"q\"\" x\".\"Täble \"\"q\"\" x_v_check\""),
        (format!("ALTER TABLE {wide} ALTER big TYPE varchar"), "columns", "\"My Schema\".\"Täble \"\"q\"\" x\".big"),
        (format!("ALTER TABLE {wide} ALTER m SET DEFAULT 'sad'"), "columns", "\"My Schema\".\"Täble \"\"q\"\" x\".m"),
        ("ALTER TYPE mood ADD VALUE 'new'".to_owned(), "types", "public.mood"),
        ("ALTER TABLE secret DISABLE ROW LEVEL SECURITY".to_owned(), "tables", "public.secret"),
        ("DROP POLICY mine ON secret".to_owned(), "policies", "public.secret.mine"),
        ("ALTER TABLE part DISABLE TRIGGER on_part".to_owned(), "triggers", "public.part.on_part"),
        ("CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'".to_owned(), "functions", "public.touch()"),
        ("CREATE OR REPLACE VIEW one_table AS SELECT a, b, count(*) AS c FROM nokey GROUP BY a, b".to_owned(), "views", "public.one_table"),
        ("COMMENT ON TABLE nokey IS NULL".to_owned(), "comments", "table public.nokey"),
        ("ALTER TABLE nokey OWNER TO \"Reader Ünï\"".to_owned(), "owners", "table public.nokey"),
        ("REVOKE INSERT ON secret FROM \"app owner\"".to_owned(), "privileges", "table public.secret"),
        ("DROP EVENT TRIGGER ddl".to_owned(), "event_triggers", "ddl"),
        ("DROP STATISTICS both_columns".to_owned(), "statistics", "public.both_columns"),
        ("DROP RULE quiet ON volatile".to_owned(), "rules", "public.volatile.quiet"),
        ("ALTER PUBLICATION pub DROP TABLE empty".to_owned(), "publications", "pub"),
        ("UPDATE priced SET price.amount = 9 WHERE (article).amount = 2".to_owned(), "contents", "public.priced"),
        ("UPDATE priced SET history[1].amount = 9 WHERE (article).amount = 3".to_owned(), "contents", "public.priced"),
        ("UPDATE priced SET article.amount = 9 WHERE (article).amount = 4".to_owned(), "contents", "public.priced"),
        ("UPDATE priced SET price = NULL WHERE (article).amount = 7".to_owned(), "contents", "public.priced"),
        (format!("UPDATE {wide} SET b = b || '\\x00' WHERE \"Id\" = 10"), "contents", wide),
        (format!("UPDATE {wide} SET x = '-0' WHERE \"Id\" = 6"), "contents", wide),
        ("ALTER TABLE loose ALTER at SET DEFAULT now()".to_owned(), "columns", "public.loose.at"),
        ("DROP INDEX loose_day; CREATE UNIQUE INDEX loose_day ON loose (ts)".to_owned(), "indexes", "public.loose_day"),
        ("CREATE OR REPLACE VIEW ordered AS SELECT o.a < o.b AS less FROM loose AS o WHERE o.v IN ('a', 'b') AND o.id BETWEEN 1 AND 2 AND EXISTS (SELECT 1 FROM loose AS i WHERE i.n = o.id)".to_owned(), "views", "public.ordered"),
        ("CREATE OR REPLACE VIEW self_joined AS SELECT y.a FROM loose AS x JOIN loose AS y ON y.n = x.id".to_owned(), "views", "public.self_joined"),
        ("ALTER POLICY less ON loose USING (a < b)".to_owned(), "policies", "public.loose.less"),
        ("CREATE OR REPLACE FUNCTION twice(x text) RETURNS text LANGUAGE sql IMMUTABLE RETURN x::text".to_owned(), "functions", "public.twice(x text)"),
        ("ALTER TEXT SEARCH CONFIGURATION search DROP MAPPING FOR word".to_owned(), "others", "text search configuration public.search"),
        ("DROP COLLATION other; CREATE COLLATION other (locale = 'POSIX')".to_owned(), "others", "collation public.other"),
        ("ALTER LARGE OBJECT 4244 OWNER TO \"Reader Ünï\"".to_owned(), "owners", "large objects"),
        ("GRANT UPDATE ON LARGE OBJECT 4242 TO \"Reader Ünï\"".to_owned(), "privileges", "large objects"),
        ("DROP CAST (mood AS int)".to_owned(), "others", "cast (public.mood AS integer)"),
        ("GRANT CREATE ON DATABASE :\"DBNAME\" TO \"app owner\"".to_owned(), "privileges", "database this"),
        ("ALTER DATABASE :\"DBNAME\" OWNER TO \"app owner\"".to_owned(), "owners", "database this"),
        ("ALTER DATABASE :\"DBNAME\" RESET work_mem".to_owned(), "settings", "work_mem"),
    ]
    .into_iter()
    .map(|(sql, class, object)| (sql, class, object.to_owned()))
    .collect();
    let copy = cluster.database("copy");
    cluster.restore(&copy, archive.path());
    cluster.sql(
        &copy,
        "ALTER DATABASE :\"DBNAME\" SET work_mem = '8MB'; \
         ALTER ROLE \"app owner\" IN DATABASE :\"DBNAME\" SET \"app.secret\" = 'hush hush';",
    );
    let options = CompareOptions {
        settings: true,
        ..RESTORED
    };
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (sql, class, object) in damages {
        // Each damage comes on top of the ones before: it must add a difference with its own name.
        cluster.sql(&copy, &format!("{sql};"));
        let found = compare(&expected, &take(&cluster, &copy), &options);
        let all: BTreeSet<String> = found
            .iter()
            .map(|d| format!("{} {} {:?}", d.class, d.object, d.actual))
            .collect();
        assert!(
            found.iter().any(|d| d.class == class && d.object == object)
                || found.iter().any(|d| d.class == "rows" && d.object == object),
            "{sql}: not found in {:#?}",
            sentences(&found)
        );
        assert_ne!(all, known, "{sql}: no new difference");
        known = all;
    }
}

#[test]
fn a_manifest_taken_in_a_snapshot_does_not_see_later_rows() {
    let (cluster, database) = nasty();
    let mut snapshot = Snapshot::open(&cluster.runner, &cluster.server, &database).unwrap();
    let before = collect(
        &cluster.runner,
        &cluster.server,
        &database,
        Some(snapshot.id()),
        3,
        &|_| {},
    )
    .unwrap();
    cluster.sql(
        &database,
        "INSERT INTO nokey SELECT 9, 'later' FROM generate_series(1, 777);",
    );
    let tables = std::sync::Mutex::new(BTreeSet::new());
    let inside = collect(
        &cluster.runner,
        &cluster.server,
        &database,
        Some(snapshot.id()),
        3,
        &|progress| {
            tables.lock().unwrap().insert(progress.table.to_owned());
        },
    )
    .unwrap();
    let seen = |manifest: &DatabaseManifest| {
        let table = &manifest.tables["public.nokey"];
        (table.rows, table.checksum)
    };
    assert_eq!(seen(&inside), seen(&before));
    assert!(tables.lock().unwrap().contains("public.nokey"));

    let archive = cluster.dump(&database, Some(snapshot.id())).unwrap();
    let copy = cluster.database("copy");
    cluster.restore(&copy, archive.path());
    let found = compare(&before, &take(&cluster, &copy), &RESTORED);
    assert!(found.is_empty(), "{:#?}", sentences(&found));
    let found = compare(&before, &take(&cluster, &database), &RESTORED);
    assert_eq!(
        sentences(&found),
        ["table public.nokey has 787 rows, expected 10"]
    );

    assert!(snapshot.is_alive());
    let id = snapshot.id().to_owned();
    cluster.sql(
        &database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'xtask manifest';",
    );
    assert!(!snapshot.is_alive());
    let error = collect(&cluster.runner, &cluster.server, &database, Some(&id), 1, &|_| {}).unwrap_err();
    assert!(error.tail().contains("snapshot"), "{error}");
}

#[test]
fn rows_that_the_role_may_not_see_are_an_error() {
    let (cluster, database) = nasty();
    cluster.sql(&database, "GRANT SELECT ON ALL TABLES IN SCHEMA public, \"My Schema\" TO \"app owner\"; GRANT USAGE ON SCHEMA \"My Schema\" TO \"app owner\"; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, \"My Schema\" TO \"app owner\";");
    let role = cluster.server.as_role("app owner", Some(infra::Secret::new("x")));
    let take = |role: &Server| collect(&cluster.runner, role, &database, None, 2, &|_| {});
    let error = take(&role).unwrap_err();
    assert!(
        error
            .tail()
            .contains("row-level security policy for table \"secret\""),
        "{error}"
    );
    cluster.sql(
        &database,
        "ALTER TABLE secret DISABLE ROW LEVEL SECURITY; REVOKE SELECT ON zero FROM \"app owner\";",
    );
    let error = take(&role).unwrap_err();
    assert!(
        error.tail().contains("permission denied for table zero"),
        "{error}"
    );
    cluster.sql(&database, "GRANT SELECT ON zero TO \"app owner\";");
    let error = take(&role).unwrap_err();
    assert!(
        error.tail().contains("permission denied for large object"),
        "{error}"
    );
    cluster.sql(
        &database,
        "GRANT SELECT ON LARGE OBJECT 4242, 4243, 4244 TO \"app owner\";",
    );
    let by_handle = take(&role).unwrap();
    let by_page = self::take(&cluster, &database);
    assert_eq!(by_handle.large_objects, by_page.large_objects);
    assert_eq!(by_handle.tables, by_page.tables);
}

#[test]
fn differing_keys_are_found() {
    let (cluster, one) = nasty();
    cluster.sql(
        &one,
        "CREATE TABLE many (lead int, n int, v text, PRIMARY KEY (lead, n)); \
         INSERT INTO many SELECT i / 6000, i, 'v' FROM generate_series(1, 20000) AS i;",
    );
    let two = cluster.database("copy");
    cluster.restore(&two, cluster.dump(&one, None).unwrap().path());
    let wide = "\"My Schema\".\"Täble \"\"q\"\" x\"";
    cluster.sql(
        &two,
        &format!(
            "DELETE FROM {wide} WHERE \"Id\" = 700; UPDATE {wide} SET n = 0 WHERE \"Id\" = 3; \
             INSERT INTO {wide} (\"Id\", s) OVERRIDING SYSTEM VALUE VALUES (-5000000000, 'abc'); \
             UPDATE secret SET owner_name = 'x' WHERE id = md5('77')::uuid; \
             UPDATE many SET v = 'w' WHERE n = 7777;"
        ),
    );
    let look = |table: &str, limit| {
        examples(
            &cluster.runner,
            (&cluster.server, &one),
            (&cluster.server, &two),
            table,
            limit,
        )
        .unwrap_or_else(|error| panic!("{error}"))
    };
    let found = look(wide, 10).unwrap();
    assert_eq!(found.key, ["\"Id\""]);
    let mut rows: Vec<(String, State)> = found
        .rows
        .into_iter()
        .map(|row| (row.key.join(","), row.state))
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        rows,
        [
            ("-5000000000".to_owned(), State::Extra),
            ("3".to_owned(), State::Changed),
            ("700".to_owned(), State::Missing)
        ]
    );
    assert_eq!(look(wide, 1).unwrap().rows.len(), 1);
    let found = look("public.secret", 10).unwrap();
    assert_eq!(found.rows.len(), 1);
    assert_eq!(
        found.rows[0].key[0].replace('-', ""),
        "28dd2c7955ce926456240b2ff0100bde"
    );
    let found = look("public.many", 10).unwrap();
    assert_eq!(
        found.rows.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1, 7777 changed"]
    );
    assert_eq!(look("public.nokey", 10), None);
    assert_eq!(look("public.empty", 10).unwrap().rows, []);

    let found = compare(&take(&cluster, &one), &take(&cluster, &two), &RESTORED);
    let said = sentences(&found).join("\n");
    assert!(said.contains("lead 1 (6000 rows)"), "{said}");
    assert!(said.contains("a group of keys (id)"), "{said}");
}

#[test]
fn an_interrupt_ends_the_sessions_on_the_server_too() {
    let (cluster, database) = nasty();
    let mut lock = cluster
        .runner
        .spawn(&cluster.server.psql_session(&database, "hold a lock"), None)
        .unwrap();
    lock.write_line("BEGIN; LOCK TABLE nokey; SELECT 'locked';")
        .unwrap();
    assert_eq!(lock.read_line().unwrap().as_deref(), Some("locked"));
    let interrupt = Interrupt::default();
    let runner = Runner::new(interrupt.clone());
    let ours = |state: &str| {
        cluster
            .sql(
                &database,
                &format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'xtask manifest' AND {state};"),
            )
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    let limit = Duration::from_secs(60);
    let never = Interrupt::default();
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| collect(&runner, &cluster.server, &database, None, 2, &|_| {}));
        wait::until(&never, limit, || {
            (ours("wait_event_type = 'Lock'") > 0).then_some(())
        })
        .unwrap();
        interrupt.set();
        let error = taking.join().unwrap().unwrap_err();
        assert!(matches!(error, CommandError::Interrupted { .. }), "{error}");
    });
    wait::until(&never, limit, || (ours("true") == 0).then_some(())).unwrap();
    drop(lock);
}

#[test]
fn a_large_table_split_among_sessions_gives_the_same_answer() {
    let newest = installations().pop().expect("installations is never empty");
    let cluster = TestCluster::start(&newest, &newest);
    let database = cluster.database("large");
    // One row a page: some 130 MB, enough for more than two parts.
    cluster.sql(
        &database,
        "CREATE TABLE large (id int PRIMARY KEY, pad char(1000)) WITH (fillfactor = 10); \
         INSERT INTO large SELECT i, 'x' FROM generate_series(1, 16500) AS i; \
         CREATE TABLE small (id int); INSERT INTO small VALUES (1);",
    );
    let with = |workers| {
        collect(
            &cluster.runner,
            &cluster.server,
            &database,
            None,
            workers,
            &|_| {},
        )
        .unwrap()
    };
    let tables = std::sync::Mutex::new(Vec::new());
    let many = collect(
        &cluster.runner,
        &cluster.server,
        &database,
        None,
        3,
        &|progress| {
            tables
                .lock()
                .unwrap()
                .push((progress.table.to_owned(), progress.rows, progress.tables));
        },
    )
    .unwrap();
    assert_eq!(many.tables["public.large"].rows, 16500);
    assert_eq!(many.tables, with(1).tables);
    // Each table is told once, when its last part is done.
    let mut tables = tables.into_inner().unwrap();
    assert_eq!(tables.last().unwrap().2, (2, 2));
    tables.sort();
    let told: Vec<(&str, u64)> = tables
        .iter()
        .map(|(table, rows, _)| (table.as_str(), *rows))
        .collect();
    assert_eq!(told, [("public.large", 16500), ("public.small", 1)]);
}

#[test]
fn a_database_that_does_not_exist_is_named() {
    let newest = installations().pop().expect("installations is never empty");
    let cluster = TestCluster::start(&newest, &newest);
    let error = collect(&cluster.runner, &cluster.server, "no such", None, 1, &|_| {}).unwrap_err();
    assert!(
        error.to_string().contains("database \"no such\" does not exist"),
        "{error}"
    );
    assert!(Snapshot::open(&cluster.runner, &cluster.server, "no such").is_err());
    // Names that psql could take for something else.
    let hostile = "a'b\\c \"d\" $e = é";
    cluster.sql(
        "postgres",
        &format!("CREATE DATABASE {} TEMPLATE template0;", quote::ident(hostile)),
    );
    assert_eq!(take(&cluster, hostile).database, hostile);
}
