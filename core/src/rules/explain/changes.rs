//! What would have to change for a denied question to be allowed: as data that a program can apply, and
//! in words.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use super::{
    AssignmentTrace, text,
    what_if::{Hypothesis, Inquiry, Outcome, Step},
};

use crate::model::id::UserId;
use crate::rules::{KindId, RoleAssignment, Scope, Values};

/// The kind of a change that an explanation proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Word, Describe)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The account becomes active.
    Activate,
    /// The API key gets a pattern that matches `permission`.
    WidenKey,
    /// The account acts itself, without its API key: a key never administers.
    DropKey,
    /// Who asks proves a second factor: a role allows nothing without.
    ProveFactor,
    /// The question names a resource that lies in all of `scopes` and in no other, and for which `tests` turn out as
    /// given. Denies about other resources do not count then.
    NameResource,
    /// The question names only these `fields`.
    NameFields,
    /// `role` is assigned in `scopes`, for ever; the text names other roles that would do as well.
    AssignRole,
    /// `role`, which is held, becomes active in the session, or a role of the API key.
    ActivateRole,
    /// `assignment` is held at the time of the question.
    MoveWindow,
    /// `assignment` is held in `scopes` instead.
    MoveScope,
    /// A comparison of a condition, in `tests`, turns out as given.
    MeetCondition,
    /// `role` loses `grant`, which denies.
    LiftDeny,
    /// No role of the policy grants it: one that is held where this is asked must get a grant of `permission`. If none is, one must also
    /// be assigned, as the text says.
    AddGrant,
}

/// One change of a set; all of them are needed. Fields that its kind does not use are empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ProposedChange {
    /// The kind of change.
    pub kind: ChangeKind,
    /// In words: `watch is held in region …; this drone is in region …`.
    pub text: String,
    /// Which principal it is about: 0 is the one who asks, 1 the one on whose behalf that one acts, and so on.
    pub asker: i64,
    /// The id of this principal; none if it is not signed in, or its id is not a UUID.
    pub principal: Option<UserId>,
    /// The role to assign, to activate or to change.
    pub role: Option<String>,
    /// The assignment to move.
    pub assignment: Option<AssignmentTrace>,
    /// The grant to take away, as the role has it: `deny drone:read when …`.
    pub grant: Option<String>,
    /// The permission that a key's pattern or a grant must match.
    pub permission: Option<String>,
    /// The scopes in which a role must be held, or a resource must lie.
    pub scopes: Vec<String>,
    /// The fields to name.
    pub fields: Vec<String>,
    /// How comparisons must turn out.
    pub tests: Vec<TestOutcome>,
}

/// How a comparison of a condition must turn out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct TestOutcome {
    /// The principal that it reads, as in [`ProposedChange::asker`]; 0 if it reads none.
    pub asker: i64,
    /// As written.
    pub text: String,
    /// Whether it must hold.
    pub holds: bool,
    /// What it reads now, by path.
    pub values: BTreeMap<String, String>,
}

/// So many roles are named in a text.
const MAX_NAMED: usize = 10;

impl<'a> Inquiry<'a> {
    /// These as data and in words.
    pub(super) fn described(&self, changes: &Hypothesis<'a>) -> Vec<ProposedChange> {
        let steps = changes.0.iter().filter(|(_, step)| !changes.is_detail(step));
        let mut described: Vec<ProposedChange> = steps.map(|(who, step)| self.change(*who, step, changes)).collect();
        described.sort_by(|a, b| (a.kind, a.asker, &a.text).cmp(&(b.kind, b.asker, &b.text)));
        described
    }

    /// A change that its kind and its text say all of.
    fn plain_change(&self, who: usize, kind: ChangeKind, text: String) -> ProposedChange {
        let principal = self.principal(who);
        ProposedChange {
            kind,
            text: if who == 0 { text } else { format!("for {}: {text}", text::name_of(principal)) },
            asker: i64::try_from(who).unwrap_or(i64::MAX),
            principal: principal.id().filter(|_| principal.own_id().is_none()).map(UserId),
            role: None,
            assignment: None,
            grant: None,
            permission: None,
            scopes: Vec::new(),
            fields: Vec::new(),
            tests: Vec::new(),
        }
    }

