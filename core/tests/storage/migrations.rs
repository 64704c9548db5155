//! The steps of SQLite's schema: forward, back, at once, and from files of released schemas.

use std::{collections::BTreeMap, fs, path::PathBuf};

use rolekeep::{
    Config, Reason, RequestContext, UserManagement,
    audit::VerifyAudit,
    migrations::{Checksum, Migrations},
    storage::{CommitError, Predicate, Query, SqliteOptions, SqliteStorage, Storage, conformance::change_set},
    users::{CreateUser, ListUsers, UserSort},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

fn at(folder: &TempDir) -> SqliteOptions {
    SqliteOptions::new(folder.path().join("x.db"))
}

fn steps(folder: &TempDir) -> Migrations {
    Migrations::sqlite(at(folder))
}

async fn raw(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.path().join("x.db")).create_if_missing(true).connect().await.unwrap()
}

async fn run(connection: &mut SqliteConnection, sql: impl Into<String>) {
    let sql = sql.into();
    if let Err(problem) = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(connection).await {
        panic!("{problem}: {sql}");
    }
}

async fn texts(connection: &mut SqliteConnection, sql: impl Into<String>) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql.into())).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What a file says that it is made of.
async fn schema(connection: &mut SqliteConnection) -> Vec<String> {
    texts(connection, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'rolekeep_schema' ORDER BY name")
        .await
}

/// The columns of each table of records, with whether they may be null.
type Tables = BTreeMap<String, Vec<(String, String)>>;

async fn tables(connection: &mut SqliteConnection) -> Tables {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'rolekeep_schema' AND name NOT LIKE '%\\_search%' ESCAPE '\\'";
    let mut tables = Tables::new();
    for name in texts(connection, names).await {
        let asked = format!("SELECT name, type FROM pragma_table_info('{name}')");
        let columns = sqlx::query(AssertSqlSafe(asked)).fetch_all(&mut *connection).await.unwrap();
        tables.insert(name, columns.iter().map(|column| (column.get(0), column.get(1))).collect());
    }
    tables
}

fn list<'c>(columns: impl IntoIterator<Item = &'c (String, String)>) -> Vec<String> {
    columns.into_iter().map(|(name, _)| format!("\"{name}\"")).collect()
}

/// All rows, of these columns.
async fn rows(connection: &mut SqliteConnection, of: &Tables) -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for (table, columns) in of {
        let quoted: Vec<_> = list(columns).iter().map(|column| format!("quote({column})")).collect();
        let asked = format!("SELECT {} FROM \"{table}\" ORDER BY 1", quoted.join(" || ', ' || "));
        rows.insert(table.clone(), texts(connection, asked).await);
    }
    rows
}

/// Texts that the library makes of a row's columns.
const MADE: [&str; 4] = ["email_key", "username_key", "last_name_key", "search_text"];

/// What somebody has written.
fn written(tables: &Tables) -> Tables {
    let is_written = |column: &&(String, String)| !MADE.contains(&column.0.as_str());
    let columns = |columns: &Vec<_>| columns.iter().filter(is_written).cloned().collect();
    tables.iter().map(|(table, of)| (table.clone(), columns(of))).collect()
}

/// A row with something in each column.
fn row(table: &str, columns: &[(String, String)], number: u32) -> String {
    let value = |(name, kind): &(String, String)| match kind.as_str() {
        "INTEGER" => number.to_string(),
        _ => format!("'{name} {number}'"),
    };
    let values: Vec<_> = columns.iter().map(value).collect();
    format!("INSERT INTO \"{table}\" ({}) VALUES ({});", list(columns).join(", "), values.join(", "))
}

