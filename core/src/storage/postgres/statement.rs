//! A commit as one statement: what it expects is compared, and then all of it is written or nothing, in one round trip and
//! without a lock that is held over the network.
//!
//! The rows of a table are one array a column, so that the text depends on the tables, on what is done to their rows and on whether it is
//! one or several, not on how many: it is prepared once. A row that is alone, as most are, is written out, and the planner puts its values
//! where they are used: what the server does for each part of a statement is most of what a commit costs it. sea-query builds no such
//! deletes, and no rows of several arrays, so the text is written here.
//!
//! Other commits run at the same time. What one relies on is locked before it is compared, so that nobody changes it until the end:
//! gaps first, then rows, table by table and key by key, then the lane; whoever waits here goes on with the newest rows, not with
//! those of when the statement began. Where two must not both take place one waits, and then finds what it expected changed.
//!
//! A row that is not there cannot be locked. So keys fall into buckets, the rows of `gaps`: who relies on a row not being there locks
//! its bucket, and sees by its version whether one was added since the statement began; who adds one moves it. Versions that most
//! commits rely on ([`Guard::OF_ALL`]) stand in each lane as well: who changes one locks all lanes.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use sqlx::{Arguments as _, postgres::PgArguments};
use uuid::Uuid;

use crate::{
    model::{
        record::{Key, Kind, Record as _, Table},
        registry::Guard,
        value::Value,
    },
    storage::{
        ChangeSet, Check, LanePosition, Write,
        ledger::number,
        sql::{derived::Derived, dialect::Dialect, quoted},
    },
};

/// What a row of the answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The commit was written before, with this line in the feed.
    Before(i64),
    /// The newest commit of the lane is another one.
    Moved(i64),
    /// The expectation of this number does not hold.
    Stale(usize),
    /// All is written.
    Written,
    /// The schema is another one than this library knows: it was migrated, or a step was taken back.
    Schema(i64),
    /// Since the statement began somebody added a row in the bucket of a row on whose absence this expectation relies.
    Crowded(usize),
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
            5 => Self::Crowded(value.try_into().ok()?),
            _ => return None,
        })
    }
}

/// What is done to rows of one table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// They are not there.
    Miss,
    Check,
    Insert,
    Update,
    Delete,
    /// Like `Insert` and `Update`, of rows that only commits of the lane write: the lane is held, so nobody else does.
    Append,
    Replace,
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

/// What a commit follows.
pub(super) struct Behind {
    /// The newest commit of its lane.
    pub(super) last: LanePosition,
    /// The newest schema that this library knows.
    pub(super) schema: i64,
}

/// How many rows `gaps` has.
pub(super) const GAPS: u16 = 1024;

/// So long a lane is left to who used it last, in microseconds.
const LEASE: i64 = 60_000_000;

/// What a commit does, by table and deed.
#[derive(Default)]
struct Parts<'c> {
    groups: Vec<(&'static Table, Deed, Vec<Row<'c>>)>,
    /// What is expected of guards that stand in each lane, and the place of that among all.
    of_all: Vec<(&'static str, i64, usize)>,
    /// Their versions from now on.
    moved: Vec<(&'static str, i64)>,
    /// Buckets that must stay as they are.
    kept: BTreeSet<i64>,
    /// Buckets of rows that are added.
    filled: BTreeSet<i64>,
}

impl<'c> Parts<'c> {
    fn new(checks: &'c [Check], writes: &'c [Write], ledger: &'c [Write]) -> Self {
        let mut parts = Self::default();
        for (place, check) in checks.iter().enumerate() {
            if let Some(name) = of_all(check.table, &check.key) {
                parts.of_all.push((name, check.expected.unwrap_or_default(), place));
                continue;
            }
            let deed = if check.expected.is_some() { Deed::Check } else { Deed::Miss };
            if deed == Deed::Miss {
                parts.kept.insert(bucket(check.table, &check.key));
            }
            parts.add(check.table, deed, Row { key: &check.key, expected: check.expected, row: None, place });
        }
        for (place, write) in (checks.len()..).zip(writes) {
            let deed = match (&write.row, write.expected) {
                (Some(_), None) => Deed::Insert,
                (Some(_), Some(_)) => Deed::Update,
                (None, _) => Deed::Delete,
            };
            if deed == Deed::Insert && write.table.checks_absence {
                parts.filled.insert(bucket(write.table, &write.key));
            }
            if let Some(name) = of_all(write.table, &write.key) {
                parts.moved.push((name, write.row.as_ref().map_or(0, |row| write.table.version_of(row))));
            }
            let row = Row { key: &write.key, expected: write.expected, row: write.row.as_ref(), place };
            parts.add(write.table, deed, row);
        }
        for write in ledger {
            let deed = if write.expected.is_some() { Deed::Replace } else { Deed::Append };
            let row = Row { key: &write.key, expected: write.expected, row: write.row.as_ref(), place: 0 };
            parts.add(write.table, deed, row);
        }
        // The same commit has the same text, in whatever order it was planned, and all lock tables in one order.
        parts.groups.sort_by_key(|(table, deed, _)| (table.name, *deed));
        parts.of_all.sort_unstable();
        parts.moved.sort_unstable();
        parts
    }

    fn add(&mut self, table: &'static Table, deed: Deed, row: Row<'c>) {
        match self.groups.iter_mut().find(|(of, what, _)| of.name == table.name && *what == deed) {
            Some((_, _, rows)) => rows.push(row),
            None => self.groups.push((table, deed, vec![row])),
        }
    }

    /// How many rows are written.
    fn written(&self) -> usize {
        let is_written = |deed: &Deed| !matches!(deed, Deed::Miss | Deed::Check);
        self.groups.iter().filter(|(_, deed, _)| is_written(deed)).map(|(_, _, rows)| rows.len()).sum()
    }
}

/// The guard of this name, if its version stands in each lane.
fn of_all(table: &Table, key: &Key) -> Option<&'static str> {
    let name = (table.name == Guard::TABLE.name).then(|| key.0.first()?.as_text()).flatten()?;
    Guard::OF_ALL.into_iter().find(|of_all| *of_all == name)
}

