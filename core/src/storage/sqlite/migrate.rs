//! The schema of a file: what version it has, and the scripts that bring it to ours.

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

#[cfg(any(test, feature = "testing"))]
use super::DIALECT;
use super::{connections::Connections, error, rows};
#[cfg(any(test, feature = "testing"))]
use crate::model::record::Table;
use crate::{
    model::error::Result,
    storage::sql::migrations::{self, Schema},
};

/// The scripts that were released, in order; a released script never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../../migrations/sqlite/0002_user_activity.sql"),
    include_str!("../../../migrations/sqlite/0003_done_requests.sql"),
    include_str!("../../../migrations/sqlite/0004_roles_by_scope.sql"),
    include_str!("../../../migrations/sqlite/0005_identities.sql"),
    include_str!("../../../migrations/sqlite/0006_credentials.sql"),
    include_str!("../../../migrations/sqlite/0007_hash_costs.sql"),
    include_str!("../../../migrations/sqlite/0008_limits.sql"),
    include_str!("../../../migrations/sqlite/0009_notices.sql"),
    include_str!("../../../migrations/sqlite/0010_factors.sql"),
    include_str!("../../../migrations/sqlite/0011_passkeys.sql"),
    include_str!("../../../migrations/sqlite/0012_mail_sign_in.sql"),
    include_str!("../../../migrations/sqlite/0013_signing_keys.sql"),
    include_str!("../../../migrations/sqlite/0014_api_keys.sql"),
    include_str!("../../../migrations/sqlite/0015_identity_epochs.sql"),
    include_str!("../../../migrations/sqlite/0016_impersonation.sql"),
    include_str!("../../../migrations/sqlite/0017_invitations.sql"),
    include_str!("../../../migrations/sqlite/0018_registrations.sql"),
    include_str!("../../../migrations/sqlite/0019_indexes_of_lists.sql"),
    include_str!("../../../migrations/sqlite/0020_former_factors.sql"),
    include_str!("../../../migrations/sqlite/0021_sessions_in_use.sql"),
    include_str!("../../../migrations/sqlite/0022_eras_of_api_keys.sql"),
    include_str!("../../../migrations/sqlite/0023_preferences.sql"),
    include_str!("../../../migrations/sqlite/0024_rows_of_one.sql"),
    include_str!("../../../migrations/sqlite/0025_deleted_users.sql"),
    include_str!("../../../migrations/sqlite/0026_user_statistics.sql"),
    include_str!("../../../migrations/sqlite/0027_sealed_audit.sql"),
    include_str!("../../../migrations/sqlite/0028_erasures.sql"),
    include_str!("../../../migrations/sqlite/0029_profiles.sql"),
    include_str!("../../../migrations/sqlite/0030_searches.sql"),
    include_str!("../../../migrations/sqlite/0031_imports.sql"),
    include_str!("../../../migrations/sqlite/0032_assets.sql"),
    include_str!("../../../migrations/sqlite/0033_groups.sql"),
    include_str!("../../../migrations/sqlite/0034_audit_times.sql"),
    include_str!("../../../migrations/sqlite/0035_attributes_of_fleets.sql"),
    include_str!("../../../migrations/sqlite/0036_groups_of_invitations.sql"),
    include_str!("../../../migrations/sqlite/0037_scopes.sql"),
    include_str!("../../../migrations/sqlite/0038_events.sql"),
];

/// The table that says which of them a file has seen.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS rolekeep_schema (version INTEGER PRIMARY KEY) STRICT";

/// This library's tables.
pub(super) fn released() -> Schema {
    Schema::released(MIGRATIONS)
}

/// These tables, made from their declarations at once.
#[cfg(any(test, feature = "testing"))]
pub(super) fn generated(tables: Vec<&'static Table>) -> Schema {
    Schema::generated(DIALECT, tables, MIGRATIONS.len())
}

/// Refuses a file that a newer version of this library has migrated.
///
/// # Errors
/// [`Reason::SchemaNewer`](crate::Reason::SchemaNewer)
pub(super) fn require_known(version: i64) -> Result<()> {
    migrations::require_known(version, migrations::newest(MIGRATIONS))
}

/// Brings a file to the schema, if it is not there yet.
pub(super) async fn run(connections: &Connections, schema: &Schema) -> Result<()> {
    let mut writer = connections.writer().await?;
    let version = version(writer.get()?).await;
    let (version, known) = (writer.settle(version)?, migrations::newest(MIGRATIONS));
    require_known(version)?;
    if !connections.is_read_only() {
        if version < known {
            connections.file.keep_private();
        }
        let logged = write_ahead(writer.get()?).await;
        writer.settle(logged)?;
    }
    if version < known {
        let migrated = migrate(writer.get()?, schema).await;
        writer.settle(migrated)?;
    }
    Ok(())
}

