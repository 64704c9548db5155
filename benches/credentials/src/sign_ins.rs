//! How many sign in within a second, beside bare Argon2id in as many places.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use futures_util::future::try_join_all;
use rolekeep::{Config, UserManagement, users::CreateUser};

use crate::Plan;

/// As the settings have it by default: two passwords are hashed at a time.
pub const PLACES: usize = 2;
/// How many want to sign in at once.
const AT_ONCE: [usize; 3] = [1, 8, 32];
/// How many accounts there are, each of which signs in now and then.
pub const USERS: usize = 256;
const PASSWORD: &str = "correct horse battery staple";

/// What a row of the table says.
pub struct Row {
    /// How many at once.
    pub at_once: usize,
    /// Bare hashes in a second, in as many places: memory wiped after each, and left as it is.
    pub bare: [f64; 2],
    /// Sign-ins in a second, in memory and on SQLite.
    pub ours: [f64; 2],
    /// Of the bare rate, memory wiped.
    pub ratios: [f64; 2],
    /// In memory, of the bare rate that leaves memory as it is.
    pub to_unwiped: f64,
}

/// Measures bare hashes and sign-ins in turns. What the machine does besides is told from them by the ratios within each turn.
pub fn measure(plan: &Plan) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(PLACES).enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let stores = runtime.block_on(async {
        let memory = UserManagement::builder().config(config()).open().await?;
        let sqlite = UserManagement::builder().config(config()).sqlite(folder.path().join("users.db")).open().await?;
        for um in [&memory, &sqlite] {
            for at in 0..USERS {
                um.system().users().create(CreateUser::new(address(at)).password(PASSWORD)).await?;
            }
        }
        anyhow::Ok([memory, sqlite])
    })?;
    let params = Params::new(19_456, 2, 1, None)?;
    let mut memory = vec![vec![Block::new(); params.block_count()]; PLACES];
    let next = Arc::new(AtomicUsize::new(0));
    let mut rows = Vec::new();
    for at_once in AT_ONCE {
        let places = at_once.min(PLACES);
        let mut rounds = Vec::new();
        for _ in 0..plan.rounds {
            let wiped = of_bare(&params, &mut memory[..places], plan.sign_ins, true)?;
            let in_memory = runtime.block_on(of_ours(&stores[0], &next, at_once, plan.sign_ins))?;
            let unwiped = of_bare(&params, &mut memory[..places], plan.sign_ins, false)?;
            let on_sqlite = runtime.block_on(of_ours(&stores[1], &next, at_once, plan.sign_ins))?;
            rounds.push([wiped, unwiped, in_memory, on_sqlite]);
        }
        let median = |of: fn(&[f64; 4]) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        rows.push(Row {
            at_once,
            bare: [median(|round| round[0]), median(|round| round[1])],
            ours: [median(|round| round[2]), median(|round| round[3])],
            ratios: [median(|round| round[2] / round[0]), median(|round| round[3] / round[0])],
            to_unwiped: median(|round| round[2] / round[1]),
        });
    }
    Ok(rows)
}

/// The default settings.
pub fn config() -> Config {
    Config::new().hashing_parallel(PLACES as u32)
}

/// Of a user.
pub fn address(at: usize) -> String {
    format!("user{at}@example.org")
}

fn rate(count: usize, begin: Instant) -> f64 {
    count as f64 / begin.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}

/// Each place has a thread and memory of its own, and hashes one password after the other.
fn of_bare(params: &Params, places: &mut [Vec<Block>], count: usize, is_wiped: bool) -> Result<f64> {
    let left = AtomicUsize::new(count);
    let begin = Instant::now();
    let hash = |memory: &mut Vec<Block>| -> Result<(), argon2::Error> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let (salt, mut hash) = ([7; 16], [0; 32]);
            argon2.hash_password_into_with_memory(PASSWORD.as_bytes(), &salt, &mut hash, &mut *memory)?;
            if is_wiped {
                // Who reads it would guess faster: the reference implementation wipes it, too.
                memory.fill(Block::new());
            }
            std::hint::black_box((&memory, hash));
        }
        Ok(())
    };
    let hash = &hash;
    std::thread::scope(|scope| {
        let threads: Vec<_> = places.iter_mut().map(|memory| scope.spawn(move || hash(memory))).collect();
        for thread in threads {
            let done = thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
            ensure!(done.is_ok(), "a hash failed");
        }
        anyhow::Ok(())
    })?;
    Ok(rate(count, begin))
}

/// So many at once, one account after the other.
async fn of_ours(um: &UserManagement, next: &Arc<AtomicUsize>, at_once: usize, count: usize) -> Result<f64> {
    let begin = Instant::now();
    let all = (0..at_once).map(|_| {
        let (um, next) = (um.clone(), next.clone());
        tokio::spawn(async move {
            for _ in 0..count / at_once {
                let at = next.fetch_add(1, Ordering::Relaxed);
                um.login(&address(at % USERS), PASSWORD, Default::default()).await?.done()?;
            }
            anyhow::Ok(())
        })
    });
    for done in try_join_all(all).await? {
        done?;
    }
    Ok(rate(count / at_once * at_once, begin))
}
