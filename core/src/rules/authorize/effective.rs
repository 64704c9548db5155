//! What somebody may do: "my effective permissions".

use rolekeep_macros::Describe;
use serde::Serialize;

use crate::model::time::Time;
use crate::rules::{Effect, OwnGrant, Principal, RuleSet};

/// A grant that a principal holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct EffectiveGrant {
    /// Whether it allows or denies.
    pub effect: Effect,
    /// The permission, or a pattern that matches several.
    pub permission: String,
    /// The scope: `global`, `region:ID`, …
    pub scope: String,
    /// The condition under which it applies; none: always.
    pub condition: Option<String>,
    /// The role that is held.
    pub role: String,
    /// The role that has the grant: the same, or one that it inherits.
    pub granted_by: String,
    /// Until when it is held, exclusive.
    pub valid_until: Option<Time>,
}

impl RuleSet {
    /// Every grant that the principal holds at this time, including denies; empty if its account is not active. With active
    /// roles, only what these allow; for an API key, only what its patterns match, as single permissions if they do not
    /// match a whole pattern. Acting on behalf of somebody is not taken into account.
    pub fn effective(&self, principal: &Principal, now: Time) -> Vec<EffectiveGrant> {
        let now = now.as_microsecond();
        if !principal.is_active() || !principal.is_of(self) {
            return Vec::new();
        }
        let mut effective = Vec::new();
        for held in principal.assignments().filter(|one| self.is_in_force(*one, now)) {
            let Some(role) = self.roles.get(held.role as usize) else { continue };
            for junior in role.closure.iter().filter_map(|junior| self.roles.get(*junior as usize)) {
                for grant in junior.own_grants() {
                    let effect = grant.written.effect;
                    if effect == Effect::Allow && !self.has_active_junior(principal, held.role, junior.id) {
                        continue;
                    }
                    effective.extend(self.reached(principal, grant).into_iter().map(|permission| EffectiveGrant {
                        effect,
                        permission,
                        scope: held.written(self.kinds()).to_string(),
                        condition: grant.written.when.as_ref().map(|when| when.text.clone()),
                        role: role.name().to_owned(),
                        granted_by: junior.name().to_owned(),
                        valid_until: held.window().1,
                    }));
                }
            }
        }
        effective
    }

    /// The pattern of a grant, or those of its permissions that an API key reaches.
    fn reached(&self, principal: &Principal, grant: OwnGrant<'_>) -> Vec<String> {
        let pattern = &grant.written.pattern.text;
        if !principal.is_key() || grant.written.effect == Effect::Deny {
            return vec![pattern.clone()];
        }
        let is_administrator = grant.written.is_admin();
        let matched =
            (0_u32..).zip(self.all_permissions()).filter(|(_, one)| is_administrator || grant.matches(&one.name));
        let (within, beyond): (Vec<_>, Vec<_>) = matched.partition(|(number, _)| principal.is_within_key(*number));
        if beyond.is_empty() {
            return vec![pattern.clone()];
        }
        let fields = pattern.find('{').and_then(|at| pattern.get(at..)).unwrap_or_default();
        within.into_iter().map(|(_, one)| format!("{}{fields}", one.name)).collect()
    }
}
