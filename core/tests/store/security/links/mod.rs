//! Links by mail (AUT-9): who may use them, until when, and what else is void then; and that notices come to those whom
//! they are for, whatever becomes of the mail.

mod attacked;
mod by_staff;
mod email;
mod reset;
mod sending;
mod verification;

use std::sync::Arc;

use rolekeep::{
    Error, Policy, Reason, RequestContext, Result, Secret, UserId, UserManagement,
    passwords::{ForgotPassword, PasswordReset, ResetPassword},
    storage::MemoryStorage,
    users::CreateUser,
};

use super::kit::{Ahead, PASSWORD, policy};
use crate::{cheap, mails::Mails};

const NEW: &str = "another horse battery staple";
const ADA: &str = "ada@example.org";
const HOUR: u64 = 3600;

/// A store with Ada in it, which mails.
struct Stage {
    um: UserManagement,
    clock: Ahead,
    storage: Arc<MemoryStorage>,
    mails: Mails,
    ada: UserId,
}

impl Stage {
    async fn open() -> Self {
        Self::with(policy()).await
    }

    async fn with(policy: Policy) -> Self {
        let (clock, storage, mails) = (Ahead::new(), Arc::new(MemoryStorage::new()), Mails::default());
        let um = store_with(policy, &storage, &clock, &mails).await;
        let ada = CreateUser::new(ADA).username("ada").password(PASSWORD);
        let ada = um.system().users().create(ada).await.unwrap().id;
        Self { um, clock, storage, mails, ada }
    }

    async fn forgot(&self, name: &str) -> Result<()> {
        self.um.anonymous(RequestContext::default()).passwords().forgot(ForgotPassword::new(name)).await
    }

    /// The token that Ada is mailed when somebody asks.
    async fn token(&self) -> Secret {
        self.forgot("ada").await.unwrap();
        self.mails.take("password_reset", ADA).await.token.unwrap()
    }

    async fn reset(&self, token: &Secret) -> Result<PasswordReset> {
        let reset = ResetPassword::new(token.clone(), NEW);
        self.um.anonymous(RequestContext::default()).passwords().reset(reset).await
    }

    async fn signs_in(&self, password: &str) -> bool {
        self.um.login("ada", password, RequestContext::default()).await.is_ok()
    }
}

async fn store_in(storage: &Arc<MemoryStorage>, clock: &Ahead, mails: &Mails) -> UserManagement {
    store_with(policy(), storage, clock, mails).await
}

async fn store_with(policy: Policy, storage: &Arc<MemoryStorage>, clock: &Ahead, mails: &Mails) -> UserManagement {
    let builder = cheap::builder().storage(storage.clone()).policy(policy).environment(clock.clone());
    builder.config(cheap::config().signing_key("k".repeat(32))).notifier(mails.clone()).open().await.unwrap()
}

fn void<T>(answer: Result<T>) -> Error {
    let error = answer.err().expect("the link is void");
    assert_eq!(error.reason(), Reason::InvalidToken);
    error
}
