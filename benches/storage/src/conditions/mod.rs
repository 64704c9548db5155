//! The SQL of list filters beside the same conditions by hand, on a host's table with the same indexes.

mod postgres;
mod sqlite;

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use rolekeep::{
    Policy, Time,
    rules::{Context, Role, RowFilter, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal},
    storage::sql::{SqlCondition, SqlValue, TableMapping},
};
use rolekeep_lab::{
    NOW,
    stored::{Condition, Side},
};
use uuid::Uuid;

/// Rows of the table, its regions and owners.
const ROWS: u32 = 100_000;
const REGIONS: u32 = 1_000;
const OWNERS: u32 = 5_000;
/// Who asks: owner number 7.
const ME: u32 = 7;
const LEVEL: i64 = 4;

/// A row of the table.
struct Thing {
    id: Uuid,
    title: String,
    region_id: Uuid,
    owner_id: Uuid,
    status: &'static str,
    level: i64,
    is_public: bool,
    size: i64,
}

/// All rows: 100 in each region, 20 of each owner, four in five active, one in a hundred public.
fn things() -> impl Iterator<Item = Thing> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..ROWS).map(move |at| Thing {
        id: uuid::Builder::from_random_bytes(random.u128(..).to_le_bytes()).into_uuid(),
        title: format!("thing {at}"),
        region_id: region(at % REGIONS),
        owner_id: owner(random.u32(0..OWNERS)),
        status: if random.u8(0..5) == 0 { "retired" } else { "active" },
        level: random.i64(0..10),
        is_public: random.u8(0..100) == 0,
        size: random.i64(0..1_000_000),
    })
}

/// Random-looking, the same each time.
fn id(seed: u64) -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::Rng::with_seed(seed).u128(..).to_le_bytes()).into_uuid()
}

fn region(at: u32) -> Uuid {
    id(1 << 32 | u64::from(at))
}

fn owner(at: u32) -> Uuid {
    id(2 << 32 | u64::from(at))
}

/// What may be listed, and how one says so by hand.
struct Case {
    name: &'static str,
    /// The grant's condition.
    when: Option<&'static str>,
    /// In so many regions; 0: everywhere.
    regions: u32,
    /// The same in SQL.
    by_hand: fn(Dialect) -> SqlCondition,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    fn id(self, id: Uuid) -> SqlValue {
        match self {
            Dialect::Sqlite => SqlValue::Text(id.to_string()),
            Dialect::Postgres => SqlValue::Uuid(id),
        }
    }

    fn mapping(self) -> TableMapping {
        match self {
            Dialect::Sqlite => TableMapping::sqlite("things").strict(),
            Dialect::Postgres => TableMapping::postgres("things"),
        }
    }
}

/// As engineers number parameters in both databases.
fn by_hand(text: &str, parameters: Vec<SqlValue>) -> SqlCondition {
    SqlCondition { text: text.to_owned(), parameters }
}

