//! The policy of rules without accounts, as other languages name it.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input};

use crate::{
    config::{self, ONE_POLICY, policy_of},
    model::{
        deferred::Deferred,
        error::{Error, Reason, Result},
    },
    operations::target,
    rules::{Policy, RuleSet, Schema},
};

/// The policy of rules without accounts.
#[derive(Clone, Debug, Input, Describe)]
pub struct RulesConfig {
    /// A policy that comes with the library: `standard` or `flyos`. One of the four policy settings is given.
    pub preset: Option<String>,
    /// A policy file's text, in TOML.
    pub policy_toml: Option<String>,
    /// A policy file's text, in JSON.
    pub policy_json: Option<String>,
    /// Roles and what they allow, instead of a policy file: `{"editor": ["document:edit"]}`.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Permissions that exist beside those that a role allows.
    pub permissions: Vec<String>,
    /// Whether there are the resource types and permissions of the library's own operations, so that the policy of a store
    /// decides as it does there; if not given, for a preset alone. Otherwise there is what the policy declares.
    pub library_types: Option<bool>,
}

impl RulesConfig {
    /// Reads them from JSON and compiles the policy.
    ///
    /// # Errors
    /// [`Reason::InvalidJson`], [`Reason::InvalidInput`] with every wrong field, [`Reason::PolicyInvalid`] with every
    /// problem, [`Reason::ConfigInvalid`] where no policy is given, or several.
    pub fn compile(text: &str) -> Result<RuleSet> {
        let Self { preset, policy_toml, policy_json, roles, permissions, library_types } = config::read(text)?;
        let files = [&preset, &policy_toml, &policy_json].map(Option::as_deref);
        let policy = policy_of(files, &roles, &permissions, |name| PRESET.get()?(name))?;
        let policy = policy.ok_or_else(|| Error::new(Reason::ConfigInvalid, ONE_POLICY))?;
        let has_types = library_types.unwrap_or(preset.is_some());
        let schema = if has_types { LIBRARY_TYPES.get()?() } else { Schema::new() };
        RuleSet::compile(&policy, &schema)
    }
}

/// What rules without accounts need where they decide as a store does: browsers load it on demand.
static PRESET: Deferred<fn(&str) -> Result<Policy>> = Deferred::new(Policy::preset);
static LIBRARY_TYPES: Deferred<fn() -> Schema> = Deferred::new(target::schema);

pub(crate) fn load_deferred() {
    PRESET.load(Policy::preset);
    LIBRARY_TYPES.load(target::schema);
}
