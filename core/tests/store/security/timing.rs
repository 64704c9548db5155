//! Nobody learns from a login which accounts exist: neither from its answer nor from its time.

use std::time::Instant;

use rolekeep::{
    Config, Reason, UserManagement,
    users::{CreateUser, SuspendUser},
};

use super::kit::PASSWORD;

/// A leak is there every time; a machine that was busy with something else is not.
const ATTEMPTS: usize = 4;

/// How often each kind is tried at an attempt; `ROLEKEEP_LOGIN_ROUNDS` for more.
fn rounds() -> usize {
    std::env::var("ROLEKEEP_LOGIN_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap())
}

/// With the real cost of hashing: an unknown account, a wrong password, an account without a password, and the
/// right password of a suspended account. Not hashing would be a factor of hundreds, hashing at another cost one of
/// two; less is told from noise by many rounds alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_1_login_takes_as_long_for_every_account() {
    let rounds = rounds();
    let most = if rounds < 1_000 { 1.4 } else { 1.05 };
    let config = Config::new().sign_in_tries(0);
    let um = UserManagement::builder().config(config).open().await.unwrap();
    let users = um.system();
    let users = users.users();
    users.create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    users.create(CreateUser::new("no-password@example.org")).await.unwrap();
    let suspended = users.create(CreateUser::new("suspended@example.org").password(PASSWORD)).await.unwrap();
    users.suspend(SuspendUser::new(suspended.id)).await.unwrap();
    let kinds = [
        ("nobody@example.org", PASSWORD),
        ("ada@example.org", "not her password at all"),
        ("no-password@example.org", PASSWORD),
        ("suspended@example.org", PASSWORD),
    ];
    let mut medians = [0.0; 4];
    for _ in 0..ATTEMPTS {
        medians = measure(&um, kinds, rounds).await;
        if spread(&medians) < most {
            return;
        }
    }
    panic!("medians in seconds: {medians:?} for {kinds:?}");
}

async fn measure(um: &UserManagement, kinds: [(&str, &str); 4], rounds: usize) -> [f64; 4] {
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..rounds {
        // Each kind comes after each other one as often.
        for at in 0..4 {
            let kind = (at + round) % 4;
            let (name, password) = kinds[kind];
            let start = Instant::now();
            let refused = um.login(name, password, Default::default()).await.unwrap_err();
            times[kind].push(start.elapsed().as_secs_f64());
            assert_eq!(refused.reason(), Reason::InvalidCredentials, "{name}");
            assert_eq!(refused.message(), "the name or the password is wrong", "{name}");
        }
    }
    times.map(median)
}

/// How many times the least the most is.
fn spread(medians: &[f64]) -> f64 {
    let least = medians.iter().copied().fold(f64::MAX, f64::min);
    medians.iter().copied().fold(0.0, f64::max) / least
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
