//! The schema of a database: its state, and the steps forward and back.
//!
//! Opening a store migrates it, so most applications do not need this. [`Migrations`] is for those that migrate separately: with another
//! account than the application's, before a release, or with a tool that runs SQL. [The guide](crate::guide::deployment#migrations) has
//! an example.

use crate::{
    config::Config,
    model::error::{Error, Reason, Result},
    storage::sql::migrations::{Deed, Schema},
};

pub use crate::storage::sql::migrations::{Applied, Checksum, Status, Step};

/// The migrations of one database. Stores may have it open, but need not.
///
/// Any number of processes may use this at once, and may have stores open: each step is applied once.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("app.db");
/// use rolekeep::{UserManagement, migrations::Migrations, storage::SqliteOptions};
///
/// let options = SqliteOptions::new(&path).migrates(false);
/// let migrations = Migrations::sqlite(options.clone());
/// assert_eq!(migrations.status().await?.version, 0);
/// println!("{}", migrations.plan().await?);
///
/// let applied = migrations.apply().await?;
/// assert_eq!(applied.len(), migrations.status().await?.history.len());
/// let um = UserManagement::builder().sqlite_with(options).open().await?;
/// # um.close().await?;
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[must_use]
pub struct Migrations {
    database: Database,
    schema: Schema,
}

enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(crate::storage::SqliteOptions),
    #[cfg(feature = "postgres")]
    Postgres(crate::storage::PostgresOptions),
}

/// Without the options, which may hold a password.
impl std::fmt::Debug for Migrations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Migrations").finish_non_exhaustive()
    }
}

/// Runs a function of the database's module.
macro_rules! of_database {
    ($migrations:ident, $function:ident $(, $deed:expr)?) => {
        match &$migrations.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(options) => {
                crate::storage::sqlite::migrate::$function(options, &$migrations.schema $(, $deed)?).await
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(options) => {
                crate::storage::postgres::migrate::$function(options, &$migrations.schema $(, $deed)?).await
            }
        }
    };
}