#[tokio::test]
async fn steps_forward_back_and_forward_lose_nothing() {
    let all = steps(&tempfile::tempdir().unwrap()).status().await.unwrap().pending;
    let (mut undone, mut kept) = (0, 0);
    for step in all {
        let (before, after) = (i64::from(step.version) - 1, i64::from(step.version));
        let folder = tempfile::tempdir().unwrap();
        steps(&folder).up_to(before).apply().await.unwrap();
        let mut file = raw(&folder).await;
        let old = tables(&mut file).await;
        for (table, columns) in &old {
            run(&mut file, row(table, columns, 1) + &row(table, columns, 2)).await;
        }
        let old = written(&old);
        let (old_schema, old_rows) = (schema(&mut file).await, rows(&mut file, &old).await);

        if step.irreversible.is_some() {
            kept += 1;
            // Whatever is stored.
            let folder = tempfile::tempdir().unwrap();
            steps(&folder).up_to(after).apply().await.unwrap();
            let refused = steps(&folder).up_to(after).down().await.unwrap_err();
            assert_eq!(refused.reason(), Reason::DataWouldBeLost, "{step:?}");
            assert_eq!(steps(&folder).status().await.unwrap().version, step.version);
            continue;
        }
        undone += 1;
        let to = || steps(&folder).up_to(after);
        assert_eq!(to().apply().await.unwrap(), std::slice::from_ref(&step));
        let (new, new_schema) = (tables(&mut file).await, schema(&mut file).await);
        let all_rows = rows(&mut file, &new).await;
        let (whole, new) = (new.clone(), written(&new));
        let new_rows = rows(&mut file, &new).await;
        assert_eq!(rows(&mut file, &old).await, old_rows, "{step:?} loses rows");

        // Each table and each column that the older schema has not.
        for (table, columns) in &new {
            let added: Vec<_> = match old.get(table) {
                None => vec![row(table, &whole[table], 3)],
                Some(known) => {
                    let added = columns.iter().filter(|column| !known.contains(column));
                    // Of any type.
                    let set = added.map(|(name, _)| format!("UPDATE \"{table}\" SET \"{name}\" = '1';"));
                    set.collect()
                }
            };
            for change in added {
                run(&mut file, change.clone()).await;
                let refused = to().down().await.unwrap_err();
                assert_eq!(refused.reason(), Reason::DataWouldBeLost, "{step:?}: {change}");
                assert!(refused.message().contains("would be lost"), "{refused}");
                assert_eq!(schema(&mut file).await, new_schema);
                let undo = match old.get(table) {
                    None => format!("DELETE FROM \"{table}\""),
                    Some(_) => change.replace("'1'", "NULL"),
                };
                run(&mut file, undo).await;
            }
        }
        assert_eq!(rows(&mut file, &new).await, new_rows);

        assert_eq!(to().down().await.unwrap(), Some(step.clone()));
        assert_eq!(schema(&mut file).await, old_schema, "{step:?} taken back makes another schema");
        assert_eq!(rows(&mut file, &old).await, old_rows, "{step:?} taken back loses rows");
        assert_eq!(steps(&folder).status().await.unwrap().version, step.version - 1);
        assert_eq!(to().apply().await.unwrap(), std::slice::from_ref(&step));
        assert_eq!(schema(&mut file).await, new_schema);
        assert_eq!(rows(&mut file, &whole).await, all_rows);
    }
    assert!(undone >= 22 && kept >= 1, "{undone} {kept}");
}

#[tokio::test]
async fn a_plan_is_what_applying_runs() {
    let (planned, applied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plan = steps(&planned).plan().await.unwrap();
    // Asking makes no file.
    assert_eq!(steps(&planned).status().await.unwrap().history, []);
    assert!(!planned.path().join("x.db").exists());
    let mut file = raw(&planned).await;
    let refused = SqliteStorage::open(at(&planned).migrates(false)).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::SchemaForeign);
    run(&mut file, plan).await;
    SqliteStorage::open(at(&planned).migrates(false)).await.unwrap().close().await.unwrap();
    assert_eq!(steps(&planned).plan().await.unwrap(), "");
    assert_eq!(steps(&planned).apply().await.unwrap(), []);

    assert!(!steps(&applied).apply().await.unwrap().is_empty());
    assert_eq!(schema(&mut file).await, schema(&mut raw(&applied).await).await);
    let history = async |folder: &TempDir| {
        let status = steps(folder).status().await.unwrap();
        assert_eq!((status.version, status.pending.len()), (status.newest, 0));
        assert!(
            status.history.iter().all(|applied| applied.checksum == Checksum::Fits && applied.applied_at.is_some())
        );
        status.history.into_iter().map(|applied| (applied.version, applied.name)).collect::<Vec<_>>()
    };
    let (planned, applied) = (history(&planned).await, history(&applied).await);
    assert_eq!(planned, applied);
    assert_eq!(planned[3], (4, Some("roles_by_scope".to_owned())));
}

