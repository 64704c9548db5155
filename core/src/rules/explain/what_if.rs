//! What would be if some things were otherwise: the changes, and the question as the evaluator sees it then.

use crate::rules::{
    Assignment, Attribute, BoundScope, Condition, EvaluationContext, FieldId, GrantId, Path, Principal, QualifiedGrant,
    Question, RoleId, Root, RuleSet, Scope, Supposed, Test, TestKind, bind,
};

/// One thing that is otherwise. Assignments are named by their places.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<'a> {
    Activate,
    WidenKey,
    /// The account asks itself, without its key.
    DropKey,
    /// Two factors were proved.
    Prove,
    /// The resource lies in no other scopes than are said, and of the tests that read it those hold that are said to,
    /// and `has` of what is always there.
    NameResource,
    /// The resource that is to be named lies there.
    LieIn(Scope),
    /// The question names just these.
    NameFields(Vec<FieldId>),
    /// Everywhere, for ever.
    AssignRole(u32),
    ActivateRole(u32),
    MoveWindow(usize),
    MoveScope(usize, Scope),
    Meet(Outcome<'a>),
    /// Every grant of a role that is written so.
    LiftDeny(u32, String),
    /// A role that is held allows it, unconditionally.
    AddGrant,
}

/// How a test turns out, wherever it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    /// About whom: 0 where it reads no principal.
    pub(super) who: usize,
    pub(super) test: &'a Test,
    pub(super) holds: bool,
}

impl Outcome<'_> {
    /// Whether it says of a test how it turns out, about the same.
    fn is_of(&self, who: usize, test: &Test) -> bool {
        (self.who, &self.test.text) == (who, &test.text)
    }
}

impl PartialEq for Outcome<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.is_of(other.who, other.test) && self.holds == other.holds
    }
}

/// Things that are otherwise, each with whom it is about: of the account itself, the first of those who ask that are
/// the same account; of the question or the policy, 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Hypothesis<'a>(pub(super) Vec<(usize, Step<'a>)>);

impl<'a> Hypothesis<'a> {
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

    pub(super) fn names_resource(&self) -> bool {
        self.has(0, &Step::NameResource)
    }

    /// Where the resource lies that is to be named.
    pub(super) fn resource_scopes(&self) -> impl Iterator<Item = &Scope> {
        self.of(0).filter_map(|step| if let Step::LieIn(place) = step { Some(place) } else { None })
    }

    /// How tests turn out.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Outcome<'a>> {
        self.0.iter().filter_map(|(_, step)| if let Step::Meet(outcome) = step { Some(outcome) } else { None })
    }

    /// Whether a test that reads the resource is part of the change that names it.
    pub(super) fn is_of_named(&self, test: &Test) -> bool {
        self.names_resource() && reads(test, Root::Resource)
    }

    /// Whether a step is no change by itself, but says something of the resource that another names.
    pub(super) fn is_detail(&self, step: &Step<'a>) -> bool {
        matches!(step, Step::LieIn(_)) || matches!(step, Step::Meet(outcome) if self.is_of_named(outcome.test))
    }

    /// How many changes they are.
    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|(_, step)| !self.is_detail(step)).count()
    }
}

/// A question, the principal, and those on whose behalf it acts.
pub(super) struct Inquiry<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) question: Question<'a>,
    pub(super) chain: Vec<EvaluationContext<'a>>,
    /// Of each of them, the first that is the same account.
    accounts: Vec<usize>,
}

impl<'a> Inquiry<'a> {
    pub(super) fn of(question: Question<'a>, cx: EvaluationContext<'a>) -> Self {
        let chain: Vec<EvaluationContext<'a>> = question.principal.chain().map(|principal| cx.of(principal)).collect();
        let first = |own: &EvaluationContext<'a>| {
            chain.iter().position(|one| is_same_account(one.principal, own.principal)).unwrap_or_default()
        };
        let accounts = chain.iter().map(first).collect();
        Self { rules: cx.rules, question, chain, accounts }
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

    /// One of those who ask, if some things were otherwise.
    pub(super) fn what_if<'w>(&'w self, who: usize, changes: &'w Hypothesis<'a>) -> WhatIf<'w, 'a> {
        let (account, mut principal) = (self.account(who), self.principal(who).clone());
        let bound = |place| bind(self.rules.kinds(), place);
        for (of, step) in &changes.0 {
            match step {
                Step::Activate if *of == account => principal.activate(),
                Step::AssignRole(role) if *of == account => principal.assign(*role),
                Step::MoveWindow(at) if *of == account => principal.change(*at, Assignment::hold_always),
                Step::MoveScope(at, place) if *of == account => principal.change(*at, |held| held.scope = bound(place)),
                Step::WidenKey if *of == who => principal.widen_key(self.question.permission.0),
                Step::DropKey if *of == who => principal.drop_key(),
                Step::Prove if *of == who => principal.prove(),
                Step::ActivateRole(role) if *of == who => principal.activate_role(*role),
                _ => {}
            }
        }
        WhatIf {
            inquiry: self,
            who,
            account,
            principal,
            places: changes.resource_scopes().map(bound).collect(),
            changes,
        }
    }

    /// Whether the principal and those on whose behalf it acts may all do it.
    pub(super) fn allows(&self, changes: &Hypothesis<'a>) -> bool {
        (0..self.chain.len()).all(|who| self.what_if(who, changes).allows())
    }

    /// What a path reads, as declared.
    pub(super) fn attribute(&self, path: Path) -> Option<&'a Attribute> {
        self.rules.shared.symbols.vocabulary(self.cx(0).ty).attribute(path)
    }

    /// Whether it may be absent.
    pub(super) fn is_optional(&self, path: Path) -> bool {
        self.attribute(path).is_none_or(|one| one.is_optional)
    }
}