impl Migrations {
    /// Those of an SQLite file.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(options: crate::storage::SqliteOptions) -> Self {
        Self { database: Database::Sqlite(options), schema: crate::storage::sqlite::migrate::released() }
    }

    /// Those of a schema of a PostgreSQL database. The account needs to own the schema, or be allowed to create it.
    #[cfg(feature = "postgres")]
    pub fn postgres(options: crate::storage::PostgresOptions) -> Self {
        Self { database: Database::Postgres(options), schema: crate::storage::postgres::migrate::released() }
    }

    /// Those of the database that a configuration names by [`Config::sqlite`] or [`Config::postgres`].
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] if it names none, or both, or one that this was built without
    pub fn of(config: &Config) -> Result<Self> {
        config.check()?;
        let refused = |message| Err(Error::new(Reason::ConfigInvalid, message));
        match (&config.sqlite, &config.postgres) {
            #[cfg(feature = "sqlite")]
            (Some(path), None) => {
                Ok(Self::sqlite(crate::storage::SqliteOptions::new(path).exclusive(config.exclusive)))
            }
            #[cfg(feature = "postgres")]
            (None, Some(url)) => {
                Ok(Self::postgres(crate::storage::PostgresOptions::new(url.expose()).schema(&config.postgres_schema)))
            }
            (None, None) => refused("no database is given whose schema could be migrated: give `sqlite` or `postgres`"),
            (Some(_), Some(_)) => refused("two databases are given: give `sqlite` or `postgres`"),
            #[cfg(not(feature = "sqlite"))]
            (Some(_), None) => refused("there is no SQLite here"),
            #[cfg(not(feature = "postgres"))]
            (None, Some(_)) => refused("there is no PostgreSQL here"),
        }
    }

    /// The state of the schema. Nothing is changed; a file that does not exist is not created, and counts as one without tables.
    ///
    /// # Errors
    /// Those of opening a store, except for [`Reason::SchemaNewer`] and [`Reason::SchemaForeign`], which are part of the result.
    pub async fn status(&self) -> Result<Status> {
        of_database!(self, status_of)
    }

    /// What [`apply`](Self::apply) would run now, as SQL for another tool: a transaction with the scripts and the statements that record
    /// them. Empty if nothing is pending. After running it, open the store with `migrates(false)`.
    ///
    /// # Errors
    /// Those of [`status`](Self::status), [`Reason::SchemaNewer`], and [`Reason::SchemaForeign`] if an applied step was a different
    /// script than in this library.
    pub async fn plan(&self) -> Result<String> {
        of_database!(self, plan_of)
    }

    /// Applies all pending steps, in one transaction, and returns them: none if another process was first.
    ///
    /// # Errors
    /// Those of [`plan`](Self::plan). Nothing is changed then.
    pub async fn apply(&self) -> Result<Vec<Step>> {
        of_database!(self, change_at, Deed::Apply)
    }

    /// Takes back the newest step, and returns it; none if none has been applied. From then on open stores, also those of other
    /// processes, fail with [`Reason::SchemaForeign`], and a store that is opened with `migrates(true)` applies the step again: close
    /// them first, and start the version of the library that has the older schema.
    ///
    /// # Errors
    /// - [`Reason::DataWouldBeLost`]: the older schema could not keep some of the stored data; the message says what
    /// - those of [`plan`](Self::plan)
    ///
    /// Nothing is changed then.
    pub async fn down(&self) -> Result<Option<Step>> {
        Ok(of_database!(self, change_at, Deed::Undo)?.pop())
    }

    /// Roles for PostgreSQL, as SQL that an administrator runs after each migration, so that the account of the application can neither
    /// alter the tables nor delete entries of the audit log. With the schema `accounts` in the database `shop`, for example:
    ///
    /// - `accounts_owner@shop` owns the tables.
    /// - `accounts_app@shop` reads and writes rows, but cannot delete entries of the audit log.
    /// - `accounts_upkeep@shop` can delete those, too: for jobs that remove old entries.
    ///
    /// The roles cannot sign in: grant one to the account of an instance (`GRANT "accounts_app@shop" TO web`), and open its store with
    /// `migrates(false)`. Erasures finish only once a store is opened by an account that is a member of the owner's role.
    ///
    /// Roles are the whole server's, so the database of the URL is part of their names, or seven digits of a hash of it where a name
    /// would be longer than 63 bytes. The SQL fails in another database. It also fails where a role exists already that can sign in, or
    /// that the schema's owner has given nothing in the schema: it may be somebody's who may create roles. After you made the database anew,
    /// drop the roles that it had. It leaves `CONNECT` on the database alone, which PostgreSQL gives everybody (`PUBLIC`).
    ///
    /// # Errors
    /// [`Reason::NotOffered`] for an SQLite file, and [`Reason::ConfigInvalid`] if the schema's name or the URL is not valid, or the
    /// database has a `$` in its name
    pub fn grants(&self) -> Result<String> {
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(_) => Err(Error::new(Reason::NotOffered, "SQLite has no roles: files have modes")),
            #[cfg(feature = "postgres")]
            Database::Postgres(options) => crate::storage::postgres::grants::text(options, &self.schema),
        }
    }

    /// With one step more, as a later version of the library may have: for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn and_then(mut self, file: &'static str, up: &'static str, down: Result<&'static str, &'static str>) -> Self {
        use crate::storage::sql::migrations::{Down, Script};
        let down = match down {
            Ok(sql) => Down::Script { sql, losing: &[] },
            Err(what) => Down::Never(what),
        };
        self.schema = self.schema.and_then(&Script { file, up, down });
        self
    }

    /// As an earlier version of the library knew it: for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn up_to(mut self, version: i64) -> Self {
        self.schema = self.schema.up_to(version);
        self
    }
}