/// The bucket of a key: the same for every instance, of whatever version.
fn bucket(table: &Table, key: &Key) -> i64 {
    let mut hash = Sha256::new_with_prefix(table.name);
    for part in &key.0 {
        hash.update([0]);
        match part {
            Value::Null => {}
            Value::Bool(bool) => hash.update([u8::from(*bool)]),
            Value::Int(int) | Value::Time(int) => hash.update(int.to_be_bytes()),
            Value::Id(id) => hash.update(id.as_bytes()),
            Value::Text(text) => hash.update(text),
            Value::Json(text) => hash.update(&**text),
        }
    }
    let hash = hash.finalize();
    (u16::from_be_bytes([hash[0], hash[1]]) % GAPS).into()
}

/// The statement that follows a commit, with what it adds to its lane. The expectations of all checks and writes are numbered in their
/// order.
pub(super) fn commit(change_set: &ChangeSet, behind: &Behind, ledger: &[Write]) -> Result<Commit, sqlx::Error> {
    let parts = Parts::new(&change_set.checks, &change_set.writes, ledger);
    let id = change_set.id;
    let last = behind.last;
    let mut writer = Writer { text: String::new(), arguments: PgArguments::default(), count: 0 };
    let own = writer.bind(i64::from(last.lane), "bigint")?;
    let number_of_last = writer.bind(number(last.number), "bigint")?;
    let tag_of_last = writer.bind(i64::from(last.tag), "bigint")?;
    let (id, tag) = (writer.bind(id.0, "uuid")?, writer.bind(i64::from(LanePosition::tag_of(id)), "bigint")?);
    let schema = writer.bind(behind.schema, "bigint")?;
    let written = writer.bind(number(parts.written() as u64), "bigint")?;

    writer.put(&format!("WITH made AS MATERIALIZED (SELECT position FROM commits WHERE id = {id})"));
    for (at, (table, deed, rows)) in parts.groups.iter().enumerate() {
        // One that is alone the planner puts where it is used.
        let not = if rows.len() == 1 { "NOT " } else { "" };
        writer.put(&format!(", g{at} AS {not}MATERIALIZED ("));
        writer.rows(table, *deed, rows)?;
        writer.put(")");
    }
    let mut locked = Locked::default();
    locked.gaps(&mut writer, &parts)?;
    locked.rows(&mut writer, &parts);
    let which = if parts.moved.is_empty() { format!("lane = {own}") } else { "true".to_owned() };
    let after = locked.after();
    writer.put(&format!(
        ", held AS MATERIALIZED (SELECT * FROM lanes WHERE {which}{after} ORDER BY lane FOR UPDATE), \
         own AS NOT MATERIALIZED (SELECT * FROM held WHERE lane = {own})"
    ));
    for (name, expected, place) in &parts.of_all {
        let (expected, place) = (writer.bind(*expected, "bigint")?, writer.bind(number(*place as u64), "bigint")?);
        locked.stale.push(format!("SELECT {place} FROM own WHERE {} <> {expected}", quoted(name)));
    }
    let is_known = format!("number = {number_of_last} AND tag = {tag_of_last}");
    let mut refusals = vec![("stale", 2, locked.stale), ("crowded", 5, locked.crowded)];
    refusals.retain(|(_, _, selects)| !selects.is_empty());
    let mut is_clean = format!("{is_known} AND schema = {schema} AND NOT EXISTS (SELECT FROM made)");
    for (name, _, selects) in &refusals {
        writer.put(&format!(", {name} (place) AS MATERIALIZED ({})", selects.join(" UNION ALL ")));
        is_clean += &format!(" AND NOT EXISTS (SELECT FROM {name})");
    }
    writer.put(&format!(", clean AS MATERIALIZED (SELECT FROM own WHERE {is_clean})"));
    let counts = deeds(&mut writer, &parts)?;
    // A row too few, of which a trigger of somebody else may be the reason, divides by zero, which undoes all.
    let mut sets = vec![
        ("number", format!("{number_of_last} + 1 / (CASE WHEN {counts} = {written} THEN 1 ELSE 0 END)")),
        ("tag", tag),
        ("until", format!("(extract(epoch FROM clock_timestamp()) * 1000000)::bigint + {LEASE}")),
    ];
    if !parts.moved.is_empty() {
        sets = sets
            .into_iter()
            .map(|(name, to)| (name, format!("CASE WHEN lane = {own} THEN {to} ELSE {name} END")))
            .collect();
    }
    for (name, version) in &parts.moved {
        sets.push((name, writer.bind(*version, "bigint")?));
    }
    let sets = sets.iter().map(|(name, to)| format!("{} = {to}", quoted(name))).collect::<Vec<_>>().join(", ");
    writer.put(&format!(
        ", moved AS (UPDATE lanes SET {sets} WHERE {which} AND EXISTS (SELECT FROM clean) RETURNING lane, number) \
         SELECT 0 AS kind, position AS value FROM made UNION ALL \
         SELECT 1, number FROM own WHERE NOT ({is_known}) UNION ALL \
         SELECT 3, number FROM moved WHERE lane = {own} UNION ALL \
         SELECT 4, schema FROM own WHERE schema <> {schema}"
    ));
    for (name, kind, _) in &refusals {
        writer.put(&format!(" UNION ALL SELECT {kind}, place FROM {name}"));
    }
    Ok(Commit { text: writer.text, arguments: writer.arguments })
}

