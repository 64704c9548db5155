//! Lists of users beside what one would write by hand for exactly this case on the same indexes, in one SQLite file; and what a write costs
//! with the index of searches.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use rolekeep::{
    UserManagement, Value,
    internals::{record::Record, user::User},
    storage::{Direction, Order, Predicate, Query, SqliteOptions, SqliteStorage, Storage, Window, sqlite::Durability},
    users::{CreateUser, UpdateUser},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use uuid::Uuid;

/// So many rows at once.
const CHUNK: u64 = 20_000;
const REGIONS: u64 = 100;
const ROUNDS: usize = 31;
/// Creations and changes.
const WRITES: usize = 300;

const INSERT: &str = "
    INSERT INTO users (id, username, email, email_verified, first_name, last_name, full_name, region_id, status, created_at, updated_at,
        version, search_text)
    SELECT value ->> 0, value ->> 1, value ->> 2, 1, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 8,
        1, value ->> 9 FROM json_each(?1)";

/// What the migration does for users who are there.
const INDEX: [&str; 2] = [
    "INSERT INTO users_search_rows (id) SELECT id FROM users ORDER BY id",
    "INSERT INTO users_search (rowid, text) SELECT n, search_text FROM users_search_rows JOIN users USING (id) ORDER BY n",
];

fn region(at: u64) -> Uuid {
    Uuid::from_u128(1 << 100 | u128::from(at))
}

/// In the order of creation, as the product makes them.
fn user(at: u64) -> Uuid {
    Uuid::from_u128(7 << 120 | u128::from(at) << 64 | u128::from(at.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

fn name(random: &mut fastrand::Rng, syllables: usize) -> String {
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
        serde_json::json!([user(at).to_string(), username, email, first, last, full, region, status, at * 1_000_000, text])
    };
    serde_json::Value::Array((from..to).map(row).collect()).to_string()
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Normal).disable_statement_logging()
}

/// Makes it; how many microseconds a user the index of searches took.
async fn make(file: &Path, users: u64) -> Result<f64> {
    SqliteStorage::open(SqliteOptions::new(file)).await?.close().await?;
    let mut db = options(file).synchronous(SqliteSynchronous::Off).pragma("cache_size", "-200000").connect().await?;
    let made = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL AND tbl_name = 'users' \
                ORDER BY type";
    let made = sqlx::query(made).fetch_all(&mut db).await?;
    for one in &made {
        let drop = format!("DROP {} \"{}\"", one.get::<&str, _>("type"), one.get::<&str, _>("name"));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut db).await?;
    }
    let mut random = fastrand::Rng::with_seed(1);
    sqlx::raw_sql("BEGIN").execute(&mut db).await?;
    for from in (0..users).step_by(usize::try_from(CHUNK)?) {
        let rows = rows(from, users.min(from + CHUNK), users, &mut random);
        sqlx::query(INSERT).bind(rows).execute(&mut db).await?;
    }
    let begin = Instant::now();
    for sql in INDEX {
        sqlx::raw_sql(sql).execute(&mut db).await?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut db).await?;
    let took = begin.elapsed();
    for one in &made {
        sqlx::raw_sql(AssertSqlSafe(one.get::<String, _>("sql"))).execute(&mut db).await?;
    }
    db.close().await?;
    Ok(took.as_secs_f64() * 1e6 / users as f64)
}

/// Where the list goes on.
fn place(users: u64) -> Vec<Value> {
    let at = users / 2;
    vec![Value::Time(i64::try_from(at * 1_000_000).unwrap_or_default()), Value::Id(user(at))]
}

struct Case {
    name: &'static str,
    filter: Predicate,
    /// By cursor; the others count up to 1,000 too.
    goes_on: bool,
    /// What stands behind `SELECT … FROM` by hand, without order; and whether it is to be sorted or walked.
    by_hand: String,
}

