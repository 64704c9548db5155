//! The scripts that make and change the tables of a database, how each is taken back, and what a database says it has seen.

use serde::Serialize;
use sha2::{Digest, Sha256};

#[cfg(any(feature = "sqlite", test, feature = "testing"))]
use super::{dialect::Dialect, schema};
use crate::model::{
    error::{Error, Reason, Result},
    record::Table,
    text::hex,
    time::Time,
};

/// How far the schema of a database is, as [`Migrations::status`](crate::migrations::Migrations::status) tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The newest step that was applied; 0 where the database has no tables of this library.
    pub version: u32,
    /// The newest step that this version of the library knows. Below `version` where a newer one has migrated the database, which
    /// this one then refuses to open.
    pub newest: u32,
    /// The steps that were applied, oldest first.
    pub history: Vec<Applied>,
    /// The steps that [`Migrations::apply`](crate::migrations::Migrations::apply) would apply, in that order.
    pub pending: Vec<Step>,
}

/// A step that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// Its number.
    pub version: u32,
    /// Its name; none where it was applied before names were kept.
    pub name: Option<String>,
    /// When, by the clock of the database; none where it was applied before times were kept.
    pub applied_at: Option<Time>,
    /// Whether it is the script that this library has.
    pub checksum: Checksum,
}

/// Whether a script that was applied is the one of this number that this version of the library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Checksum {
    /// It is.
    Fits,
    /// It is not known: the script was applied before checksums were kept, or is of a newer version of the library.
    Unknown,
    /// It is not: the store does not open ([`Reason::SchemaForeign`](crate::Reason::SchemaForeign)).
    Differs,
}

/// A step from one schema to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// Its number: 1 for the first.
    pub version: u32,
    /// What it is about, such as `events`.
    pub name: String,
    /// Why it can never be taken back; none where it can, at least while nothing is stored that would be lost.
    pub irreversible: Option<String>,
}

/// A script as it is declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// The name of its file without the ending: its number, then what it is about.
    pub(crate) file: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: Down,
}

/// How a script is taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Down {
    /// By another script, unless something is stored that would be lost.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "PostgreSQL has no such script yet"))]
    Script { sql: &'static str, losing: &'static [Losing] },
    /// Not at all: this would be lost.
    Never(&'static str),
}

/// What the older schema has no place for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Losing {
    /// A table, or one with a condition: `commits WHERE events IS NOT NULL`.
    pub(crate) rows: &'static str,
    /// What these rows are to people.
    pub(crate) what: &'static str,
}

/// Declares scripts in their order. Each says how it is taken back: `undone` by `FILE.down.sql`, unless there are any of these rows; or
/// `kept`, as this would be lost.
macro_rules! scripts {
    (@ $folder:literal $file:literal undone [$($rows:literal: $what:literal),* $(,)?]) => {
        $crate::storage::sql::migrations::Down::Script {
            sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $folder, "/", $file, ".down.sql")),
            losing: &[$($crate::storage::sql::migrations::Losing { rows: $rows, what: $what }),*],
        }
    };
    (@ $folder:literal $file:literal kept [$what:literal]) => {
        $crate::storage::sql::migrations::Down::Never($what)
    };
    ($folder:literal: $($file:literal: $word:ident $rest:tt;)*) => {
        &[$($crate::storage::sql::migrations::Script {
            file: $file,
            up: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $folder, "/", $file, ".sql")),
            down: $crate::storage::sql::migrations::scripts!(@ $folder $file $word $rest),
        }),*]
    };
}
pub(crate) use scripts;

/// A script with its number.
#[derive(Clone, Debug)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) up: &'static str,
    /// Of what tables are generated from there is none.
    pub(crate) sha256: Option<String>,
    pub(crate) down: Down,
}

impl Migration {
    fn new(version: i64, script: &Script) -> Self {
        let name = script.file.split_once('_').map_or(script.file, |(_, name)| name);
        Self { version, name, up: script.up, sha256: Some(checksum(script.up)), down: script.down }
    }

    fn step(&self) -> Step {
        let irreversible = match self.down {
            Down::Script { .. } => None,
            Down::Never(what) => Some(lost(what)),
        };
        Step { version: number(self.version), name: self.name.to_owned(), irreversible }
    }

    /// As errors name it.
    fn is_called(&self) -> String {
        format!("{} ({})", self.version, self.name)
    }
}

/// Of the text without carriage returns, which some checkouts add.
fn checksum(script: &str) -> String {
    hex(&Sha256::digest(script.replace('\r', "")))
}

fn lost(what: &str) -> String {
    format!("{what} would be lost")
}

fn number(version: i64) -> u32 {
    version.try_into().unwrap_or(if version < 0 { 0 } else { u32::MAX })
}

/// What is to be done to a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A store is opened, which migrates or must not.
    Open { migrates: bool },
    /// All that is pending.
    Apply,
    /// The newest step is taken back.
    Undo,
}

