//! API keys (AUT-11): what programs of a user call by, where nobody is there to sign in (docs/decisions/027-api-keys.md).
//!
//! | file | holds |
//! |---|---|
//! | `create` | making one, by its user or by the application |
//! | `list` | seeing them |
//! | `revoke` | ending them, one by one and all that an account has |

mod create;
mod list;
mod revoke;

pub use crate::model::api_key::ApiKeyEnd;
pub use create::{CreateApiKey, CreateApiKeyFor, NewApiKey};
pub use list::{ApiKeyView, ListApiKeys, ListApiKeysOf};
pub use revoke::RevokeApiKey;
pub(super) use revoke::end_all;

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Visible, alive, plan::Plan};
use crate::{
    credentials::api_key::beginning,
    model::{api_key::ApiKey, error::Error, id::UserId, predicate::Predicate, time::Time},
    net::network,
};

impl Visible for ApiKey {
    const READ: &'static str = "api_key:read";
}

/// The networks that a key is used from; none: everywhere.
pub(crate) struct Networks(Option<Vec<IpNet>>);

impl Networks {
    /// As they are stored.
    pub(crate) fn stored(key: &ApiKey) -> Self {
        // What cannot be read lets in nobody.
        Self(key.networks.as_deref().map(|all| all.split(' ').filter_map(|one| network(one).ok()).collect()))
    }

    fn contains(&self, client: Option<IpAddr>) -> bool {
        let Some(networks) = &self.0 else { return true };
        client.is_some_and(|client| networks.iter().any(|network| network.contains(&client)))
    }
}

/// Why a key may not be used: for the audit log, and for nobody who gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyRefusal {
    #[error("it is another account's")]
    Account,
    #[error("its secret is wrong")]
    Secret,
    #[error("it was ended")]
    Ended,
    #[error("it has expired")]
    Expired,
    #[error("it is not for this address")]
    Network,
    #[error("its user is not active")]
    Owner,
}

impl ApiKey {
    /// The patterns of the permissions that it reaches; none: all.
    pub(crate) fn patterns(&self) -> Option<Vec<String>> {
        self.patterns.as_deref().map(words)
    }

    /// Whether it was ended, by itself or with those of everybody, which were so often.
    fn is_ended(&self, era: i64) -> bool {
        self.ended_at.is_some() || self.era.unwrap_or_default() < era
    }

    /// Whether it may be used from an address, whoever its user is by now, where the keys of everybody have been ended so often.
    pub(crate) fn require_good(
        &self,
        networks: &Networks,
        client: Option<IpAddr>,
        (era, now): (i64, Time),
    ) -> Result<(), KeyRefusal> {
        if self.is_ended(era) {
            return Err(KeyRefusal::Ended);
        }
        if now >= self.expires_at {
            return Err(KeyRefusal::Expired);
        }
        if networks.contains(client) { Ok(()) } else { Err(KeyRefusal::Network) }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What the keys of a user begin with that are good still, the oldest first.
pub(super) async fn beginnings(plan: &Plan<'_>, user: UserId) -> Result<Vec<String>, Error> {
    let mut keys: Vec<ApiKey> = plan.reads().all(alive_of(plan, user)).await?;
    keys.sort_unstable_by_key(|key| (key.created_at, key.id));
    Ok(keys.iter().map(|key| beginning(key.id)).collect())
}

/// A user's keys that were not ended and have time left.
fn alive_of(plan: &Plan<'_>, user: UserId) -> Predicate {
    alive::alive_of(user, plan.key_era(), plan.now)
}