fn cases(users: u64) -> Vec<Case> {
    let search = |needle: &str| Predicate::Search(needle.to_owned());
    let me = REGIONS;
    let own = || Predicate::any([Predicate::equals("region_id", region(0)), Predicate::equals("id", user(me))]);
    let kept = "status <> 'deleted'";
    let of_region = format!("region_id = '{}'", region(0));
    let (at, id) = (users / 2 * 1_000_000, user(users / 2));
    let place = format!("(created_at, id) < ({at}, '{id}')");
    let walked = |what: &str| format!("users WHERE {what} AND {kept}");
    let found = |grams: &str, needle: &str, and: &str| {
        format!(
            "users_search JOIN users_search_rows ON n = users_search.rowid CROSS JOIN users USING (id) \
             WHERE users_search MATCH '{grams}' AND instr(search_text, '{needle}') > 0 AND {kept} AND {and}"
        )
    };
    let rare = "\"xyl\" AND \"ylo\" AND \"lop\" AND \"oph\" AND \"phq\"";
    let some = "\"qua\" AND \"uar\" AND \"art\" AND \"rtz\"";
    let none = "\"zzz\"";
    let frequent = "instr(search_text, 'example') > 0";
    let case = |name, filter, goes_on, by_hand| Case { name, filter, goes_on, by_hand };
    let everybody = || Predicate::Always;
    let eight = || Predicate::In("region_id".into(), Predicate::set((0..8).map(|at| Value::Id(region(at)))));
    let regions: Vec<String> = (0..8).map(|at| format!("'{}'", region(at))).collect();
    vec![
        case("everybody, newest first", everybody(), false, walked("1")),
        case("own region (1 %) or oneself", own(), false, walked(&of_region)),
        case("the same, by cursor half way", own(), true, walked(&format!("{of_region} AND {place}"))),
        case("the same, active", own().and(Predicate::equals("status", "active")), false, walked(&format!("{of_region} AND +status = 'active'"))),
        case("eight regions of a hundred", eight(), false, walked(&format!("+region_id IN ({})", regions.join(", ")))),
        case("search: 5 found", search("xylophq"), false, found(rare, "xylophq", "1")),
        case("search: 1 % found", search("quartz"), false, walked("instr(search_text, 'quartz') > 0")),
        case("search: 90 % found", search("example"), false, walked(frequent)),
        case("search: two letters", search(" ba"), false, walked("instr(search_text, ' ba') > 0")),
        case("search: nobody found", search("zzzz"), false, found(none, "zzzz", "1")),
        case("search of a region: 5 found, hers 5", search("xylophq").and(own()), false, found(rare, "xylophq", &of_region)),
        case("search of a region: 1 %", search("quartz").and(own()), false, match users {
            0..200_000 => found(some, "quartz", &of_region),
            _ => walked(&format!("{of_region} AND instr(search_text, 'quartz') > 0")),
        }),
        case("search of a region: 90 %", search("example").and(own()), false, walked(&format!("{of_region} AND {frequent}"))),
        case("search of a region: nobody", search("zzzz").and(own()), false, found(none, "zzzz", &of_region)),
        case("search by cursor: 90 %", search("example"), true, walked(&format!("{frequent} AND {place}"))),
        case("search: 90 %, of a status that nobody has", search("example").and(Predicate::equals("status", "banned")), false, walked(&format!("{frequent} AND status = 'banned'"))),
        case("search: 90 %, of what nobody is (no index)", search("example").and(Predicate::equals("email_verified", false)), false, walked(&format!("{frequent} AND email_verified = 0"))),
    ]
}

impl Case {
    fn query(&self, users: u64) -> Query {
        let order = vec![Order { column: "created_at".into(), direction: Direction::Descending }];
        let window = Window { after: self.goes_on.then(|| place(users)), skip: 0, limit: Some(21) };
        let filter = self.filter.clone().and(Predicate::equals("status", "deleted").negate());
        Query { order, window, count: if self.goes_on { 0 } else { 1_000 }, ..Query::of(User::TABLE, filter) }
    }

    /// The ids, and how many there are.
    async fn by_hand(&self, db: &mut SqliteConnection) -> Result<(Vec<String>, Option<u64>)> {
        let mut reading = db.begin().await?;
        let page = format!("SELECT users.* FROM {} ORDER BY users.created_at DESC, users.id DESC LIMIT 21", self.by_hand);
        let rows = sqlx::query(AssertSqlSafe(page)).fetch_all(&mut *reading).await?;
        let total = match self.goes_on {
            true => None,
            false => {
                let count = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT 1000)", self.by_hand);
                let total: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *reading).await?;
                Some(total.unsigned_abs())
            }
        };
        reading.commit().await?;
        Ok((rows.iter().map(|row| row.get("id")).collect(), total))
    }
}

