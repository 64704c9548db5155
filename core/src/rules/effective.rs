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
        let valid = principal.assignments.iter().filter(|one| one.is_valid(now));
        let held = valid.flat_map(|assignment| {
            let role = self.roles.get(assignment.role as usize);
            let closure = role.into_iter().flat_map(|role| role.closure.iter());
            let juniors = closure.filter_map(|junior| self.roles.get(*junior as usize));
            juniors.flat_map(move |junior| {
                self.own_grants(junior).map(move |grant| EffectiveGrant {
                    effect: grant.effect,
                    permission: grant.pattern.clone(),
                    scope: assignment.written.to_string(),
                    condition: grant.when.clone(),
                    role: role.map(|role| role.name.clone()).unwrap_or_default(),
                    granted_by: junior.name.clone(),
                    until: assignment.window().1,
                })
            })
        });
        held.collect()
    }
}
