//! Invitations (AUT-9): who makes them, what ends them, and what comes of those that are accepted while something else happens.

mod attacked;
mod ended;
mod given;
mod made;
mod races;
mod taken_over;

use std::{sync::Arc, time::Duration};

use rolekeep::{
    Caller, Error, InvitationId, Policy, Reason, RequestContext, Result, Secret, UserId, UserManagement,
    internals::{invitation::Invitation, user::User},
    invitations::{
        AcceptInvitation, AcceptedInvitation, CreateInvitation, InvitationState, InvitationView, ListInvitations,
        NewInvitationRole, RevokeInvitation,
    },
    roles::AssignRole,
    storage::{Predicate, Query, Storage, tables},
    users::{CreateUser, GetUser},
};

use super::kit::{Ahead, Interposed, PASSWORD, all};
use crate::{cheap, mails::Mails};

const NEW: &str = "another horse battery staple";
const ADA: &str = "ada@example.org";
const HOUR: u64 = 3600;
const POLICY: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.user]
default = true

[roles.host]
allow = ["user:invite"]

[roles.helper]
allow = ["user:read"]
"#;

/// A store that mails, with an administrator who invites, Bob.
struct Stage {
    um: UserManagement,
    storage: Arc<Interposed>,
    clock: Ahead,
    mails: Mails,
    bob: UserId,
    me: Caller,
}

impl Stage {
    async fn open() -> Self {
        Self::with(POLICY).await
    }

    async fn with(policy: &str) -> Self {
        Self::by(policy, "admin").await
    }

    /// Where Bob has another role.
    async fn by(policy: &str, role: &str) -> Self {
        let (clock, mails) = (Ahead::new(), Mails::default());
        let (um, storage) = Interposed::open_as(Policy::from_toml(policy).unwrap(), |builder| {
            builder.config(cheap::config()).environment(clock.clone()).notifier(mails.clone())
        })
        .await;
        let bob = CreateUser::new("bob@example.org").username("bob").password(PASSWORD).roles([role]);
        let bob = um.system().users().create(bob).await.unwrap().id;
        // Another administrator is left whatever becomes of Bob.
        um.system().users().create(CreateUser::new("root@example.org").roles(["admin"])).await.unwrap();
        let login = um.login("bob", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
        let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
        Self { um, storage, clock, mails, bob, me }
    }

    fn anybody(&self) -> Caller {
        self.um.anonymous(RequestContext::default())
    }

    /// Bob invites somebody; what is mailed, once that is given out and settled.
    async fn invite(&self, email: &str, roles: &[&str]) -> (InvitationView, Secret) {
        let made = self.me.invitations().create(invitation(email, roles)).await.unwrap();
        (made, self.token(email).await)
    }

    async fn token(&self, email: &str) -> Secret {
        let token = self.mails.take("invitation", email).await.token.unwrap();
        self.is_quiet().await;
        token
    }

    /// All that was mailed is settled.
    async fn is_quiet(&self) {
        while !all::<rolekeep::internals::notice::PendingNotice>(&*self.storage).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn accept(&self, token: &Secret) -> Result<AcceptedInvitation> {
        self.anybody().invitations().accept(accepting(token)).await
    }

    async fn accept_as(&self, token: &Secret, username: &str) -> Result<AcceptedInvitation> {
        self.anybody().invitations().accept(accepting(token).username(username)).await
    }

    async fn states(&self) -> Vec<InvitationState> {
        let all = self.um.system().invitations().list(ListInvitations::new()).await.unwrap();
        all.items.into_iter().map(|invitation| invitation.state).collect()
    }

    /// How many accounts have this address.
    async fn accounts(&self, email: &str) -> usize {
        let users: Vec<User> = all(&*self.storage).await;
        users.into_iter().filter(|user| user.email.as_deref() == Some(email)).count()
    }

    async fn roles(&self, user: UserId) -> Vec<String> {
        let held = rolekeep::roles::ListAssignments::new().user_id(user);
        let held = self.um.system().roles().assignments(held).await.unwrap();
        let mut roles: Vec<String> =
            held.items.into_iter().map(|held| format!("{} {}", held.role, held.scope)).collect();
        roles.sort();
        roles
    }

    async fn signs_in(&self, name: &str, password: &str) -> bool {
        self.um.login(name, password, RequestContext::default()).await.is_ok()
    }

    /// A caller who is signed in.
    async fn signed_in(&self, name: &str, password: &str) -> Caller {
        let login = self.um.login(name, password, RequestContext::default()).await.unwrap().done().unwrap();
        self.um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap()
    }
}

fn invitation(email: &str, roles: &[&str]) -> CreateInvitation {
    CreateInvitation::new(email).roles(roles.iter().map(|role| NewInvitationRole::new(*role)))
}

fn accepting(token: &Secret) -> AcceptInvitation {
    AcceptInvitation::new(token.clone()).username("ada").password(NEW)
}

fn reason<T>(answer: Result<T>) -> Option<Reason> {
    answer.err().map(|error| error.reason())
}

fn void<T>(answer: Result<T>) -> Error {
    let error = answer.err().expect("the invitation is void");
    assert_eq!(error.reason(), Reason::InvalidToken, "{error:?}");
    error
}