async fn migrate(connection: &mut SqliteConnection, schema: &Schema) -> Result<(), sqlx::Error> {
    // Who migrates a large file takes longer than others wait for a lock: a million users some 20 seconds.
    const ATTEMPTS: u32 = 60;
    for _ in 1..ATTEMPTS {
        match migrate_once(connection, schema).await {
            Err(problem) if error::is_busy(&problem) => {}
            done => return done,
        }
    }
    migrate_once(connection, schema).await
}

async fn migrate_once(connection: &mut SqliteConnection, schema: &Schema) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Asked again under the lock: another process may have been first.
    let version = version(&mut transaction).await?;
    sqlx::raw_sql(VERSIONS).execute(&mut *transaction).await?;
    for (at, script) in (1_i64..).zip(&schema.scripts).filter(|(at, _)| *at > version) {
        // Safe: scripts of this library.
        sqlx::raw_sql(AssertSqlSafe(script.clone())).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO rolekeep_schema (version) VALUES (?)").bind(at).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// The number of the newest script that a file has seen.
async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let made = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'rolekeep_schema'";
    if rows::pragma(connection, made).await? == Some(0) {
        return Ok(0);
    }
    Ok(rows::pragma(connection, "SELECT MAX(version) FROM rolekeep_schema").await?.unwrap_or_default())
}

