//! An explanation for people.

use std::fmt::Write;

use crate::rules::{policy::Effect, principal::Principal};

use super::{Cause, Explanation, GrantTrace, TestOutcome, world::World};

/// So many near misses are told; the data has more.
const MAX_TOLD: usize = 3;

/// What one of those has to do with it who ask together.
pub(super) fn add(
    explanation: &mut Explanation,
    world: &World<'_>,
    who: usize,
    cause: Cause,
    decided_by: Option<&GrantTrace>,
    misses: &[GrantTrace],
) {
    let out = &mut explanation.text;
    let principal = world.principal(who);
    let cause = match cause {
        Cause::Inactive => format!("the account is {}", principal.status()),
        Cause::Administrator => "an administrator asks".to_owned(),
        Cause::Allowed => "a grant allows it, and none denies it".to_owned(),
        Cause::Denied => "a grant denies it, which no other outweighs".to_owned(),
        Cause::NothingGrants => "nothing that is held allows it".to_owned(),
        Cause::BeyondKey => "no pattern of the API key matches it".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = match who {
        0 => {
            let verdict = if explanation.allowed { "allowed" } else { "denied" };
            write!(out, "{} is {verdict}: {cause}", world.asked())
        }
        _ => write!(out, "\n{}, on whose behalf it is asked: {cause}", name_of(principal)),
    };
    let ty = &world.here(who).ty.name;
    let has_resource = world.question.resource.is_some();
    if let Some(trace) = decided_by {
        grant(out, trace, ty, has_resource);
    }
    let mut held = principal.held().filter_map(|held| world.rules.roles.get(held.role as usize));
    let is_unknown = principal.has_unknown_roles() || held.any(|role| role.is_gone);
    if is_unknown && !explanation.allowed {
        out.push_str("\n  a role that is held is unknown to this policy, and has no effect");
    }
    if !misses.is_empty() {
        out.push_str("\nwhat comes nearest:");
    }
    for trace in misses.iter().take(MAX_TOLD) {
        grant(out, trace, ty, has_resource);
    }
}

/// What would have to change.
pub(super) fn close(explanation: &mut Explanation) {
    let out = &mut explanation.text;
    match explanation.changes.as_slice() {
        [] => {}
        [_] => out.push_str("\nto be allowed:"),
        _ => out.push_str("\nto be allowed, all of these:"),
    }
    for change in &explanation.changes {
        let _ = write!(out, "\n  - {}", change.text);
    }
}

/// An account by its id.
pub(super) fn name_of(principal: &Principal) -> String {
    principal.id().map_or("who is not signed in".to_owned(), |id| id.to_string())
}

/// `in region …`, `for drone … only`, `everywhere`.
pub(super) fn place(scope: &str) -> String {
    if scope == "global" {
        return "everywhere".to_owned();
    }
    match scope.strip_prefix("resource:").and_then(|rest| rest.split_once(':')) {
        Some((ty, id)) => format!("at {ty} {id}"),
        None => format!("in {}", scope.replacen(':', " ", 1)),
    }
}

/// How a test must turn out, with what it reads now.
pub(super) fn meet(test: &TestOutcome) -> String {
    let values: Vec<String> = test.values.iter().map(|(path, value)| format!("{path} is {value}")).collect();
    let values = if values.is_empty() { String::new() } else { format!("; {}", values.join(", ")) };
    format!("{}{values}", outcome(test))
}

/// How a test must turn out.
pub(super) fn outcome(test: &TestOutcome) -> String {
    format!("`{}` must {}", test.text, if test.holds { "hold" } else { "not hold" })
}

fn grant(out: &mut String, trace: &GrantTrace, ty: &str, has_resource: bool) {
    let assignment = &trace.assignment;
    let effect = if trace.effect == Effect::Deny { "denies" } else { "allows" };
    let path = trace.role_path.join(" → ");
    let _ = write!(out, "\n  {path} {effect} {}, held {}", trace.permission, place(&assignment.scope));
    if let Some(group) = &assignment.group {
        let _ = write!(out, " by the group {group}");
    }
    match (assignment.from, assignment.until) {
        (Some(from), Some(until)) => {
            let _ = write!(out, " from {from} until {until}");
        }
        (Some(from), None) => {
            let _ = write!(out, " from {from} on");
        }
        (None, Some(until)) => {
            let _ = write!(out, " until {until}");
        }
        (None, None) => {}
    }
    let is_elsewhere = !assignment.covers;
    let mut flaws: Vec<String> = Vec::new();
    if !assignment.is_valid {
        flaws.push("not at this time".to_owned());
    }
    match (is_elsewhere, has_resource, trace.effect) {
        (true, true, _) => flaws.push(format!("not where this {ty} is")),
        (true, false, Effect::Allow) => flaws.push(format!("the question names no {ty}")),
        (_, false, Effect::Deny) => {
            let is_open = is_elsewhere || trace.tests.iter().any(|test| test.text.contains("resource."));
            if is_open {
                flaws.push(format!("which counts wherever no {ty} is named"));
            }
        }
        _ => {}
    }
    if !flaws.is_empty() {
        let word = if trace.effect == Effect::Deny { "" } else { "but " };
        let _ = write!(out, ", {word}{}", flaws.join(" and "));
    }
    for test in &trace.tests {
        let values: Vec<String> = test.values.iter().map(|(path, value)| format!("{path} is {value}")).collect();
        let values = if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
        let mark = if test.holds { "✓" } else { "✗" };
        let _ = write!(out, "\n    {mark} {}{values}", test.text);
    }
}
