//! API keys (AUT-11): what they reach and what not, from where, until when, and that nobody comes to more by one.

mod ended;
mod given;
mod life;
mod reach;
mod refused;
mod told;

use std::sync::Arc;

use rolekeep::{
    ApiKeyId, Builder, Caller, Config, Policy, Reason, RequestContext, Result, Secret, UserId, UserManagement,
    api_keys::{ApiKeyView, CreateApiKey, ListApiKeys, NewApiKey, RevokeApiKey},
    environment::Environment,
    factors::AddFactor,
    sessions::Tokens,
    users::CreateUser,
};

use super::kit::{Ahead, Interposed, PASSWORD};
use crate::{authenticator, cheap, mails::Mails};

const ADA: &str = "ada@example.org";
const NEW: &str = "another horse battery staple";
const DAY: u64 = 24 * 3600;

/// Writers, some of them in a region or not everywhere; who must have a second factor; administrators.
const POLICY: &str = r#"
[types.document]
attributes = { region_id = "id?", kind = "string?" }

[permissions]
"document:read" = ""
"document:edit" = ""
"document:delete" = ""
"invoice:pay" = ""

[roles.admin]
allow = ["admin:all"]

[roles.writer]
allow = ["document:read", "document:edit"]

[roles.careful]
deny = ["document:edit"]

[roles.treasurer]
second_factor = true
allow = ["invoice:pay"]

[roles.recent]
allow = [{ permission = "document:delete", when = "has principal.authenticated_at and now < principal.authenticated_at + 10m" }]

[roles.strong]
allow = [{ permission = "document:delete", when = "has principal.factors and principal.factors contains \"password\"" }]

[roles.moderator]
allow = [
    "user:read", "user:list", "user:update", "user:set_status", "user:set_password", "user:reset_factors", "user:create", "user:delete",
    "session:read", "session:revoke", "api_key:read", "api_key:revoke",
]
"#;

fn policy() -> Policy {
    Policy::from_toml(POLICY).unwrap()
}

/// A store with Ada in it, which mails.
struct Stage {
    um: UserManagement,
    clock: Ahead,
    storage: Arc<Interposed>,
    mails: Mails,
    ada: UserId,
}

impl Stage {
    async fn open(roles: &[&str]) -> Self {
        Self::with(roles, cheap::config()).await
    }

    async fn with(roles: &[&str], config: Config) -> Self {
        let (clock, mails) = (Ahead::new(), Mails::default());
        let choose = |builder: Builder| {
            let config = config.signing_key("k".repeat(32));
            builder.environment(clock.clone()).config(config).notifier(mails.clone())
        };
        let (um, storage) = Interposed::open_as(policy(), choose).await;
        let ada = CreateUser::new(ADA).username("ada").password(PASSWORD).roles(roles.iter().copied());
        let ada = um.system().users().create(ada).await.unwrap().id;
        Self { um, clock, storage, mails, ada }
    }

    async fn with_tokens(&self, tokens: &Tokens) -> Caller {
        self.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap()
    }

    /// Ada, signed in by the password.
    async fn ada(&self) -> Caller {
        let tokens = self.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
        self.with_tokens(&tokens).await
    }

    /// Ada, who adds an app and goes on signed in.
    async fn ada_by_two(&self) -> Caller {
        let me = self.ada().await;
        let setup = me.factors().add_start().await.unwrap();
        let code = authenticator::code(setup.secret.expose(), self.clock.now().as_second() / 30);
        let added = me.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
        self.clock.pass(60);
        self.with_tokens(&added.tokens).await
    }

    /// Whoever gives this.
    async fn by(&self, token: &Secret) -> Result<Caller> {
        self.um.authenticate(token.expose(), RequestContext::default()).await
    }

    async fn by_from(&self, token: &Secret, ip: &str) -> Result<Caller> {
        self.um.authenticate(token.expose(), RequestContext::from_ip(ip)).await
    }

    /// A key of Ada's.
    async fn key(&self, patterns: &[&str]) -> NewApiKey {
        made(&self.ada().await, patterns).await.unwrap()
    }

    async fn is_good(&self, key: &NewApiKey) -> bool {
        match self.by(&key.key).await {
            Ok(caller) => caller.can("document:read", None).is_ok(),
            Err(error) => {
                assert_eq!(error.reason(), Reason::InvalidToken);
                false
            }
        }
    }
}

async fn made(me: &Caller, patterns: &[&str]) -> Result<NewApiKey> {
    me.api_keys().create(CreateApiKey::new("Backup").patterns(patterns.iter().copied())).await
}

/// A key that reaches all that its owner may.
async fn made_whole(me: &Caller) -> Result<NewApiKey> {
    me.api_keys().create(CreateApiKey::new("Everything")).await
}

async fn listed(me: &Caller) -> Vec<ApiKeyView> {
    me.api_keys().list(ListApiKeys::new().include_ended(true)).await.unwrap().items
}

async fn revoke(me: &Caller, id: ApiKeyId) -> Result<()> {
    me.api_keys().revoke(RevokeApiKey::new(id)).await
}

fn reason<T>(answer: Result<T>) -> Reason {
    answer.err().expect("it is refused").reason()
}
