//! Nobody learns from a login which accounts exist: neither from its answer nor from its time.

use std::{sync::Arc, time::Instant};

use rolekeep::{
    Config, Reason, UserManagement,
    storage::MemoryStorage,
    users::{CreateUser, SuspendUser},
};

use super::kit::PASSWORD;

/// A machine that is busy with something else only adds time: what is looked at is the fastest of each kind, of all attempts so far.
const ATTEMPTS: usize = 20;

/// Every kind of account, and a password that does not let it in.
const KINDS: [(&str, &str); 7] = [
    ("unknown", PASSWORD),
    ("active", "not its password at all"),
    ("passwordless", PASSWORD),
    ("disabled", PASSWORD),
    ("foreign", "not its password at all"),
    ("old-cost", "not its password at all"),
    ("locked", PASSWORD),
];
const BCRYPT: &str = "$2b$05$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36";

/// How often each kind is tried at an attempt; `ROLEKEEP_LOGIN_ROUNDS` for more.
fn rounds() -> usize {
    std::env::var("ROLEKEEP_LOGIN_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap())
}

/// With the real cost of hashing, and hashes of three costs stored. Not hashing, or one hash less, would be a factor of two or more;
/// less is told by many rounds alone, and by their medians.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_1_login_takes_as_long_for_every_account() {
    let rounds = rounds();
    let (of, most): (fn(&mut [f64]) -> f64, _) =
        if rounds < 1_000 { (|times| fastest(times), 1.4) } else { (median, 1.05) };
    let stage = Stage::open().await;
    let mut times: [Vec<f64>; KINDS.len()] = Default::default();
    let mut told = Vec::new();
    for _ in 0..ATTEMPTS {
        stage.measure(rounds, &mut times).await;
        let times: Vec<_> = times.iter_mut().map(|times| of(times)).collect();
        let all = KINDS.iter().zip(&times).map(|((kind, _), time)| format!("{kind} {:.2} ms", time * 1e3));
        told.push(format!("{}; spread {:.3}", all.collect::<Vec<_>>().join(", "), spread(&times)));
        if spread(&times) < most {
            println!("{rounds} of each an attempt: {told:#?}");
            return;
        }
    }
    panic!("{rounds} of each an attempt: {told:#?}");
}

/// Accounts of every kind in one storage.
struct Stage {
    /// Has no limits.
    open: UserManagement,
    /// Locks a name after one failure, and answers any number of tries.
    locking: UserManagement,
}

impl Stage {
    async fn open() -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let store = |config| UserManagement::builder().storage(storage.clone()).config(config).open();
        let open = store(Config::new().sign_in_tries(0)).await.unwrap();
        let before = store(Config::new().hashing_memory_kib(12_288).hashing_iterations(3)).await.unwrap();
        let one = Config::new().sign_in_tries(1_000_000).sign_in_seconds(1).lock_after_failures(1);
        let stage = Self { locking: store(one).await.unwrap(), open };
        let users = stage.open.system();
        let users = users.users();
        for name in ["active", "locked"] {
            users.create(CreateUser::new(address(name)).password(PASSWORD)).await.unwrap();
        }
        let disabled = users.create(CreateUser::new(address("disabled")).password(PASSWORD)).await.unwrap();
        users.suspend(SuspendUser::new(disabled.id)).await.unwrap();
        users.create(CreateUser::new(address("passwordless"))).await.unwrap();
        users.create(CreateUser::new(address("foreign")).password_hash(BCRYPT)).await.unwrap();
        before.system().users().create(CreateUser::new(address("old-cost")).password(PASSWORD)).await.unwrap();
        stage.refused("locked", "not its password at all").await;
        stage
    }

    /// How long each kind takes to be refused, in seconds.
    async fn measure(&self, rounds: usize, times: &mut [Vec<f64>; KINDS.len()]) {
        for round in 0..rounds {
            // Each kind comes after each other one as often.
            for at in 0..KINDS.len() {
                let kind = (at + round) % KINDS.len();
                let (name, password) = KINDS[kind];
                let start = Instant::now();
                self.refused(name, password).await;
                times[kind].push(start.elapsed().as_secs_f64());
            }
        }
    }

    /// All are told the same.
    async fn refused(&self, name: &str, password: &str) {
        let um = if name == "locked" { &self.locking } else { &self.open };
        let refused = um.login(&address(name), password, Default::default()).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidCredentials, "{name}");
        assert_eq!(refused.message(), "the name or the password is wrong", "{name}");
    }
}

fn address(name: &str) -> String {
    format!("{name}@example.org")
}

/// How many times the least the most is.
fn spread(times: &[f64]) -> f64 {
    times.iter().copied().fold(0.0, f64::max) / fastest(times)
}

fn fastest(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::MAX, f64::min)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
