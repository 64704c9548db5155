//! What would have to change for a denied question to be allowed: as data that a program can apply, and
//! in words.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use crate::{
    model::id::UserId,
    rules::{
        condition::code::{Condition, Test},
        policy::{Effect, name::Pattern},
        scope::{Scope, kind::KindId},
    },
};

use super::{
    AssignmentTrace, text,
    what_if::{Plan, Step, Target, TestKey, World, key},
};

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Word, Describe)]
pub enum ChangeKind {
    /// The account becomes active.
    Activate,
    /// The API key gets a pattern that matches `permission`.
    WidenKey,
    /// The account itself asks, without its key: a key never administers.
    DropKey,
    /// The question names a resource: one that lies in all of `scopes` and in no other, and of whose tests
    /// `tests` turn out so. It is about this one resource then, so what is said of others does not count.
    NameResource,
    /// The question names these `fields` alone.
    NameFields,
    /// `role` is assigned in `scopes`, for ever; others that would do as well stand in the text.
    AssignRole,
    /// `role`, which is held, becomes active in the session, or one of the API key's roles.
    ActivateRole,
    /// `assignment` is held at the time asked about.
    MoveWindow,
    /// `assignment` is held in `scopes` instead.
    MoveScope,
    /// The test of a condition in `tests` turns out so, wherever it is written.
    MeetCondition,
    /// `role` loses `grant`, which denies.
    LiftDeny,
    /// No role of the policy gives it: one that is held must get a grant of `permission`.
    AddGrant,
}

/// One change; it takes all those of the set. What its kind does not name is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct Change {
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// In words: `watch is held in region …; this drone is in region …`.
    pub text: String,
    /// Whom it is about: 0 who asks, 1 on whose behalf that one asks, and so on.
    pub asker: i64,
    /// That account; none for who is not signed in, or whose id is no UUID.
    pub principal: Option<UserId>,
    /// The role to assign, to activate or to change.
    pub role: Option<String>,
    /// The assignment to move.
    pub assignment: Option<AssignmentTrace>,
    /// The grant to take away, as the role has it: `deny drone:read when …`.
    pub grant: Option<String>,
    /// The permission that a key's pattern or a grant must match.
    pub permission: Option<String>,
    /// Where a role must be held, or a resource must lie.
    pub scopes: Vec<String>,
    /// The fields to name.
    pub fields: Vec<String>,
    /// How tests must turn out.
    pub tests: Vec<TestOutcome>,
}

/// How a test of a condition must turn out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct TestOutcome {
    /// About whom, as in [`Change::asker`]; 0 where it reads no principal.
    pub asker: i64,
    /// As written.
    pub text: String,
    /// Whether it must hold.
    pub holds: bool,
    /// What it reads now, by path.
    pub values: BTreeMap<String, String>,
}

impl Change {
    fn new(kind: ChangeKind) -> Self {
        Self {
            kind,
            text: String::new(),
            asker: 0,
            principal: None,
            role: None,
            assignment: None,
            grant: None,
            permission: None,
            scopes: Vec::new(),
            fields: Vec::new(),
            tests: Vec::new(),
        }
    }
}

/// So many roles are named in a text.
const MAX_NAMED: usize = 10;

