//! Which columns of a host's table hold the attributes of a type.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Word};

use super::{
    SqlDialect,
    column::{Collate, Column, Stored},
    condition::{SetColumn, Tied},
    document::{DocumentPath, ELEMENTS, MEMBERS},
    text::quoted,
};
use crate::{
    model::record::Kind,
    rules::{Base, FilterAttribute, WIDEST_DURATION},
};

/// The alias of a link's table.
const LINK: &str = "rk_link";

/// Columns that no table declares and every table has: one that was forgotten would not be missed.
const HIDDEN_IN_SQLITE: &[&str] = &["rowid", "oid", "_rowid_"];
const HIDDEN_IN_POSTGRES: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Maps the attributes of a resource type to the columns of a table.
///
/// An attribute is in the column of its name, unless [`TableMapping::column`] sets another. Ids are
/// `uuid` in PostgreSQL and text in SQLite, times are integer microseconds since 1970, durations
/// integer microseconds, addresses PostgreSQL's `inet`; a set is an array in PostgreSQL and a JSON
/// array in SQLite. [The module](super) lists the requirements on the columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMapping {
    pub(super) dialect: SqlDialect,
    qualifier: String,
    columns: BTreeMap<String, ColumnMapping>,
    ids: IdStorage,
    times: TimeStorage,
    pub(super) is_strict: bool,
    pub(super) first_parameter: usize,
}

/// How ids are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum IdStorage {
    /// PostgreSQL's `uuid`.
    Uuid,
    /// Canonical text: 36 lower-case letters, digits and hyphens.
    Text,
    /// 16 bytes in a `BLOB` of SQLite, 3.41 or later.
    Blob,
}

/// How times are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum TimeStorage {
    /// Integer microseconds since 1970-01-01T00:00:00Z.
    Micros,
    /// PostgreSQL's `timestamptz`. An infinite one counts as absent.
    Timestamptz,
}

/// The place of one attribute in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnMapping {
    pub(super) place: Kept,
    ids: Option<IdStorage>,
    times: Option<TimeStorage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Column(String),
    Json { column: String, keys: Vec<String> },
    Link { table: String, from: String, own: String, to: String },
}

impl ColumnMapping {
    /// A column of this name.
    pub fn named(column: impl Into<String>) -> Self {
        Self { place: Kept::Column(column.into()), ids: None, times: None }
    }

    /// A member of a JSON document (`jsonb` in PostgreSQL, text in SQLite), by its keys from the
    /// outermost; without keys the document itself, which may be an array for a set. A value of another
    /// type counts as absent.
    pub fn json<K: Into<String>>(column: impl Into<String>, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        Self { place: Kept::Json { column: column.into(), keys }, ids: None, times: None }
    }

    /// A set in another table with a row for each element: the table (`schema.table` if it needs a
    /// schema), its column `from`, which holds the value of this table's column `own`, and its column `to`,
    /// which holds the element. Such a set is never absent.
    pub fn link(
        table: impl Into<String>,
        from: impl Into<String>,
        own: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        let place = Kept::Link { table: table.into(), from: from.into(), own: own.into(), to: to.into() };
        Self { place, ids: None, times: None }
    }

    /// How ids are stored here, if not as in the rest of the table.
    pub fn ids(mut self, ids: IdStorage) -> Self {
        self.ids = Some(ids);
        self
    }

    /// How times are stored here, if not as in the rest of the table.
    pub fn times(mut self, times: TimeStorage) -> Self {
        self.times = Some(times);
        self
    }
}

impl From<&str> for ColumnMapping {
    fn from(column: &str) -> Self {
        Self::named(column)
    }
}

impl From<String> for ColumnMapping {
    fn from(column: String) -> Self {
        Self::named(column)
    }
}

/// What an attribute is in SQL.
#[derive(Clone, Debug)]
pub(super) enum Mapped {
    One(Column),
    Set(SetColumn),
}

impl TableMapping {
    /// A table of PostgreSQL, by its name or alias in your query. Parameters are `$1`, `$2`, …
    ///
    /// Every column is written with this name: a bare column that does not exist could mean one of another
    /// table in the query, and in SQLite even a text, so that too many rows would pass.
    pub fn postgres(qualifier: impl Into<String>) -> Self {
        Self::new(SqlDialect::Postgres, qualifier.into(), IdStorage::Uuid)
    }

    /// A table of SQLite, by its name or alias in your query, as [`TableMapping::postgres`].
    /// Parameters are `?1`, `?2`, …
    pub fn sqlite(qualifier: impl Into<String>) -> Self {
        Self::new(SqlDialect::Sqlite, qualifier.into(), IdStorage::Text)
    }

    fn new(dialect: SqlDialect, qualifier: String, ids: IdStorage) -> Self {
        Self {
            dialect,
            qualifier,
            columns: BTreeMap::new(),
            ids,
            times: TimeStorage::Micros,
            is_strict: false,
            first_parameter: 1,
        }
    }

