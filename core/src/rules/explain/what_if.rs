//! What would be if some things were otherwise: the changes, and the view of them that the evaluator decides by.

use crate::rules::{
    authorize::{EvaluationContext, Holder, Question, View},
    compile::{
        attribute::Attribute,
        role::GrantId,
        rule_set::{FieldId, RoleId, RuleSet},
    },
    condition::{
        code::{Condition, Path, Test, TestKind, Tree},
        parser::Root,
    },
    principal::{Principal, RoleAssignment},
    scope::{Scope, kind::BoundScope},
};

/// One thing that is otherwise, of one of those who ask. Assignments are named by their places.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<'a> {
    Activate,
    WidenKey,
    /// The account asks itself, without its key.
    DropKey,
    NameResource(NamedResource<'a>),
    /// The question names just these.
    NameFields(Vec<FieldId>),
    /// Everywhere, for ever.
    AssignRole(u32),
    ActivateRole(u32),
    MoveWindow(usize),
    MoveScope(usize, Place),
    Meet(Outcome<'a>),
    /// The first of equal grants of a role stands for all of them.
    LiftDeny(GrantId),
    /// A role that is held allows it, unconditionally.
    AddGrant,
}

/// A scope, as written and as it is bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) written: Scope,
    pub(super) bound: BoundScope,
}

/// How a test turns out, wherever it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    /// About whom: 0 where it reads no principal.
    pub(super) who: usize,
    pub(super) text: &'a str,
    pub(super) test: &'a Test,
    pub(super) holds: bool,
}

impl PartialEq for Outcome<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.is_of(other) && self.holds == other.holds
    }
}

impl Outcome<'_> {
    /// Whether it is the same test: written twice, it turns out the same.
    pub(super) fn is_of(&self, other: &Outcome<'_>) -> bool {
        (self.who, self.text) == (other.who, other.text)
    }
}

/// The resource that a question names which named none: it lies in these scopes and in no other, and of the tests
/// that read it those hold that are said to, and `has` of what is always there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NamedResource<'a> {
    pub(super) within: Vec<Place>,
    pub(super) tests: Vec<Outcome<'a>>,
}

/// Things that are otherwise, each with whom it is about: of the account itself, the first of those who ask that are
/// the same account; of the question or the policy, 0.
#[derive(Clone, Debug, Default)]
pub(super) struct ChangeSet<'a>(pub(super) Vec<(usize, Step<'a>)>);

impl<'a> ChangeSet<'a> {
    pub(super) fn has(&self, who: usize, step: &Step<'a>) -> bool {
        self.of(who).any(|known| known == step)
    }

    pub(super) fn add(&mut self, who: usize, step: Step<'a>) {
        if !self.has(who, &step) {
            self.0.push((who, step));
        }
    }

    fn of(&self, who: usize) -> impl Iterator<Item = &Step<'a>> {
        self.0.iter().filter(move |(of, _)| *of == who).map(|(_, step)| step)
    }

    pub(super) fn named(&self) -> Option<&NamedResource<'a>> {
        self.0.iter().find_map(|(_, step)| if let Step::NameResource(named) = step { Some(named) } else { None })
    }

    pub(super) fn named_mut(&mut self) -> Option<&mut NamedResource<'a>> {
        self.0.iter_mut().find_map(|(_, step)| if let Step::NameResource(named) = step { Some(named) } else { None })
    }

    /// Lets a test turn out so, if nothing is said of it yet: of the resource to be named, or by itself.
    pub(super) fn settle(&mut self, outcome: Outcome<'a>) {
        match self.named_mut().filter(|_| reads(outcome.test, Root::Resource)) {
            None => self.add(outcome.who, Step::Meet(outcome)),
            Some(named) if named.tests.iter().any(|known| known.is_of(&outcome)) => {}
            Some(named) => named.tests.push(outcome),
        }
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome<'a>> {
        self.0.iter().flat_map(|(_, step)| match step {
            Step::Meet(outcome) => std::slice::from_ref(outcome),
            Step::NameResource(named) => &named.tests,
            _ => &[],
        })
    }
}

/// A question, and all who ask together.
pub(super) struct Inquiry<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) question: Question<'a>,
    pub(super) chain: Vec<EvaluationContext<'a>>,
    /// Of each of them, the first that is the same account.
    accounts: Vec<usize>,
}