impl World<'_> {
    /// The steps as data and in words.
    pub(super) fn changes(&self, plan: &Plan) -> Vec<Change> {
        let mut changes: Vec<Change> = plan.steps.iter().map(|step| self.change(step, plan)).collect();
        changes.sort_by(|a, b| (a.kind, a.asker, &a.text).cmp(&(b.kind, b.asker, &b.text)));
        changes
    }

    fn change(&self, step: &Step, plan: &Plan) -> Change {
        let name = self.rules.permission_name(self.question.permission).to_owned();
        let (who, mut change) = match step {
            Step::Activate(who) => (*who, Change::new(ChangeKind::Activate)),
            Step::DropKey(who) => (*who, Change::new(ChangeKind::DropKey)),
            Step::WidenKey(who) => (*who, Change { permission: Some(name), ..Change::new(ChangeKind::WidenKey) }),
            Step::AddGrant(who) => (*who, Change { permission: Some(name), ..Change::new(ChangeKind::AddGrant) }),
            Step::NameResource => (0, self.named(plan)),
            Step::NameFields(fields) => {
                let fields = fields.iter().map(|field| self.field_name(*field).to_owned()).collect();
                (0, Change { fields, ..Change::new(ChangeKind::NameFields) })
            }
            Step::AssignRole(who, role) => {
                let scopes = vec![Scope::Global.to_string()];
                (*who, Change { scopes, ..self.of_role(ChangeKind::AssignRole, *role) })
            }
            Step::ActivateRole(who, role) => (*who, self.of_role(ChangeKind::ActivateRole, *role)),
            Step::MoveWindow(who, at) => {
                (*who, Change { assignment: self.moved(*who, *at), ..Change::new(ChangeKind::MoveWindow) })
            }
            Step::MoveScope(who, at, target) => {
                let scopes = vec![self.target(*who, *at, *target).to_string()];
                let assignment = self.moved(*who, *at);
                (*who, Change { assignment, scopes, ..Change::new(ChangeKind::MoveScope) })
            }
            Step::Meet(key, holds) => {
                let tests = vec![self.test_outcome(key, *holds, plan)];
                (key.0, Change { tests, ..Change::new(ChangeKind::MeetCondition) })
            }
            Step::LiftDeny(grant) => {
                let role = self.rules.roles.get(grant.role as usize);
                let grant_text = role.and_then(|role| role.own_grant(grant.at)).map(|grant| grant.text());
                (0, Change { grant: grant_text, ..self.of_role(ChangeKind::LiftDeny, grant.role) })
            }
        };
        change.asker = i64::try_from(who).unwrap_or(i64::MAX);
        let principal = self.principal(who);
        change.principal = principal.id().filter(|_| principal.own_id().is_none()).map(UserId);
        change.text = self.in_words(step, who, &change, plan);
        change
    }

    fn of_role(&self, kind: ChangeKind, role: u32) -> Change {
        Change { role: Some(self.role_name(role).to_owned()), ..Change::new(kind) }
    }

    fn moved(&self, who: usize, at: usize) -> Option<AssignmentTrace> {
        self.principal(who).assignments().nth(at).map(|held| self.assignment_trace(who, held))
    }

    fn named(&self, plan: &Plan) -> Change {
        let scopes = plan.named.within.iter().map(|(scope, _)| scope.to_string()).collect();
        let tests = plan.named.tests.iter().map(|(key, holds)| self.test_outcome(key, *holds, plan)).collect();
        Change { scopes, tests, ..Change::new(ChangeKind::NameResource) }
    }

    fn test_outcome(&self, of: &TestKey, holds: bool, plan: &Plan) -> TestOutcome {
        // Every test in a plan is of a condition that somebody holds, or of one of a role to assign.
        let permission = self.question.permission.0;
        let held = (0..self.chain.len()).flat_map(|who| self.assignments(who, plan));
        let roles = held.filter_map(|taken| self.rules.roles.get(taken.role as usize));
        let conditions = roles
            .flat_map(|role| role.special_of(permission))
            .filter_map(|special| self.rules.condition(special.condition));
        let mut tests = conditions.flat_map(|one| one.tests.iter().map(move |test| (one, test)));
        let is_it = |(condition, test): &(&Condition, &Test)| key(of.0, condition, test) == *of;
        let values = tests.find(is_it).map(|(_, test)| self.values(of.0, test)).unwrap_or_default();
        TestOutcome { asker: i64::try_from(of.0).unwrap_or(i64::MAX), text: of.1.clone(), holds, values }
    }

    /// Where an assignment moves: within its kind where that can be said, else to the one resource.
    fn target(&self, who: usize, at: usize, target: Target) -> Scope {
        let cx = self.cx(who);
        let (Target::Here, Some(_)) = (target, cx.resource) else { return Scope::Global };
        let kind = self.principal(who).assignments().nth(at).and_then(|held| held.scope().kind());
        let of_kind = kind.and_then(|kind| self.place_of(who, kind));
        let own = cx.ty.slot("id").and_then(|slot| cx.slot_value(slot));
        of_kind.or_else(|| own.map(|id| Scope::resource(&cx.ty.name, id))).unwrap_or(Scope::Global)
    }

    /// Where the resource lies in a kind of scope: itself, or by what it is bound to within.
    pub(super) fn place_of(&self, who: usize, kind: KindId) -> Option<Scope> {
        let cx = self.cx(who);
        let name = |kind: KindId| self.rules.shared.symbols.kinds.get(kind.0 as usize).map(|one| one.name.as_str());
        cx.ty.bound.iter().find_map(|(bound, slot)| {
            let value = cx.slot_value(*slot)?;
            let value = match *bound == kind {
                true => value,
                false => self.principal(who).tree()?.ancestor(*bound, &value, kind)?.clone(),
            };
            Some(Scope::of(name(kind)?, value))
        })
    }

    fn in_words(&self, step: &Step, who: usize, change: &Change, plan: &Plan) -> String {
        let words = self.words_of(step, who, change, plan);
        match who {
            0 => words,
            _ => format!("for {}: {words}", text::name_of(self.principal(who))),
        }
    }

    fn words_of(&self, step: &Step, who: usize, change: &Change, plan: &Plan) -> String {
        let principal = self.principal(who);
        let ty = &self.cx(who).ty.name;
        let asked = self.rules.permission_name(self.question.permission);
        let role = change.role.as_deref().unwrap_or_default();
        match step {
            Step::Activate(_) => format!("the account is {}; it must be active", principal.status()),
            Step::WidenKey(_) => format!("the API key needs a pattern that matches {asked}"),
            Step::DropKey(_) => "an API key never administers; its owner must ask, without the key".to_owned(),
            Step::NameResource => {
                let place: Vec<String> = change.scopes.iter().map(|scope| text::place(scope)).collect();
                let place = if place.is_empty() { String::new() } else { format!(" {}", place.join(" and ")) };
                let tests: Vec<String> = change.tests.iter().map(text::outcome).collect();
                let tests =
                    if tests.is_empty() { String::new() } else { format!(" for which {}", tests.join(" and ")) };
                let avoided: Vec<String> =
                    self.avoided(plan).iter().map(|scope| format!(", not {},", text::place(scope))).collect();
                let avoided = avoided.concat();
                let avoided = if tests.is_empty() { avoided.trim_end_matches(',') } else { &avoided };
                format!("the question must name a {ty}{place}{avoided}{tests}")
            }
            Step::NameFields(_) => {
                format!("the question must name these fields and no other: {}", change.fields.join(", "))
            }
            Step::AssignRole(_, role) => self.assign_in_words(who, *role),
            Step::ActivateRole(..) if principal.is_key() => {
                format!("{role} is held, but is none of the API key's roles")
            }
            Step::ActivateRole(..) => format!("{role} is held, but is not active in this session"),
            Step::MoveWindow(_, at) => {
                let held = principal.assignments().nth(*at);
                let now = self.cx(who).now();
                let (name, window) = held.map(|held| (self.role_name(held.role), held.window())).unwrap_or_default();
                match window {
                    (Some(from), _) if from.as_microsecond() > now => format!("{name} is held only from {from} on"),
                    (_, Some(until)) => format!("{name} was held only until {until}"),
                    _ => format!("{name} is not held now"),
                }
            }
            Step::MoveScope(_, at, target) => self.move_in_words(who, *at, *target),
            Step::Meet(..) => change.tests.first().map(text::meet).unwrap_or_default(),
            Step::LiftDeny(_) => {
                format!("{role} must lose the grant `{}`", change.grant.as_deref().unwrap_or_default())
            }
            Step::AddGrant(_) => {
                format!("no role of this policy gives it: a role that is held needs a grant of {asked}")
            }
        }
    }

    /// Scopes that a deny is held in, where the resource to be named must not lie.
    fn avoided(&self, plan: &Plan) -> Vec<String> {
        let permission = self.question.permission.0;
        let fields = self.fields(plan);
        let denies = |who: usize, role: u32| {
            let role = self.rules.roles.get(role as usize);
            let mut specials = role.into_iter().flat_map(|role| role.special_of(permission));
            specials.any(|one| {
                let condition = self.rules.condition(one.condition);
                one.effect == Effect::Deny
                    && fields.iter().any(|field| self.rules.is_on(one.fields, *field, true))
                    && condition.is_none_or(|condition| self.holds(who, condition, plan))
            })
        };
        let mut scopes: Vec<String> = (0..self.chain.len())
            .flat_map(|who| self.principal(who).assignments().map(move |held| (who, held)))
            .filter(|(who, held)| held.is_valid(self.cx(*who).now()) && denies(*who, held.role))
            .filter(|(who, held)| held.scope().kind().is_some() && !self.reaches(*who, held.scope(), plan))
            .map(|(_, held)| held.written(self.rules.kinds()).to_string())
            .collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// Whether a grant is narrowed, and the question about more than it gives.
    pub(super) fn is_beyond(&self, pattern: &str) -> bool {
        let Some(names) = Pattern::parse(pattern).and_then(|pattern| pattern.fields) else { return false };
        let asked = self.question.fields;
        asked.is_empty() || asked.iter().any(|field| !names.contains(&self.field_name(*field)))
    }

    fn assign_in_words(&self, who: usize, role: u32) -> String {
        let permission = self.question.permission.0;
        let is_administrator = self.rules.is_administrator(role);
        let mut others: Vec<&str> = self
            .rules
            .live_roles()
            .filter(|one| one.id != role && one.is_administrator == is_administrator)
            .filter(|one| {
                let is_plain = self.rules.permission_index.has(one.id, permission);
                is_plain || one.special_of(permission).iter().any(|one| one.effect == Effect::Allow)
            })
            .map(|one| one.name())
            .collect();
        others.sort_unstable();
        others.truncate(MAX_NAMED);
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

    fn move_in_words(&self, who: usize, at: usize, target: Target) -> String {
        let Some(held) = self.principal(who).assignments().nth(at) else { return String::new() };
        let name = self.role_name(held.role);
        let ty = &self.cx(who).ty.name;
        let written = text::place(&held.written(self.rules.kinds()).to_string());
        let Some(kind) = held.scope().kind() else {
            return format!("{name} is held {written}, which this policy does not know");
        };
        if target == Target::Everywhere {
            let is_administrator = self.rules.is_administrator(held.role);
            let why = if is_administrator { "administers everywhere or not at all" } else { "must be held everywhere" };
            return format!("{name} is held {written}, but {why}");
        }
        let kind_name = self.rules.shared.symbols.kinds.get(kind.0 as usize).map_or("", |one| one.name.as_str());
        let bound = &self.cx(who).ty.bound;
        let nearest = bound.iter().find(|(of, _)| *of == kind).or_else(|| {
            bound.iter().find(|(of, slot)| self.rules.lies_under(*of, kind) && self.cx(who).slot_value(*slot).is_some())
        });
        let place = match (self.place_of(who, kind), nearest) {
            (Some(_), Some((_, slot))) if kind_name.starts_with("resource:") => {
                let id = self.cx(who).slot_value(*slot).map(|id| Scope::resource(ty, id).to_string());
                let id = id.as_deref().and_then(|id| id.splitn(3, ':').nth(2)).unwrap_or_default().to_owned();
                format!("this is {ty} {id}")
            }
            (Some(place), _) => format!("this {ty} is {}", text::place(&place.to_string())),
            (None, Some((of, _))) if *of != kind => {
                let place = self.place_of(who, *of).map(|place| text::place(&place.to_string())).unwrap_or_default();
                format!("this {ty} is {place}, which lies in no {kind_name}")
            }
            (None, Some(_)) => format!("this {ty} is in no {kind_name}"),
            (None, None) if bound.iter().any(|(of, _)| self.rules.lies_under(*of, kind)) => {
                format!("this {ty} is in no {kind_name}")
            }
            (None, None) => format!("no {ty} is ever in a {kind_name}"),
        };
        format!("{name} is held {written}; {place}")
    }
}
