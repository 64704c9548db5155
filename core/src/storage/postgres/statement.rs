//! A commit as one statement: what it expects is compared, and then all of it is written or nothing, in one round trip and
//! without a lock that is held over the network.
//!
//! Rows are arrays, so that the text depends on the tables and on what is done to their rows, not on how many there are: it is
//! prepared once. No builder of statements knows such, so it is written here.
//!
//! Who commits holds the one row of `lanes` until its end, and has the number of the last commit from an answer: so what the
//! statement sees is what that commit left, and nothing can come between.

use std::fmt::Write as _;

use sqlx::{Arguments as _, postgres::PgArguments};
use uuid::Uuid;

use crate::{
    model::{
        id::ChangeSetId,
        record::{Key, Kind, Table},
        value::Value,
    },
    storage::{
        Check, Write,
        ledger::number,
        sql::{SEARCH_TEXT, dialect::Dialect, quoted},
    },
};

/// What a row of the answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The commit was written before, at this position.
    Before(i64),
    /// The newest commit is another one.
    Moved(i64),
    /// The expectation of this number does not hold.
    Stale(usize),
    /// All is written.
    Written,
    /// A newer library has migrated the schema.
    Schema(i64),
}

impl Answer {
    /// From the two columns of a row.
    pub(super) fn of(kind: i32, value: i64) -> Option<Self> {
        Some(match kind {
            0 => Self::Before(value),
            1 => Self::Moved(value),
            2 => Self::Stale(value.try_into().ok()?),
            3 => Self::Written,
            4 => Self::Schema(value),
            _ => return None,
        })
    }
}

/// What is done to rows of one table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Check,
    Insert,
    Update,
    Delete,
}

/// A row, the version that is expected of it, and the place of the expectation among all.
struct Row<'c> {
    key: &'c Key,
    expected: Option<i64>,
    row: Option<&'c crate::storage::Row>,
    place: usize,
}

/// A statement with its parameters.
pub(super) struct Commit {
    pub(super) text: String,
    pub(super) arguments: PgArguments,
}

/// The statement that follows the commit of this position, with the expectations of all checks and writes numbered in their order.
pub(super) fn commit(
    id: ChangeSetId,
    (position, last): (i64, ChangeSetId),
    known_schema: i64,
    checks: &[Check],
    writes: &[&Write],
) -> Result<Commit, sqlx::Error> {
    let mut groups: Vec<(&'static Table, Deed, Vec<Row<'_>>)> = Vec::new();
    let mut add = |table: &'static Table, deed: Deed, row| {
        match groups.iter_mut().find(|(of, what, _)| of.name == table.name && *what == deed) {
            Some((_, _, rows)) => rows.push(row),
            None => groups.push((table, deed, vec![row])),
        };
    };
    for (place, check) in checks.iter().enumerate() {
        let row = Row { key: &check.key, expected: check.expected, row: None, place };
        add(check.table, Deed::Check, row);
    }
    for (place, write) in (checks.len()..).zip(writes) {
        let deed = match (&write.row, write.expected) {
            (Some(_), None) => Deed::Insert,
            (Some(_), Some(_)) => Deed::Update,
            (None, _) => Deed::Delete,
        };
        add(write.table, deed, Row { key: &write.key, expected: write.expected, row: write.row.as_ref(), place });
    }
    // The same commit has the same text, in whatever order it was planned.
    groups.sort_by_key(|(table, deed, _)| (table.name, *deed));
    let changed: usize = groups.iter().filter(|(_, deed, _)| *deed != Deed::Check).map(|(_, _, rows)| rows.len()).sum();

    let mut writer = Writer { text: String::new(), arguments: PgArguments::default(), count: 0 };
    let seen = [writer.bind(position, "bigint")?, writer.bind(id.0, "uuid")?, writer.bind(known_schema, "bigint")?];
    let last_id = writer.bind(last.0, "uuid")?;
    let changed = writer.bind(number(changed as u64), "bigint")?;
    let [last, id, schema] = &seen;
    writer.put("WITH lane AS MATERIALIZED (SELECT seq FROM lanes WHERE lane = 0 FOR UPDATE), ");
    // By its id, too: a server that has lost commits gives their numbers to others.
    writer.put(&format!(
        "known AS MATERIALIZED (SELECT seq FROM lane WHERE seq = {last} \
         AND ({last} = 0 OR EXISTS (SELECT FROM commits WHERE position = {last} AND id = {last_id}))), "
    ));
    writer.put(&format!("made AS MATERIALIZED (SELECT position FROM commits WHERE id = {id}), "));
    writer.put(&format!("newer AS MATERIALIZED (SELECT version FROM rolekeep_schema WHERE version > {schema})"));
    let (mut stale, mut written) = (Vec::new(), Vec::new());
    let mut deeds = String::new();
    for (at, (table, deed, rows)) in groups.iter().enumerate() {
        let given = format!("g{at}");
        writer.put(&format!(", {given} AS MATERIALIZED ("));
        writer.rows(table, *deed, rows)?;
        writer.put(")");
        let (of, same) = (quoted(table.name), same_key(table, "t", &given));
        let version = quoted(table.columns[table.version].name);
        stale.push(match deed {
            Deed::Insert => format!("SELECT {given}.place FROM {given} JOIN {of} AS t ON {same}"),
            _ => format!(
                "SELECT {given}.place FROM {given} LEFT JOIN {of} AS t ON {same} \
                 WHERE t.{version} IS DISTINCT FROM {given}.expected"
            ),
        });
        let clean = "EXISTS (SELECT FROM clean)";
        let seen = format!("{same} AND t.{version} = {given}.expected AND {clean}");
        let names = || column_names(table);
        let deed = match deed {
            Deed::Check => continue,
            Deed::Insert => {
                let names = names().collect::<Vec<_>>().join(", ");
                format!("INSERT INTO {of} ({names}) SELECT {names} FROM {given} WHERE {clean}")
            }
            Deed::Update => {
                let is_key = |name: &String| table.key.iter().any(|at| quoted(table.columns[*at].name) == *name);
                let sets = names().filter(|name| !is_key(name)).map(|name| format!("{name} = {given}.{name}"));
                let sets = sets.collect::<Vec<_>>().join(", ");
                format!("UPDATE {of} AS t SET {sets} FROM {given} WHERE {seen}")
            }
            Deed::Delete => format!("DELETE FROM {of} AS t USING {given} WHERE {seen}"),
        };
        // Writing to a text does not fail.
        let _ = write!(deeds, ", w{at} AS ({deed} RETURNING 1)");
        written.push(format!("(SELECT count(*) FROM w{at})"));
    }
    stale.push("SELECT NULL::bigint AS place WHERE false".to_owned());
    writer.put(&format!(", stale AS MATERIALIZED ({}), ", stale.join(" UNION ALL ")));
    writer.put(
        "clean AS MATERIALIZED (SELECT 1 WHERE EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM made) \
         AND NOT EXISTS (SELECT FROM newer) AND NOT EXISTS (SELECT FROM stale))",
    );
    writer.put(&deeds);
    // A row too few, of which a trigger of somebody else may be the reason, divides by zero, which undoes all.
    let written = if written.is_empty() { "0".to_owned() } else { written.join(" + ") };
    writer.put(&format!(
        ", moved AS (UPDATE lanes SET seq = {last} + 1 / (CASE WHEN {written} = {changed} THEN 1 ELSE 0 END) \
         WHERE lane = 0 AND EXISTS (SELECT FROM clean) RETURNING seq) \
         SELECT 0 AS kind, position AS value FROM made UNION ALL \
         SELECT 1, seq FROM lane WHERE NOT EXISTS (SELECT FROM known) UNION ALL \
         SELECT 2, place FROM stale UNION ALL SELECT 3, seq FROM moved UNION ALL SELECT 4, version FROM newer"
    ));
    Ok(Commit { text: writer.text, arguments: writer.arguments })
}