#[tokio::test]
async fn files_without_checksums_are_taken_and_others_compared() {
    let folder = tempfile::tempdir().unwrap();
    steps(&folder).up_to(37).apply().await.unwrap();
    let mut file = raw(&folder).await;
    // The table of versions as it was at first.
    run(
        &mut file,
        "CREATE TABLE seen AS SELECT version FROM rolekeep_schema; DROP TABLE rolekeep_schema; \
         CREATE TABLE rolekeep_schema (version INTEGER PRIMARY KEY) STRICT; \
         INSERT INTO rolekeep_schema SELECT version FROM seen; DROP TABLE seen;",
    )
    .await;
    let status = steps(&folder).status().await.unwrap();
    assert_eq!((status.version, status.pending[0].version), (37, 38));
    assert!(status.history.iter().all(|applied| applied.checksum == Checksum::Unknown && applied.name.is_none()));
    SqliteStorage::open(at(&folder)).await.unwrap().close().await.unwrap();
    let history = steps(&folder).status().await.unwrap().history;
    assert_eq!((history[36].checksum, history[37].checksum), (Checksum::Unknown, Checksum::Fits));

    run(&mut file, "UPDATE rolekeep_schema SET sha256 = 'other' WHERE version = 38").await;
    assert_eq!(steps(&folder).status().await.unwrap().history[37].checksum, Checksum::Differs);
    for refused in [
        SqliteStorage::open(at(&folder)).await.err().unwrap(),
        SqliteStorage::open(at(&folder).migrates(false)).await.err().unwrap(),
        steps(&folder).plan().await.unwrap_err(),
        steps(&folder).apply().await.unwrap_err(),
        steps(&folder).down().await.unwrap_err(),
    ] {
        assert_eq!(refused.reason(), Reason::SchemaForeign);
    }
    run(&mut file, "INSERT INTO rolekeep_schema (version) VALUES (999)").await;
    assert_eq!(steps(&folder).status().await.unwrap().version, 999);
    for refused in [
        SqliteStorage::open(at(&folder)).await.err().unwrap(),
        steps(&folder).apply().await.unwrap_err(),
        steps(&folder).down().await.unwrap_err(),
    ] {
        assert_eq!(refused.reason(), Reason::SchemaNewer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_at_once_apply_each_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let starting: Vec<_> = (0..10)
        .map(|number| {
            let (options, steps) = (at(&folder), steps(&folder));
            tokio::spawn(async move {
                if number % 2 == 0 {
                    SqliteStorage::open(options).await.unwrap().close().await.unwrap();
                    return 0;
                }
                steps.apply().await.unwrap().len()
            })
        })
        .collect();
    let mut applied = 0;
    for one in starting {
        applied += one.await.unwrap();
    }
    let status = steps(&folder).status().await.unwrap();
    assert!(applied == 0 || applied == status.history.len(), "{applied}");
    assert_eq!((status.version, status.history.len()), (status.newest, status.newest as usize));
    // And back: of two that take a step back at once, each takes its own.
    let undoing = [steps(&folder), steps(&folder)].map(|steps| tokio::spawn(async move { steps.down().await }));
    let mut undone = Vec::new();
    for one in undoing {
        undone.push(one.await.unwrap().unwrap().unwrap().version);
    }
    undone.sort_unstable();
    assert_eq!(undone, [status.newest - 1, status.newest]);
}

#[tokio::test]
async fn stores_that_are_open_refuse_a_schema_that_moved() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(at(&folder)).await.unwrap();
    let refused = async |expected: Reason| {
        match storage.commit(&change_set(1, Vec::new())).await {
            Err(CommitError::Failed(error)) => assert_eq!(error.reason(), expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(storage.position().await.unwrap_err().reason(), expected);
        let snapshot = storage.snapshot().await.err().unwrap();
        assert_eq!(snapshot.reason(), expected);
    };
    // Back.
    assert_eq!(steps(&folder).down().await.unwrap().map(|step| step.name).as_deref(), Some("filter_indexes"));
    refused(Reason::SchemaForeign).await;
    steps(&folder).apply().await.unwrap();
    assert_eq!(storage.position().await.unwrap().number(0), 0);
    // Forward, by a later version of the library.
    let later = || steps(&folder).and_then("0042_more", "CREATE TABLE more (id TEXT);", Ok("DROP TABLE more"));
    assert_eq!(later().apply().await.unwrap().len(), 1);
    refused(Reason::SchemaNewer).await;
    assert_eq!(later().down().await.unwrap().map(|step| step.version), Some(42));
    assert_eq!(storage.commit(&change_set(1, Vec::new())).await.unwrap().place.number, 1);
    // One that fails leaves nothing.
    let fails = steps(&folder).and_then("0042_more", "CREATE TABLE more (id TEXT); SELECT nothing;", Err("more"));
    assert!(fails.apply().await.is_err());
    assert_eq!(texts(&mut raw(&folder).await, "SELECT name FROM sqlite_schema WHERE name = 'more'").await, [""; 0]);
    storage.close().await.unwrap();
}

/// Users who are there when a file is migrated are sorted and found as those who come later, whoever runs the scripts.
#[tokio::test]
async fn texts_are_folded_as_a_file_is_migrated() {
    let user = |number: u32, name: &str, text: &str| {
        format!(
            "INSERT INTO users (id, email, email_verified, last_name, visibility, status, created_at, updated_at, version, search_text) \
             VALUES ('00000000-0000-7000-8000-{number:012}', 'U{number:04}@example.org', 0, {name}, 'public', 'active', 1, 1, 1, '{text}');"
        )
    };
    let few = [
        ("'\u{c4}hre'", " ahre"),
        ("'ahrb'", " ahrb"),
        ("NULL", ""),
        ("'\u{ff21}HRF'", " ahrf"),
        ("'\u{5c71}\u{7530}\u{592a}\u{90ce}'", " \u{5c71}\u{7530}\u{592a}\u{90ce}"),
    ];
    for by_hand in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        steps(&folder).up_to(38).apply().await.unwrap();
        let mut file = raw(&folder).await;
        let few = (0..).zip(&few).map(|(number, (name, text))| user(number, name, text));
        // More than are read at once.
        let many =
            (10..2_510).map(|number| user(number, &format!("'Many {number:04}'"), &format!(" many {number:04}")));
        let region = "INSERT INTO regions (id, code, name, status, created_at, updated_at, version, search_text) VALUES \
                      ('00000000-0000-7000-8000-000000000000', 'kanto', '\u{95a2}\u{6771}', 'ACTIVE', 1, 1, 1, ' kanto \u{95a2}\u{6771}');";
        let rows: String = few.chain(many).chain([region.to_owned()]).collect();
        run(&mut file, format!("BEGIN; {rows} COMMIT;")).await;
        if by_hand {
            let plan = steps(&folder).plan().await.unwrap();
            run(&mut file, plan).await;
            assert_eq!(steps(&folder).plan().await.unwrap(), "");
            assert_eq!(texts(&mut file, "SELECT DISTINCT email_key FROM users").await, [""], "SQL does not fold");
            let history = steps(&folder).status().await.unwrap().history;
            assert_eq!(history[0].version, 1);
        } else {
            assert!(!steps(&folder).apply().await.unwrap().is_empty());
        }
        SqliteStorage::open(at(&folder).migrates(false)).await.unwrap().close().await.unwrap();
        assert_eq!(texts(&mut file, "SELECT name FROM rolekeep_schema WHERE version < 1").await, [""; 0]);
        let keys = texts(&mut file, "SELECT last_name_key FROM users ORDER BY last_name_key").await;
        assert_eq!(keys[..5], ["", "ahrb", "ahre", "ahrf", "many 0010"]);
        assert_eq!(
            (keys.len(), &keys[2_503..]),
            (2_505, &["many 2509".to_owned(), "\u{5c71}\u{7530}\u{592a}\u{90ce}".to_owned()][..])
        );
        let emails = texts(&mut file, "SELECT email_key FROM users ORDER BY id DESC LIMIT 1").await;
        assert_eq!(emails, ["u2509@example.org"]);
        let found = texts(&mut file, "SELECT search_text FROM regions").await;
        assert_eq!(found, [" kanto \u{95a2}\u{6771} \u{6771}"]);

        let um = UserManagement::open(config().sqlite(folder.path().join("x.db").to_str().unwrap())).await.unwrap();
        let system = um.system();
        let list = ListUsers::new().sort(UserSort::LastName).limit(4);
        let names: Vec<_> =
            system.users().list(list).await.unwrap().items.into_iter().map(|user| user.last_name).collect();
        assert_eq!(
            names,
            [None, Some("ahrb".to_owned()), Some("\u{c4}hre".to_owned()), Some("\u{ff21}HRF".to_owned())]
        );
        for (words, count) in
            [("\u{592a}\u{90ce}", 1), ("\u{7530} \u{90ce}", 1), ("\u{90ce}\u{592a}", 0), ("many 2509", 1)]
        {
            assert_eq!(
                system.users().list(ListUsers::new().search(words)).await.unwrap().items.len(),
                count,
                "{words}"
            );
        }
        um.close().await.unwrap();
    }
}

fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schemas/sqlite"))
}

fn config() -> Config {
    Config::new().preset("flyos").hashing_memory_kib(8).hashing_iterations(1)
}

/// Of each schema that has a fixture all that is stored comes to the newest one as it was, and is used there.
#[tokio::test]
async fn files_of_released_schemas_are_migrated() {
    let mut seen = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let folder = tempfile::tempdir().unwrap();
        let mut file = raw(&folder).await;
        run(&mut file, fs::read_to_string(&path).unwrap()).await;
        let version = steps(&folder).status().await.unwrap().version;
        seen.push(version);
        let old = written(&tables(&mut file).await);
        let old_rows = rows(&mut file, &old).await;

        steps(&folder).apply().await.unwrap();
        let new = tables(&mut file).await;
        let mut common = Tables::new();
        for (table, columns) in &old {
            let columns = columns.iter().filter(|column| new[table].contains(column)).cloned().collect();
            common.insert(table.clone(), columns);
        }
        let mut of_before = if common == old { old_rows } else { BTreeMap::new() };
        if version == 1 {
            // Two columns went elsewhere: when users signed in last, and what hashes cost.
            let signed_in = "SELECT user_id || ' ' || last_login_at FROM user_activity ORDER BY last_login_at";
            let signed_in = texts(&mut file, signed_in).await;
            // Of deleted users it is not known.
            assert!(
                signed_in[..2].iter().all(|user| user.ends_with(" 0")) && signed_in[2].ends_with(" 5"),
                "{signed_in:?}"
            );
            common.remove("credentials");
            let folder = tempfile::tempdir().unwrap();
            let mut before = raw(&folder).await;
            run(&mut before, fs::read_to_string(&path).unwrap()).await;
            of_before = rows(&mut before, &common).await;
        }
        assert!(!of_before.is_empty(), "{path:?}: only the first one lost columns");
        assert_eq!(rows(&mut file, &common).await, of_before, "{path:?}");

        let um = UserManagement::open(config().sqlite(folder.path().join("x.db").to_str().unwrap())).await.unwrap();
        let users = um.system().users().list(ListUsers::new()).await.unwrap().items;
        let mut names: Vec<_> = users.iter().filter_map(|user| user.email.as_deref()).collect();
        names.sort_unstable();
        assert_eq!(names, ["ada@example.org", "bob@example.org"], "{path:?}");
        let found = um.system().users().list(ListUsers::new().search("ada")).await.unwrap().items;
        assert_eq!(found.len(), 1, "{path:?}");
        let request = RequestContext::from_ip("192.0.2.1");
        let login = um.login("ada@example.org", "correct horse battery staple", request).await.unwrap();
        login.done().unwrap();
        assert!(um.system().audit().verify(VerifyAudit::new()).await.unwrap().fault.is_none(), "{path:?}");
        let ada = users.iter().find(|user| user.email.as_deref() == Some("ada@example.org")).unwrap();
        assert!(um.check(ada.id, "user:create", None).await.unwrap(), "{path:?}: roles are kept");
        um.close().await.unwrap();

        let storage = SqliteStorage::open(at(&folder)).await.unwrap();
        for table in rolekeep::storage::tables() {
            storage.query(&Query::of(table, Predicate::Always)).await.unwrap();
        }
        storage.close().await.unwrap();
    }
    assert!(seen.contains(&1) && seen.len() >= 5, "{seen:?}");
    let newest = i64::from(steps(&tempfile::tempdir().unwrap()).status().await.unwrap().newest);
    let path = fixtures().join(format!("{newest:04}.sql"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() && !path.exists() {
        let folder = tempfile::tempdir().unwrap();
        fill(&folder).await;
        fs::write(&path, dump(&mut raw(&folder).await).await).unwrap();
    }
    assert!(path.exists(), "the newest schema needs a fixture: run this with UPDATE_SNAPSHOTS=1");
}

/// A store with something in most of its tables.
async fn fill(folder: &TempDir) {
    let um = UserManagement::open(config().sqlite(folder.path().join("x.db").to_str().unwrap())).await.unwrap();
    let system = um.system();
    let password = "correct horse battery staple";
    let ada =
        CreateUser::new("ada@example.org").password(password).username("ada").full_name("Ada L").roles(["MAIN_HQ"]);
    system.users().create(ada).await.unwrap();
    system.users().create(CreateUser::new("bob@example.org").password(password)).await.unwrap();
    system.regions().create(rolekeep::regions::CreateRegion::new("east", "East")).await.unwrap();
    let request = RequestContext::from_ip("192.0.2.1");
    um.login("ada@example.org", password, request).await.unwrap().done().unwrap();
    um.close().await.unwrap();
    let invited = "INSERT INTO invitations (id, email, roles, created_at, expires_at, ended_at, end_reason, version) \
                   VALUES ('00000000-0000-7000-8000-000000000001', 'eve@example.org', '[]', 1, 2, 3, 'expired', 4); \
                   INSERT INTO drones (id, code, model, status, created_at, updated_at, version, search_text) \
                   VALUES ('00000000-0000-7000-8000-000000000002', 'd-1', 'FlyOS_MQ5', 'STANDBY', 1, 2, 3, ' d-1');";
    run(&mut raw(folder).await, invited).await;
}

/// A file as SQL, so that it can be read and is the same everywhere.
async fn dump(file: &mut SqliteConnection) -> String {
    let made = "SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB '*_search_data' AND name NOT GLOB '*_search_idx' \
                AND name NOT GLOB '*_search_content' AND name NOT GLOB '*_search_docsize' AND name NOT GLOB '*_search_config' \
                ORDER BY type <> 'table', rowid";
    let mut lines = texts(file, made).await;
    lines.insert(0, "-- @generated: a store of this schema, to be migrated by tests; never changed.".to_owned());
    let searched = texts(file, "SELECT name FROM sqlite_schema WHERE name GLOB '*_search' AND type = 'table'").await;
    lines.extend(
        searched.iter().map(|of| format!("INSERT INTO \"{of}\" (\"{of}\", \"rank\") VALUES ('secure-delete', 1);")),
    );
    let mut all = tables(file).await;
    // With the checksums, so that a script which is changed after its release is noticed.
    let seen = ["version", "name", "sha256"].map(|column| (column.to_owned(), "TEXT".to_owned())).to_vec();
    all.insert("rolekeep_schema".to_owned(), seen);
    for (table, rows) in rows(file, &all).await {
        let columns = list(&all[&table]).join(", ");
        lines.extend(rows.into_iter().map(|row| format!("INSERT INTO \"{table}\" ({columns}) VALUES ({row});")));
    }
    lines.join("\n") + "\n"
}

/// Makes fixtures of older schemas by taking steps back, where no store of that time was kept.
#[tokio::test]
#[ignore = "writes fixtures"]
async fn fixtures_of_before() {
    let folder = tempfile::tempdir().unwrap();
    fill(&folder).await;
    run(&mut raw(&folder).await, "UPDATE commits SET events = NULL").await;
    loop {
        let version = i64::from(steps(&folder).status().await.unwrap().version);
        if [37, 36, 35, 29].contains(&version) {
            let path = fixtures().join(format!("{version:04}.sql"));
            fs::write(path, dump(&mut raw(&folder).await).await).unwrap();
        }
        if version <= 29 {
            return;
        }
        if version == 33 {
            run(&mut raw(&folder).await, "DELETE FROM groups; DELETE FROM asset_kinds").await;
        }
        steps(&folder).down().await.unwrap();
    }
}