/// Turns the write-ahead log on; a file remembers it.
async fn write_ahead(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // SQLite does not wait for locks here as it does elsewhere, so another process that does the
    // same at the same moment is waited for by taking the write lock for a moment.
    const ATTEMPTS: u32 = 100;
    for _ in 1..ATTEMPTS {
        match sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
            Err(problem) if error::is_busy(&problem) => {
                connection.begin_with("BEGIN IMMEDIATE").await?.rollback().await?;
            }
            done => return done.map(|_| ()),
        }
    }
    sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(connection).await.map(|_| ())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::Reason;
    use crate::storage::{SqliteOptions, Storage, sqlite::SqliteStorage};

    /// A change of a record is a new script, which moves what is stored.
    #[tokio::test]
    async fn the_scripts_make_the_declared_tables() {
        let generated = generated(crate::storage::tables().to_vec());
        let (scripts, declared) = (made_by(released()).await, made_by(generated).await);
        assert_eq!(scripts, declared, "a record changed: core/migrations needs a new script");
        assert!(declared.len() >= crate::storage::tables().len());
    }

    #[test]
    fn backups_know_the_schema() {
        assert_eq!(Ok(crate::storage::SCHEMA), MIGRATIONS.len().try_into(), "`SCHEMA` moves with each script");
    }

    /// What a database says its tables and indexes are.
    async fn made_by(schema: Schema) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let storage = SqliteStorage::open_with(SqliteOptions::new(folder.path().join("x.db")), schema).await.unwrap();
        let mut reader = storage.connections.reader().await.unwrap();
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let rows = sqlx::query(sql).fetch_all(reader.get().unwrap()).await.unwrap();
        let made = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        drop(reader);
        storage.close().await.unwrap();
        made
    }

    #[tokio::test]
    async fn accounts_and_sign_ins_of_the_first_schema_are_kept() {
        use crate::{
            model::{
                predicate::Predicate,
                record::Record as _,
                user::{User, UserActivity},
            },
            storage::Query,
        };
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("x.db"));
        let connections = Connections::open(&options).await.unwrap();
        let mut writer = connections.writer().await.unwrap();
        let insert = "INSERT INTO users (id, email, email_verified, status, last_login_at, created_at, updated_at, \
                      version, search_text, phone, suspended_until) \
                      VALUES ('00000000-0000-7000-8000-00000000000' || ?, ?, 1, ?, ?, 2, 3, 7, ' ada', '+49', 5)";
        let scripts = [MIGRATIONS[0], VERSIONS, "INSERT INTO rolekeep_schema (version) VALUES (1)"];
        for script in scripts {
            sqlx::raw_sql(script).execute(writer.get().unwrap()).await.unwrap();
        }
        for (id, status, at) in [(1, "active", Some(5_i64)), (2, "banned", None), (3, "deleted", Some(6))] {
            let row = sqlx::query(insert).bind(id).bind(format!("{id}@example.org")).bind(status).bind(at);
            row.execute(writer.get().unwrap()).await.unwrap();
        }
        drop(writer);
        connections.close().await.unwrap();

        let storage = SqliteStorage::open(options).await.unwrap();
        let users = storage.query(&Query::of(User::TABLE, Predicate::Always)).await.unwrap().rows;
        let users: Vec<_> = users.into_iter().map(|row| User::from_row(row).unwrap()).collect();
        assert_eq!(users.iter().map(|user| user.version).collect::<Vec<_>>(), [7, 7, 7]);
        let emails: Vec<_> = users.iter().filter_map(|user| user.email.as_deref()).collect();
        assert_eq!(emails, ["1@example.org", "2@example.org", "3@example.org"]);
        let times = |user: &User| [user.suspended_until, Some(user.created_at), Some(user.updated_at), user.deleted_at];
        let micros = times(&users[1]).map(|at| at.map(|at| at.as_microsecond()));
        assert_eq!((users[1].phone.as_deref(), micros), (Some("+49"), [Some(5), Some(2), Some(3), None]));
        let found = Query::of(User::TABLE, Predicate::Search(" ada".into()));
        assert_eq!(storage.query(&found).await.unwrap().rows.len(), 3);
        let seen = storage.query(&Query::of(UserActivity::TABLE, Predicate::Always)).await.unwrap();
        let seen = seen.rows.into_iter().map(|row| UserActivity::from_row(row).unwrap());
        let seen: Vec<_> = seen.map(|seen| (seen.user_id, seen.last_login().map(|at| at.as_microsecond()))).collect();
        assert_eq!(seen, [(users[0].id, Some(5)), (users[1].id, None), (users[2].id, None)]);
        storage.close().await.unwrap();
    }

    #[tokio::test]
    async fn regions_drones_and_assets_of_before_attributes_are_kept_and_found() {
        use crate::{
            model::{asset::Asset, drone::Drone, predicate::Predicate, record::Record as _, region::Region},
            storage::Query,
        };
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("x.db"));
        let connections = Connections::open(&options).await.unwrap();
        let mut writer = connections.writer().await.unwrap();
        let id = |at: i32| format!("'00000000-0000-7000-8000-00000000000{at}'");
        let (east, region, drone, asset) = (id(1), id(1), id(2), id(3));
        let rows = format!(
            "INSERT INTO regions (id, code, name, status, created_at, updated_at, version, search_text)
               VALUES ({region}, 'east', 'East', 'ACTIVE', 1, 2, 3, ' east');
             INSERT INTO drones (id, code, model, status, region_id, created_at, updated_at, version, search_text)
               VALUES ({drone}, 'd-1', 'FlyOS_MQ5', 'STANDBY', {east}, 1, 2, 3, ' d-1');
             INSERT INTO assets (id, kind, code, model, status, region_id, created_at, updated_at, version)
               VALUES ({asset}, 'vehicle', 't-1', 'Truck', 'READY', {east}, 1, 2, 3);"
        );
        let seen = (1..35).map(|at| format!("INSERT INTO rolekeep_schema (version) VALUES ({at});"));
        let scripts: Vec<String> =
            MIGRATIONS[..34].iter().chain([&VERSIONS]).map(|script| (*script).to_owned()).collect();
        for script in scripts.into_iter().chain(seen).chain([rows]) {
            sqlx::raw_sql(AssertSqlSafe(script)).execute(writer.get().unwrap()).await.unwrap();
        }
        drop(writer);
        connections.close().await.unwrap();

        let storage = SqliteStorage::open(options).await.unwrap();
        let of = async |query: Query| storage.query(&query).await.unwrap().rows;
        let region = Region::from_row(of(Query::of(Region::TABLE, Predicate::Always)).await.remove(0)).unwrap();
        let drone = Drone::from_row(of(Query::of(Drone::TABLE, Predicate::Always)).await.remove(0)).unwrap();
        let asset = Asset::from_row(of(Query::of(Asset::TABLE, Predicate::Always)).await.remove(0)).unwrap();
        assert_eq!((&*region.code, &*region.name, region.version, region.attributes), ("east", "East", 3, None));
        assert_eq!((&*drone.code, drone.region_id, drone.version, drone.attributes), ("d-1", Some(region.id), 3, None));
        assert_eq!((&*asset.code, &*asset.kind, asset.region_id), ("t-1", "vehicle", Some(region.id)));
        assert_eq!((asset.version, asset.attributes), (3, None));
        // The index of the searches goes on: each is found once, by the text of now.
        let mut writer = storage.connections.writer().await.unwrap();
        let changes = "UPDATE regions SET search_text = ' orient'; UPDATE drones SET search_text = ' e-1'";
        sqlx::raw_sql(changes).execute(writer.get().unwrap()).await.unwrap();
        drop(writer);
        for (table, text, found) in [
            (Region::TABLE, "orient", 1),
            (Region::TABLE, "east", 0),
            (Drone::TABLE, "e-1", 1),
            (Drone::TABLE, "d-1", 0),
        ] {
            assert_eq!(of(Query::of(table, Predicate::Search(text.into()))).await.len(), found, "{text}");
        }
        storage.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("x.db"));
        let storage = SqliteStorage::open(options.clone()).await.unwrap();
        let mut writer = storage.connections.writer().await.unwrap();
        sqlx::query("INSERT INTO rolekeep_schema VALUES (999)").execute(writer.get().unwrap()).await.unwrap();
        drop(writer);
        storage.close().await.unwrap();
        let error = SqliteStorage::open(options).await.err().unwrap();
        assert_eq!(error.reason(), Reason::SchemaNewer);
    }
}
