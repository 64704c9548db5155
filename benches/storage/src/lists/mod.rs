//! Lists of users beside what one would write by hand for exactly this case on the same indexes.

mod postgres;
mod sqlite;

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use rolekeep::{
    UserManagement, Value,
    internals::{record::Record, user::User},
    storage::{Direction, Order, Predicate, Query, Storage, Window},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::scale::{self, Held, Scaled};

/// So many rows at once.
const CHUNK: u64 = 20_000;
const REGIONS: u64 = 100;
const ROUNDS: usize = 31;
fn region(at: u64) -> Uuid {
    Uuid::from_u128(1 << 100 | u128::from(at))
}

/// In the order of creation, as the product makes them.
pub fn user(at: u64) -> Uuid {
    Uuid::from_u128(7 << 120 | u128::from(at) << 64 | u128::from(at.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

pub fn name(random: &mut fastrand::Rng, syllables: usize) -> String {
    const FIRST: &[u8] = b"bdfghklmnprstvw";
    const SECOND: &[u8] = b"aeiou";
    let mut letters = (0..syllables).flat_map(|_| [FIRST[random.usize(0..FIRST.len())], SECOND[random.usize(0..5)]]);
    let mut name = String::new();
    letters.by_ref().for_each(|letter| name.push(letter.into()));
    name
}

/// Nine in ten have `example`, one in a hundred `quartz`, five `xylophq`; `zzzz` nobody.
fn rows(from: u64, to: u64, users: u64, random: &mut fastrand::Rng) -> String {
    let row = |at: u64| {
        let (first, mut last) = (name(random, 3), name(random, 4));
        if at % 97 == 1 {
            last += " quartz";
        }
        if at % (users / 5) == 100 {
            last += " xylophq";
        }
        let domain = if random.u8(0..10) > 0 { "example.org".to_owned() } else { format!("{}.net", name(random, 3)) };
        let username = format!("{first}{at}");
        let text = format!(" {username} {username} {} {first} {last} {first} {last}", domain.replace('.', " "));
        let status = if random.u8(0..25) == 0 { "inactive" } else { "active" };
        let (email, full) = (format!("{username}@{domain}"), format!("{first} {last}"));
        let region = region(at % REGIONS).to_string();
        serde_json::json!([
            user(at).to_string(),
            username,
            email,
            first,
            last,
            full,
            region,
            status,
            at * 1_000_000,
            text
        ])
    };
    serde_json::Value::Array((from..to).map(row).collect()).to_string()
}

/// Where the list goes on.
fn place(users: u64) -> Vec<Value> {
    let at = users / 2;
    vec![Value::Time(i64::try_from(at * 1_000_000).unwrap_or_default()), Value::Id(user(at))]
}

/// SQL of one database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sql {
    Sqlite,
    Postgres,
}

struct Case {
    name: &'static str,
    filter: Predicate,
    order: &'static str,
    direction: Direction,
    /// By cursor; the others count up to 1,000 too.
    goes_on: bool,
    /// So many pages of 20 are passed over.
    pages: u64,
    /// What stands behind `SELECT … FROM` by hand, without order; and whether it is to be sorted or walked.
    by_hand: String,
}

impl Case {
    fn new(name: &'static str, filter: Predicate, by_hand: String) -> Self {
        Self { name, filter, order: "created_at", direction: Direction::Descending, goes_on: false, pages: 0, by_hand }
    }

    fn ordered(self, order: &'static str, direction: Direction) -> Self {
        Self { order, direction, ..self }
    }

    fn goes_on(self) -> Self {
        Self { goes_on: true, ..self }
    }

    fn page(self, number: u64) -> Self {
        Self { pages: number - 1, ..self }
    }
}

fn cases(sql: Sql, users: u64) -> Vec<Case> {
    let is_postgres = sql == Sql::Postgres;
    let search = |needle: &str| Predicate::Search(needle.to_owned());
    let me = REGIONS;
    let own = || Predicate::any([Predicate::equals("region_id", region(0)), Predicate::equals("id", user(me))]);
    let kept = "status <> 'deleted'";
    let of_region = format!("region_id = '{}'", region(0));
    let (at, id) = (users / 2 * 1_000_000, user(users / 2));
    let place = format!("(created_at, id) < ({at}, '{id}')");
    let walked = |what: &str| format!("users WHERE {what} AND {kept}");
    // SQLite is told what is to be no reason to take an index; PostgreSQL looks into its statistics.
    let apart = if is_postgres { "" } else { "+" };
    let has = |needle: &str| match sql {
        Sql::Sqlite => format!("instr(search_text, '{needle}') > 0"),
        Sql::Postgres => format!("search_text LIKE '%{needle}%'"),
    };
    let found = |grams: &str, needle: &str, and: &str| match sql {
        Sql::Sqlite => format!(
            "users_search JOIN users_search_rows ON n = users_search.rowid CROSS JOIN users USING (id) \
             WHERE users_search MATCH '{grams}' AND instr(search_text, '{needle}') > 0 AND {kept} AND {and}"
        ),
        Sql::Postgres => walked(&format!("{} AND {and}", has(needle))),
    };
    let all = "1 = 1";
    let rare = "\"xyl\" AND \"ylo\" AND \"lop\" AND \"oph\" AND \"phq\"";
    let some = "\"qua\" AND \"uar\" AND \"art\" AND \"rtz\"";
    let none = "\"zzz\"";
    let everybody = || Predicate::Always;
    let active = || Predicate::equals("status", "active");
    let eight = || Predicate::In("region_id".into(), Predicate::set((0..8).map(|at| Value::Id(region(at)))));
    let regions: Vec<String> = (0..8).map(|at| format!("'{}'", region(at))).collect();
    let verified = if is_postgres { "NOT email_verified" } else { "email_verified = 0" };
    let ascending = Direction::Ascending;
    vec![
        Case::new("everybody, newest first", everybody(), walked(all)),
        Case::new("everybody, by name", everybody(), walked(all)).ordered("username_key", ascending),
        Case::new("everybody, by address, backwards", everybody(), walked(all))
            .ordered("email_key", Direction::Descending),
        Case::new("everybody, the 500th page", everybody(), walked(all)).page(500),
        Case::new("active ones", active(), walked("status = 'active'")),
        Case::new("own region (1 %) or oneself", own(), walked(&of_region)),
        Case::new("the same, by cursor half way", own(), walked(&format!("{of_region} AND {place}"))).goes_on(),
        Case::new(
            "the same, active",
            own().and(active()),
            walked(&format!("{of_region} AND {apart}status = 'active'")),
        ),
        Case::new(
            "eight regions of a hundred",
            eight(),
            walked(&format!("{apart}region_id IN ({})", regions.join(", "))),
        ),
        Case::new("search: 5 found", search("xylophq"), found(rare, "xylophq", all)),
        Case::new("search: 1 % found", search("quartz"), walked(&has("quartz"))),
        Case::new("search: 90 % found", search("example"), walked(&has("example"))),
        Case::new("search: two letters", search(" ba"), walked(&has(" ba"))),
        Case::new("search: nobody found", search("zzzz"), found(none, "zzzz", all)),
        Case::new(
            "search of a region: 5 found, hers 5",
            search("xylophq").and(own()),
            found(rare, "xylophq", &of_region),
        ),
        Case::new(
            "search of a region: 1 %",
            search("quartz").and(own()),
            match users {
                0..200_000 => found(some, "quartz", &of_region),
                _ => walked(&format!("{of_region} AND {}", has("quartz"))),
            },
        ),
        Case::new(
            "search of a region: 90 %",
            search("example").and(own()),
            walked(&format!("{of_region} AND {}", has("example"))),
        ),
        Case::new("search of a region: nobody", search("zzzz").and(own()), found(none, "zzzz", &of_region)),
        Case::new("search by cursor: 90 %", search("example"), walked(&format!("{} AND {place}", has("example"))))
            .goes_on(),
        Case::new(
            "search: 90 %, of a status that nobody has",
            search("example").and(Predicate::equals("status", "banned")),
            walked(&format!("{} AND status = 'banned'", has("example"))),
        ),
        Case::new(
            "search: 90 %, of what nobody is (no index)",
            search("example").and(Predicate::equals("email_verified", false)),
            walked(&format!("{} AND {verified}", has("example"))),
        ),
    ]
}

impl Case {
    fn query(&self, users: u64) -> Query {
        let order = vec![Order { column: self.order.into(), direction: self.direction }];
        let window = Window { after: self.goes_on.then(|| place(users)), skip: self.pages * 20, limit: Some(21) };
        let filter = self.filter.clone().and(Predicate::equals("status", "deleted").negate());
        Query { order, window, count: if self.goes_on { 0 } else { 1_000 }, ..Query::of(User::TABLE, filter) }
    }

    /// A page.
    fn page_by_hand(&self) -> String {
        let (column, way) = (self.order, if self.direction == Direction::Ascending { "ASC" } else { "DESC" });
        let offset = if self.pages > 0 { format!(" OFFSET {}", self.pages * 20) } else { String::new() };
        format!("SELECT users.* FROM {} ORDER BY users.{column} {way}, users.id {way} LIMIT 21{offset}", self.by_hand)
    }

    /// How many there are, if it is asked.
    fn count_by_hand(&self) -> Option<String> {
        (!self.goes_on).then(|| format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT 1000) AS found", self.by_hand))
    }
}

/// A database with so many users.
#[async_trait::async_trait]
pub trait Base: Sized + Send {
    const SQL: Sql;
    const NAME: &'static str;

    async fn make(folder: &Path, users: u64) -> Result<Self>;

    fn ours(&self) -> &dyn Storage;

    /// The ids of a page, and how many there are.
    async fn by_hand(&mut self, page: String, count: Option<String>) -> Result<(Vec<Uuid>, Option<u64>)>;

    /// Adds entries to the log, which belong to no chain: of so many actors, a millisecond apart.
    async fn fill_log(&mut self, users: u64, entries: u64) -> Result<()>;

    /// The same database, as an application opens it.
    async fn open(&self) -> Result<UserManagement>;

    async fn end(self) -> Result<()>;
}

/// What a list took of so many users.
#[derive(Serialize, Deserialize)]
pub struct Listed {
    pub storage: String,
    pub list: String,
    pub users: u64,
    /// Milliseconds: the least and the median of both.
    pub ours: (f64, f64),
    pub by_hand: (f64, f64),
}

/// All that was measured with databases of several sizes.
#[derive(Default, Serialize, Deserialize)]
pub struct BySize {
    pub lists: Vec<Listed>,
    pub scaled: Vec<Scaled>,
    pub held: Vec<Held>,
}

/// Measures lists, and what operations cost, by how much there is.
pub async fn measure(folder: &Path, sizes: &[u64]) -> Result<BySize> {
    std::fs::create_dir_all(folder)?;
    let mut all = BySize::default();
    for users in sizes {
        of::<sqlite::Base>(folder, *users, &mut all).await?;
        of::<postgres::Base>(folder, *users, &mut all).await?;
    }
    Ok(all)
}

async fn of<B: Base>(folder: &Path, users: u64, all: &mut BySize) -> Result<()> {
    let start = Instant::now();
    let mut base = B::make(folder, users).await?;
    eprintln!("\n{}, {users} users, made in {:.0} s", B::NAME, start.elapsed().as_secs_f64());
    for case in cases(B::SQL, users) {
        let query = case.query(users);
        let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let begin = Instant::now();
            let found = base.ours().query(&query).await?;
            let of_ours = millis(begin);
            let begin = Instant::now();
            let (ids, total) = base.by_hand(case.page_by_hand(), case.count_by_hand()).await?;
            let of_hand = millis(begin);
            let found_ids: Vec<Uuid> = found.rows.iter().filter_map(|row| row.0.first()?.as_id()).collect();
            ensure!(found_ids == ids && found.total == total, "{}: {:?} and {:?}", case.name, found.total, total);
            // The first time brings into memory what is read.
            if round > 0 {
                ours.push(of_ours);
                by_hand.push(of_hand);
            }
            if round > 2 && ours.iter().sum::<f64>() + by_hand.iter().sum::<f64>() > 10_000.0 {
                break;
            }
        }
        let (ours, by_hand) = (figures(ours), figures(by_hand));
        eprintln!(
            "{}: {:.2}, {:.2}; by hand {:.2}, {:.2}; {:.1}",
            case.name,
            ours.0,
            ours.1,
            by_hand.0,
            by_hand.1,
            ours.0 / by_hand.0
        );
        all.lists.push(Listed { storage: B::NAME.to_owned(), list: case.name.to_owned(), users, ours, by_hand });
    }
    let (scaled, held) = scale::measure(&mut base, users).await?;
    all.scaled.extend(scaled);
    all.held.push(held);
    base.end().await
}

/// The least and the median, in milliseconds.
pub fn figures(mut took: Vec<f64>) -> (f64, f64) {
    took.sort_unstable_by(f64::total_cmp);
    (took.first().copied().unwrap_or_default(), took.get(took.len() / 2).copied().unwrap_or_default())
}

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// The sizes that are asked for.
pub fn sizes(arguments: &[&str]) -> Result<Vec<u64>> {
    arguments.iter().map(|size| size.parse().with_context(|| format!("{size} is no number of users"))).collect()
}
