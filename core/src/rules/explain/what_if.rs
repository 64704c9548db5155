//! How a question would be decided if some things were otherwise. Says the same as `decide` where
//! nothing is.

use std::collections::BTreeMap;

use crate::rules::{
    authorize::{EvaluationContext, Question},
    compile::{
        role::{GrantId, Special},
        rule_set::{FieldId, RuleSet},
    },
    condition::{
        code::{Condition, Path, Test, TestKind, Tree},
        parser::Root,
    },
    policy::Effect,
    principal::Principal,
    scope::{Scope, kind::BoundScope},
};

/// One thing that is otherwise. Numbers of those who ask count from 0, who asks; numbers of
/// assignments are their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Step {
    Activate(usize),
    /// The account asks itself, without its key.
    DropKey(usize),
    WidenKey(usize),
    NameResource,
    /// The question names just these.
    NameFields(Vec<FieldId>),
    /// Everywhere, for ever.
    AssignRole(usize, u32),
    ActivateRole(usize, u32),
    MoveWindow(usize, usize),
    MoveScope(usize, usize, Target),
    /// A test turns out so.
    Meet(TestKey, bool),
    /// The first of equal grants of a role stands for all of them.
    LiftDeny(GrantId),
    /// A role that is held allows it, unconditionally.
    AddGrant(usize),
}

/// Where an assignment moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Target {
    /// Where the resource is.
    Here,
    Everywhere,
}

/// A test, by whom it is about (0 where it reads no principal) and as it is written: written twice, it
/// turns out the same.
pub(in crate::rules) type TestKey = (usize, String);

/// The resource that a question names which named none: it lies in these scopes and in no other, and
/// of the tests that read it those hold that are said to, and `has` of what is always there.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct Named {
    pub(in crate::rules) within: Vec<(Scope, BoundScope)>,
    pub(in crate::rules) tests: BTreeMap<TestKey, bool>,
}

/// Things that are otherwise.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct Plan {
    pub(in crate::rules) steps: Vec<Step>,
    pub(in crate::rules) named: Named,
}

impl Plan {
    pub(in crate::rules) fn has(&self, step: &Step) -> bool {
        self.steps.contains(step)
    }

    pub(in crate::rules) fn add(&mut self, step: Step) {
        if !self.has(&step) {
            self.steps.push(step);
        }
    }

    pub(in crate::rules) fn names_resource(&self) -> bool {
        self.has(&Step::NameResource)
    }
}

/// A question, and all who ask together.
pub(in crate::rules) struct World<'a> {
    pub(in crate::rules) rules: &'a RuleSet,
    pub(in crate::rules) question: Question<'a>,
    pub(in crate::rules) chain: Vec<EvaluationContext<'a>>,
    /// Of each of them, the first that is the same account.
    accounts: Vec<usize>,
}

/// An assignment as it would be.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Taken<'a> {
    pub(in crate::rules) role: u32,
    place: Place<'a>,
    is_valid: bool,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    GivenValue(&'a BoundScope),
    Moved(Target),
}

impl<'a> World<'a> {
    pub(in crate::rules) fn of(rules: &'a RuleSet, question: Question<'a>, cx: EvaluationContext<'a>) -> Self {
        let chain = std::iter::successors(Some(question.principal), |one| one.on_behalf_of());
        let chain: Vec<EvaluationContext<'a>> = chain.map(|principal| cx.of(principal)).collect();
        let is_same = |one: &EvaluationContext<'a>, other: &EvaluationContext<'a>| {
            is_same_account(one.principal, other.principal)
        };
        let first = |own: &EvaluationContext<'a>| chain.iter().position(|one| is_same(one, own)).unwrap_or_default();
        let accounts = chain.iter().map(first).collect();
        Self { rules, question, chain, accounts }
    }

    /// Whom a change of the account itself is about: who stands twice in a chain changes once.
    pub(in crate::rules) fn account(&self, who: usize) -> usize {
        self.accounts.get(who).copied().unwrap_or(who)
    }