/// Inserts new rows, of which none may be there.
pub(super) fn insert(table: &'static Table, rows: &[crate::storage::Row]) -> Result<Commit, sqlx::Error> {
    let mut writer = Writer { text: String::new(), arguments: PgArguments::default(), count: 0 };
    let keys: Vec<Key> = rows.iter().map(|row| table.key_of(row)).collect();
    let rows = keys.iter().zip(rows).map(|(key, row)| Row { key, expected: None, row: Some(row), place: 0 });
    let names = column_names(table).collect::<Vec<_>>().join(", ");
    writer.put(&format!("INSERT INTO {} ({names}) SELECT {names} FROM (", quoted(table.name)));
    writer.rows(table, Deed::Insert, &rows.collect::<Vec<_>>())?;
    writer.put(") AS given");
    Ok(Commit { text: writer.text, arguments: writer.arguments })
}

/// What is locked in its turn, and which expectations turn out not to hold.
#[derive(Default)]
struct Locked {
    /// Selects of places.
    stale: Vec<String>,
    /// The same of rows that may have been added.
    crowded: Vec<String>,
    /// What was locked last.
    last: Option<String>,
}

impl Locked {
    /// That this is only done behind what was locked last.
    fn after(&self) -> String {
        self.last.as_ref().map_or(String::new(), |last| format!(" AND (SELECT count(*) FROM {last}) >= 0"))
    }