impl<'a> Inquiry<'a> {
    pub(super) fn of(rules: &'a RuleSet, question: Question<'a>, cx: EvaluationContext<'a>) -> Self {
        let chain = std::iter::successors(Some(question.principal), |one| one.on_behalf_of());
        let chain: Vec<EvaluationContext<'a>> = chain.map(|principal| cx.of(principal)).collect();
        let first = |own: &EvaluationContext<'a>| {
            chain.iter().position(|one| is_same_account(one.principal, own.principal)).unwrap_or_default()
        };
        let accounts = chain.iter().map(first).collect();
        Self { rules, question, chain, accounts }
    }

    /// Whom a change of the account itself is about: who stands twice in a chain changes once.
    pub(super) fn account(&self, who: usize) -> usize {
        self.accounts.get(who).copied().unwrap_or(who)
    }

    pub(super) fn principal(&self, who: usize) -> &'a Principal {
        self.cx(who).principal
    }

    pub(super) fn cx(&self, who: usize) -> &EvaluationContext<'a> {
        // Every number comes from the chain itself, which is never empty.
        self.chain.get(who).unwrap_or(&self.chain[0])
    }

    pub(super) fn what_if<'w>(&'w self, who: usize, changes: &'w ChangeSet<'a>) -> WhatIf<'w, 'a> {
        let principal = self.principal(who);
        let is_dropped = principal.is_key() && changes.has(who, &Step::DropKey);
        let activated = changes.of(who).filter_map(|step| match step {
            Step::ActivateRole(role) => Some(*role),
            _ => None,
        });
        let active = principal.active().filter(|_| !is_dropped);
        let active = active.map(|active| active.iter().copied().chain(activated).collect());
        WhatIf { inquiry: self, cx: self.cx(who), who, account: self.account(who), changes, active }
    }

    /// Where an assignment is held.
    pub(super) fn place(&self, held: RoleAssignment<'_>) -> Place {
        Place { written: held.written(self.rules.kinds()), bound: held.scope().clone() }
    }

    /// Whether all may do it who ask together.
    pub(super) fn allows(&self, changes: &ChangeSet<'a>) -> bool {
        (0..self.chain.len()).all(|who| self.what_if(who, changes).allows())
    }

    /// How a test of a condition turns out that is about one of those who ask.
    pub(super) fn outcome(&self, who: usize, condition: &'a Condition, test: &'a Test, holds: bool) -> Outcome<'a> {
        let who = if reads(test, Root::Principal) { self.account(who) } else { 0 };
        Outcome { who, text: condition.text_of(test), test, holds }
    }

    /// What a path reads, as declared.
    pub(super) fn attribute(&self, path: Path) -> Option<&'a Attribute> {
        let symbols = &self.rules.shared.symbols;
        let attributes = match path.root {
            Root::Principal => &symbols.principal,
            Root::Resource => &self.cx(0).ty.attributes,
            Root::Context => &symbols.context,
        };
        attributes.get(path.slot as usize)
    }

    /// Whether it may be absent.
    pub(super) fn is_optional(&self, path: Path) -> bool {
        self.attribute(path).is_none_or(|one| one.is_optional)
    }

    /// Of grants that a role has several times, the first.
    fn first_equal(&self, grant: GrantId) -> GrantId {
        let role = self.rules.roles.get(grant.role as usize);
        let written = role.and_then(|role| role.own_grant(grant.at)).map(|one| one.text());
        let first = role.into_iter().flat_map(|role| role.own_grants()).find(|one| Some(one.text()) == written);
        GrantId { role: grant.role, at: first.map_or(grant.at, |one| one.at) }
    }
}

/// One of those who ask, if some things were otherwise.
pub(super) struct WhatIf<'w, 'a> {
    inquiry: &'w Inquiry<'a>,
    cx: &'w EvaluationContext<'a>,
    who: usize,
    account: usize,
    changes: &'w ChangeSet<'a>,
    active: Option<Vec<u32>>,
}

impl Holder for WhatIf<'_, '_> {
    fn is_active(&self) -> bool {
        self.cx.principal.is_active() || self.changes.has(self.account, &Step::Activate)
    }

    fn is_within_key(&self, permission: u32) -> bool {
        self.cx.principal.is_within_key(permission)
            || self.changes.has(self.who, &Step::WidenKey)
            || self.changes.has(self.who, &Step::DropKey)
    }

    fn assignments(&self) -> impl Iterator<Item = RoleAssignment<'_>> {
        let assigned = self.changes.of(self.account).filter_map(|step| match step {
            Step::AssignRole(role) => Some(RoleAssignment::assumed(self.cx.principal, *role)),
            _ => None,
        });
        self.cx.principal.assignments().map(|held| self.moved(held)).chain(assigned)
    }

    fn active(&self) -> Option<&[u32]> {
        self.active.as_deref()
    }
}

impl View for WhatIf<'_, '_> {
    type Holder = Self;

    fn holder(&self) -> &Self {
        self
    }

    fn now(&self) -> i64 {
        self.cx.now()
    }

    fn has_resource(&self) -> bool {
        self.cx.resource.is_some() || self.changes.named().is_some()
    }

    fn covers(&self, scope: &BoundScope) -> bool {
        let Some(named) = self.changes.named() else { return self.cx.covers(scope) };
        let (Some(kind), Some(id)) = (scope.kind(), scope.id()) else { return *scope == BoundScope::Global };
        named.within.iter().any(|Place { bound, .. }| {
            let (tree, own) = (self.cx.principal.tree(), bound.kind().zip(bound.id()));
            let is_within = tree.zip(own).is_some_and(|(tree, (of, own))| tree.is_within(of, &own, kind, &id));
            is_within || bound == scope
        })
    }

