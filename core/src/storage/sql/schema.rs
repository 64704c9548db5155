//! Declarations as `CREATE` statements.

use sea_query::{ColumnDef, Index, SqliteQueryBuilder, Table as Sql};

use super::{SEARCH_TEXT, dialect::Dialect, search::Index as SearchIndex, text::quoted};
use crate::model::record::{Kind, Table};

/// The script that makes these tables and their indexes.
pub(in crate::storage) fn script(dialect: Dialect, tables: &[&'static Table]) -> String {
    let statements = tables.iter().flat_map(|table| create(dialect, table));
    statements.map(|statement| statement + ";\n").collect()
}

fn create(dialect: Dialect, table: &'static Table) -> Vec<String> {
    let mut create = Sql::create();
    create.table(table.name);
    for column in table.columns {
        create.col(definition(dialect, column.name, column.kind, column.nullable));
    }
    if !table.search.is_empty() {
        create.col(definition(dialect, SEARCH_TEXT, Kind::Text, false));
    }
    let mut key = Index::create();
    for at in table.key {
        key.col(table.columns[*at].name);
    }
    create.primary_key(&mut key).extra(dialect.table_options(table));
    let mut statements = vec![laid_out(&create.to_string(SqliteQueryBuilder))];
    statements.extend(table.indexes.iter().map(|columns| index(table, columns)));
    if let Some(index) = SearchIndex::of(table) {
        statements.extend(searched(table, &index));
    }
    statements
}

/// The index of a table's search texts, and what keeps it as they are.
///
/// It has no text of its own: what is removed from it is told by the text of before, which the triggers have.
fn searched(table: &'static Table, index: &SearchIndex) -> [String; 6] {
    let SearchIndex { grams, rows } = index;
    let (grams, rows, of, text) = (quoted(grams), quoted(rows), quoted(table.name), quoted(SEARCH_TEXT));
    let key = |before: &str, between: &str| {
        let columns = table.key.iter().map(|at| format!("{before}{}", quoted(table.columns[*at].name)));
        columns.collect::<Vec<_>>().join(between)
    };
    let columns = table.key.iter().map(|at| &table.columns[*at]);
    let columns: String = columns
        .map(|column| format!("  {} {} NOT NULL,\n", quoted(column.name), Dialect::Sqlite.column_type(column.kind)))
        .collect();
    let has_key = |of: &str| {
        let name = |at: &usize| quoted(table.columns[*at].name);
        table.key.iter().map(|at| format!("{0} = {of}.{0}", name(at))).collect::<Vec<_>>().join(" AND ")
    };
    let remove = format!(
        "INSERT INTO {grams} ({grams}, \"rowid\", \"text\") SELECT 'delete', \"n\", OLD.{text} FROM {rows} WHERE {};",
        has_key("OLD")
    );
    let trigger = |after: &str| quoted(&format!("{}_search_{after}", table.name));
    let (inserted, updated, deleted) = (trigger("inserted"), trigger("updated"), trigger("deleted"));
    [
        format!("CREATE TABLE {rows} (\n  \"n\" INTEGER PRIMARY KEY,\n{columns}  UNIQUE ({})\n) STRICT", key("", ", ")),
        format!(
            "CREATE VIRTUAL TABLE {grams} USING fts5 (\"text\", content = '', columnsize = 0, detail = none, \
             tokenize = 'trigram case_sensitive 1')"
        ),
        format!("INSERT INTO {grams} ({grams}, \"rank\") VALUES ('secure-delete', 1)"),
        format!(
            "CREATE TRIGGER {inserted} AFTER INSERT ON {of} BEGIN\n  INSERT INTO {rows} ({}) VALUES ({});\n  \
             INSERT INTO {grams} (\"rowid\", \"text\") VALUES (last_insert_rowid(), NEW.{text});\nEND",
            key("", ", "),
            key("NEW.", ", ")
        ),
        format!(
            "CREATE TRIGGER {updated} AFTER UPDATE OF {text} ON {of} WHEN OLD.{text} <> NEW.{text} BEGIN\n  {remove}\n  \
             INSERT INTO {grams} (\"rowid\", \"text\") SELECT \"n\", NEW.{text} FROM {rows} WHERE {};\nEND",
            has_key("NEW")
        ),
        format!(
            "CREATE TRIGGER {deleted} AFTER DELETE ON {of} BEGIN\n  {remove}\n  DELETE FROM {rows} WHERE {};\nEND",
            has_key("OLD")
        ),
    ]
}

/// The key's columns stand behind those of the index, so that it gives a total order.
fn index(table: &'static Table, columns: &[usize]) -> String {
    let name = |at: &usize| table.columns[*at].name;
    let names: Vec<&str> = columns.iter().map(name).collect();
    let mut index = Index::create();
    index.name(format!("{}_by_{}", table.name, names.join("_"))).table(table.name);
    for at in columns.iter().chain(table.key.iter().filter(|at| !columns.contains(at))) {
        index.col(name(at));
    }
    index.to_string(SqliteQueryBuilder)
}

fn definition(dialect: Dialect, name: &'static str, kind: Kind, nullable: bool) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.custom(dialect.column_type(kind));
    if !nullable {
        column.not_null();
    }
    column
}

/// A column on each line, so that a change of one is a change of one line.
fn laid_out(create: &str) -> String {
    let Some((head, rest)) = create.split_once("( ") else { return create.to_owned() };
    let Some((columns, options)) = rest.rsplit_once(" )") else { return create.to_owned() };
    // Only the key's own list has an inner comma, and it comes last.
    let (columns, key) = columns.split_once("PRIMARY KEY").unwrap_or((columns, ""));
    format!("{head}(\n  {}PRIMARY KEY{key}\n){options}", columns.replace(", ", ",\n  "))
}

impl Dialect {
    /// The type of a column.
    const fn column_type(self, kind: Kind) -> &'static str {
        match kind {
            Kind::Bool | Kind::Int | Kind::Time => "INTEGER",
            Kind::Id | Kind::Text | Kind::Json => "TEXT",
        }
    }

    /// What stands behind the columns of a table.
    fn table_options(self, table: &Table) -> &'static str {
        match table.key {
            // The key is the row's number then, and its greatest is found at once.
            [only] if table.columns[*only].kind == Kind::Int => "STRICT",
            _ => "STRICT, WITHOUT ROWID",
        }
    }
}
