//! What operations cost by how much there is: users, and ten entries of the audit log for each of them. Lists of the log beside SQL by hand
//! on the same indexes, and what the process holds.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rolekeep::{
    UserId, UserManagement,
    audit::ListAudit,
    users::{CreateUser, GetUser, UpdateUser},
};
use rolekeep_lab::figures::resident;
use serde::{Deserialize, Serialize};

use crate::lists::{Base, figures, name, user};

/// Entries of the log for each user.
pub const ENTRIES: u64 = 10;
/// Of each operation.
const CALLS: usize = 200;
const ROUNDS: usize = 31;

/// What one kind of operation took.
#[derive(Serialize, Deserialize)]
pub struct Scaled {
    pub storage: String,
    pub operation: String,
    pub users: u64,
    /// Milliseconds: the least and the median.
    pub ours: (f64, f64),
    /// The same by hand, where there is such a thing.
    pub by_hand: Option<(f64, f64)>,
}

/// What the process held when the store was open, and behind all of it, in MiB.
#[derive(Serialize, Deserialize)]
pub struct Held {
    pub storage: String,
    pub users: u64,
    pub before: f64,
    pub after: f64,
}

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// Whose id an entry of the log has as its actor, as text.
pub fn actor(users: u64, at: u64) -> String {
    format!("{:08x}-0000-4000-8000-000000000000", at % users)
}

struct Case {
    name: &'static str,
    list: ListAudit,
    /// The condition by hand.
    by_hand: String,
}

/// Entries are a millisecond apart.
fn cases(users: u64) -> Vec<Case> {
    let who = actor(users, users / 3);
    let (from, until) = (users * ENTRIES / 2, users * ENTRIES / 2 + 500);
    let time = |at: u64| {
        rolekeep::Time::from_microsecond(i64::try_from(at * 1_000).unwrap_or(0)).unwrap_or(rolekeep::Time::UNIX_EPOCH)
    };
    let case = |name, list, by_hand| Case { name, list, by_hand };
    vec![
        case("the log, newest first", ListAudit::new(), "1 = 1".to_owned()),
        case("of an actor", ListAudit::new().actor(&who), format!("actor = '{who}'")),
        case("of a target", ListAudit::new().target_id(&who), format!("target_id = '{who}'")),
        case("of an action (10 %)", ListAudit::new().action("users.update"), "action = 'users.update'".to_owned()),
        case(
            "of half a second",
            ListAudit::new().from(time(from)).until(time(until)),
            format!("at >= {} AND at < {}", from * 1_000, until * 1_000),
        ),
    ]
}

/// Fills the log, and measures.
pub async fn measure<B: Base>(base: &mut B, users: u64) -> Result<(Vec<Scaled>, Held)> {
    let start = Instant::now();
    base.fill_log(users, users * ENTRIES).await?;
    eprintln!("\n{}, {} entries of the log, made in {:.0} s", B::NAME, users * ENTRIES, start.elapsed().as_secs_f64());
    let um = base.open().await?;
    let before = resident("VmRSS")?;
    let mut all = Vec::new();
    let mut done = |operation: &str, took: Vec<f64>, by_hand: Option<Vec<f64>>| {
        let one = Scaled {
            storage: B::NAME.to_owned(),
            operation: operation.to_owned(),
            users,
            ours: figures(took),
            by_hand: by_hand.map(figures),
        };
        let hand = one.by_hand.map_or(String::new(), |hand| {
            format!("; by hand {:.2}, {:.2}; {:.1}", hand.0, hand.1, one.ours.0 / hand.0)
        });
        eprintln!("{operation}: {:.2}, {:.2}{hand}", one.ours.0, one.ours.1);
        all.push(one);
    };
    for case in cases(users) {
        let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let begin = Instant::now();
            let found = um.system().audit().list(case.list.clone()).await?;
            let of_ours = millis(begin);
            let from = format!("audit_entries WHERE {}", case.by_hand);
            let page = format!("SELECT * FROM {from} ORDER BY at DESC, lane DESC, seq DESC LIMIT 21");
            let count = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {from} LIMIT 1000) AS found");
            let begin = Instant::now();
            let (ids, total) = base.by_hand(page, Some(count)).await?;
            let of_hand = millis(begin);
            let first = found.items.first().map(|entry| entry.id.0);
            ensure!(first == ids.first().copied() || case.name.contains("newest"), "{}", case.name);
            ensure!(found.total.map(i64::unsigned_abs) == total, "{}: {:?} and {total:?}", case.name, found.total);
            if round > 0 {
                ours.push(of_ours);
                by_hand.push(of_hand);
            }
        }
        done(case.name, ours, Some(by_hand));
    }
    operations(&um, users, &mut done).await?;
    let held = Held { storage: B::NAME.to_owned(), users, before, after: resident("VmRSS")? };
    eprintln!("resident: {before:.0} MiB, then {:.0}", held.after);
    um.close().await?;
    Ok((all, held))
}

async fn operations(
    um: &UserManagement,
    users: u64,
    done: &mut impl FnMut(&str, Vec<f64>, Option<Vec<f64>>),
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(2);
    let system = um.system();
    let (mut got, mut checked, mut created, mut renamed, mut others) =
        <(Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    for _ in 0..CALLS {
        let id = UserId(user(random.u64(0..users)));
        let begin = Instant::now();
        system.users().get(GetUser::new(id)).await?;
        got.push(millis(begin));
        let begin = Instant::now();
        um.check(id, "user:read", None).await?;
        checked.push(millis(begin));
        let new = CreateUser::new(format!("{}{}@example.org", name(&mut random, 3), random.u64(..)));
        let new = new.first_name(name(&mut random, 3)).last_name(name(&mut random, 4));
        let begin = Instant::now();
        system.users().create(new).await.context("an account")?;
        created.push(millis(begin));
        let begin = Instant::now();
        system.users().update(UpdateUser::new(id).last_name(name(&mut random, 4))).await?;
        renamed.push(millis(begin));
        let phone = format!("+4930{}", random.u32(1_000_000..9_999_999));
        let begin = Instant::now();
        system.users().update(UpdateUser::new(id).phone(phone)).await?;
        others.push(millis(begin));
    }
    done("users.get", got, None);
    done("a check, of rights that are not in memory", checked, None);
    done("users.create", created, None);
    done("users.update, a name", renamed, None);
    done("users.update, a phone number", others, None);
    Ok(())
}
