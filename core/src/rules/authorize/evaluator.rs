//! What decides about one principal: of what is so, and of what would be if some things were otherwise.

use super::{EvaluationContext, Question, Verdict};
use crate::rules::{
    compile::{
        bits,
        role::{GrantId, NONE, Special},
        rule_set::{FieldId, Mark, RuleSet},
    },
    condition::{code::Condition, parser::Root},
    policy::Effect,
    principal::{Principal, RoleAssignment},
    scope::kind::BoundScope,
};

/// Who asks, and what it holds.
pub(in crate::rules) trait Holder {
    /// Whether the account may do anything at all.
    fn is_active(&self) -> bool;
    /// Whether an API key's patterns match a permission; true of who asks without a key.
    fn is_within_key(&self, permission: u32) -> bool;
    /// Every assignment, by its place.
    fn assignments(&self) -> impl Iterator<Item = RoleAssignment<'_>>;
    /// The roles of its assignments, and places that no role is in.
    fn roles(&self) -> impl Iterator<Item = u32>;
    /// In a session, and of a key, the roles that allow, with their juniors; none where all do.
    fn active(&self) -> Option<&[u32]>;
}

/// What the decision about one principal looks at. Generic, so that a decision costs what it would without.
pub(in crate::rules) trait View {
    /// Who asks.
    type Holder: Holder;

    /// Who asks.
    fn holder(&self) -> &Self::Holder;
    /// When it is asked, in microseconds.
    fn now(&self) -> i64;
    /// Whether the question names a resource.
    fn has_resource(&self) -> bool;
    /// Whether a scope covers the resource; without one, only `global` does.
    fn covers(&self, scope: &BoundScope) -> bool;
    /// Whether a condition holds.
    fn holds(&self, condition: &Condition) -> bool;

    /// Whether a deny has no say.
    #[inline(always)]
    fn is_lifted(&self, _: GrantId) -> bool {
        false
    }

    /// Whether it is granted, whatever the roles say.
    #[inline(always)]
    fn is_granted(&self) -> bool {
        false
    }
}

impl Holder for Principal {
    #[inline(always)]
    fn is_active(&self) -> bool {
        self.is_active()
    }

    #[inline(always)]
    fn is_within_key(&self, permission: u32) -> bool {
        self.is_within_key(permission)
    }

    #[inline(always)]
    fn assignments(&self) -> impl Iterator<Item = RoleAssignment<'_>> {
        self.assignments()
    }

    #[inline(always)]
    fn roles(&self) -> impl Iterator<Item = u32> {
        let plain = self.first().iter().chain(self.more()).copied();
        plain.chain(self.limited().iter().map(|limited| limited.role))
    }

    #[inline(always)]
    fn active(&self) -> Option<&[u32]> {
        self.active()
    }
}

impl View for EvaluationContext<'_> {
    type Holder = Principal;

    #[inline(always)]
    fn holder(&self) -> &Principal {
        self.principal
    }

    #[inline(always)]
    fn now(&self) -> i64 {
        self.now()
    }

    #[inline(always)]
    fn has_resource(&self) -> bool {
        self.resource.is_some()
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn covers(&self, scope: &BoundScope) -> bool {
        self.covers(scope)
    }

    #[inline(always)]
    fn holds(&self, condition: &Condition) -> bool {
        condition.holds(self)
    }
}

impl RuleSet {
    /// About one principal, whoever it acts on behalf of.
    pub(in crate::rules) fn verdict(&self, question: &Question<'_>, view: &impl View) -> Verdict {
        let holder = view.holder();
        if !holder.is_active() {
            return Verdict::Inactive;
        }
        if !holder.is_within_key(question.permission.0) {
            return Verdict::BeyondKey;
        }
        if let Some(assignment) = self.administration(holder, view.now()) {
            return Verdict::Admin { assignment };
        }
        let mut verdict = Verdict::NothingGrants { field: None };
        if question.fields.is_empty() {
            return self.verdict_on(question.permission.0, None, view);
        }
        for field in question.fields {
            verdict = self.verdict_on(question.permission.0, Some(*field), view);
            if !verdict.is_allowed() {
                return verdict;
            }
        }
        verdict
    }

    /// The assignment that administers, if one does.
    #[inline]
    pub(in crate::rules) fn administration(&self, holder: &impl Holder, now: i64) -> Option<usize> {
        // Most hold no such role, which is seen at once.
        let is_possible = holder.roles().any(|role| self.is_administrator(role));
        is_possible.then(|| holder.assignments().position(|one| self.administers(holder, one, now)))?
    }

    fn verdict_on(&self, permission: u32, field: Option<FieldId>, view: &impl View) -> Verdict {
        let mark = self.marks.get(permission as usize).copied().unwrap_or_default();
        // Denies come first, and not activating a role never sheds its own.
        if mark.has(Mark::DENIED)
            && let Some((assignment, special)) = self.denial(permission, field, view)
        {
            return Verdict::Denied { assignment, grant: special.grant, field };
        }
        match self.allowance(permission, field, view) {
            Some(assignment) => Verdict::Allowed { assignment },
            None => Verdict::NothingGrants { field },
        }
    }