    fn gaps(&mut self, writer: &mut Writer, parts: &Parts<'_>) -> Result<(), sqlx::Error> {
        let buckets: Vec<i64> = parts.kept.union(&parts.filled).copied().collect();
        if !buckets.is_empty() {
            let buckets = writer.bind(buckets, "bigint[]")?;
            writer.put(&format!(
                ", gap AS MATERIALIZED (SELECT bucket, version FROM gaps WHERE bucket = ANY({buckets}) \
                 ORDER BY bucket FOR UPDATE), \
                 grown AS MATERIALIZED (SELECT gap.bucket FROM gap JOIN gaps AS seen ON seen.bucket = gap.bucket \
                 WHERE seen.version <> gap.version)"
            ));
            self.last = Some("gap".to_owned());
        }
        for (at, _) in parts.groups.iter().enumerate().filter(|(_, (_, deed, _))| *deed == Deed::Miss) {
            // As it was when the statement began, beside what is locked.
            self.crowded.push(format!("SELECT place FROM g{at} WHERE bucket IN (SELECT bucket FROM grown)"));
        }
        Ok(())
    }

    fn rows(&mut self, writer: &mut Writer, parts: &Parts<'_>) {
        let groups: Vec<_> = parts.groups.iter().enumerate().collect();
        for of_table in groups.chunk_by(|(_, (one, ..)), (_, (other, ..))| one.name == other.name) {
            let Some((first, (table, ..))) = of_table.first() else { continue };
            let with = |deeds: &[Deed]| {
                let found = of_table.iter().filter(|(_, (_, deed, _))| deeds.contains(deed)).map(|(at, _)| *at);
                found.collect::<Vec<usize>>()
            };
            for at in with(&[Deed::Miss, Deed::Insert]) {
                let of = quoted(table.name);
                let same = same_key(table, "t", &format!("g{at}"));
                self.stale.push(format!("SELECT g{at}.place FROM g{at} JOIN {of} AS t ON {same}"));
            }
            let seen = with(&[Deed::Check, Deed::Update, Deed::Delete]);
            if seen.is_empty() {
                continue;
            }
            let keys = table.key.iter().map(|at| quoted(table.columns[*at].name)).collect::<Vec<_>>();
            let (all, ordered) =
                (keys.join(", "), keys.iter().map(|key| format!("t.{key}")).collect::<Vec<_>>().join(", "));
            let wanted = seen.iter().map(|at| format!("SELECT {all}, expected, place FROM g{at}"));
            let wanted = wanted.collect::<Vec<_>>().join(" UNION ALL ");
            // With one strength a table: who shares some of its rows and writes others would wait for those who do the same.
            let strength = if with(&[Deed::Update, Deed::Delete]).is_empty() { "SHARE" } else { "UPDATE" };
            let (of, version) = (quoted(table.name), quoted(table.columns[table.version].name));
            let (name, after) = (format!("l{first}"), self.after());
            let same = same_key(table, "t", "wanted");
            writer.put(&format!(
                ", {name} AS MATERIALIZED (SELECT wanted.place, wanted.expected, t.{version} AS seen FROM {of} AS t \
                 JOIN ({wanted}) AS wanted ON {same} WHERE true{after} ORDER BY {ordered} FOR {strength} OF t)"
            ));
            for at in seen {
                let is_as_expected = match parts.groups[at].2.len() {
                    1 => format!(
                        "EXISTS (SELECT FROM {name} WHERE {name}.place = g{at}.place AND seen = {name}.expected)"
                    ),
                    // By a set that is hashed once: a join of both would compare each with each, without an index.
                    _ => format!("place IN (SELECT place FROM {name} WHERE seen = expected)"),
                };
                self.stale.push(format!("SELECT place FROM g{at} WHERE NOT {is_as_expected}"));
            }
            self.last = Some(name);
        }
    }
}

/// Puts what is written where all is as expected; gives how many rows that were.
fn deeds(writer: &mut Writer, parts: &Parts<'_>) -> Result<String, sqlx::Error> {
    let clean = "EXISTS (SELECT FROM clean)";
    let mut counts = Vec::new();
    for (at, (table, deed, _)) in parts.groups.iter().enumerate() {
        let (of, given, same) = (quoted(table.name), format!("g{at}"), same_key(table, "t", &format!("g{at}")));
        let version = quoted(table.columns[table.version].name);
        let seen = format!("{same} AND t.{version} = {given}.expected");
        let names = || column_names(table);
        let deed = match deed {
            Deed::Miss | Deed::Check => continue,
            Deed::Insert | Deed::Append => {
                let names = names().collect::<Vec<_>>().join(", ");
                format!("INSERT INTO {of} ({names}) SELECT {names} FROM clean, {given}")
            }
            Deed::Update | Deed::Replace => {
                let is_key = |name: &String| table.key.iter().any(|at| quoted(table.columns[*at].name) == *name);
                let sets = names().filter(|name| !is_key(name)).map(|name| format!("{name} = {given}.{name}"));
                let sets = sets.collect::<Vec<_>>().join(", ");
                format!("UPDATE {of} AS t SET {sets} FROM clean, {given} WHERE {seen}")
            }
            Deed::Delete => format!("DELETE FROM {of} AS t USING clean, {given} WHERE {seen}"),
        };
        writer.put(&format!(", w{at} AS ({deed} RETURNING 1)"));
        counts.push(format!("SELECT FROM w{at}"));
    }
    if !parts.filled.is_empty() {
        let filled = writer.bind(parts.filled.iter().copied().collect::<Vec<i64>>(), "bigint[]")?;
        writer.put(&format!(
            ", filled AS (UPDATE gaps SET version = version + 1 WHERE bucket = ANY({filled}) AND {clean})"
        ));
    }
    // The feed's line at least.
    Ok(format!("(SELECT count(*) FROM ({}) AS written)", counts.join(" UNION ALL ")))
}

