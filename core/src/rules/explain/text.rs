//! An explanation for people.

use std::{collections::BTreeMap, fmt::Write};

use super::{Cause, GrantTrace, TestOutcome, what_if::Inquiry};

use crate::model::value::Value;
use crate::rules::{Effect, Explanation, GivenValue, Pattern, Principal};

/// So many near misses are told; the data has more.
const MAX_TOLD: usize = 3;

/// What the principal, or one on whose behalf it acts, has to do with it.
pub(super) fn add(
    explanation: &mut Explanation,
    inquiry: &Inquiry<'_>,
    who: usize,
    cause: Cause,
    decided_by: Option<&GrantTrace>,
    misses: &[GrantTrace],
) {
    let out = &mut explanation.text;
    let principal = inquiry.principal(who);
    let is_allowed = matches!(cause, Cause::Allowed | Cause::Administrator);
    let cause = match cause {
        Cause::Inactive => format!("the account is {}", principal.status()),
        Cause::Administrator => "an administrator may do anything".to_owned(),
        Cause::Allowed => "a grant allows it, and none denies it".to_owned(),
        Cause::Denied => "a grant denies it, and denies take precedence".to_owned(),
        Cause::NothingGrants => "no role that is held allows it".to_owned(),
        Cause::BeyondKey => "no pattern of the API key matches it".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = match who {
        0 => {
            let verdict = if explanation.allowed { "allowed" } else { "denied" };
            let _ = write!(out, "{} is {verdict}: ", inquiry.asked());
            match (explanation.allowed, is_allowed, inquiry.chain.len()) {
                (false, true, _) => write!(
                    out,
                    "the principal acts on behalf of somebody who may not do this; for the principal itself, {cause}"
                ),
                (true, _, 2..) => write!(
                    out,
                    "the principal and everybody on whose behalf it acts may do this; for the principal itself, {cause}"
                ),
                _ => write!(out, "{cause}"),
            }
        }
        _ => write!(out, "\nfor {}, on whose behalf the principal acts, {cause}", name_of(principal)),
    };
    if let Some(trace) = decided_by {
        grant(out, trace, inquiry, who);
    }
    let mut held = principal.assignments().filter_map(|held| inquiry.rules.roles.get(held.role as usize));
    let is_unknown = principal.has_unknown_roles() || held.any(|role| role.is_gone);
    if is_unknown && !explanation.allowed {
        out.push_str("\n  a role that is held is unknown to this policy, and has no effect");
    }
    if !misses.is_empty() {
        out.push_str("\nwhat comes nearest:");
    }
    for trace in misses.iter().take(MAX_TOLD) {
        grant(out, trace, inquiry, who);
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
        (_, None) => "somebody who is not signed in".to_owned(),
    }
}

/// `in region …`, `for drone … alone`, `everywhere`.
pub(super) fn scope_phrase(scope: &str) -> String {
    if scope == "global" {
        return "everywhere".to_owned();
    }
    match scope.strip_prefix("resource:").and_then(|rest| rest.split_once(':')) {
        Some((ty, id)) => format!("for {ty} {id} alone"),
        None => format!("in {}", scope.replacen(':', " ", 1)),
    }
}

/// Which resource a question must name.
pub(super) fn name_resource(ty: &str, scopes: &[String], avoided: &[String], tests: &[TestOutcome]) -> String {
    let places: Vec<String> = scopes.iter().map(|scope| format!(" {}", scope_phrase(scope))).collect();
    let avoided: Vec<String> = avoided.iter().map(|scope| format!(", not {}", scope_phrase(scope))).collect();
    let tests: Vec<String> = tests
        .iter()
        .map(|test| format!("`{}` {}", test.text, if test.holds { "holds" } else { "does not hold" }))
        .collect();
    let comma = if avoided.is_empty() || tests.is_empty() { "" } else { "," };
    let tests = if tests.is_empty() { String::new() } else { format!(" for which {}", tests.join(" and ")) };
    format!("the question must name a {ty}{}{}{comma}{tests}", places.join(" and"), avoided.concat())
}

/// How a test must turn out, with what it reads now.
pub(super) fn meet(test: &TestOutcome) -> String {
    let must = if test.holds { "must hold" } else { "must not hold" };
    let values = if test.values.is_empty() { String::new() } else { format!("; {}", read(&test.values)) };
    format!("`{}` {must}{values}", test.text)
}

/// `resource.region_id is nothing, …`
fn read(values: &BTreeMap<String, String>) -> String {
    let values: Vec<String> = values.iter().map(|(path, value)| format!("{path} is {value}")).collect();
    values.join(", ")
}

fn reads_resource(values: &BTreeMap<String, String>) -> bool {
    values.keys().any(|path| path.starts_with("resource."))
}

fn grant(out: &mut String, trace: &GrantTrace, inquiry: &Inquiry<'_>, who: usize) {
    let has_resource = inquiry.question.resource.is_some();
    let assignment = &trace.assignment;
    let effect = if trace.effect == Effect::Deny { "denies" } else { "allows" };
    let path = trace.role_path.join(" → ");
    let _ = write!(out, "\n  {path} {effect} {}, held {}", trace.permission, scope_phrase(&assignment.scope));
    if let Some(group) = &assignment.group {
        let _ = write!(out, " by the group {group}");
    }
    let _ = match (assignment.valid_from, assignment.valid_until) {
        (Some(from), Some(until)) => write!(out, " from {from} until {until}"),
        (Some(from), None) => write!(out, " from {from} on"),
        (None, Some(until)) => write!(out, " until {until}"),
        (None, None) => Ok(()),
    };
    let flaws = flaws(trace, inquiry, who);
    if !flaws.is_empty() {
        let but = if trace.effect == Effect::Deny { "" } else { "but " };
        let _ = write!(out, ", {but}{}", flaws.join(" and "));
    }
    for test in &trace.tests {
        let mark = match (!has_resource && reads_resource(&test.values), test.holds) {
            (true, _) => "?",
            (false, true) => "✓",
            (false, false) => "✗",
        };
        let values = if test.values.is_empty() { String::new() } else { format!(" ({})", read(&test.values)) };
        let _ = write!(out, "\n    {mark} {}{values}", test.text);
    }
}

/// Why a grant does not count, or counts all the same.
fn flaws(trace: &GrantTrace, inquiry: &Inquiry<'_>, who: usize) -> Vec<String> {
    let ty = &inquiry.cx(who).ty.name;
    let (is_allow, has_resource) = (trace.effect == Effect::Allow, inquiry.question.resource.is_some());
    let is_elsewhere = !trace.assignment.covers;
    let is_open = is_elsewhere || trace.tests.iter().any(|test| reads_resource(&test.values));
    let is_not = if inquiry.principal(who).is_key() { "one of the API key's roles" } else { "active in this session" };
    [
        (!trace.assignment.is_valid, "not at this time".to_owned()),
        (is_allow && !trace.is_active, format!("not {is_not}")),
        (is_allow && trace.lacks_second_factor, "a second factor is missing".to_owned()),
        (is_allow && is_beyond(inquiry, &trace.permission), "only on these fields".to_owned()),
        (is_elsewhere && has_resource, format!("not where this {ty} is")),
        (is_allow && is_elsewhere && !has_resource, format!("the question names no {ty}")),
        (!is_allow && is_open && !has_resource, format!("which counts wherever no {ty} is named")),
    ]
    .into_iter()
    .filter_map(|(is_so, flaw)| is_so.then_some(flaw))
    .collect()
}

/// Whether a grant is narrowed, and the question about more than it gives.
fn is_beyond(inquiry: &Inquiry<'_>, pattern: &str) -> bool {
    let Some(names) = Pattern::parse(pattern).and_then(|pattern| pattern.fields) else { return false };
    let asked = inquiry.question.fields;
    asked.is_empty() || asked.iter().any(|field| !names.contains(&inquiry.field_name(*field)))
}