    fn change(&self, who: usize, step: &Step<'a>, changes: &Hypothesis<'a>) -> ProposedChange {
        let principal = self.principal(who);
        let asked = self.rules.permission_name(self.question.permission);
        let of = |kind, text| self.plain_change(who, kind, text);
        let of_role =
            |kind, role, text| ProposedChange { role: Some(self.role_name(role).to_owned()), ..of(kind, text) };
        let of_permission = |kind, text| ProposedChange { permission: Some(asked.to_owned()), ..of(kind, text) };
        let of_assignment = |kind, at: usize, text: &dyn Fn(RoleAssignment<'a>) -> String| {
            let held = principal.assignments().nth(at);
            let assignment = held.map(|held| self.assignment_trace(who, held));
            ProposedChange { assignment, ..of(kind, held.map(text).unwrap_or_default()) }
        };
        match step {
            Step::Activate => {
                of(ChangeKind::Activate, format!("the account is {}; it must be active", principal.status()))
            }
            Step::DropKey => {
                let text = "an API key never administers; its owner must ask, without the key";
                of(ChangeKind::DropKey, text.to_owned())
            }
            Step::Prove => of(ChangeKind::ProveFactor, "a second factor is missing".to_owned()),
            Step::WidenKey => {
                of_permission(ChangeKind::WidenKey, format!("the API key needs a pattern that matches {asked}"))
            }
            Step::AddGrant => {
                let what_if = self.what_if(who, changes);
                let (cx, now) = (what_if.cx(), self.cx(who).now());
                let is_there = |role: u32| self.rules.roles.get(role as usize).is_some_and(|role| !role.is_gone);
                let counts = |held: RoleAssignment<'_>| {
                    is_there(held.role) && self.rules.is_in_force(held, now) && cx.covers(held.scope())
                };
                let text = match what_if.principal.assignments().any(counts) {
                    true => format!("a role that is held needs a grant of {asked}"),
                    false => format!("a role needs a grant of {asked}, and must be assigned"),
                };
                of_permission(ChangeKind::AddGrant, format!("no role of this policy gives it: {text}"))
            }
            Step::LieIn(_) | Step::NameResource => self.named_resource(changes),
            Step::NameFields(fields) => {
                let fields: Vec<String> = fields.iter().map(|field| self.field_name(*field).to_owned()).collect();
                let text = format!("the question must name these fields and no other: {}", fields.join(", "));
                ProposedChange { fields, ..of(ChangeKind::NameFields, text) }
            }
            Step::AssignRole(role) => {
                let scopes = vec![Scope::Global.to_string()];
                ProposedChange { scopes, ..of_role(ChangeKind::AssignRole, *role, self.assign_in_words(who, *role)) }
            }
            Step::ActivateRole(role) => {
                let is_not = match principal.is_key() {
                    true => "is none of the API key's roles",
                    false => "is not active in this session",
                };
                let text = format!("{} is held, but {is_not}", self.role_name(*role));
                of_role(ChangeKind::ActivateRole, *role, text)
            }
            Step::MoveWindow(at) => of_assignment(ChangeKind::MoveWindow, *at, &|held| self.window_in_words(who, held)),
            Step::MoveScope(at, place) => {
                let scopes = vec![place.to_string()];
                let change = of_assignment(ChangeKind::MoveScope, *at, &|held| self.move_in_words(who, held));
                ProposedChange { scopes, ..change }
            }
            Step::Meet(outcome) => {
                let test = self.test_outcome(outcome);
                ProposedChange { tests: vec![test.clone()], ..of(ChangeKind::MeetCondition, text::meet(&test)) }
            }
            Step::LiftDeny(role, grant) => {
                let text = format!("{} must lose the grant `{grant}`", self.role_name(*role));
                ProposedChange { grant: Some(grant.clone()), ..of_role(ChangeKind::LiftDeny, *role, text) }
            }
        }
    }

    fn named_resource(&self, changes: &Hypothesis<'a>) -> ProposedChange {
        let scopes: Vec<String> = changes.resource_scopes().map(Scope::to_string).collect();
        let tests = changes.outcomes().filter(|one| changes.is_of_named(one.test));
        let mut tests: Vec<TestOutcome> = tests.map(|one| self.test_outcome(one)).collect();
        tests.sort_by(|a, b| (a.asker, &a.text).cmp(&(b.asker, &b.text)));
        let text = text::name_resource(&self.cx(0).ty.name, &scopes, &self.avoided(changes), &tests);
        ProposedChange { scopes, tests, ..self.plain_change(0, ChangeKind::NameResource, text) }
    }

    fn test_outcome(&self, of: &Outcome<'a>) -> TestOutcome {
        let asker = i64::try_from(of.who).unwrap_or(i64::MAX);
        TestOutcome { asker, text: of.test.text.to_string(), holds: of.holds, values: self.values(of.who, of.test) }
    }

    /// Where an assignment moves: within its kind where that can be said, else to the one resource.
    pub(super) fn target(&self, who: usize, held: RoleAssignment<'a>) -> Scope {
        let cx = self.cx(who);
        if cx.resource.is_none() || self.rules.is_administrator(held.role) {
            return Scope::Global;
        }
        let of_kind = held.scope().kind().and_then(|kind| self.place_of(who, kind));
        let own = || cx.slot_value(cx.ty.slot("id")?).map(|id| Scope::resource(&cx.ty.name, id));
        of_kind.or_else(own).unwrap_or(Scope::Global)
    }

    /// Where the resource lies in a kind of scope: itself, or by what it is bound to within.
    fn place_of(&self, who: usize, kind: KindId) -> Option<Scope> {
        let cx = self.cx(who);
        cx.ty.bound.iter().find_map(|(bound, slot)| {
            let own = cx.slot_value(*slot)?;
            let value = match *bound == kind {
                true => own,
                false => self.rules.tree_of(self.principal(who))?.ancestor(*bound, &own, kind)?.clone(),
            };
            Some(Scope::of(&self.rules.kinds().get(kind.0 as usize)?.name, value))
        })
    }

    /// Scopes that a deny is held in, where the resource to be named must not lie.
    fn avoided(&self, changes: &Hypothesis<'a>) -> Vec<String> {
        let mut there = changes.clone();
        let written = |held: RoleAssignment<'a>| held.written(self.rules.kinds());
        let held = self.chain.iter().flat_map(|cx| cx.principal.assignments());
        held.for_each(|held| there.add(0, Step::LieIn(written(held))));
        let mut scopes: Vec<String> = Vec::new();
        for who in 0..self.chain.len() {
            let (what_if, there) = (self.what_if(who, changes), self.what_if(who, &there));
            let (permission, fields) = (self.question.permission.0, there.fields());
            let is_denied = |held: &RoleAssignment<'a>| {
                let denies = |field| self.rules.denials(*held, permission, field, &there.cx()).next().is_some();
                let cx = what_if.cx();
                !cx.covers(cx.scope_of_deny(held.scope())) && fields.iter().copied().any(denies)
            };
            let denies = self.principal(who).assignments().filter(is_denied);
            scopes.extend(denies.map(|held| written(held).to_string()));
        }
        scopes.sort();
        scopes.dedup();
        scopes
    }

    fn assign_in_words(&self, who: usize, role: u32) -> String {
        let is_administrator = self.rules.is_administrator(role);
        let others = self.givers(is_administrator).into_iter().filter(|one| one.id != role);
        let others: Vec<&str> = others.map(|one| one.name()).take(MAX_NAMED).collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" (others that may do: {})", others.join(", ")),
        };
        let why = match (self.principal(who).id(), is_administrator) {
            (None, _) => "nobody is signed in",
            (Some(_), true) => "only administrators may do this",
            (Some(_), false) => "no role that is held gives it",
        };
        format!("{why}: {} must be assigned{others}", self.role_name(role))
    }

    fn window_in_words(&self, who: usize, held: RoleAssignment<'a>) -> String {
        let name = self.role_name(held.role);
        match held.window() {
            (Some(from), _) if from.as_microsecond() > self.cx(who).now() => {
                format!("{name} is held only from {from} on")
            }
            (_, Some(until)) => format!("{name} was held only until {until}"),
            _ => format!("{name} is not held now"),
        }
    }

    fn move_in_words(&self, who: usize, held: RoleAssignment<'a>) -> String {
        let (rules, cx) = (self.rules, self.cx(who));
        let (ty, bound) = (&cx.ty.name, &cx.ty.bound);
        let is_held = format!(
            "{} is held {}",
            self.role_name(held.role),
            text::scope_phrase(&held.written(rules.kinds()).to_string())
        );
        let Some(kind) = held.scope().kind() else { return format!("{is_held}, which this policy does not know") };
        if rules.is_administrator(held.role) {
            return format!("{is_held}, but administers everywhere or not at all");
        }
        if cx.resource.is_none() {
            return format!("{is_held}, but must be held everywhere");
        }
        let in_words = |place: Scope| text::scope_phrase(&place.to_string());
        if let Some(place) = self.place_of(who, kind) {
            return match place.to_string().strip_prefix("resource:").and_then(|place| place.split_once(':')) {
                Some((_, id)) => format!("{is_held}; this is {ty} {id}"),
                None => format!("{is_held}; this {ty} is {}", in_words(place)),
            };
        }
        let name = rules.kinds().get(kind.0 as usize).map_or("", |one| one.name.as_str());
        let is_bound = bound.iter().any(|(of, _)| *of == kind);
        let mut inner = bound.iter().filter(|(of, _)| rules.lies_under(*of, kind));
        let own = inner.clone().find(|(_, slot)| !is_bound && cx.slot_value(*slot).is_some());
        match own.and_then(|(of, _)| self.place_of(who, *of)) {
            Some(own) => format!("{is_held}; this {ty} is {}, which lies in no {name}", in_words(own)),
            None if is_bound || inner.next().is_some() => format!("{is_held}; this {ty} is in no {name}"),
            None => format!("{is_held}; no {ty} is ever in a {name}"),
        }
    }
}
