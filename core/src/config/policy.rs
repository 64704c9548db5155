//! The policy that settings name.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::error::{Error, Reason, Result},
    rules::Policy,
};

/// The policy of a preset, a file in TOML or one in JSON, or of roles and permissions; none where nothing is given.
pub(crate) fn policy_of(
    [preset, toml, json]: [Option<&str>; 3],
    roles: &BTreeMap<String, Vec<String>>,
    permissions: &[String],
    preset_of: fn(&str) -> Result<Policy>,
) -> Result<Option<Policy>> {
    let in_code = !roles.is_empty() || !permissions.is_empty();
    match (preset, toml, json, in_code) {
        (None, None, None, false) => Ok(None),
        (Some(name), None, None, false) => preset_of(name).map(Some),
        (None, Some(text), None, false) => Policy::from_toml(text).map(Some),
        (None, None, Some(text), false) => Policy::from_json(text).map(Some),
        (None, None, None, true) => {
            let allowed = roles.values().flatten().filter(|name| !name.contains('*') && *name != "admin:all");
            // Several roles may allow the same.
            let names: BTreeSet<&String> = permissions.iter().chain(allowed).collect();
            let policy = Policy::new().permissions(names);
            Ok(Some(roles.iter().fold(policy, |policy, (name, allow)| policy.role(name, allow))))
        }
        _ => Err(Error::new(Reason::ConfigInvalid, ONE_POLICY)),
    }
}

pub(crate) const ONE_POLICY: &str = "give one of preset, policy_toml, policy_json, or roles and permissions";
