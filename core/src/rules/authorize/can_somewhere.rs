//! Whether there could be a resource to which a principal may do something: the rules in a logic of three values, as
//! what is not known of the resource may be true or false. It is what the row filter folds to, without making one.

use crate::rules::{
    BoundScope, Effect, EvaluationContext, Operand, PermissionId, QualifiedGrant, Root, RuleSet, Source, TestKind,
    Tree, Values,
};

impl RuleSet {
    /// About the principal and those on whose behalf it acts.
    pub(super) fn is_possible(&self, permission: PermissionId, cx: &EvaluationContext<'_>) -> bool {
        cx.principal.chain().all(|principal| cx.of(principal).is_possible(permission.0))
    }
}

impl EvaluationContext<'_> {
    fn is_possible(&self, permission: u32) -> bool {
        let (rules, principal) = (self.rules, self.principal);
        if !principal.is_active() || !principal.is_within_key(permission) {
            return false;
        }
        if rules.administration(principal, self.now()).is_some() {
            return true;
        }
        let denies = |one: &QualifiedGrant| {
            one.effect == Effect::Deny && rules.is_on(one.fields, None, true) && self.outcome(one) == Some(true)
        };
        let allows = |one: &QualifiedGrant| {
            one.effect == Effect::Allow && rules.is_on(one.fields, None, false) && self.outcome(one) != Some(false)
        };
        let gives = |role: u32| {
            rules.permission_index.has(role, permission) || rules.qualified_grants(role, permission).any(allows)
        };
        let mut is_possible = false;
        for held in principal.assignments().filter(|one| rules.is_in_force(*one, self.now())) {
            // In a narrower scope a deny leaves what lies elsewhere.
            if *self.scope_of_deny(held.scope()) == BoundScope::Global
                && rules.qualified_grants(held.role, permission).any(denies)
            {
                return false;
            }
            is_possible =
                is_possible || self.may_lie_in(held.scope()) && rules.activated_roles(principal, held.role).any(gives);
        }
        is_possible
    }

    /// Whether a resource of the type could lie in a scope.
    fn may_lie_in(&self, scope: &BoundScope) -> bool {
        let (Some(kind), Some(id)) = (scope.kind(), scope.id()) else { return *scope == BoundScope::Global };
        let tree = self.rules.tree_of(self.principal);
        let has_within = |bound| tree.is_some_and(|tree| !tree.within(bound, kind, &id).is_empty());
        self.ty.bound.iter().any(|(bound, _)| *bound == kind || has_within(*bound))
    }

    /// How the condition of a grant turns out; none where that depends on the resource.
    fn outcome(&self, grant: &QualifiedGrant) -> Option<bool> {
        self.rules.condition(grant.condition).map_or(Some(true), |condition| self.tree(&condition.tree))
    }

    fn tree(&self, tree: &Tree) -> Option<bool> {
        match tree {
            Tree::Test(test) => self.test(&test.kind),
            Tree::Not(inner) => self.tree(inner).map(|holds| !holds),
            Tree::All(parts) => self.combine(parts, false),
            Tree::Any(parts) => self.combine(parts, true),
        }
    }

    /// Several parts, of which one alone decides where it turns out so.
    fn combine(&self, parts: &[Tree], decisive: bool) -> Option<bool> {
        let mut outcome = Some(!decisive);
        for part in parts {
            match self.tree(part) {
                Some(holds) if holds == decisive => return Some(decisive),
                Some(_) => {}
                None => outcome = None,
            }
        }
        outcome
    }

    fn test(&self, test: &TestKind) -> Option<bool> {
        if test.paths().all(|path| path.root != Root::Resource) {
            return Some(test.holds(self));
        }
        let is_absent = |one: &Operand| match one.source {
            Source::Path(path) if path.root == Root::Resource => false,
            _ => one.value(self).is_absent(),
        };
        let cannot_hold = match test {
            TestKind::Has(path) => {
                // A relation is never absent, either.
                let attribute = self.ty.attributes.get(path.slot as usize)?;
                return (!attribute.is_optional).then_some(true);
            }
            TestKind::InPath(_, set) if set.root != Root::Resource => {
                let elements = self.at(*set).elements(set.ty.base).unwrap_or_default();
                elements.iter().all(|one| one.is_absent())
            }
            // Nothing lies in a list of nothing.
            TestKind::InLiterals(_, literals) if literals.is_empty() => true,
            TestKind::InRanges(_, ranges) if ranges.is_empty() => true,
            test => test.operands().any(is_absent),
        };
        cannot_hold.then_some(false)
    }
}
