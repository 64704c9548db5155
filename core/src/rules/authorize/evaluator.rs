//! What decides about one principal: the rules of docs/rules.md, of what is so and of what an explanation supposes.

use crate::rules::{
    Assignment, BoundScope, DecisionFlags, Effect, EvaluationContext, FieldId, NONE, Principal, QualifiedGrant,
    Question, RoleAssignment, Root, RuleSet, Supposed, Values, Verdict,
};

impl RuleSet {
    /// About one principal, whoever it acts on behalf of.
    pub(in crate::rules) fn verdict(&self, question: &Question<'_>, cx: &EvaluationContext<'_>) -> Verdict {
        let principal = cx.principal;
        if !principal.is_active() {
            return Verdict::Inactive;
        }
        if !principal.is_within_key(question.permission.0) {
            return Verdict::BeyondKey;
        }
        if let Some(assignment) = self.administration(principal, cx.now()) {
            return Verdict::Admin { assignment };
        }
        let mut fields = question.fields.iter().copied();
        let mut field = fields.next();
        loop {
            let verdict = self.verdict_on(question.permission.0, field, cx);
            field = fields.next();
            if field.is_none() || !verdict.is_allowed() {
                return verdict;
            }
        }
    }

    /// The assignment that administers, if one does.
    #[inline]
    pub(in crate::rules) fn administration(&self, principal: &Principal, now: i64) -> Option<usize> {
        // Most hold no such role, which is seen at once.
        let is_one = |role: &u32| self.is_administrator(*role);
        let is_any = principal.plain().any(is_one) || principal.limited().iter().any(|one| is_one(&one.role));
        let mut held = principal.assignments();
        if is_any { held.position(|one| self.administers(principal, one, now)) } else { None }
    }

