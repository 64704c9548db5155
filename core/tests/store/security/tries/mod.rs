//! Tries to sign in are limited (AUT-12) by address, by name and by device, and answered from the host's networks alone
//! (AUT-13). No test waits for time to pass: the clock is set.

mod attacked;
mod limits;
mod networks;
mod rates;

use std::sync::Arc;

use rolekeep::{
    Code, Config, Error, Reason, RequestContext, Result, UserId, UserManagement,
    audit::ListAudit,
    sessions::{Login, SignInResult},
    storage::MemoryStorage,
    users::CreateUser,
};

use super::kit::{Ahead, PASSWORD, policy};

use crate::cheap;

const WRONG: &str = "not the password at all";
/// After so many seconds there is one more try of five in fifteen minutes.
const INTERVAL: u64 = 180;

/// A store with Ada in it, whose clock can be set.
struct Stage {
    um: UserManagement,
    clock: Ahead,
    storage: Arc<MemoryStorage>,
    ada: UserId,
}

impl Stage {
    async fn open(config: Config) -> Self {
        Self::open_at(Ahead::new(), config).await
    }

    async fn open_at(clock: Ahead, config: Config) -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let um = store_in(&storage, &clock, config).await;
        let ada = CreateUser::new("ada@example.org").username("ada").password(PASSWORD);
        let ada = um.system().users().create(ada).await.unwrap().id;
        Self { um, clock, storage, ada }
    }

    async fn sign_in(&self, from: &str, login: Login) -> Result<SignInResult> {
        let request = if from.is_empty() { RequestContext::default() } else { RequestContext::from_ip(from) };
        self.um.anonymous(request).sessions().login(login).await
    }

    /// How many wrong passwords are told to be wrong, before there is no room for an answer.
    async fn wrong(&self, from: &str, name: &str, device_token: Option<&str>) -> usize {
        for count in 0..1_000 {
            let mut login = Login::new(name, WRONG);
            login.device_token = device_token.map(Into::into);
            match self.sign_in(from, login).await.unwrap_err() {
                error if error.reason() == Reason::InvalidCredentials => {}
                error => {
                    limited(error);
                    return count;
                }
            }
        }
        panic!("there is no limit");
    }

    /// So many wrong passwords, as fast as there is room for them.
    async fn wrong_in_time(&self, name: &str, device_token: Option<&str>, count: usize) {
        for _ in 0..count {
            let mut login = Login::new(name, WRONG);
            login.device_token = device_token.map(Into::into);
            assert_eq!(self.sign_in("", login).await.unwrap_err().reason(), Reason::InvalidCredentials);
            self.clock.pass(INTERVAL);
        }
    }

    /// How many guesses, at most so many, are told to be wrong.
    async fn told(&self, name: &str, device_token: Option<&str>, most: usize) -> usize {
        let mut told = 0;
        for _ in 0..most {
            let answer = sign_in(&self.um, RequestContext::default(), name, WRONG, device_token).await;
            match answer.unwrap_err().reason() {
                Reason::InvalidCredentials => told += 1,
                Reason::RateLimited => break,
                other => panic!("{other:?}"),
            }
        }
        told
    }

    async fn device_token(&self, name: &str) -> String {
        let answer = self.um.login(name, PASSWORD, RequestContext::default()).await.unwrap();
        answer.device_token.unwrap().expose().to_owned()
    }

    async fn audited(&self, action: &str) -> usize {
        self.um.system().audit().list(ListAudit::new().action(action)).await.unwrap().items.len()
    }
}

async fn store_in(storage: &Arc<MemoryStorage>, clock: &Ahead, config: Config) -> UserManagement {
    let builder = cheap::builder().policy(policy()).config(config).environment(clock.clone());
    builder.storage(storage.clone()).open().await.unwrap()
}

async fn sign_in(
    um: &UserManagement,
    request: RequestContext,
    name: &str,
    password: &str,
    device_token: Option<&str>,
) -> Result<SignInResult> {
    let mut login = Login::new(name, password);
    login.device_token = device_token.map(Into::into);
    um.anonymous(request).sessions().login(login).await
}

/// Seconds until there is room again.
fn limited(error: Error) -> u64 {
    assert_eq!((error.code(), error.reason()), (Code::RateLimited, Reason::RateLimited), "{error}");
    error.retry_after().unwrap().into()
}

fn right(name: &str) -> Login {
    Login::new(name, PASSWORD)
}