    /// The first assignment that allows, denies aside; the first of all where it is granted anyway.
    #[inline]
    pub(in crate::rules) fn allowance(
        &self,
        permission: u32,
        field: Option<FieldId>,
        view: &impl View,
    ) -> Option<usize> {
        if view.is_granted() {
            return Some(0);
        }
        let mark = self.marks.get(permission as usize).copied().unwrap_or_default();
        let holder = view.holder();
        let is_whole = holder.active().is_none();
        let gives = |role| self.gives(role, permission, mark, field, view);
        let allows = |held: RoleAssignment<'_>| {
            self.counts(held, view.now())
                && view.covers(held.scope())
                && match is_whole {
                    true => gives(held.role),
                    false => self.parts(holder, held.role).any(gives),
                }
        };
        holder.assignments().position(allows)
    }

    /// The first assignment that denies, and its grant.
    fn denial(&self, permission: u32, field: Option<FieldId>, view: &impl View) -> Option<(usize, &Special)> {
        let mut assignments = view.holder().assignments().enumerate();
        assignments.find_map(|(at, held)| Some((at, self.denials(held, permission, field, view).next()?)))
    }

    /// The denies of one assignment that count.
    #[inline]
    pub(in crate::rules) fn denials(
        &self,
        held: RoleAssignment<'_>,
        permission: u32,
        field: Option<FieldId>,
        view: &impl View,
    ) -> impl Iterator<Item = &Special> {
        let specials = if self.counts(held, view.now()) { self.specials(held.role, permission) } else { &[] };
        let denies = move |one: &&Special| one.effect == Effect::Deny && self.denies(one, held, field, view);
        specials.iter().filter(denies)
    }

    /// Whether a role, held where the resource is, allows.
    #[inline]
    fn gives(&self, role: u32, permission: u32, mark: Mark, field: Option<FieldId>, view: &impl View) -> bool {
        let allows = |one: &Special| one.effect == Effect::Allow && self.grants(one, field, view);
        self.permission_index.has(role, permission)
            || mark.has(Mark::SPECIAL) && self.specials(role, permission).iter().any(allows)
    }

    /// What a role says of a permission beside its plain bits, grant by grant.
    #[inline]
    pub(in crate::rules) fn specials(&self, role: u32, permission: u32) -> &[Special] {
        self.roles.get(role as usize).map(|role| role.special_of(permission)).unwrap_or_default()
    }

    /// Whether an assignment has any effect now: `admin:all` is held everywhere or not at all.
    pub(in crate::rules) fn counts(&self, held: RoleAssignment<'_>, now: i64) -> bool {
        held.is_valid(now) && (matches!(held.scope(), BoundScope::Global) || !self.is_administrator(held.role))
    }

    /// Whether an assignment holds `admin:all` now, in active roles.
    pub(in crate::rules) fn administers(&self, holder: &impl Holder, held: RoleAssignment<'_>, now: i64) -> bool {
        self.is_administrator(held.role)
            && self.counts(held, now)
            && self.parts(holder, held.role).any(|role| self.is_administrator(role))
    }

    /// The roles that allow, of an assigned one: itself, or the active ones among its juniors.
    pub(in crate::rules) fn parts(&self, holder: &impl Holder, role: u32) -> impl Iterator<Item = u32> {
        let active = holder.active();
        let whole = active.is_none().then_some(role);
        let held = self.roles.get(role as usize);
        let parts = active.into_iter().flatten().copied();
        whole.into_iter().chain(parts.filter(move |part| held.is_some_and(|held| held.has_junior(*part))))
    }

    /// Whether a grant allows that is held where the resource is.
    fn grants(&self, special: &Special, field: Option<FieldId>, view: &impl View) -> bool {
        // Asked without fields, a narrowed allow does not count.
        self.is_on(special.fields, field, false) && self.condition_allows(special.condition, view)
    }

    /// Whether a deny counts that an assignment holds.
    fn denies(&self, special: &Special, held: RoleAssignment<'_>, field: Option<FieldId>, view: &impl View) -> bool {
        if !self.is_on(special.fields, field, true) || view.is_lifted(special.grant) {
            return false;
        }
        // Without a resource, whatever might matter there counts: it fails closed.
        let covers = !view.has_resource() || view.covers(held.scope());
        let condition = self.condition(special.condition);
        let is_open = !view.has_resource() && condition.is_some_and(|one| one.reads(Root::Resource));
        covers && (is_open || condition.is_none_or(|condition| view.holds(condition)))
    }

    /// Whether a condition lets a grant allow; without a resource, none does that reads one.
    pub(super) fn condition_allows(&self, condition: u32, view: &impl View) -> bool {
        let Some(condition) = self.condition(condition) else { return true };
        (view.has_resource() || !condition.reads(Root::Resource)) && view.holds(condition)
    }

    /// Whether a grant narrowed to `fields` is about this question.
    pub(in crate::rules) fn is_on(&self, fields: u32, field: Option<FieldId>, without: bool) -> bool {
        if fields == NONE {
            return true;
        }
        match field {
            None => without,
            Some(field) => {
                self.interner.field_sets.get(fields as usize).is_some_and(|set| set.binary_search(&field.0).is_ok())
            }
        }
    }

    /// Whether a role holds `admin:all`.
    pub(in crate::rules) fn is_administrator(&self, role: u32) -> bool {
        bits::has(&self.administrators, role)
    }
}
