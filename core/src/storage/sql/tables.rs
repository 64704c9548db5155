//! Our own tables, as conditions see them.

use super::{
    SEARCH_TEXT,
    column::{Collate, Column, Stored},
    condition::{Names, SetColumn, Tied},
    text::quoted,
};
use crate::model::{
    predicate::Link,
    record::{self, Kind, Table},
};

/// The tables that a database has.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Tables(pub(in crate::storage) Vec<&'static Table>);

impl Tables {
    fn named(&self, name: &str) -> Option<&'static Table> {
        self.0.iter().copied().find(|table| table.name == name)
    }

    pub(in crate::storage) fn has(&self, table: &Table) -> bool {
        self.named(table.name).is_some()
    }
}

/// One of them, which is asked.
pub(super) struct Asked<'t> {
    pub(super) tables: &'t Tables,
    pub(super) table: &'static Table,
}

impl Names for Asked<'_> {
    fn column(&self, name: &str) -> Option<Column> {
        Some(of(self.table.name, &self.table.columns[self.table.position(name)?]))
    }

    fn link(&self, link: &Link) -> Option<Tied> {
        let table = self.tables.named(&link.table)?;
        let (from, to) = (&table.columns[table.position(&link.from)?], &table.columns[table.position(&link.to)?]);
        let own = self.column(&link.own).filter(|own| own.kind == from.kind)?;
        Some(Tied {
            from_clause: format!("{} AS \"l\"", quoted(table.name)),
            from: of("l", from).sql,
            is_from_nullable: from.nullable,
            to: of("l", to),
            own: own.sql,
            is_own_nullable: own.is_nullable,
            is_common: link.is_common,
        })
    }

    fn set(&self, _: &str) -> Option<SetColumn> {
        None
    }

    fn search_text(&self) -> Option<String> {
        (!self.table.search.is_empty()).then(|| format!("{}.{}", quoted(self.table.name), quoted(SEARCH_TEXT)))
    }
}

/// Made by our own migrations: strict types, compared by bytes.
fn of(qualifier: &str, column: &record::Column) -> Column {
    let stored = match column.kind {
        Kind::Bool => Stored::Bool,
        Kind::Int | Kind::Time => Stored::Int,
        Kind::Id => Stored::IdText,
        Kind::Text | Kind::Json => Stored::Text,
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
