//! Callers by a token of another issuer: what it rests on is held like a session, and asked at each call.

use std::sync::Arc;

use super::{
    Engine, Who, WhoKind,
    cache::{self, Slot},
    rights::{By, not_loaded},
};
use crate::{
    credentials::foreign_token::Refusal,
    model::{
        credential::Credential,
        error::{Error, Reason, Result},
        id::{IdentityId, UserId},
        identity::Identity,
        proof::Proof,
        time::Time,
    },
    operations::{
        actor::{Relied, RequestContext},
        issuers::Verified,
    },
    rules::SessionProperties,
};

/// The token that a caller came by, whose signature was right.
#[derive(Clone)]
pub(crate) struct WhoToken {
    identity: IdentityId,
    /// In seconds.
    issued_at: i64,
    expires_at: Time,
    slot: Arc<Slot<Standing>>,
}

/// Whom an account stands for, and since when its credentials are what they are.
pub(crate) struct Standing {
    identities: Vec<Identity>,
    credential: Option<Credential>,
}

impl WhoToken {
    /// Whether it still lets in: it has not expired, the account stands for its subject, and nothing has ended what was proved before.
    fn require_good(&self, standing: &Standing, now: Time) -> Result<Relied> {
        if now >= self.expires_at {
            return Err(expired());
        }
        let credential = standing.credential.as_ref();
        // By a password that was given before its subject came, whoever made the account is in it, too: signing in puts an end to that.
        let is_shared = credential.is_some_and(|credential| credential.password_hash.is_some());
        let is_it = |identity: &Identity| identity.id == self.identity && !(is_shared && identity.is_unproved());
        let is_linked = standing.identities.iter().any(is_it);
        if !is_linked || credential.is_some_and(|credential| credential.is_after(self.issued_at)) {
            return Err(refused());
        }
        Ok(Relied { credential: credential.map(|credential| credential.version) })
    }

    /// The same from memory alone.
    pub(super) fn require_known(&self, now: Time) -> Result<()> {
        self.require_good(&*self.slot.get().ok_or_else(not_loaded)?, now).map(drop)
    }
}

impl Engine {
    /// Who gives this token of another issuer, where such tokens are taken for calls.
    ///
    /// # Errors
    /// [`Reason::InvalidToken`], [`Reason::TokenExpired`], [`Reason::IssuerUnavailable`]
    pub(crate) async fn by_token(self: &Arc<Self>, text: &str, request: &Arc<RequestContext>) -> Result<Who> {
        self.bearer(text, request).await.inspect_err(|error| self.tell_of_token(request, error))
    }

    async fn bearer(self: &Arc<Self>, text: &str, request: &Arc<RequestContext>) -> Result<Who> {
        self.keep_up().await?;
        let Verified { identity, token } =
            match self.services.issuers.read_for_access(text, self.services.now()).await? {
                Ok(read) => read,
                Err(Refusal::Expired) => return Err(expired()),
                Err(_) => return Err(refused()),
            };
        let user = identity.user(self.services.reads()).await?.ok_or_else(refused)?;
        let (pin, slot) = (self.principals.pin(user.0), self.standings.slot(user));
        let standing = self.standing(user, &slot).await?;
        let is_it = |one: &&Identity| one.issuer == identity.issuer && one.subject == identity.subject;
        let identity = standing.identities.iter().find(is_it).ok_or_else(refused)?.id;
        let who = WhoToken { identity, issued_at: token.issued_at, expires_at: token.refused_from(), slot };
        let who = Who { kind: WhoKind::User { id: user, pin, by: By::Token(who) }, request: request.clone() };
        self.actor(&who).await.inspect_err(|error| self.tell_of_refused_caller(&who, error))?;
        Ok(who)
    }

    /// What a caller's token rests on, if it still lets in.
    pub(super) async fn good_token(&self, user: UserId, who: &WhoToken) -> Result<Relied> {
        let standing = self.standing(user, &who.slot).await?;
        who.require_good(&standing, self.services.now())
    }

    /// What somebody proves who comes by such a token: one factor, and nobody knows when.
    pub(super) fn token_properties(&self) -> SessionProperties {
        SessionProperties {
            authenticated_at: None,
            proofs: Proof::External.into(),
            needs_two_factors: self.needs_two_factors(),
        }
    }

    async fn standing(&self, user: UserId, slot: &Slot<Standing>) -> Result<Arc<Standing>> {
        match self.standings.look(slot) {
            Some(standing) => Ok(standing),
            None => Ok(slot.fill(|| self.read_standing(user)).await?.0),
        }
    }

    async fn read_standing(&self, user: UserId) -> Result<Arc<Standing>> {
        let reads = self.services.reads();
        let identities = reads.of_user(user).await?;
        Ok(Arc::new(Standing { identities, credential: reads.get(&(user,)).await? }))
    }

    /// Reads anew whom accounts stand for whose callers are held; what cannot be read is not known any more.
    pub(super) async fn renew_standings(&self, outdated: Vec<cache::Outdated<UserId, Standing>>) {
        for one in outdated {
            one.renew(|user| self.read_standing(user)).await;
        }
    }
}

fn expired() -> Error {
    Error::new(Reason::TokenExpired, "the token has expired; ask its issuer for another")
}

/// The same whatever is wrong, as for other tokens.
pub(super) fn refused() -> Error {
    Error::new(Reason::InvalidToken, "the token is not valid")
}