    fn holds(&self, condition: &Condition) -> bool {
        holds_with(&condition.tree, &|at| condition.tests.get(at).is_some_and(|test| self.test_holds(condition, test)))
    }

    fn is_lifted(&self, grant: GrantId) -> bool {
        self.changes.has(0, &Step::LiftDeny(self.inquiry.first_equal(grant)))
    }

    fn is_granted(&self) -> bool {
        self.changes.has(self.account, &Step::AddGrant)
    }
}

impl<'a> WhatIf<'_, 'a> {
    pub(super) fn allows(&self) -> bool {
        let fields = self.named_fields();
        self.inquiry.rules.verdict(&Question { fields, ..self.inquiry.question }, self).is_allowed()
    }

    /// What is decided one by one.
    pub(super) fn fields(&self) -> Vec<Option<FieldId>> {
        match self.named_fields() {
            [] => vec![None],
            fields => fields.iter().copied().map(Some).collect(),
        }
    }

    fn named_fields(&self) -> &[FieldId] {
        let mut steps = self.changes.of(0);
        let named = steps.find_map(|step| if let Step::NameFields(fields) = step { Some(&**fields) } else { None });
        named.unwrap_or(self.inquiry.question.fields)
    }

    /// Whether something allows it, denies aside.
    pub(super) fn gives(&self, field: Option<FieldId>) -> bool {
        self.inquiry.rules.allowance(self.inquiry.question.permission.0, field, self).is_some()
    }

    /// The denies that count, of equal grants the first, with their conditions.
    pub(super) fn denies(&self, field: Option<FieldId>) -> Vec<(GrantId, Option<&'a Condition>)> {
        let (rules, permission) = (self.inquiry.rules, self.inquiry.question.permission.0);
        let counted = self.assignments().flat_map(|held| rules.denials(held, permission, field, self));
        let found = counted.map(|deny| (self.inquiry.first_equal(deny.grant), rules.condition(deny.condition)));
        let mut found: Vec<_> = found.collect();
        // An order that edits do not change.
        found.sort_by_key(|(grant, _)| (rules.role_name(RoleId(grant.role)), grant.at));
        found.dedup_by_key(|(grant, _)| *grant);
        found
    }

    /// An assignment as it would be.
    pub(super) fn moved<'v>(&'v self, held: RoleAssignment<'v>) -> RoleAssignment<'v> {
        self.changes.of(self.account).fold(held, |held, step| match step {
            Step::MoveWindow(at) if *at == held.place() => held.always(),
            Step::MoveScope(at, place) if *at == held.place() => held.within(&place.bound),
            _ => held,
        })
    }

    /// Whether a role allows, or is a junior of one that does, of those of an assigned one.
    pub(super) fn is_active_in(&self, role: u32, junior: u32) -> bool {
        let rules = self.inquiry.rules;
        let has_junior = |part: u32| rules.roles.get(part as usize).is_some_and(|part| part.has_junior(junior));
        rules.parts(self, role).any(has_junior)
    }

    /// How a test turns out.
    pub(super) fn test_holds(&self, condition: &Condition, test: &Test) -> bool {
        if let Some(holds) = self.settled(condition, test) {
            return holds;
        }
        let is_of_named = self.changes.named().is_some() && reads(test, Root::Resource);
        match &test.kind {
            TestKind::Has(path) if self.must_be_there(*path) => true,
            TestKind::Has(path) if is_of_named => !self.inquiry.is_optional(*path),
            kind => !is_of_named && kind.holds(self.cx),
        }
    }

    /// How a test turns out by a change.
    pub(super) fn settled(&self, condition: &Condition, test: &Test) -> Option<bool> {
        let who = if reads(test, Root::Principal) { self.account } else { 0 };
        let text = condition.text_of(test);
        self.changes.outcomes().find(|one| (one.who, one.text) == (who, text)).map(|one| one.holds)
    }

    /// Whether a test that must hold reads it: what is absent makes none hold.
    fn must_be_there(&self, path: Path) -> bool {
        self.changes.outcomes().any(|one| {
            let is_shared = path.root != Root::Principal || one.who == self.account;
            one.holds && is_shared && one.test.kind.paths().any(|of| of == path)
        })
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

pub(super) fn reads(test: &Test, root: Root) -> bool {
    test.kind.paths().any(|path| path.root == root)
}

fn holds_with(tree: &Tree, holds: &dyn Fn(usize) -> bool) -> bool {
    match tree {
        Tree::Test(at) => holds(*at as usize),
        Tree::Not(inner) => !holds_with(inner, holds),
        Tree::All(parts) => parts.iter().all(|part| holds_with(part, holds)),
        Tree::Any(parts) => parts.iter().any(|part| holds_with(part, holds)),
    }
}
