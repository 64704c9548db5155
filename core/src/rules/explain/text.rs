//! An explanation for people.

use std::fmt::Write;

use crate::{
    model::value::Value,
    rules::{condition::value::GivenValue, policy::Effect, principal::Principal},
};

use super::{Cause, Explanation, GrantTrace, TestOutcome, what_if::World};

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
    let is_allowed = matches!(cause, Cause::Allowed | Cause::Administrator);
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
            let _ = write!(out, "{} is {verdict}: ", world.asked());
            match (explanation.allowed, is_allowed, world.chain.len()) {
                (false, true, _) => write!(out, "it is asked on behalf of somebody who may not; for who asks, {cause}"),
                (true, _, 2..) => write!(out, "all may on whose behalf it is asked; for who asks, {cause}"),
                _ => write!(out, "{cause}"),
            }
        }
        _ => write!(out, "\nfor {}, on whose behalf it is asked, {cause}", name_of(principal)),
    };
    if let Some(trace) = decided_by {
        grant(out, trace, world, who);
    }
    let mut held = principal.assignments().filter_map(|held| world.rules.roles.get(held.role as usize));
    let is_unknown = principal.has_unknown_roles() || held.any(|role| role.is_gone);
    if is_unknown && !explanation.allowed {
        out.push_str("\n  a role that is held is unknown to this policy, and has no effect");
    }
    if !misses.is_empty() {
        out.push_str("\nwhat comes nearest:");
    }
    for trace in misses.iter().take(MAX_TOLD) {
        grant(out, trace, world, who);
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
    match (principal.own_id(), principal.id()) {
        (Some(GivenValue::One(Value::Text(id))), _) => id.clone(),
        (Some(GivenValue::One(Value::Int(id))), _) => id.to_string(),
        (_, Some(id)) => id.to_string(),
        (_, None) => "who is not signed in".to_owned(),
    }
}

/// `in region …`, `for drone … alone`, `everywhere`.
pub(super) fn place(scope: &str) -> String {
    if scope == "global" {
        return "everywhere".to_owned();
    }
    match scope.strip_prefix("resource:").and_then(|rest| rest.split_once(':')) {
        Some((ty, id)) => format!("for {ty} {id} alone"),
        None => format!("in {}", scope.replacen(':', " ", 1)),
    }
}

/// How a test must turn out, with what it reads now.
pub(super) fn meet(test: &TestOutcome) -> String {
    let values: Vec<String> = test.values.iter().map(|(path, value)| format!("{path} is {value}")).collect();
    let values = if values.is_empty() { String::new() } else { format!("; {}", values.join(", ")) };
    format!("`{}` must {}{values}", test.text, if test.holds { "hold" } else { "not hold" })
}

/// How a test turns out.
pub(super) fn outcome(test: &TestOutcome) -> String {
    format!("`{}` {}", test.text, if test.holds { "holds" } else { "does not hold" })
}

fn grant(out: &mut String, trace: &GrantTrace, world: &World<'_>, who: usize) {
    let ty = &world.cx(who).ty.name;
    let has_resource = world.question.resource.is_some();
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
    if !trace.is_active && trace.effect == Effect::Allow {
        let is_key = world.principal(who).is_key();
        flaws.push(if is_key { "not one of the API key's roles" } else { "not active in this session" }.to_owned());
    }
    if trace.effect == Effect::Allow && world.is_beyond(&trace.permission) {
        flaws.push("only on these fields".to_owned());
    }
    match (is_elsewhere, has_resource, trace.effect) {
        (true, true, _) => flaws.push(format!("not where this {ty} is")),
        (true, false, Effect::Allow) => flaws.push(format!("the question names no {ty}")),
        (_, false, Effect::Deny) => {
            let is_open = is_elsewhere
                || trace.tests.iter().flat_map(|test| test.values.keys()).any(|path| path.starts_with("resource."));
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
        let is_unknown = !has_resource && test.values.keys().any(|path| path.starts_with("resource."));
        let mark = if is_unknown {
            "?"
        } else if test.holds {
            "✓"
        } else {
            "✗"
        };
        let _ = write!(out, "\n    {mark} {}{values}", test.text);
    }
}