    fn verdict_on(&self, permission: u32, field: Option<FieldId>, cx: &EvaluationContext<'_>) -> Verdict {
        let flags = self.decision_flags.get(permission as usize).copied().unwrap_or_default();
        // Denies come first, and not activating a role never sheds its own.
        if flags.has(DecisionFlags::DENIED)
            && let Some(assignment) = self.denial(permission, field, cx)
        {
            return Verdict::Denied { assignment, field };
        }
        match self.allowance(permission, field, cx) {
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
        cx: &EvaluationContext<'_>,
    ) -> Option<usize> {
        if cx.supposed.is_some_and(Supposed::is_granted) {
            return Some(0);
        }
        let principal = cx.principal;
        let plain = principal.plain();
        let found = plain.clone().position(|role| self.role_allows(*role, permission, field, cx));
        found.or_else(|| {
            let allows = |held: &Assignment| {
                cx.covers(&held.scope)
                    && held.is_valid(cx.now())
                    && self.is_effective_in(held.role, &held.scope)
                    && self.role_allows(held.role, permission, field, cx)
            };
            principal.limited().iter().position(allows).map(|at| plain.count() + at)
        })
    }

    /// Whether a role allows that is held where the resource is, or its active juniors do.
    fn role_allows(&self, role: u32, permission: u32, field: Option<FieldId>, cx: &EvaluationContext<'_>) -> bool {
        match cx.principal.active() {
            None => !self.is_held_back(cx.principal, role) && self.role_grants(role, permission, field, cx),
            Some(_) => {
                self.activated_roles(cx.principal, role).any(|role| self.role_grants(role, permission, field, cx))
            }
        }
    }

    /// The first assignment that denies.
    // Few permissions are denied: inlined, it would have all others keep its places.
    #[inline(never)]
    fn denial(&self, permission: u32, field: Option<FieldId>, cx: &EvaluationContext<'_>) -> Option<usize> {
        cx.principal.assignments().position(|held| self.denials(held, permission, field, cx).next().is_some())
    }

    /// The denies of one assignment that count.
    #[inline]
    pub(in crate::rules) fn denials(
        &self,
        held: RoleAssignment<'_>,
        permission: u32,
        field: Option<FieldId>,
        cx: &EvaluationContext<'_>,
    ) -> impl Iterator<Item = &QualifiedGrant> {
        let qualified_grants = self.is_in_force(held, cx.now()).then(|| self.qualified_grants(held.role, permission));
        let denies = move |one: &&QualifiedGrant| one.effect == Effect::Deny && self.deny_applies(one, held, field, cx);
        qualified_grants.into_iter().flatten().filter(denies)
    }

    /// Whether a role, held where the resource is, allows.
    #[inline]
    fn role_grants(&self, role: u32, permission: u32, field: Option<FieldId>, cx: &EvaluationContext<'_>) -> bool {
        let flags = self.decision_flags.get(permission as usize).copied().unwrap_or_default();
        let allows = |one: &QualifiedGrant| one.effect == Effect::Allow && self.grant_applies(one, field, cx);
        // Qualified grants first: they take less memory, and so are at hand more often.
        flags.has(DecisionFlags::QUALIFIED) && self.qualified_grants(role, permission).any(allows)
            || self.permission_index.has(role, permission)
    }

    /// Whether an assignment has any effect now: `admin:all` is held everywhere or not at all.
    pub(in crate::rules) fn is_in_force(&self, held: RoleAssignment<'_>, now: i64) -> bool {
        held.is_valid(now) && self.is_effective_in(held.role, held.scope())
    }

    fn is_effective_in(&self, role: u32, scope: &BoundScope) -> bool {
        matches!(scope, BoundScope::Global) || !self.is_administrator(role)
    }

    /// Whether an assignment holds `admin:all` now, in active roles.
    pub(in crate::rules) fn administers(&self, principal: &Principal, held: RoleAssignment<'_>, now: i64) -> bool {
        self.is_administrator(held.role)
            && self.is_in_force(held, now)
            && self.activated_roles(principal, held.role).any(|role| self.is_administrator(role))
    }

    /// The roles that allow, of an assigned one: those that are active, unless it needs a second factor that was not proved.
    pub(in crate::rules) fn activated_roles(&self, principal: &Principal, role: u32) -> impl Iterator<Item = u32> {
        let is_held_back = self.is_held_back(principal, role);
        self.active_roles_of(principal, role).filter(move |_| !is_held_back)
    }

    /// The active roles of an assigned one: itself, or the active ones among its juniors.
    fn active_roles_of(&self, principal: &Principal, role: u32) -> impl Iterator<Item = u32> {
        let active = principal.active();
        let whole = active.is_none().then_some(role);
        let held = self.roles.get(role as usize);
        let parts = active.into_iter().flatten().copied();
        whole.into_iter().chain(parts.filter(move |part| held.is_some_and(|held| held.has_junior(*part))))
    }

    /// Whether a junior of an assigned role (or itself) is active by it.
    pub(in crate::rules) fn is_active(&self, principal: &Principal, role: u32, junior: u32) -> bool {
        self.active_roles_of(principal, role).any(|part| self.inherits(part, junior))
    }

    fn inherits(&self, role: u32, junior: u32) -> bool {
        self.roles.get(role as usize).is_some_and(|role| role.has_junior(junior))
    }

    /// Whether an assigned role allows what a junior of it (or itself) does: in a session, as active ones do.
    pub(in crate::rules) fn has_active_junior(&self, principal: &Principal, role: u32, junior: u32) -> bool {
        self.activated_roles(principal, role).any(|part| self.inherits(part, junior))
    }

    /// Whether a grant allows that is held where the resource is.
    #[inline]
    fn grant_applies(&self, qualified: &QualifiedGrant, field: Option<FieldId>, cx: &EvaluationContext<'_>) -> bool {
        // Asked without fields, a narrowed allow does not count.
        self.is_on(qualified.fields, field, false) && self.condition_allows(qualified.condition, cx)
    }

    /// Whether a deny counts that an assignment holds.
    fn deny_applies(
        &self,
        qualified: &QualifiedGrant,
        held: RoleAssignment<'_>,
        field: Option<FieldId>,
        cx: &EvaluationContext<'_>,
    ) -> bool {
        if !self.is_on(qualified.fields, field, true)
            || cx.supposed.is_some_and(|supposed| supposed.is_lifted(qualified.grant))
        {
            return false;
        }
        // Without a resource, whatever might matter there counts: it fails closed.
        let covers = !cx.has_resource() || cx.covers(cx.scope_of_deny(held.scope()));
        let condition = self.condition(qualified.condition);
        let is_open = !cx.has_resource() && condition.is_some_and(|one| one.reads(Root::Resource));
        covers && (is_open || condition.is_none_or(|condition| cx.holds(condition)))
    }

    /// Whether a condition lets a grant allow; without a resource, none does that reads one.
    pub(super) fn condition_allows(&self, condition: u32, cx: &EvaluationContext<'_>) -> bool {
        let Some(condition) = self.condition(condition) else { return true };
        (cx.has_resource() || !condition.reads(Root::Resource)) && cx.holds(condition)
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
        self.administrators.binary_search(&role).is_ok()
    }
}