/// The tables of a database and the scripts that make them.
pub(crate) struct Schema {
    pub(crate) tables: Vec<&'static Table>,
    pub(crate) migrations: Vec<Migration>,
    /// Where a database that has seen none of them is made from the declarations, which is what so many of them come to.
    #[cfg(any(feature = "sqlite", test, feature = "testing"))]
    at_once: Option<(Dialect, i64)>,
}

impl Schema {
    /// What the tables are once all scripts have run.
    pub(crate) fn version(&self) -> i64 {
        self.migrations.last().map_or(0, |newest| newest.version)
    }

    /// This library's, by the scripts that were released.
    pub(crate) fn released(scripts: &[Script]) -> Self {
        let migrations = (1..).zip(scripts).map(|(version, script)| Migration::new(version, script)).collect();
        Self {
            tables: crate::storage::tables().to_vec(),
            migrations,
            #[cfg(any(feature = "sqlite", test, feature = "testing"))]
            at_once: None,
        }
    }

    /// The same, where a new database is not made script by script, which takes several times as long.
    #[cfg(any(feature = "sqlite", test, feature = "testing"))]
    pub(in crate::storage) fn at_once(self, dialect: Dialect) -> Self {
        Self { at_once: Some((dialect, self.version())), ..self }
    }

    /// These tables instead, made from their declarations.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::storage) fn generated(dialect: Dialect, tables: Vec<&'static Table>, scripts: &[Script]) -> Self {
        let mut schema = Self { tables, ..Self::released(scripts).at_once(dialect) };
        schema.migrations.iter_mut().for_each(|migration| migration.sha256 = None);
        schema
    }

    /// With one step more, as a later version of the library may have.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn and_then(mut self, script: &Script) -> Self {
        self.migrations.push(Migration::new(self.version() + 1, script));
        self
    }

    /// As an earlier version of the library knew it.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn up_to(mut self, version: i64) -> Self {
        self.migrations.retain(|migration| migration.version <= version);
        self.at_once = None;
        self
    }

    /// Those that a database has not seen.
    pub(crate) fn pending(&self, seen: i64) -> impl Iterator<Item = &Migration> {
        self.migrations.iter().filter(move |migration| migration.version > seen)
    }

    /// The text that runs all scripts after this one, each with the line that says so. `now` is the time, in SQL.
    pub(crate) fn text_after(&self, seen: i64, now: &str) -> String {
        let (made, last) = self.made_at_once(seen);
        let texts = self.pending(seen).map(|migration| match migration.version <= last {
            true => migration.line(now),
            false => format!("\n{}\n{}", migration.up.trim_end(), migration.line(now)),
        });
        made + &texts.collect::<String>()
    }

    /// What a database that has seen so many scripts is made by at once, and up to which script it is whole then.
    #[cfg(any(feature = "sqlite", test, feature = "testing"))]
    fn made_at_once(&self, seen: i64) -> (String, i64) {
        match self.at_once.filter(|_| seen == 0) {
            Some((dialect, last)) => (schema::script(dialect, &self.tables), last),
            None => (String::new(), 0),
        }
    }

    #[cfg(not(any(feature = "sqlite", test, feature = "testing")))]
    fn made_at_once(&self, _: i64) -> (String, i64) {
        (String::new(), 0)
    }

    /// Refuses a database that another library than this one has migrated, or in which somebody else has tables that are called like ours.
    ///
    /// # Errors
    /// [`Reason::SchemaNewer`], [`Reason::SchemaForeign`]
    pub(crate) fn require_ours(&self, history: &History) -> Result<()> {
        require_known(history.version(), self.version())?;
        // SQLite tells names apart whatever their case.
        let is_taken = |name: &&String| self.tables.iter().any(|table| table.name.eq_ignore_ascii_case(name));
        if let Some(name) = history.tables.iter().find(is_taken) {
            let message = format!(
                "the database has a table `{name}` that is none of this library: give the store a file, or a schema of PostgreSQL, of its own"
            );
            return Err(Error::new(Reason::SchemaForeign, message));
        }
        match history.seen.iter().find(|seen| self.checksum_of(seen) == Checksum::Differs) {
            Some(seen) => Err(Error::new(
                Reason::SchemaForeign,
                format!(
                    "step {} of the schema was made by another script than this version of the library has",
                    seen.version
                ),
            )),
            None => Ok(()),
        }
    }

    /// Refuses to open a database that has not seen all scripts, where it is not to be migrated now.
    ///
    /// # Errors
    /// [`Reason::SchemaForeign`]
    pub(crate) fn require_current(&self, history: &History) -> Result<()> {
        require_current(history.version(), self.version())
    }

    fn checksum_of(&self, seen: &Seen) -> Checksum {
        let ours = self.migrations.iter().find(|migration| migration.version == seen.version);
        match (ours.and_then(|ours| ours.sha256.as_ref()), &seen.sha256) {
            (Some(ours), Some(theirs)) if ours == theirs => Checksum::Fits,
            (Some(_), Some(_)) => Checksum::Differs,
            _ => Checksum::Unknown,
        }
    }

    /// What a database has seen, and what it has not.
    pub(crate) fn status(&self, history: History) -> Status {
        let (version, newest) = (history.version(), self.version());
        let applied = history.seen.into_iter().map(|seen| Applied {
            checksum: self.checksum_of(&seen),
            version: number(seen.version),
            applied_at: seen.applied_at.and_then(|at| Time::from_microsecond(at).ok()),
            name: seen.name,
        });
        let pending = self.steps(|at| at > version);
        Status { version: number(version), newest: number(newest), history: applied.collect(), pending }
    }

    /// The steps of these numbers.
    pub(crate) fn steps(&self, are: impl Fn(i64) -> bool) -> Vec<Step> {
        self.migrations.iter().filter(|migration| are(migration.version)).map(Migration::step).collect()
    }

    /// How the newest script that a database has seen is taken back; none where it has seen none.
    ///
    /// # Errors
    /// [`Reason::DataWouldBeLost`], and those of [`Self::require_ours`]
    pub(crate) fn undoing(&self, history: &History) -> Result<Option<Undoing<'_>>> {
        self.require_ours(history)?;
        let version = history.version();
        let Some(migration) = self.migrations.iter().find(|migration| migration.version == version) else {
            return Ok(None);
        };
        match migration.down {
            Down::Never(what) => Err(migration.refused(what)),
            Down::Script { sql, losing } => Ok(Some(Undoing { migration, sql, losing })),
        }
    }
}

