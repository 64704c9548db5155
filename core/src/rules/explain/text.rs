//! An explanation for people.

use std::fmt::Write;

use super::{Cause, Explanation, GrantTrace, Tracer};

pub(super) fn of(explanation: &Explanation, tracer: &Tracer<'_>) -> String {
    let mut out = String::new();
    let verdict = if explanation.allowed { "allowed" } else { "denied" };
    let cause = match explanation.cause {
        Cause::Inactive => format!("the account is {}", tracer.here.principal.status),
        Cause::Administrator => "held by an administrator".to_owned(),
        Cause::Allowed => "a grant allows it and none denies it".to_owned(),
        Cause::Denied => "a grant denies it".to_owned(),
        Cause::NothingGrants => "nothing grants it".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = write!(out, "{} is {verdict}: {cause}", explanation.permission);
    if let Some(trace) = &explanation.decided_by {
        grant(&mut out, trace);
    }
    if !explanation.misses.is_empty() {
        out.push_str("\nnearest misses:");
    }
    for trace in explanation.misses.iter().take(3) {
        grant(&mut out, trace);
    }
    if !explanation.changes.is_empty() {
        out.push_str("\nit would be allowed if all of this changed:");
    }
    for change in &explanation.changes {
        let _ = write!(out, "\n  - {}", change.text);
    }
    out
}

fn grant(out: &mut String, trace: &GrantTrace) {
    let assignment = &trace.assignment;
    let effect = if trace.effect == crate::rules::policy::Effect::Deny { "denies" } else { "allows" };
    let _ = write!(out, "\n  {} ({}) {effect} {}", trace.role_path.join(" → "), assignment.scope, trace.permission);
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
