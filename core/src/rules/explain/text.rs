//! An explanation for people.

use std::fmt::Write;

use super::{Cause, Explanation, GrantTrace, Tracer};

/// What one of those has to do with it who ask together.
pub(super) fn add(
    explanation: &mut Explanation,
    tracer: &Tracer<'_>,
    cause: Cause,
    decided_by: Option<&GrantTrace>,
    misses: &[GrantTrace],
    is_first: bool,
) {
    let out = &mut explanation.text;
    let cause = match cause {
        Cause::Inactive => format!("the account is {}", tracer.here.principal.status()),
        Cause::Administrator => "held by an administrator".to_owned(),
        Cause::Allowed => "a grant allows it and none denies it".to_owned(),
        Cause::Denied => "a grant denies it".to_owned(),
        Cause::NothingGrants => "nothing grants it".to_owned(),
        Cause::BeyondKey => "no pattern of the API key matches it".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = match is_first {
        true => {
            let verdict = if explanation.allowed { "allowed" } else { "denied" };
            write!(out, "{} is {verdict}: {cause}", tracer.asked())
        }
        false => {
            let who =
                tracer.here.principal.id().map_or("somebody who is not signed in".to_owned(), |id| id.to_string());
            write!(out, "\non behalf of {who}: {cause}")
        }
    };
    if let Some(trace) = decided_by {
        grant(out, trace);
    }
    if !misses.is_empty() {
        out.push_str("\nnearest misses:");
    }
    for trace in misses.iter().take(3) {
        grant(out, trace);
    }
}

/// What would have to change.
pub(super) fn close(explanation: &mut Explanation) {
    let out = &mut explanation.text;
    if !explanation.changes.is_empty() {
        out.push_str("\nit would be allowed if all of this changed:");
    }
    for change in &explanation.changes {
        let _ = write!(out, "\n  - {}", change.text);
    }
}

fn grant(out: &mut String, trace: &GrantTrace) {
    let assignment = &trace.assignment;
    let effect = if trace.effect == crate::rules::policy::Effect::Deny { "denies" } else { "allows" };
    let _ = write!(out, "\n  {} ({}) {effect} {}", trace.role_path.join(" → "), assignment.scope, trace.permission);
    if let Some(group) = &assignment.group {
        let _ = write!(out, " [by the group {group}]");
    }
    if !assignment.is_valid {
        out.push_str(" [not held at this time]");
    }
    if !assignment.covers {
        out.push_str(" [does not cover this]");
    }
    for test in &trace.tests {
        let values: Vec<String> = test.values.iter().map(|(path, value)| format!("{path} is {value}")).collect();
        let mark = if test.holds { "✓" } else { "✗" };
        let _ = write!(out, "\n    {mark} {} ({})", test.text, values.join(", "));
    }
}
