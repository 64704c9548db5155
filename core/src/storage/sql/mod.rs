//! Row filters as SQL, for tables of the application.
//!
//! A policy may declare resource types whose rows are in tables of your own. [`Caller::filter`](crate::Caller::filter) gives
//! the rows that a caller may see, and [`CallerFilter::to_sql`](crate::CallerFilter::to_sql) turns it into a condition for
//! your query, so that the database pages and counts exactly the rows that [`Caller::can`](crate::Caller::can) allows. Every
//! value is a bound parameter; nothing is run here.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use rolekeep::{Policy, UserManagement, users::CreateUser};
//! use rolekeep::storage::sql::{ColumnMapping, SqlValue, TableMapping};
//!
//! let policy = Policy::from_toml(r#"
//!     permissions = ["document:list"]
//!
//!     [types.document]
//!     attributes = { owner_id = "id", level = "int?" }
//!
//!     [roles.author]
//!     allow = [{ permission = "document:list", when = "resource.owner_id == principal.id or resource.level < 3" }]
//! "#)?;
//! let um = UserManagement::builder().policy(policy).open().await?;
//! let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["author"])).await?;
//! let me = um.acting_as(ada.id).await?;
//!
//! // `SELECT … FROM documents AS d WHERE d.folder = $1 AND …`
//! let documents = TableMapping::postgres("d")
//!     .column("owner_id", "author")
//!     .column("level", ColumnMapping::json("meta", ["security", "level"]))
//!     .first_parameter(2);
//! let filter = me.filter("document:list")?.to_sql(&documents)?;
//! assert!(filter.text.starts_with(r#"("d"."author" = $2::uuid OR CASE"#), "{}", filter.text);
//! assert_eq!(filter.parameters, [SqlValue::Uuid(ada.id.0), SqlValue::Int(3)]);
//! # rolekeep::Result::<()>::Ok(()) }).unwrap();
//! ```
//!
//! # Requirements on the database
//! The condition means the same as the rules, value for value, if
//! - a column of an attribute that is not optional is `NOT NULL` (documents may lack anything, so
//!   their members must be declared optional, `int?`);
//! - times lie in the years 1 to 9999, texts contain no NUL, ids that are stored as text are canonical
//!   (lower-case, with hyphens);
//! - SQLite: version 3.38 or later (3.41 for ids in blobs), encoding UTF-8, booleans are 0 and 1;
//! - of a key that appears twice in a document the application reads the last, as JSON parsers do;
//! - PostgreSQL: version 14 or later, encoding UTF-8, text columns of type `text` or `varchar` with a
//!   deterministic collation, documents in `jsonb`.
//!
//! [`TableMapping::check_sql`] is a query that finds columns which do not meet them. A value that does not have the type of
//! its attribute counts as absent: [`TableMapping::lint`] lists the denies that such a value would keep from applying.

use rolekeep_macros::{Describe, Word};

mod check;
mod column;
mod condition;
mod document;
mod filter;
mod mapping;
mod text;

#[cfg(feature = "sql")]
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "SQLite tries several ways"))]
pub(in crate::storage) mod arms;
#[cfg(feature = "sql")]
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "SQLite tries several ways"))]
pub(in crate::storage) mod decode;
#[cfg(feature = "sql")]
pub(in crate::storage) mod derived;
#[cfg(feature = "sql")]
pub(in crate::storage) mod dialect;
#[cfg(feature = "sql")]
mod keyset;
#[cfg(feature = "sql")]
pub(crate) mod migrations;
#[cfg(feature = "sql")]
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "SQLite tries several ways"))]
pub(in crate::storage) mod page;
// PostgreSQL runs scripts alone; tests compare these with the declarations.
#[cfg(all(feature = "sql", any(feature = "sqlite", test, feature = "testing")))]
pub(in crate::storage) mod schema;
#[cfg(feature = "sql")]
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "SQLite tries several ways"))]
pub(in crate::storage) mod search;
#[cfg(feature = "sql")]
pub(in crate::storage) mod snapshot;
#[cfg(feature = "sql")]
pub(in crate::storage) mod statement;
#[cfg(feature = "sql")]
mod tables;

#[cfg(feature = "sql")]
pub(in crate::storage) use tables::Tables;
#[cfg(feature = "sql")]
pub(in crate::storage) use text::quoted;
pub use {
    filter::SqlCondition,
    mapping::{ColumnMapping, IdStorage, TableMapping, TimeStorage},
    text::SqlValue,
};

/// A dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SqlDialect {
    /// SQLite, 3.38 or later.
    Sqlite,
    /// PostgreSQL, 14 or later.
    Postgres,
}

impl SqlDialect {
    /// How many parameters a statement may have.
    const fn most_parameters(self) -> usize {
        match self {
            SqlDialect::Sqlite => 32_766,
            SqlDialect::Postgres => 65_535,
        }
    }
}

/// The column of the folded text that searches look into.
#[cfg(feature = "sql")]
pub(in crate::storage) const SEARCH_TEXT: &str = "search_text";
