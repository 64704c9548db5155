//! Our own tables, as conditions see them.

use super::{
    SEARCH_TEXT, SqlDialect,
    column::{Collate, Column, Stored},
    condition::{Names, SetColumn, Tied},
    document::ELEMENTS,
    text::quoted,
};
use crate::{
    model::{
        attributes,
        error::{Error, Reason, Result},
        predicate::Link,
        record::{self, Kind, Table},
    },
    storage::ChangeSet,
};

/// The tables that a database has.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Tables(pub(in crate::storage) Vec<&'static Table>);

impl Tables {
    fn named(&self, name: &str) -> Option<&'static Table> {
        self.0.iter().copied().find(|table| table.name == name)
    }

    /// Refuses a table that the database does not have.
    pub(in crate::storage) fn require(&self, table: &Table) -> Result<()> {
        let fault = || Error::new(Reason::Internal, format!("the storage has no table {}", table.name));
        self.named(table.name).map(|_| ()).ok_or_else(fault)
    }

    /// The same of all tables of a change set.
    pub(in crate::storage) fn require_all(&self, change_set: &ChangeSet) -> Result<()> {
        let checks = change_set.checks.iter().map(|check| check.table);
        checks.chain(change_set.writes.iter().map(|write| write.table)).try_for_each(|table| self.require(table))
    }
}

/// One of them, which is asked.
pub(super) struct TableNames<'t> {
    pub(super) dialect: SqlDialect,
    pub(super) tables: &'t Tables,
    pub(super) table: &'static Table,
}

impl Names for TableNames<'_> {
    fn column(&self, name: &str) -> Option<Column> {
        match self.table.position(name) {
            Some(at) => Some(self.of(self.table.name, &self.table.columns[at])),
            None => self.member(name),
        }
    }

    fn link(&self, link: &Link) -> Option<Tied> {
        let table = self.tables.named(&link.table)?;
        let (from, to) = (&table.columns[table.position(&link.from)?], &table.columns[table.position(&link.to)?]);
        let own = self.column(&link.own).filter(|own| own.kind == from.kind)?;
        Some(Tied {
            from_clause: format!("{} AS \"l\"", quoted(table.name)),
            from: self.of("l", from).sql,
            is_from_nullable: from.nullable,
            to: self.of("l", to),
            own: own.sql,
            is_own_nullable: own.is_nullable,
            is_common: link.is_common,
        })
    }

    fn set(&self, name: &str) -> Option<SetColumn> {
        let (value, ty) = self.place(name)?;
        let ty = ty.strip_prefix("set<")?.strip_suffix('>')?;
        Some(match self.dialect {
            SqlDialect::Sqlite => SetColumn::Json {
                is_array: format!("json_type({value}) = 'array'"),
                from: format!("json_each({value}) AS {ELEMENTS}"),
                element: self.typed(format!("{ELEMENTS}.value"), ty)?,
            },
            SqlDialect::Postgres => SetColumn::Json {
                is_array: format!("jsonb_typeof({value}) = 'array'"),
                from: format!("jsonb_array_elements({value}) AS {ELEMENTS}(value)"),
                element: self.typed(format!("{ELEMENTS}.value"), ty)?,
            },
        })
    }

    fn search_text(&self) -> Option<String> {
        (!self.table.search.is_empty()).then(|| format!("{}.{}", quoted(self.table.name), quoted(SEARCH_TEXT)))
    }
}

impl TableNames<'_> {
    /// A member of the row's attributes: written by this library in the one form of its type.
    fn member(&self, name: &str) -> Option<Column> {
        let (value, ty) = self.place(name)?;
        let value = match self.dialect {
            SqlDialect::Sqlite => format!("json_extract({value})"),
            SqlDialect::Postgres => value,
        };
        self.typed(value, ty)
    }

    /// What leads to a member, as a document in PostgreSQL and as arguments of a function in SQLite, and the member's type.
    fn place<'n>(&self, name: &'n str) -> Option<(String, &'n str)> {
        let member = attributes::of_predicate(name)?;
        let document = self.of(self.table.name, &self.table.columns[attributes::position(self.table)?]).sql;
        // Names have letters, digits and underscores; types are ours.
        let name = member.replace(['\'', '"', '\\'], "");
        let value = match self.dialect {
            SqlDialect::Sqlite => format!("{document}, '$.\"{name}\"'"),
            SqlDialect::Postgres => format!("({document}::jsonb -> '{name}')"),
        };
        Some((value, attributes::parts(member).1))
    }

    /// What reads a value of this type: an SQL value in SQLite, a document in PostgreSQL.
    fn typed(&self, sql: String, ty: &str) -> Option<Column> {
        let (kind, stored) = match ty {
            "bool" => (Kind::Bool, Stored::Bool),
            "int" | "duration" => (Kind::Int, Stored::Int),
            "time" => (Kind::Time, Stored::Int),
            "id" => (Kind::Id, Stored::IdText),
            "string" => (Kind::Text, Stored::Text),
            _ => return None,
        };
        let (sql, collate) = match (self.dialect, stored) {
            (SqlDialect::Sqlite, _) => (sql, Collate::Nowhere),
            (_, Stored::Bool) => (format!("({sql})::boolean"), Collate::Nowhere),
            (_, Stored::Int) => (format!("({sql})::bigint"), Collate::Nowhere),
            _ => (format!("({sql} #>> '{{}}')"), Collate::WhereOrdered),
        };
        Some(Column { sql, kind, stored, is_nullable: true, is_typed: None, collate })
    }

    /// Made by our own migrations: strict types, compared by bytes.
    fn of(&self, qualifier: &str, column: &record::Column) -> Column {
        let stored = match (self.dialect, column.kind) {
            (_, Kind::Bool) => Stored::Bool,
            (_, Kind::Int | Kind::Time) => Stored::Int,
            (SqlDialect::Sqlite, Kind::Id) => Stored::IdText,
            (SqlDialect::Postgres, Kind::Id) => Stored::Uuid,
            (_, Kind::Text | Kind::Json) => Stored::Text,
        };
        Column {
            sql: format!("{}.{}", quoted(qualifier), quoted(column.name)),
            kind: column.kind,
            stored,
            is_nullable: column.nullable,
            is_typed: None,
            collate: Collate::Nowhere,
        }
    }
}