fn same_key(table: &Table, left: &str, right: &str) -> String {
    let parts = table.key.iter().map(|at| quoted(table.columns[*at].name));
    parts.map(|name| format!("{left}.{name} = {right}.{name}")).collect::<Vec<_>>().join(" AND ")
}

fn column_names(table: &Table) -> impl Iterator<Item = String> {
    let search = (!table.search.is_empty()).then_some(SEARCH_TEXT);
    table.columns.iter().map(|column| column.name).chain(search).map(quoted)
}

struct Writer {
    text: String,
    arguments: PgArguments,
    count: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Binds a parameter; gives what stands for it.
    fn bind<'q, T>(&mut self, value: T, ty: &str) -> Result<String, sqlx::Error>
    where
        T: 'q + Send + sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.arguments.add(value).map_err(sqlx::Error::Encode)?;
        self.count += 1;
        Ok(format!("${}::{ty}", self.count))
    }

    /// Selects rows of a table, each column from an array of its own.
    fn rows(&mut self, table: &'static Table, deed: Deed, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
        let mut arrays = Vec::new();
        let mut names = Vec::new();
        if matches!(deed, Deed::Insert | Deed::Update) {
            for (at, column) in table.columns.iter().enumerate() {
                arrays.push(self.array(column.kind, rows.iter().map(|row| row.row.map(|row| &row.0[at])))?);
            }
            if !table.search.is_empty() {
                let texts: Vec<_> = rows.iter().map(|row| row.row.map(|row| table.search_text(row))).collect();
                arrays.push(self.bind(texts, "text[]")?);
            }
            names.extend(column_names(table));
        } else {
            for (part, at) in table.key.iter().enumerate() {
                let column = &table.columns[*at];
                arrays.push(self.array(column.kind, rows.iter().map(|row| row.key.0.get(part)))?);
                names.push(quoted(column.name));
            }
        }
        arrays.push(self.bind(rows.iter().map(|row| row.expected).collect::<Vec<_>>(), "bigint[]")?);
        arrays.push(self.bind(rows.iter().map(|row| number(row.place as u64)).collect::<Vec<_>>(), "bigint[]")?);
        names.extend(["expected", "place"].map(str::to_owned));
        self.put(&format!("SELECT * FROM unnest({}) AS g ({})", arrays.join(", "), names.join(", ")));
        Ok(())
    }

    fn array<'v>(
        &mut self,
        kind: Kind,
        values: impl Iterator<Item = Option<&'v Value>>,
    ) -> Result<String, sqlx::Error> {
        let ty = format!("{}[]", Dialect::Postgres.column_type(kind));
        match kind {
            Kind::Bool => self.bind(values.map(|value| value.and_then(as_bool)).collect::<Vec<_>>(), &ty),
            Kind::Int | Kind::Time => self.bind(values.map(|value| value.and_then(as_int)).collect::<Vec<_>>(), &ty),
            Kind::Id => self.bind(values.map(|value| value.and_then(as_id)).collect::<Vec<_>>(), &ty),
            Kind::Text | Kind::Json => self.bind(values.map(|value| value.and_then(as_text)).collect::<Vec<_>>(), &ty),
        }
    }
}

fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(bool) => Some(*bool),
        _ => None,
    }
}

fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) | Value::Time(int) => Some(*int),
        _ => None,
    }
}

fn as_id(value: &Value) -> Option<Uuid> {
    match value {
        Value::Id(id) => Some(*id),
        _ => None,
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Json(text) => Some(text.to_string()),
        _ => None,
    }
}
