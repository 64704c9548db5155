//! Why: assignment → role path → grant → tests with their values; on a denial a minimal set of
//! changes that would allow it. Made only when asked.
//!
//! | file | holds |
//! |---|---|
//! | `trace` | the grants that are about a question, and how far each matches |
//! | `what_if` | what the evaluator decides by, were some things otherwise |
//! | `minimal_changes` | the fewest things that would have to be |
//! | `condition_changes` | the same for one condition |
//! | `changes` | these as data and in words |
//! | `text` | all of it for people |

mod changes;
mod condition_changes;
mod minimal_changes;
mod text;
mod trace;
mod what_if;

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use what_if::Inquiry;

use crate::model::time::Time;
use crate::rules::{Decision, Effect, Verdict};

pub use changes::{ChangeKind, ProposedChange, TestOutcome};

/// The most grants that an explanation lists.
const MAX_MISSES: usize = 20;

/// What decided a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word, Describe)]
#[non_exhaustive]
pub enum Cause {
    /// The account is not active.
    Inactive,
    /// A role grants `admin:all`.
    Administrator,
    /// A grant allows it, and none denies it.
    Allowed,
    /// A grant denies it.
    Denied,
    /// Nothing grants it.
    NothingGrants,
    /// No pattern of the API key matches it.
    BeyondKey,
}

/// The reasons of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct Explanation {
    /// The decision.
    pub allowed: bool,
    /// The permission, with fields if there were any.
    pub permission: String,
    /// What decided.
    pub cause: Cause,
    /// The explanation as text, in lines.
    pub text: String,
    /// The grant that decided, if one did.
    pub decided_by: Option<GrantTrace>,
    /// On a denial, grants that almost allowed it; the closest first, at most 20.
    pub misses: Vec<GrantTrace>,
    /// On a denial, a minimal set of changes that together would allow it.
    pub changes: Vec<ProposedChange>,
}

/// A grant that a principal holds, and how far it matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct GrantTrace {
    /// Whether it allows or denies.
    pub effect: Effect,
    /// The assignment by which it is held.
    pub assignment: AssignmentTrace,
    /// Whether the role is active, for a session with active roles or an API key; otherwise true. Denies count in any case.
    pub is_active: bool,
    /// Whether the role needs a second factor, and none was proved. Denies count in any case.
    pub lacks_second_factor: bool,
    /// The roles from the one that is held to the one that has the grant.
    pub role_path: Vec<String>,
    /// The grant's permission or pattern.
    pub permission: String,
    /// Its condition, if there is one.
    pub condition: Option<String>,
    /// Whether its condition holds; true without one.
    pub condition_holds: bool,
    /// The comparisons of its condition, with the values that they read.
    pub tests: Vec<TestTrace>,
}

/// An assignment, and whether it applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct AssignmentTrace {
    /// The role that is held.
    pub role: String,
    /// The group that holds it; none: the account itself.
    pub group: Option<String>,
    /// The scope.
    pub scope: String,
    /// From when, inclusive.
    pub valid_from: Option<Time>,
    /// Until when, exclusive.
    pub valid_until: Option<Time>,
    /// Whether it is held at the time of the check.
    pub is_valid: bool,
    /// Whether its scope covers the resource. For a deny it is also true if it is not known what lies within the scope.
    pub covers: bool,
}

/// One comparison of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct TestTrace {
    /// As written: `resource.region_id == principal.region_id`.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// The values that it read, by path; `nothing` for an absent value, `unknown` if no resource was given.
    pub values: BTreeMap<String, String>,
}

impl Explanation {
    /// The host itself may do everything.
    pub fn of_host(permission: &str) -> Self {
        let text = "the application itself asks, which no rule restricts".to_owned();
        Self { text, ..Self::begun(true, permission, Cause::Administrator) }
    }

    fn begun(allowed: bool, permission: &str, cause: Cause) -> Self {
        let (permission, text) = (permission.to_owned(), String::new());
        Self { allowed, permission, cause, text, decided_by: None, misses: Vec::new(), changes: Vec::new() }
    }

    pub(super) fn of(decision: &Decision<'_>) -> Self {
        let Decision { rules, question, verdict } = *decision;
        let name = rules.permission_name(question.permission);
        let begun = Self::begun(verdict.is_allowed(), name, Cause::NothingGrants);
        // A decision exists only for a complete question.
        let explained = rules.evaluate(&question, |cx| begun.clone().with_trace(&Inquiry::of(question, *cx)));
        explained.unwrap_or(begun)
    }

    fn with_trace(mut self, inquiry: &Inquiry<'_>) -> Self {
        self.permission = inquiry.asked();
        for (who, cx) in inquiry.chain.iter().enumerate() {
            let verdict = inquiry.rules.verdict(&inquiry.question, cx);
            // What is allowed is told of who asks; what is denied of everybody who may not.
            if who == 0 || !verdict.is_allowed() {
                self.add(inquiry, who, verdict);
            }
        }
        if !self.allowed {
            self.changes = inquiry.described(&inquiry.minimal_changes());
        }
        text::close(&mut self);
        self
    }

    /// What the principal, or one on whose behalf it acts, has to do with it.
    fn add(&mut self, inquiry: &Inquiry<'_>, who: usize, verdict: Verdict) {
        let (cause, decided_by) = inquiry.cause(who, verdict);
        let misses = if verdict.is_allowed() { Vec::new() } else { inquiry.misses(who) };
        text::add(self, inquiry, who, cause, decided_by.as_ref(), &misses);
        // Who asks may; another of those together may not.
        if who == 0 || matches!(self.cause, Cause::Allowed | Cause::Administrator) {
            (self.cause, self.decided_by) = (cause, decided_by);
        }
        self.misses.extend(misses);
        self.misses.truncate(MAX_MISSES);
    }
}
