//! What operations need of the store they run in.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{hasher::Hasher, limits::Places, policy::state::PolicyState, reads::Reads};
use crate::{
    config::Config,
    credentials::keys::Keys,
    environment::Env,
    model::{deferred::IS_PAGE, error::Result, time::Time},
    net::Networks,
    rules::RuleSet,
    storage::Storage,
};

/// One open store.
pub struct Services {
    /// Where rows are kept.
    pub storage: Arc<dyn Storage>,
    /// Time, randomness, tasks.
    pub env: Env,
    /// The settings.
    pub config: Config,
    policy: ArcSwap<PolicyState>,
    /// Password hashing.
    pub hasher: Hasher,
    /// The keys that tokens are signed with.
    pub keys: Keys,
    /// Whose word on addresses is believed, and from which addresses requests are answered.
    pub(crate) networks: Networks,
    /// The tries that are looked at now.
    pub(crate) places: Places,
    /// Whether there is somebody who sends notices.
    is_notifying: bool,
}

impl Services {
    /// A store whose policy is not read yet.
    pub fn new(
        storage: Arc<dyn Storage>,
        env: Env,
        config: Config,
        hasher: Hasher,
        keys: Keys,
        is_notifying: bool,
    ) -> Result<Self> {
        let networks = config.networks()?;
        let (policy, places) = (ArcSwap::from_pointee(PolicyState::empty()?), Places::default());
        Ok(Self { storage, env, config, policy, hasher, keys, networks, places, is_notifying })
    }

    /// Whether there is somebody who sends notices; never in a page.
    pub fn has_notifier(&self) -> bool {
        !IS_PAGE && self.is_notifying
    }

    /// The policy of now. An operation asks its plan instead, so that all of it is under one policy.
    pub fn policy(&self) -> Arc<PolicyState> {
        self.policy.load_full()
    }

    /// The rules of now, as [`Services::policy`].
    pub fn rules(&self) -> Arc<RuleSet> {
        self.policy.load().rules.clone()
    }

    /// Goes on with another policy, unless a newer one is there already; whether it did.
    pub fn replace_policy(&self, next: Arc<PolicyState>) -> bool {
        let before = self.policy.rcu(|now| if now.version < next.version { next.clone() } else { now.clone() });
        before.version < next.version
    }
}

impl Services {
    /// Typed reads.
    pub fn reads(&self) -> Reads<'_> {
        Reads::stored(&*self.storage)
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.env.now()
    }
}