/// One of those who ask, if some things were otherwise.
pub(super) struct WhatIf<'w, 'a> {
    pub(super) inquiry: &'w Inquiry<'a>,
    who: usize,
    account: usize,
    pub(super) principal: Principal,
    changes: &'w Hypothesis<'a>,
    /// Where the resource lies that is to be named.
    places: Vec<BoundScope>,
}

impl Supposed for WhatIf<'_, '_> {
    fn names_resource(&self) -> bool {
        self.changes.names_resource()
    }

    fn covers(&self, scope: &BoundScope) -> bool {
        let (Some(kind), Some(id)) = (scope.kind(), scope.id()) else { return *scope == BoundScope::Global };
        self.places.iter().any(|place| {
            let (tree, own) = (self.inquiry.rules.tree_of(&self.principal), place.kind().zip(place.id()));
            let is_within = tree.zip(own).is_some_and(|(tree, (of, own))| tree.is_within(of, &own, kind, &id));
            is_within || place == scope
        })
    }

    fn holds(&self, condition: &Condition) -> bool {
        condition.tree.holds(&|test| self.outcome(test).holds)
    }

    fn is_lifted(&self, grant: GrantId) -> bool {
        let text = || self.inquiry.rules.grant_text(grant);
        let lifts = |step| matches!(step, &Step::LiftDeny(role, ref lifted) if role == grant.role && *lifted == text());
        self.changes.of(0).any(lifts)
    }

    fn is_granted(&self) -> bool {
        self.changes.has(self.account, &Step::AddGrant)
    }
}

impl<'a> WhatIf<'_, 'a> {
    /// As the evaluator sees it.
    pub(super) fn cx(&self) -> EvaluationContext<'_> {
        self.inquiry.cx(self.who).supposing(&self.principal, self)
    }

    pub(super) fn allows(&self) -> bool {
        let fields = self.named_fields();
        self.inquiry.rules.verdict(&Question { fields, ..self.inquiry.question }, &self.cx()).is_allowed()
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
    pub(super) fn is_granted(&self, field: Option<FieldId>) -> bool {
        self.inquiry.rules.allowance(self.inquiry.question.permission.0, field, &self.cx()).is_some()
    }

    /// The denies that count, each with the step that lifts it and its condition.
    pub(super) fn denies(&self, field: Option<FieldId>) -> Vec<(Step<'a>, Option<&'a Condition>)> {
        let (rules, permission, cx) = (self.inquiry.rules, self.inquiry.question.permission.0, self.cx());
        let held = self.principal.assignments();
        let mut found: Vec<&'a QualifiedGrant> =
            held.flat_map(|held| rules.denials(held, permission, field, &cx).collect::<Vec<_>>()).collect();
        // An order that edits do not change.
        found.sort_by_key(|deny| (rules.role_name(RoleId(deny.grant.role)), deny.grant.at));
        let lift = |deny: &QualifiedGrant| Step::LiftDeny(deny.grant.role, rules.grant_text(deny.grant));
        found.into_iter().map(|deny| (lift(deny), rules.condition(deny.condition))).collect()
    }

    /// How a test turns out.
    pub(super) fn outcome<'t>(&self, test: &'t Test) -> Outcome<'t> {
        let who = if reads(test, Root::Principal) { self.account } else { 0 };
        let is_of_named = self.changes.is_of_named(test);
        let holds = match (self.settled(who, test), &test.kind) {
            (Some(holds), _) => holds,
            (None, TestKind::Has(path)) if self.must_be_there(*path) => true,
            (None, TestKind::Has(path)) if is_of_named => !self.inquiry.is_optional(*path),
            (None, _) => !is_of_named && self.holds_now(test),
        };
        Outcome { who, test, holds }
    }

    /// Whether a test holds as things are.
    pub(super) fn holds_now(&self, test: &Test) -> bool {
        test.kind.holds(self.inquiry.cx(self.who))
    }

    /// How a test turns out by a change.
    pub(super) fn settled(&self, who: usize, test: &Test) -> Option<bool> {
        self.changes.outcomes().find(|one| one.is_of(who, test)).map(|one| one.holds)
    }

    /// Whether a test that must hold reads it: what is absent makes none hold.
    pub(super) fn must_be_there(&self, path: Path) -> bool {
        self.outcomes_of(path).any(|one| one.holds)
    }

    /// Of the tests that change, those that read it.
    pub(super) fn outcomes_of(&self, path: Path) -> impl Iterator<Item = &Outcome<'a>> {
        let is_shared = move |one: &Outcome<'_>| path.root != Root::Principal || one.who == self.account;
        let reads = move |one: &Outcome<'_>| one.test.kind.paths().any(|of| of == path);
        self.changes.outcomes().filter(move |one| is_shared(one) && reads(one))
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
