//! Who asks by what pages do not have: an API key, a token of another issuer, or a session in which somebody acts as another user.

use std::sync::Arc;

use super::{
    Engine, Live, Who,
    impersonation::WhoImpersonator,
    rights::{By, inactive, live_key},
};
use crate::{
    model::{error::Result, id::UserId},
    operations::{
        actor::{ActorKind, Impersonator, SignedIn},
        api_keys::KeyRefusal,
        policy::state::PolicyState,
        sessions::ended,
    },
};

impl Engine {
    /// Who it is at this moment, if it may still ask.
    pub(super) async fn actor_of_servers(
        self: &Arc<Self>,
        (id, by): (UserId, &By),
        who: &Who,
        era: i64,
    ) -> Result<(ActorKind, Arc<PolicyState>)> {
        let (mut found, mut foreign) = (None, None);
        match by {
            // The host speaks for it where there are pages, too.
            By::Host => return Err(ended()),
            By::Session(session) => {
                let live = self.live_session(id, session, era).await?;
                let other = session.impersonator.as_ref().ok_or_else(ended)?;
                return self.impersonating(other, &live, who, era).await;
            }
            By::Key(key) => found = Some(self.good_key(id, key, who).await?),
            By::Token(token) => foreign = Some(self.good_token(id, token).await?),
        }
        let key = live_key(found.as_ref());
        let Some(loaded) = self.rights(id).await?.filter(|loaded| loaded.principal.is_active()) else {
            return Err(
                key.map_or_else(|| inactive(by), |live| self.refuse_key(&live.key, &who.request, KeyRefusal::Owner))
            );
        };
        let (rules, principal) = (&loaded.policy.rules, &loaded.principal);
        let asking = match key {
            Some(live) => rules.by_key(principal, &live.properties, self.needs_two_factors()),
            None => rules.in_session(principal, self.token_properties()).into_owned(),
        };
        let signed_in = SignedIn {
            key: key.map(|live| (live.key.id, live.key.version, live.key.era.unwrap_or_default())),
            foreign,
            ..SignedIn::new(id, asking, SignedIn::authority_of(principal), era)
        };
        Ok((ActorKind::User(signed_in), loaded.policy))
    }

    /// Somebody who acts as another user, if it may at this moment.
    async fn impersonating(
        self: &Arc<Self>,
        other: &WhoImpersonator,
        live: &Live,
        who: &Who,
        era: i64,
    ) -> Result<(ActorKind, Arc<PolicyState>)> {
        let user = live.session.user_id;
        let (rests_on, theirs, users) = self.impersonation(other, user).await?;
        let moment = (&who.request.context, era, self.services.now());
        let (asks, acts_as) = ((other, &theirs.principal), (&rests_on, &users.principal));
        let principal = self.acting(&users.policy.rules, asks, acts_as, moment)?;
        self.note_use(&live.activity);
        let (own, target) = (&rests_on.session.session, &rests_on.target);
        let impersonator = Impersonator {
            id: other.id,
            session: own.id,
            session_version: own.version,
            authority: SignedIn::authority_of(&theirs.principal),
            target_version: target.table.version_of(&target.row),
        };
        // Nothing was proved of the user.
        let signed_in = SignedIn {
            session: Some(live.session.id),
            session_version: Some(live.session.version),
            impersonator: Some(Box::new(impersonator)),
            ..SignedIn::new(user, principal, SignedIn::authority_of(&users.principal), era)
        };
        Ok((ActorKind::User(signed_in), users.policy))
    }
}