fn same_key(table: &Table, left: &str, right: &str) -> String {
    let parts = table.key.iter().map(|at| quoted(table.columns[*at].name));
    parts.map(|name| format!("{left}.{name} = {right}.{name}")).collect::<Vec<_>>().join(" AND ")
}

fn column_names(table: &'static Table) -> impl Iterator<Item = String> {
    let derived = Derived::of(table).map(Derived::name);
    table.columns.iter().map(|column| column.name).chain(derived).map(quoted)
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

    /// Selects rows of a table: each column from an array of its own, or the one row that there is.
    fn rows(&mut self, table: &'static Table, deed: Deed, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
        let is_alone = rows.len() == 1;
        let mut values = Vec::new();
        let mut names = Vec::new();
        if matches!(deed, Deed::Insert | Deed::Update | Deed::Append | Deed::Replace) {
            for (at, column) in table.columns.iter().enumerate() {
                let of_column = rows.iter().map(|row| row.row.map(|row| &row.0[at]));
                values.push(self.column(is_alone, column.kind, of_column)?);
            }
            for derived in Derived::of(table) {
                let texts = rows.iter().map(|row| row.row.map(|row| derived.text(row))).collect();
                values.push(self.values(is_alone, texts, "text")?);
            }
            names.extend(column_names(table));
        } else {
            for (part, at) in table.key.iter().enumerate() {
                let column = &table.columns[*at];
                values.push(self.column(is_alone, column.kind, rows.iter().map(|row| row.key.0.get(part)))?);
                names.push(quoted(column.name));
            }
        }
        // Of a row that is not there nothing is expected but that.
        let (with, name) = match deed {
            Deed::Miss => (rows.iter().map(|row| Some(bucket(table, row.key))).collect(), "bucket"),
            _ => (rows.iter().map(|row| row.expected).collect(), "expected"),
        };
        values.push(self.values(is_alone, with, "bigint")?);
        values.push(self.values(is_alone, rows.iter().map(|row| number(row.place as u64)).collect(), "bigint")?);
        names.extend([name, "place"].map(str::to_owned));
        if is_alone {
            let named = values.iter().zip(&names).map(|(value, name)| format!("{value} AS {name}"));
            self.put(&format!("SELECT {}", named.collect::<Vec<_>>().join(", ")));
        } else {
            self.put(&format!("SELECT * FROM unnest({}) AS g ({})", values.join(", "), names.join(", ")));
        }
        Ok(())
    }

    fn column<'v>(
        &mut self,
        is_alone: bool,
        kind: Kind,
        values: impl Iterator<Item = Option<&'v Value>>,
    ) -> Result<String, sqlx::Error> {
        let ty = Dialect::Postgres.column_type(kind);
        match kind {
            Kind::Bool => self.values(is_alone, values.map(|value| value.and_then(as_bool)).collect(), ty),
            Kind::Int | Kind::Time => self.values(is_alone, values.map(|value| value.and_then(as_int)).collect(), ty),
            Kind::Id => self.values(is_alone, values.map(|value| value.and_then(as_id)).collect(), ty),
            Kind::Text | Kind::Json => self.values(is_alone, values.map(|value| value.and_then(as_text)).collect(), ty),
        }
    }

    /// Binds the one value that there is, or all as an array.
    fn values<'q, T>(&mut self, is_alone: bool, mut values: Vec<T>, ty: &str) -> Result<String, sqlx::Error>
    where
        T: 'q + Send + sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
        Vec<T>: sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        match values.pop_if(|_| is_alone) {
            Some(value) => self.bind(value, ty),
            None => self.bind(values, &format!("{ty}[]")),
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
