//! What operations need of the store they run in.

use std::sync::Arc;

use super::{hasher::Hasher, reads::Reads};
use crate::{
    config::Config, credentials::access_token::Key, environment::Env, model::time::Time, rules::RuleSet,
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
    /// The policy, compiled.
    pub rules: Arc<RuleSet>,
    /// Password hashing.
    pub hasher: Hasher,
    /// The key that tokens are signed with.
    pub key: Key,
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