    /// Sets the place of an attribute: the name of another column, or a [`ColumnMapping`].
    pub fn column(mut self, attribute: impl Into<String>, column: impl Into<ColumnMapping>) -> Self {
        self.columns.insert(attribute.into(), column.into());
        self
    }

    /// Sets how ids are stored; by default `uuid` in PostgreSQL and text in SQLite.
    pub fn ids(mut self, ids: IdStorage) -> Self {
        self.ids = ids;
        self
    }

    /// Sets how times are stored; by default integer microseconds.
    pub fn times(mut self, times: TimeStorage) -> Self {
        self.times = times;
        self
    }

    /// States that columns of SQLite contain only values of their declared type, as those of a `STRICT`
    /// table do. Otherwise comparisons by order also check the type, since SQLite sorts every text after
    /// every number.
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Sets the number of the first parameter, if your query has others before; 1 by default.
    pub fn first_parameter(mut self, number: usize) -> Self {
        self.first_parameter = number;
        self
    }

    pub(super) fn place_of(&self, attribute: &str) -> Kept {
        self.columns.get(attribute).map_or_else(|| Kept::Column(attribute.to_owned()), |column| column.place.clone())
    }

    pub(super) fn ids_of(&self, attribute: &str) -> IdStorage {
        self.columns.get(attribute).and_then(|column| column.ids).unwrap_or(self.ids)
    }

    pub(super) fn has_timestamps(&self, attribute: &str) -> bool {
        self.times_of(attribute) == TimeStorage::Timestamptz
    }

    fn times_of(&self, attribute: &str) -> TimeStorage {
        self.columns.get(attribute).and_then(|column| column.times).unwrap_or(self.times)
    }

    fn sql(&self, column: &str) -> String {
        format!("{}.{}", quoted(&self.qualifier), quoted(column))
    }

    /// An attribute in SQL, or why it cannot be said exactly.
    pub(super) fn resolve(&self, attribute: &FilterAttribute) -> Result<Mapped, String> {
        let name = attribute.declared_name();
        let (ids, times) = (self.ids_of(name), self.times_of(name));
        let place = self.place_of(name);
        self.check_names(&place)?;
        let (base, is_set) = (attribute.ty.base, attribute.ty.is_set);
        match (&place, is_set) {
            (Kept::Column(name), false) => {
                Ok(Mapped::One(self.one(self.sql(name), base, ids, times, attribute.is_optional)?))
            }
            (Kept::Json { .. }, _) if !attribute.is_optional => {
                Err(format!("a document may lack it, so the policy must declare it optional: `{}?`", attribute.ty))
            }
            (Kept::Json { column, keys }, false) => {
                let place = DocumentPath { dialect: self.dialect, column: &self.sql(column), keys };
                Ok(Mapped::One(place.one(base)?))
            }
            (Kept::Json { column, keys }, true) => Ok(Mapped::Set(self.elements(column, keys, base)?)),
            (Kept::Column(name), true) if self.dialect == SqlDialect::Sqlite => {
                Ok(Mapped::Set(self.elements(name, &[], base)?))
            }
            (Kept::Column(name), true) => match (base, times) {
                (Base::Duration | Base::Ip, _) | (Base::Time, TimeStorage::Timestamptz) => {
                    Err(format!("an array of {} cannot be compared exactly; use a table of them", base.name()))
                }
                _ => Ok(Mapped::Set(SetColumn::Array(self.one(self.sql(name), base, ids, times, true)?))),
            },
            (Kept::Link { table, from, own, to }, true) => {
                let table: Vec<String> = table.split('.').map(quoted).collect();
                let element = format!("{LINK}.{}", quoted(to));
                Ok(Mapped::Set(SetColumn::Linked(Tied {
                    from_clause: format!("{} AS {LINK}", table.join(".")),
                    from: format!("{LINK}.{}", quoted(from)),
                    is_from_nullable: true,
                    to: self.one(element, base, ids, times, true)?,
                    own: self.sql(own),
                    is_own_nullable: true,
                    is_common: false,
                })))
            }
            (Kept::Link { .. }, false) => {
                Err("a link gives a set of values, and this attribute is a single value".to_owned())
            }
        }
    }

    fn elements(&self, column: &str, keys: &[String], base: Base) -> Result<SetColumn, String> {
        let place = DocumentPath { dialect: self.dialect, column: &self.sql(column), keys };
        let (is_array, from, element) = place.elements(base)?;
        Ok(SetColumn::Json { is_array, from, element })
    }

