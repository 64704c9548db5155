//! Second factors (AUT-10): nobody gets past one, a code counts once, and what is asked of whom.

mod app;
mod attacked;
mod demanded;
mod passkeys;
mod recovery;
mod removed;

use std::sync::Arc;

use rolekeep::{
    Caller, Config, Policy, Reason, RequestContext, Result, Secret, UserId, UserManagement,
    environment::Environment,
    factors::{AddFactor, AddedFactor},
    sessions::Tokens,
    sign_in::{ProveFactor, SignInResult, SignInStep},
    storage::MemoryStorage,
    users::CreateUser,
};

use super::kit::{Ahead, PASSWORD, policy};
use crate::{authenticator, cheap, mails::Mails};

const ADA: &str = "ada@example.org";

/// An authenticator app.
#[derive(Clone)]
struct App {
    secret: String,
    clock: Ahead,
}

impl App {
    /// As it is typed in by hand.
    fn new(secret: &Secret, clock: &Ahead) -> Self {
        Self { secret: secret.expose().to_owned(), clock: clock.clone() }
    }

    /// The code of a step from now.
    fn code_at(&self, step: i64) -> Secret {
        authenticator::code(&self.secret, self.clock.now().as_second() / 30 + step).into()
    }

    fn code(&self) -> Secret {
        self.code_at(0)
    }

    /// A code that is none of the app's.
    fn wrong(&self) -> Secret {
        let good: Vec<Secret> = (-3..=3).map(|step| self.code_at(step)).collect();
        (0..).map(|code| Secret::from(format!("{code:06}"))).find(|code| !good.contains(code)).unwrap()
    }
}

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
        Self::with(policy(), cheap::config()).await
    }

    async fn with(policy: Policy, config: Config) -> Self {
        let (clock, storage, mails) = (Ahead::standing_still(), Arc::new(MemoryStorage::new()), Mails::default());
        let builder = cheap::builder().storage(storage.clone()).policy(policy).environment(clock.clone());
        let um = builder.config(config.signing_key("k".repeat(32))).notifier(mails.clone()).open().await.unwrap();
        let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
        Self { um, clock, storage, mails, ada }
    }

    fn nobody(&self) -> Caller {
        self.um.anonymous(RequestContext::default())
    }

    async fn login(&self) -> SignInResult {
        self.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap()
    }

    async fn with_tokens(&self, tokens: &Tokens) -> Caller {
        self.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap()
    }

    /// Ada, signed in by the password alone.
    async fn ada(&self) -> Caller {
        let tokens = self.login().await.done().unwrap();
        self.with_tokens(&tokens).await
    }

    /// Proves Ada's address.
    async fn prove_address(&self, me: &Caller) {
        me.verification().send().await.unwrap();
        let proof = self.mails.take("verification", ADA).await.token.unwrap();
        me.verification().confirm(rolekeep::verification::ConfirmVerification::new(proof)).await.unwrap();
    }

    /// Adds an app to Ada's account; she goes on signed in.
    async fn enrolled(&self) -> (App, Caller, AddedFactor) {
        let me = self.ada().await;
        let (app, added) = self.added(&me).await;
        let me = self.with_tokens(&added.tokens).await;
        // The next code is another one.
        self.clock.pass(60);
        (app, me, added)
    }

    /// Ada, signed in by both factors.
    async fn ada_by(&self, code: &Secret) -> Caller {
        let tokens = self.signed_in_by(code).await.unwrap();
        self.with_tokens(&tokens).await
    }

    async fn added(&self, me: &Caller) -> (App, AddedFactor) {
        let setup = me.factors().add_start().await.unwrap();
        let app = App::new(&setup.secret, &self.clock);
        let added = me.factors().add(AddFactor::new(setup.challenge, app.code())).await.unwrap();
        (app, added)
    }

    async fn prove(&self, challenge: &Secret, code: &Secret) -> Result<SignInResult> {
        self.nobody().sign_in().factor(ProveFactor::new(challenge.clone(), code.clone())).await
    }

    /// Ada signs in by both factors.
    async fn signed_in_by(&self, code: &Secret) -> Result<Tokens> {
        let owed = self.login().await;
        assert_eq!(owed.step, SignInStep::Factor);
        self.prove(&owed.challenge.unwrap(), code).await?.done()
    }
}

fn reason<T>(answer: Result<T>) -> Reason {
    answer.err().expect("it is refused").reason()
}