impl Migration {
    /// The statement that says that it has run.
    fn line(&self, now: &str) -> String {
        let Self { version, name, sha256, .. } = self;
        let sha256 = sha256.as_ref().map_or("NULL".to_owned(), |sum| format!("'{sum}'"));
        format!(
            "INSERT INTO rolekeep_schema (version, name, sha256, applied_at) VALUES ({version}, '{name}', {sha256}, {now});\n"
        )
    }

    fn refused(&self, what: &str) -> Error {
        let message = format!("step {} of the schema cannot be taken back: {}", self.is_called(), lost(what));
        Error::new(Reason::DataWouldBeLost, message)
    }
}

/// How a script is taken back.
pub(crate) struct Undoing<'s> {
    pub(crate) migration: &'s Migration,
    pub(crate) sql: &'static str,
    losing: &'static [Losing],
}

impl Undoing<'_> {
    /// Statements that say, as 0 or 1, whether there is anything that would be lost; each with the error for that.
    pub(crate) fn losses(&self) -> impl Iterator<Item = (String, Error)> {
        self.losing.iter().map(|Losing { rows, what }| {
            let asked = format!("SELECT CASE WHEN EXISTS (SELECT 1 FROM {rows}) THEN 1 ELSE 0 END");
            (asked, self.migration.refused(what))
        })
    }

    /// The statement that takes its line out of the table of versions.
    pub(crate) fn forget(&self) -> String {
        format!("DELETE FROM rolekeep_schema WHERE version = {}", self.migration.version)
    }
}

/// What a database says of the scripts that it has seen.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Whether there is a table for that.
    pub(crate) is_there: bool,
    /// Whether it has places for names and checksums, as it has not been made with at first.
    pub(crate) is_whole: bool,
    /// Whether a script has left something to this library that SQL cannot do, and nobody has done it yet.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "PostgreSQL has no such script yet"))]
    pub(crate) is_unfinished: bool,
    /// Oldest first.
    pub(crate) seen: Vec<Seen>,
    /// The tables that are there, where it has seen none.
    pub(crate) tables: Vec<String>,
}

/// A script that a database has seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) version: i64,
    pub(crate) name: Option<String>,
    pub(crate) sha256: Option<String>,
    /// Microseconds since 1970.
    pub(crate) applied_at: Option<i64>,
}

impl History {
    /// The newest script; 0 where there is none.
    pub(crate) fn version(&self) -> i64 {
        self.seen.last().map_or(0, |newest| newest.version)
    }
}

/// Refuses a database that a newer version of this library has migrated.
fn require_known(version: i64, known: i64) -> Result<()> {
    if version <= known {
        return Ok(());
    }
    Err(Error::new(
        Reason::SchemaNewer,
        format!("the database has schema {version}, this version of the library knows {known}: update the library"),
    ))
}

/// Refuses a database that has another schema than this one: it was migrated, or a step was taken back, while it was open.
///
/// # Errors
/// [`Reason::SchemaNewer`], [`Reason::SchemaForeign`]
pub(crate) fn require_current(version: i64, known: i64) -> Result<()> {
    require_known(version, known)?;
    if version == known {
        return Ok(());
    }
    let message = format!("the database has schema {version}, and {known} is needed: migrate it");
    Err(Error::new(Reason::SchemaForeign, message))
}

/// The number of the newest of these scripts.
pub(crate) fn newest(scripts: &[Script]) -> i64 {
    i64::try_from(scripts.len()).unwrap_or(i64::MAX)
}
