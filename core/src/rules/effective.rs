//! What somebody may do: "my effective permissions".

use rolekeep_macros::Describe;
use serde::Serialize;

use crate::model::time::Time;

use super::{policy::Effect, principal::Principal, rule_set::RuleSet};

/// A grant that somebody holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct EffectiveGrant {
    /// Whether it gives or takes.
    pub effect: Effect,
    /// The permission, or the pattern that matches several.
    pub permission: String,
    /// Where: `global`, `region:ID`, …
    pub scope: String,
    /// Only where this holds.
    pub condition: Option<String>,
    /// The role that is held.
    pub role: String,
    /// The role that says so: the same, or one that it inherits.
    pub granted_by: String,
    /// Until when it is held.
    pub until: Option<Time>,
}

impl RuleSet {
    /// Every grant that the principal holds at this time, denies included; nothing where its account
    /// is not active.
    pub fn effective(&self, principal: &Principal, now: Time) -> Vec<EffectiveGrant> {
        let now = now.as_microsecond();
        if !principal.is_active || principal.stamp != self.stamp {
            return Vec::new();
        }
        let held = principal.held().filter(|one| self.counts(*one, now)).flat_map(|one| {
            let role = self.roles.get(one.role as usize);
            let closure = role.into_iter().flat_map(|role| role.closure.iter());
            let juniors = closure.filter_map(|junior| self.roles.get(*junior as usize));
            juniors.flat_map(move |junior| {
                junior.own_grants().map(move |grant| EffectiveGrant {
                    effect: grant.written.effect,
                    permission: grant.written.pattern.text.clone(),
                    scope: one.written().to_string(),
                    condition: grant.written.when.as_ref().map(|when| when.text.clone()),
                    role: role.map(|role| role.name().to_owned()).unwrap_or_default(),
                    granted_by: junior.name().to_owned(),
                    until: one.window().1,
                })
            })
        });
        held.collect()
    }
}