    pub(in crate::rules) fn principal(&self, who: usize) -> &'a Principal {
        self.chain.get(who).map_or(self.question.principal, |cx| cx.principal)
    }

    pub(in crate::rules) fn cx(&self, who: usize) -> &EvaluationContext<'a> {
        // Every number comes from the chain itself, which is never empty.
        self.chain.get(who).unwrap_or(&self.chain[0])
    }

    pub(in crate::rules) fn has_resource(&self, plan: &Plan) -> bool {
        self.question.resource.is_some() || plan.names_resource()
    }

    /// What is decided one by one.
    pub(in crate::rules) fn fields(&self, plan: &Plan) -> Vec<Option<FieldId>> {
        let named = plan.steps.iter().find_map(|step| match step {
            Step::NameFields(fields) => Some(fields.as_slice()),
            _ => None,
        });
        match named.unwrap_or(self.question.fields) {
            [] => vec![None],
            fields => fields.iter().copied().map(Some).collect(),
        }
    }

    /// Whether all may do it who ask together.
    pub(in crate::rules) fn allows(&self, plan: &Plan) -> bool {
        (0..self.chain.len()).all(|who| self.allows_one(who, plan))
    }

    pub(in crate::rules) fn allows_one(&self, who: usize, plan: &Plan) -> bool {
        let principal = self.principal(who);
        let permission = self.question.permission.0;
        let has_key = !plan.has(&Step::DropKey(who));
        let is_within_key = principal.is_within_key(permission) || plan.has(&Step::WidenKey(who));
        if !principal.is_active() && !plan.has(&Step::Activate(self.account(who))) || has_key && !is_within_key {
            return false;
        }
        if self.assignments(who, plan).any(|taken| self.administers(who, &taken, plan)) {
            return true;
        }
        let mut fields = self.fields(plan).into_iter();
        fields.all(|field| self.denies(who, field, plan).is_empty() && self.gives(who, field, plan))
    }

    pub(in crate::rules) fn assignments(&self, who: usize, plan: &Plan) -> impl Iterator<Item = Taken<'a>> {
        let now = self.cx(who).now();
        let account = self.account(who);
        let held = self.principal(who).assignments().enumerate().map(move |(at, held)| {
            let moved = plan.steps.iter().find_map(|step| match step {
                Step::MoveScope(of, place, target) if (*of, *place) == (account, at) => Some(*target),
                _ => None,
            });
            Taken {
                role: held.role,
                place: moved.map_or(Place::GivenValue(held.scope()), Place::Moved),
                is_valid: held.is_valid(now) || plan.has(&Step::MoveWindow(account, at)),
            }
        });
        let assigned: Vec<Taken<'a>> = plan
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::AssignRole(of, role) if *of == account => Some(*role),
                _ => None,
            })
            .map(|role| Taken { role, place: Place::Moved(Target::Everywhere), is_valid: true })
            .collect();
        held.chain(assigned)
    }

    fn counts(&self, taken: &Taken<'_>) -> bool {
        taken.is_valid && (taken.is_everywhere() || !self.rules.is_administrator(taken.role))
    }

    fn administers(&self, who: usize, taken: &Taken<'_>, plan: &Plan) -> bool {
        self.rules.is_administrator(taken.role)
            && self.counts(taken)
            && self.parts(who, taken.role, plan).any(|role| self.rules.is_administrator(role))
    }

    /// The roles that allow, of an assigned one.
    pub(in crate::rules) fn parts(&self, who: usize, role: u32, plan: &Plan) -> impl Iterator<Item = u32> {
        let has_key = !plan.has(&Step::DropKey(who));
        let active = self.principal(who).active().filter(|_| has_key || !self.principal(who).is_key());
        let whole = active.is_none().then_some(role);
        let activated = plan.steps.iter().filter_map(move |step| match step {
            Step::ActivateRole(of, role) if *of == who => Some(*role),
            _ => None,
        });
        let senior = self.rules.roles.get(role as usize);
        let active: Vec<u32> = active.into_iter().flatten().copied().chain(activated).collect();
        let parts = active.into_iter().filter(move |part| senior.is_some_and(|senior| senior.has_junior(*part)));
        whole.into_iter().chain(parts)
    }

    /// Whether something allows it, denies aside.
    pub(in crate::rules) fn gives(&self, who: usize, field: Option<FieldId>, plan: &Plan) -> bool {
        let permission = self.question.permission.0;
        plan.has(&Step::AddGrant(self.account(who)))
            || self.assignments(who, plan).filter(|taken| self.counts(taken)).any(|taken| {
                self.parts(who, taken.role, plan).any(|role| {
                    let is_plain = self.rules.permission_index.has(role, permission);
                    let specials = self.rules.roles.get(role as usize).map(|role| role.special_of(permission));
                    let mut allows = specials.unwrap_or_default().iter().filter(|one| one.effect == Effect::Allow);
                    is_plain && self.covers(who, &taken, plan)
                        || allows.any(|special| self.allows_by(who, &taken, special, field, plan))
                })
            })
    }

    fn allows_by(&self, who: usize, taken: &Taken<'_>, special: &Special, field: Option<FieldId>, plan: &Plan) -> bool {
        let condition = self.rules.condition(special.condition);
        self.rules.is_on(special.fields, field, false)
            && self.covers(who, taken, plan)
            && condition.is_none_or(|condition| {
                (self.has_resource(plan) || !condition.reads(Root::Resource)) && self.holds(who, condition, plan)
            })
    }

    /// The denies that count, each grant once, with its condition.
    pub(in crate::rules) fn denies(&self, who: usize, field: Option<FieldId>, plan: &Plan) -> Vec<(GrantId, u32)> {
        let mut found: Vec<(GrantId, u32)> = Vec::new();
        for taken in self.assignments(who, plan).filter(|taken| self.counts(taken)) {
            let role = self.rules.roles.get(taken.role as usize);
            let specials = role.map(|role| role.special_of(self.question.permission.0)).unwrap_or_default();
            for special in specials.iter().filter(|one| one.effect == Effect::Deny) {
                let grant = self.first_equal(special.grant);
                let is_known = found.iter().any(|(known, _)| *known == grant);
                if !is_known
                    && !plan.has(&Step::LiftDeny(grant))
                    && self.rules.is_on(special.fields, field, true)
                    && self.denies_by(who, &taken, special, plan)
                {
                    found.push((grant, special.condition));
                }
            }
        }
        // An order that edits do not change.
        found.sort_by_key(|(grant, _)| (self.role_name(grant.role), grant.at));
        found
    }

    fn denies_by(&self, who: usize, taken: &Taken<'_>, special: &Special, plan: &Plan) -> bool {
        let has_resource = self.has_resource(plan);
        let condition = self.rules.condition(special.condition);
        let is_open = !has_resource && condition.is_some_and(|one| one.reads(Root::Resource));
        (!has_resource || self.covers(who, taken, plan))
            && (is_open || condition.is_none_or(|condition| self.holds(who, condition, plan)))
    }

    /// Of grants that a role has several times, the first.
    fn first_equal(&self, grant: GrantId) -> GrantId {
        let role = self.rules.roles.get(grant.role as usize);
        let written = role.and_then(|role| role.own_grant(grant.at)).map(|one| one.text());
        let first = role.into_iter().flat_map(|role| role.own_grants()).find(|one| Some(one.text()) == written);
        GrantId { role: grant.role, at: first.map_or(grant.at, |one| one.at) }
    }

    pub(in crate::rules) fn covers(&self, who: usize, taken: &Taken<'_>, plan: &Plan) -> bool {
        match taken.place {
            Place::Moved(_) => true,
            Place::GivenValue(scope) => self.reaches(who, scope, plan),
        }
    }

    /// Whether a scope covers the resource.
    pub(in crate::rules) fn reaches(&self, who: usize, scope: &BoundScope, plan: &Plan) -> bool {
        if !plan.names_resource() {
            return self.cx(who).covers(scope);
        }
        let (Some(kind), Some(id)) = (scope.kind(), scope.id()) else { return *scope == BoundScope::Global };
        let tree = self.principal(who).tree();
        let is_within = |named: &BoundScope| {
            let own = tree.zip(named.kind()).zip(named.id());
            own.is_some_and(|((tree, of), own)| tree.is_within(of, &own, kind, &id))
        };
        plan.named.within.iter().any(|(_, named)| named == scope || is_within(named))
    }

    pub(in crate::rules) fn holds(&self, who: usize, condition: &Condition, plan: &Plan) -> bool {
        holds_with(&condition.tree, &|at| {
            condition.tests.get(at).is_some_and(|test| self.outcome(who, condition, test, plan))
        })
    }

    /// How a test turns out.
    pub(in crate::rules) fn outcome(&self, who: usize, condition: &Condition, test: &Test, plan: &Plan) -> bool {
        if let Some(forced) = self.forced(&key(self.account(who), condition, test), plan) {
            return forced;
        }
        if let TestKind::Has(path) = &test.kind
            && self.must_be_there(who, *path, plan)
        {
            return true;
        }
        if plan.names_resource() && reads(test, Root::Resource) {
            return self.is_always_there(who, test);
        }
        test.kind.holds(self.cx(who))
    }

    /// Whether a test that must hold reads it: what is absent makes none hold.
    fn must_be_there(&self, who: usize, path: Path, plan: &Plan) -> bool {
        let met = plan.steps.iter().filter_map(|step| match step {
            Step::Meet(key, true) => Some(key),
            _ => None,
        });
        let named = plan.named.tests.iter().filter(|(_, holds)| **holds && plan.names_resource()).map(|(key, _)| key);
        let name = self.path_name(who, path);
        let is_shared = path.root != Root::Principal;
        met.chain(named).any(|(of, text)| (is_shared || *of == self.account(who)) && mentions(text, &name))
    }

    /// `resource.region_id`
    pub(in crate::rules) fn path_name(&self, who: usize, path: Path) -> String {
        let attributes = match path.root {
            Root::Principal => &self.rules.shared.symbols.principal,
            Root::Resource => &self.cx(who).ty.attributes,
            Root::Context => &self.rules.shared.symbols.context,
        };
        let name = attributes.get(path.slot as usize).map_or("", |one| one.name.as_str());
        format!("{}.{name}", path.root.word())
    }

    /// How a test turns out by a step.
    pub(in crate::rules) fn forced(&self, key: &TestKey, plan: &Plan) -> Option<bool> {
        let met = plan.steps.iter().find_map(|step| match step {
            Step::Meet(of, holds) if of == key => Some(*holds),
            _ => None,
        });
        met.or_else(|| plan.named.tests.get(key).copied().filter(|_| plan.names_resource()))
    }

    fn is_always_there(&self, who: usize, test: &Test) -> bool {
        let TestKind::Has(path) = &test.kind else { return false };
        self.cx(who).ty.attributes.get(path.slot as usize).is_some_and(|one| !one.is_optional)
    }
}

