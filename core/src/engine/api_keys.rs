//! Callers by an API key: found by what they give, held like sessions, and asked about at each call.

use std::sync::Arc;

use super::{
    Engine, Who, WhoKind,
    cache::{self, Slot},
    rights::By,
    uses::LastUse,
};
use crate::{
    credentials::api_key,
    model::{
        api_key::{ApiKey, ApiKeyUse},
        error::{Error, Result},
        id::{ApiKeyId, UserId},
        time::Time,
    },
    net::Origin,
    operations::{
        actor::RequestContext,
        api_keys::{KeyRefusal, Networks},
    },
    rules::KeyProperties,
};

/// The key that a caller came by.
#[derive(Clone)]
pub(crate) struct WhoKey {
    pub(crate) id: ApiKeyId,
    pub(crate) slot: Arc<Slot<Found>>,
}

/// What was found of a key; none: it is gone.
pub(crate) type Found = Option<LiveKey>;

/// An API key as stored.
pub(crate) struct LiveKey {
    pub(crate) key: ApiKey,
    pub(crate) properties: KeyProperties,
    last_use: LastUse<ApiKeyUse>,
    networks: Networks,
}

impl LiveKey {
    fn new(key: ApiKey, last_use: ApiKeyUse) -> Self {
        let networks = Networks::stored(&key);
        let properties = KeyProperties::new(key.patterns(), key.has_two_factors);
        Self { key, properties, last_use: LastUse::new(last_use), networks }
    }

    /// Whether it may be used from there, whoever its owner is by now.
    pub(super) fn require_good(
        &self,
        user: UserId,
        origin: Origin,
        moment: (i64, Time),
    ) -> std::result::Result<(), KeyRefusal> {
        // A key is its owner's for ever; rows that somebody changed are none of ours.
        let is_own = self.key.user_id == user;
        if is_own { self.key.require_good(&self.networks, origin.client, moment) } else { Err(KeyRefusal::Account) }
    }
}

impl Engine {
    /// Who gives this key; somebody whose key it is, and who may use it from there.
    ///
    /// # Errors
    /// [`Reason::InvalidToken`](crate::Reason::InvalidToken), the same whatever is wrong.
    pub(crate) async fn by_key(self: &Arc<Self>, text: &str, request: &Arc<RequestContext>) -> Result<Who> {
        self.require_open()?;
        let unknown = |error: &Error| self.tell_of_token(request, error);
        let given = api_key::read(text).inspect_err(unknown)?;
        self.keep_up().await?;
        // Nothing is kept of keys that nobody has: whoever guesses does not push out those that are used.
        let held = self.keys.known(given.id).and_then(|slot| slot.get());
        let key = match held.as_deref() {
            Some(found) => found.as_ref().map(|live| live.key.clone()),
            None => self.services.reads().get(&(given.id,)).await?,
        };
        let key: ApiKey = key.ok_or_else(api_key::refused).inspect_err(unknown)?;
        if !given.is(&key.hash) {
            return Err(self.refuse_key(&key, request, KeyRefusal::Secret));
        }
        let (pin, slot) = (self.principals.pin(key.user_id.0), self.keys.slot(key.id));
        let by = By::Key(WhoKey { id: key.id, slot });
        let who = Who { kind: WhoKind::User { id: key.user_id, pin, by }, request: request.clone() };
        self.actor(&who).await.inspect_err(|error| self.tell_of_refused_caller(&who, error))?;
        Ok(who)
    }

    /// The key that a caller came by, as it is now, if it may be used.
    pub(super) async fn good_key(self: &Arc<Self>, user: UserId, who: &WhoKey, asked: &Who) -> Result<Arc<Found>> {
        let found = match self.keys.look(&who.slot) {
            Some(found) => found,
            None => who.slot.fill(|| self.read_key(who.id)).await?.0,
        };
        let live = (*found).as_ref().ok_or_else(api_key::refused)?;
        if let Err(why) = live.require_good(user, asked.request.origin, (self.services.key_era(), self.services.now()))
        {
            return Err(self.refuse_key(&live.key, &asked.request, why));
        }
        self.note_use(&live.last_use);
        Ok(found)
    }

    /// The answer to who may not use a key; the audit log hears why.
    pub(super) fn refuse_key(self: &Arc<Self>, key: &ApiKey, request: &RequestContext, why: KeyRefusal) -> Error {
        self.tell_of_key(key, request, why);
        api_key::refused()
    }

    async fn read_key(&self, id: ApiKeyId) -> Result<Arc<Found>> {
        Ok(self.read_keys(vec![id]).await?.pop().flatten().unwrap_or_default())
    }

    /// What is found of keys, of those that are gone, too.
    async fn read_keys(&self, ids: Vec<ApiKeyId>) -> Result<Vec<Option<Arc<Found>>>> {
        let (reads, given) = (self.services.reads(), ids.into_iter().map(|id| (id,)));
        let keys: Vec<Option<ApiKey>> = reads.each(given.clone()).await?;
        let uses: Vec<Option<ApiKeyUse>> = reads.each(given).await?;
        let found = |(key, last_use)| LiveKey::new(key, last_use);
        Ok(keys.into_iter().zip(uses).map(|(key, last_use)| Some(Arc::new(key.zip(last_use).map(found)))).collect())
    }

    /// Reads keys anew that callers hold; those that cannot be read are not known any more.
    pub(super) async fn renew_keys(&self, outdated: Vec<cache::Outdated<ApiKeyId, Found>>) {
        cache::Outdated::renew_all(outdated, |ids| self.read_keys(ids)).await;
    }
}