const CASES: &[Case] = &[
    Case {
        name: "one scope",
        when: None,
        regions: 1,
        by_hand: |dialect| by_hand("region_id = $1", vec![dialect.id(region(0))]),
    },
    Case {
        name: "64 scopes",
        when: None,
        regions: 64,
        by_hand: |dialect| {
            let numbers: Vec<String> = (1..=64).map(|number| format!("${number}")).collect();
            let parameters = (0..64).map(|at| dialect.id(region(at))).collect();
            by_hand(&format!("region_id IN ({})", numbers.join(", ")), parameters)
        },
    },
    Case {
        name: "one scope and two terms",
        when: Some(r#"resource.status == "active" and resource.level <= principal.level"#),
        regions: 1,
        by_hand: |dialect| {
            let parameters = vec![dialect.id(region(0)), SqlValue::Text("active".to_owned()), SqlValue::Int(LEVEL)];
            by_hand("region_id = $1 AND status = $2 AND level <= $3", parameters)
        },
    },
    Case {
        name: "owner is me, or public",
        when: Some("resource.owner_id == principal.id or resource.is_public == true"),
        regions: 0,
        by_hand: |dialect| {
            let is_public = if dialect == Dialect::Sqlite { "is_public = 1" } else { "is_public" };
            by_hand(&format!("owner_id = $1 OR {is_public}"), vec![dialect.id(owner(ME))])
        },
    },
];

/// The list filter of a case.
fn filter_of(case: &Case, now: Time) -> Result<RowFilter> {
    let attributes = [
        ("id", "id"),
        ("title", "string"),
        ("region_id", "id"),
        ("owner_id", "id"),
        ("status", "string"),
        ("level", "int"),
        ("is_public", "bool"),
        ("size", "int"),
    ];
    let reader = case.when.map_or_else(
        || Role::new("reader").allow("thing:list"),
        |when| Role::new("reader").allow_when("thing:list", when),
    );
    let policy = Policy::new().resource_type("user", [("level", "int")]).resource_type("thing", attributes);
    let rules = RuleSet::compile(&policy.permissions(["thing:list"]).add_role(reader), &Schema::new())?;
    let mut facts = StoredPrincipal::new(owner(ME));
    facts.attributes = vec![("level".into(), LEVEL.into())];
    let scopes = (0..case.regions).map(|at| Scope::region(region(at)));
    let scopes = scopes.chain((case.regions == 0).then_some(Scope::Global));
    facts.assignments = scopes.map(|scope| StoredAssignment::new("reader", scope)).collect();
    Ok(rules.filter(&rules.resolve_stored(facts), rules.permission("thing:list")?, &Context::new(), now)?)
}

/// A database with the table in it.
trait Database {
    /// Its name and version.
    async fn name(&mut self) -> Result<String>;
    /// The ids of the rows that pass, sorted.
    async fn ids(&mut self, condition: &SqlCondition) -> Result<Vec<Uuid>>;
    /// Counts the rows and sums a column of theirs: every row is read, and none has to be handed over.
    async fn sum(&mut self, condition: &SqlCondition) -> Result<i64>;
    /// The indexes by which it finds them.
    async fn indexes(&mut self, condition: &SqlCondition) -> Result<Vec<String>>;
}

/// What is timed.
const SUM: &str = "SELECT count(*) + sum(size) FROM things WHERE";
const IDS: &str = "SELECT id FROM things WHERE";

/// Measures every case in every database that there is; and says which there is not.
pub async fn measure(queries: usize) -> Result<(Vec<Condition>, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let mut conditions =
        of(&mut sqlite::Things::make(&folder.path().join("things.db")).await?, Dialect::Sqlite, queries).await?;
    let mut missing = Vec::new();
    match Path::new(postgres::PROGRAMS).exists() {
        true => conditions.extend(of(&mut postgres::Things::make().await?, Dialect::Postgres, queries).await?),
        false => missing.push("SQL of list filters in PostgreSQL: it is not installed".to_owned()),
    }
    Ok((conditions, missing))
}

async fn of(database: &mut impl Database, dialect: Dialect, queries: usize) -> Result<Vec<Condition>> {
    let mut measured = Vec::new();
    let now = Time::from_microsecond(NOW)?;
    for case in CASES {
        let conditions = [filter_of(case, now)?.to_sql(&dialect.mapping(), now)?, (case.by_hand)(dialect)];
        let listed = database.ids(&conditions[0]).await?;
        ensure!(!listed.is_empty() && listed == database.ids(&conditions[1]).await?, "{}: other rows", case.name);
        let mut sides = Vec::new();
        for condition in &conditions {
            let indexes = database.indexes(condition).await?;
            sides.push(Side { sql: condition.text.clone(), indexes, micros: Vec::new() });
        }
        // The first of each are prepared, and planned.
        for round in 0..queries + 20 {
            // Who comes first finds what the other left in the caches, so that changes too.
            for at in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                let begin = Instant::now();
                std::hint::black_box(database.sum(&conditions[at]).await?);
                let took = begin.elapsed().as_secs_f64() * 1e6;
                if round >= 20 {
                    sides[at].micros.push(took);
                }
            }
        }
        let [ours, hand] = <[Side; 2]>::try_from(sides).map_err(|_| anyhow::anyhow!("two sides"))?;
        let (name, rows) = (case.name.to_owned(), listed.len() as i64);
        let condition = Condition { database: database.name().await?, name, rows, ours, hand };
        let mean = |side: &Side| rolekeep_lab::figures::median(&side.micros).unwrap_or_default();
        eprintln!(
            "{} {} ({rows} rows): {:.1} µs, by hand {:.1} µs, {:?} {:?} {}",
            condition.database,
            case.name,
            mean(&condition.ours),
            mean(&condition.hand),
            condition.ours.indexes,
            condition.hand.indexes,
            condition.ours.sql
        );
        measured.push(condition);
    }
    Ok(measured)
}