    /// Names are quoted, so they may hold anything but NUL; keys of documents not what quotes them.
    fn check_names(&self, place: &Kept) -> Result<(), String> {
        let (own, others): (&str, Vec<&str>) = match place {
            Kept::Column(name) => (name, Vec::new()),
            Kept::Json { column, keys } => {
                let is_wrong = |key: &&String| {
                    key.is_empty() || key.chars().any(|letter| letter.is_control() || "\"\\".contains(letter))
                };
                if let Some(key) = keys.iter().find(is_wrong) {
                    return Err(format!("the key {key:?} of a document cannot be written in a path"));
                }
                (column, Vec::new())
            }
            Kept::Link { table, from, own, to } => (own, table.split('.').chain([from.as_str(), to]).collect()),
        };
        let qualifier = self.qualifier.as_str();
        if let Some(name) = others.iter().chain([&own, &qualifier]).find(|name| name.is_empty() || name.contains('\0'))
        {
            return Err(format!("{name:?} names no column or table"));
        }
        // SQLite does not tell capital letters from small ones.
        if [LINK, ELEMENTS, MEMBERS].iter().any(|taken| taken.eq_ignore_ascii_case(qualifier)) {
            return Err(format!("the qualifiers {LINK}, {ELEMENTS} and {MEMBERS} are taken"));
        }
        let hidden = match self.dialect {
            SqlDialect::Sqlite => HIDDEN_IN_SQLITE,
            SqlDialect::Postgres => HIDDEN_IN_POSTGRES,
        };
        match others.iter().chain([&own]).find(|name| hidden.iter().any(|hidden| hidden.eq_ignore_ascii_case(name))) {
            Some(name) => Err(format!("{name:?} is a hidden column of every table")),
            None => Ok(()),
        }
    }

    /// A plain column.
    fn one(
        &self,
        sql: String,
        base: Base,
        ids: IdStorage,
        times: TimeStorage,
        is_nullable: bool,
    ) -> Result<Column, String> {
        let is_postgres = self.dialect == SqlDialect::Postgres;
        let (kind, stored) = match (base, ids, times) {
            (Base::Bool, ..) => (Kind::Bool, Stored::Bool),
            (Base::Int | Base::Duration, ..) => (Kind::Int, Stored::Int),
            (Base::String, ..) => (Kind::Text, Stored::Text),
            (Base::Id, IdStorage::Text, _) => (Kind::Id, Stored::IdText),
            (Base::Id, IdStorage::Uuid, _) if is_postgres => (Kind::Id, Stored::Uuid),
            (Base::Id, IdStorage::Blob, _) if !is_postgres => (Kind::Id, Stored::Blob),
            (Base::Id, ids, _) => return Err(format!("{:?} has no ids stored as {ids:?}", self.dialect)),
            (Base::Time, _, TimeStorage::Micros) => (Kind::Time, Stored::Int),
            (Base::Time, ..) if is_postgres => (Kind::Time, Stored::Timestamptz),
            (Base::Time, ..) => return Err("SQLite has no type `timestamptz`".to_owned()),
            (Base::Ip, ..) if is_postgres => (Kind::Text, Stored::Inet),
            (Base::Ip, ..) => {
                return Err("SQLite has no type for addresses, and their texts have many forms: a rule that reads it \
                            can decide, but not list"
                    .to_owned());
            }
        };
        let is_typed = match (self.dialect, stored, base) {
            (SqlDialect::Postgres, Stored::Timestamptz, _) => Some(format!("isfinite({sql})")),
            (SqlDialect::Postgres, Stored::Inet, _) => {
                Some(format!("masklen({sql}) = CASE family({sql}) WHEN 4 THEN 32 ELSE 128 END"))
            }
            (SqlDialect::Sqlite, Stored::Bool, _) if !self.is_strict => Some(format!("{sql} IN (0, 1)")),
            (SqlDialect::Sqlite, Stored::Int, _) if !self.is_strict => Some(format!("typeof({sql}) = 'integer'")),
            (SqlDialect::Sqlite, Stored::Blob, _) if !self.is_strict => Some(format!("typeof({sql}) = 'blob'")),
            (SqlDialect::Sqlite, _, _) if !self.is_strict => Some(format!("typeof({sql}) = 'text'")),
            _ => None,
        };
        let is_typed = match (base, is_typed) {
            (Base::Duration, is_typed) => {
                let and = is_typed.map(|is_typed| format!(" AND {is_typed}")).unwrap_or_default();
                Some(format!("{sql} BETWEEN -{WIDEST_DURATION} AND {WIDEST_DURATION}{and}"))
            }
            (_, is_typed) => is_typed,
        };
        let collate = match (stored, self.dialect) {
            (Stored::Text, SqlDialect::Postgres) => Collate::WhereOrdered,
            (Stored::Text, SqlDialect::Sqlite) => Collate::Everywhere,
            _ => Collate::Nowhere,
        };
        Ok(Column { sql, kind, stored, is_nullable, is_typed, collate })
    }
}