/// The least and the median, in milliseconds.
fn figures(mut took: Vec<f64>) -> (f64, f64) {
    took.sort_unstable_by(f64::total_cmp);
    (took.first().copied().unwrap_or_default(), took.get(took.len() / 2).copied().unwrap_or_default())
}

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// Prints what each list takes.
pub async fn measure(folder: &Path, users: u64) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(format!("lists-{users}.db"));
    let took = make(&file, users).await?;
    println!("\n{users} users; those who are there are indexed in {took:.0} µs each.\n");
    let mut db = options(&file).connect().await?;
    let bytes = "SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE aggregate = 1 AND name ";
    for (what, which) in [("the index of searches", "LIKE '%users_search%'"), ("users and their other indexes", "IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'users')")] {
        let bytes: i64 = sqlx::query_scalar(AssertSqlSafe(format!("{bytes}{which}"))).fetch_one(&mut db).await?;
        println!("- {what}: {} bytes a user", bytes / i64::try_from(users)?);
    }
    let storage = SqliteStorage::open(SqliteOptions::new(&file)).await?;
    println!("\n| list | ours: least, median ms | by hand | ratio of the least |\n|---|--:|--:|--:|");
    for case in cases(users) {
        let query = case.query(users);
        let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let found = storage.query(&query).await?;
            ours.push(millis(begin));
            let begin = Instant::now();
            let (ids, total) = case.by_hand(&mut db).await?;
            by_hand.push(millis(begin));
            let found_ids: Vec<String> =
                found.rows.iter().filter_map(|row| row.0.first()?.as_id()).map(|id| id.to_string()).collect();
            ensure!(found_ids == ids && found.total == total, "{}: {:?} and {:?}", case.name, found.total, total);
            if ours.iter().sum::<f64>() + by_hand.iter().sum::<f64>() > 20_000.0 {
                break;
            }
        }
        let ((ours, our_median), (by_hand, median)) = (figures(ours), figures(by_hand));
        println!("| {} | {ours:.2}, {our_median:.2} | {by_hand:.2}, {median:.2} | {:.1} |", case.name, ours / by_hand);
    }
    storage.close().await?;
    writes(&file, &mut db).await?;
    db.close().await?;
    // Some who were written last are not in the index.
    Ok(std::fs::remove_file(file)?)
}

/// What creations and changes of names take, with the index of searches and without.
async fn writes(file: &Path, db: &mut SqliteConnection) -> Result<()> {
    let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'users'";
    let triggers = sqlx::query(triggers).fetch_all(&mut *db).await?;
    println!("\n| a write, durability `normal` | least, median ms | without the index |\n|---|--:|--:|");
    let mut with = Vec::new();
    for is_indexed in [true, false] {
        if !is_indexed {
            for one in &triggers {
                let drop = format!("DROP TRIGGER \"{}\"", one.get::<&str, _>("name"));
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *db).await?;
            }
        }
        let options = SqliteOptions::new(file).durability(Durability::Normal);
        let um = UserManagement::builder().sqlite_with(options).open().await?;
        let (mut created, mut renamed, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let mut random = fastrand::Rng::with_seed(if is_indexed { 2 } else { 3 });
        for _ in 0..WRITES {
            let unique = random.u64(..);
            let new = CreateUser::new(format!("{}{unique}@example.org", name(&mut random, 3)));
            let new = new.first_name(name(&mut random, 3)).last_name(name(&mut random, 4));
            let begin = Instant::now();
            let id = um.system().users().create(new).await?.id;
            created.push(millis(begin));
            let begin = Instant::now();
            um.system().users().update(UpdateUser::new(id).last_name(name(&mut random, 4))).await?;
            renamed.push(millis(begin));
            let begin = Instant::now();
            um.system().users().update(UpdateUser::new(id).phone(format!("+4930{}", random.u32(1_000_000..9_999_999)))).await?;
            others.push(millis(begin));
        }
        um.close().await?;
        with.push([created, renamed, others].map(figures));
    }
    let [indexed, plain] = with.as_slice() else { return Ok(()) };
    for ((name, with), without) in ["users.create", "users.update: a name", "users.update: a phone number"].iter().zip(indexed).zip(plain) {
        println!("| {name} | {:.2}, {:.2} | {:.2}, {:.2} |", with.0, with.1, without.0, without.1);
    }
    Ok(())
}

/// The sizes that are asked for.
pub fn sizes(arguments: &[&str]) -> Result<Vec<u64>> {
    arguments.iter().map(|size| size.parse().with_context(|| format!("{size} is no number of users"))).collect()
}
