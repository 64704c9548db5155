//! The naive engine that all others are compared with before they are timed: nothing is prepared, every
//! list is walked, as docs/rules.md says the decision.

use crate::{
    engine::Query,
    workload::{ACTIVE, NOW, Variant, Workload},
};

/// The answer.
pub fn decide(workload: &Workload, query: &Query) -> bool {
    let mut is_allowed = false;
    for assignment in workload.assignments(query.user) {
        let is_here = assignment.window.holds(NOW) && covers(workload, assignment.region, query);
        if !is_here || !condition(workload, query) {
            continue;
        }
        let mut roles = vec![assignment.role];
        while let Some(at) = roles.pop() {
            let role = &workload.roles[at as usize];
            if role.denies.contains(&query.permission) {
                return false;
            }
            is_allowed |= role.grants.contains(&query.permission);
            roles.extend(&role.inherits);
        }
    }
    is_allowed
}

fn covers(workload: &Workload, region: u32, query: &Query) -> bool {
    workload.variant != Variant::Scoped || query.thing.as_ref().is_some_and(|thing| thing.region == region)
}

fn condition(workload: &Workload, query: &Query) -> bool {
    let holds = |thing: &crate::Thing| thing.status == ACTIVE && thing.level <= Workload::level(query.user);
    workload.variant != Variant::Scoped || query.thing.as_ref().is_some_and(holds)
}
