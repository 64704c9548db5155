//! Declarations as `CREATE` statements.

#[cfg(feature = "postgres")]
use sea_query::PostgresQueryBuilder;
#[cfg(feature = "sqlite")]
use sea_query::SqliteQueryBuilder;
use sea_query::{ColumnDef, Index, Table as Sql};

#[cfg(feature = "sqlite")]
use super::search::Index as SearchIndex;
use super::{SEARCH_TEXT, derived::Derived, dialect::Dialect, text::quoted};
use crate::model::record::{Kind, Table};
#[cfg(feature = "postgres")]
use crate::{model::record::Record as _, storage::CommitRecord};

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
    for derived in Derived::of(table) {
        create.col(definition(dialect, derived.name(), Kind::Text, false));
    }
    let mut key = Index::create();
    for at in table.key {
        key.col(table.columns[*at].name);
    }
    create.primary_key(&mut key).extra(dialect.table_options(table));
    let created = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => create.to_string(SqliteQueryBuilder),
        #[cfg(feature = "postgres")]
        Dialect::Postgres => create.to_string(PostgresQueryBuilder),
    };
    let mut statements = vec![laid_out(&created)];
    statements.extend(table.indexes.iter().map(|columns| index(dialect, table, columns)));
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => statements.extend(SearchIndex::of(table).iter().flat_map(|index| searched(table, index))),
        // Where the extension for it is there, an index of search texts is made beside the schema.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {}
    }
    statements
}

/// The index of a table's search texts, and what keeps it as they are.
///
/// It has no text of its own: what is removed from it is told by the text of before, which the triggers have.
#[cfg(feature = "sqlite")]
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
fn index(dialect: Dialect, table: &'static Table, columns: &[usize]) -> String {
    let name = |at: &usize| table.column(*at).name;
    let names: Vec<&str> = columns.iter().map(name).collect();
    let index_name = format!("{}_by_{}", table.name, names.join("_"));
    let columns = columns.iter().chain(table.key.iter().filter(|at| !columns.contains(at)));
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let mut index = Index::create();
            index.name(index_name).table(table.name);
            for at in columns {
                index.col(name(at));
            }
            index.to_string(SqliteQueryBuilder)
        }
        // Walked backwards it has nulls last. The builder has no word for that.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let column = |at: &usize| match table.column(*at).nullable {
                true => format!("{} NULLS FIRST", quoted(name(at))),
                false => quoted(name(at)),
            };
            let columns = columns.map(column).collect::<Vec<_>>().join(", ");
            // Each commit stands in one lane alone.
            let (unique, columns) = match table.name == CommitRecord::TABLE.name {
                true => (" UNIQUE", quoted("id")),
                false => ("", columns),
            };
            format!("CREATE{unique} INDEX {} ON {} ({columns})", quoted(&index_name), quoted(table.name))
        }
    }
}

fn definition(dialect: Dialect, name: &'static str, kind: Kind, nullable: bool) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.custom(match (dialect, kind) {
        #[cfg(feature = "postgres")]
        (Dialect::Postgres, Kind::Text | Kind::Json) => "text COLLATE \"C\"",
        _ => dialect.column_type(kind),
    });
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
    /// What stands behind the columns of a table.
    fn table_options(self, table: &Table) -> &'static str {
        match (self, table.key) {
            // The key is the row's number then, and its greatest is found at once.
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, [only]) if table.columns[*only].kind == Kind::Int => "STRICT",
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, _) => "STRICT, WITHOUT ROWID",
            // Room for changed rows in the page of the row before: rows of guards change most, and are small.
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, _) => "WITH (fillfactor = 90)",
        }
    }
}