impl Taken<'_> {
    fn is_everywhere(&self) -> bool {
        matches!(self.place, Place::Moved(Target::Everywhere) | Place::GivenValue(BoundScope::Global))
    }
}

/// Whether they are one account, as far as what it holds goes: a key of it, a session, itself.
fn is_same_account(one: &Principal, other: &Principal) -> bool {
    let held = |of: &Principal| -> Vec<_> {
        of.assignments().map(|held| (held.role, held.scope().clone(), held.window())).collect()
    };
    std::ptr::eq(one, other)
        || one.id().is_some() && (one.id(), one.own_id()) == (other.id(), other.own_id()) && held(one) == held(other)
}

pub(in crate::rules) fn reads(test: &Test, root: Root) -> bool {
    test.kind.paths().any(|path| path.root == root)
}

pub(in crate::rules) fn key(who: usize, condition: &Condition, test: &Test) -> TestKey {
    let who = if reads(test, Root::Principal) { who } else { 0 };
    (who, condition.text_of(test).to_owned())
}

pub(in crate::rules) fn holds_with(tree: &Tree, value: &dyn Fn(usize) -> bool) -> bool {
    match tree {
        Tree::Test(at) => value(*at as usize),
        Tree::Not(inner) => !holds_with(inner, value),
        Tree::All(parts) => parts.iter().all(|part| holds_with(part, value)),
        Tree::Any(parts) => parts.iter().any(|part| holds_with(part, value)),
    }
}

/// Whether a test, as written, reads a path.
fn mentions(text: &str, path: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.match_indices(path).any(|(at, _)| !text[at + path.len()..].starts_with(is_word))
}
