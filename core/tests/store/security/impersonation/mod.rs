//! Acting as another user (AUT-5): what one may do so, and what ends it.

mod attacked;
mod decided;
mod ended;
mod everyone;
mod made;

use std::sync::Arc;

use rolekeep::{
    AuditDenials, Builder, Caller, Policy, Reason, RequestContext, Result, Secret, UserId, UserManagement,
    environment::Environment,
    roles::AssignRole,
    sessions::{Impersonate, Impersonation, InspectToken, Tokens},
    users::CreateUser,
};

use super::kit::{Ahead, Interposed, PASSWORD};
use crate::{cheap, mails::Mails};

const ADA: &str = "ada@example.org";
const NEW: &str = "another horse battery staple";

/// Support that acts as users, of its own region, for some hours, or by a second factor; readers and writers.
const POLICY: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.support]
allow = ["user:impersonate", "user:read", "user:list", "user:update", "user:set_status", "user:set_authority", "document:read"]

[roles.helper]
allow = ["user:read", "document:read", { permission = "user:impersonate", when = "has resource.username and resource.username == \"ada\"" }]

[roles.clerk]
allow = ["user:read", "user:update"]

[roles.treasurer]
second_factor = true
allow = ["invoice:pay"]

[roles.reader]
default = true
allow = ["document:read", "document:edit"]

[roles.careful]
deny = ["document:read"]

[roles.fresh]
allow = [{ permission = "document:delete", when = "has principal.authenticated_at and now < principal.authenticated_at + 1h" }]

[roles.strong]
allow = [{ permission = "document:delete", when = "has principal.factors and principal.factors contains \"password\"" }]

[types.document]
attributes = { owner_id = "id?" }

[permissions]
"document:read" = ""
"document:edit" = ""
"document:delete" = ""
"invoice:pay" = ""
"#;

fn policy() -> Policy {
    Policy::from_toml(POLICY).unwrap()
}

/// A store with Ada in it, and Mia who looks after users.
struct Stage {
    um: UserManagement,
    clock: Ahead,
    storage: Arc<Interposed>,
    mails: Mails,
    ada: UserId,
    mia: UserId,
}

impl Stage {
    async fn open() -> Self {
        Self::of(&["support"]).await
    }

    /// Mia has these roles.
    async fn of(roles: &[&str]) -> Self {
        let (clock, mails) = (Ahead::new(), Mails::default());
        let choose = |builder: Builder| {
            let config =
                cheap::config().signing_key("k".repeat(32)).mail_sign_in(true).audit_denials(AuditDenials::All);
            builder.environment(clock.clone()).config(config).notifier(mails.clone())
        };
        let (um, storage) = Interposed::open_as(policy(), choose).await;
        let new = |name: &str| CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
        let ada = um.system().users().create(new("ada").roles(["reader"])).await.unwrap().id;
        let roles = roles.iter().copied();
        let mia = um.system().users().create(new("mia").roles(roles)).await.unwrap().id;
        Self { um, clock, storage, mails, ada, mia }
    }

    async fn tokens(&self, name: &str) -> Tokens {
        self.um.login(name, PASSWORD, RequestContext::default()).await.unwrap().done().unwrap()
    }

    async fn by(&self, token: &Secret) -> Result<Caller> {
        self.um.authenticate(token.expose(), RequestContext::default()).await
    }

    async fn signed_in(&self, name: &str) -> Caller {
        self.by(&self.tokens(name).await.access_token).await.unwrap()
    }

    /// Somebody acts as Ada.
    async fn as_ada(&self, me: &Caller) -> (Impersonation, Caller) {
        let made = self.impersonate(me).await.unwrap();
        let acting = self.by(&made.access_token).await.unwrap();
        (made, acting)
    }

    async fn impersonate(&self, me: &Caller) -> Result<Impersonation> {
        me.sessions().impersonate(Impersonate::new(self.ada, "Ticket 4711")).await
    }

    /// Somebody gives a role.
    async fn give(&self, user: UserId, role: &str) {
        self.um.system().roles().assign(AssignRole::new(user, role)).await.unwrap();
    }

    /// Whether a caller who acts as Ada is let on: the same by all ways there are.
    async fn is_on(&self, acting: &Caller, made: &Impersonation) -> bool {
        let answers = [
            ("without I/O", acting.can("document:edit", None).map(drop)),
            ("a filter", acting.filter("document:read").map(drop)),
            ("a menu", acting.can_somewhere("document:read").map(drop)),
            ("a role", acting.has_role("reader", None).map(drop)),
            ("an operation", acting.users().me().await.map(drop)),
            ("the token", self.by(&made.access_token).await.map(drop)),
        ];
        let nobody = self.um.anonymous(RequestContext::default());
        let inspected = nobody.sessions().inspect(InspectToken::new(made.access_token.clone())).await;
        let is_active = inspected.unwrap().active;
        for (way, answer) in &answers {
            assert_eq!(answer.is_ok(), is_active, "{way}: {answer:?}, and the token is said to be otherwise");
        }
        is_active
    }
}

fn reason<T>(answer: Result<T>) -> Reason {
    answer.err().expect("it is refused").reason()
}
