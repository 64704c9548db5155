//! A role's own grants, permission by permission: patterns matched, fields found, conditions typed.

use super::{Budget, interner::Interner, problems::tell, role::Own, sorted};

use crate::rules::{
    ConditionError, Diagnostics, Effect, Grant, GrantId, NONE, Pattern, PermissionId, QualifiedGrant, Role, Root,
    RuleSet, Symbols, Text, check_grammar, condition::parser::parse, shown,
};

/// What the grants of a role say; none where the policy is too large.
pub(super) fn own(
    id: u32,
    role: &Role,
    symbols: &Symbols,
    interner: &mut Interner,
    budget: &mut Budget,
    diagnostics: &mut Diagnostics,
) -> Option<Own> {
    let (plain, qualified, conditions) = (Vec::new(), Vec::new(), Vec::new());
    let mut compiler = Compiler { id, role, symbols, interner, budget, diagnostics, plain, qualified, conditions };
    for (at, grant) in (0_u32..).zip(&role.grants) {
        if !compiler.grant(at, grant) {
            let message = "the policy is too large: its grants match too many permissions";
            compiler.diagnostics.add(grant.pattern.span, message);
            return None;
        }
    }
    let Compiler { plain, qualified, conditions, .. } = compiler;
    Some(Own {
        is_administrator: role.grants.iter().any(Grant::is_admin),
        plain: sorted(plain),
        qualified: sorted(qualified),
        conditions: sorted(conditions),
    })
}

/// A role whose grants are being compiled, and what they say so far, as in [`Own`].
struct Compiler<'c> {
    id: u32,
    role: &'c Role,
    symbols: &'c Symbols,
    interner: &'c mut Interner,
    budget: &'c mut Budget,
    diagnostics: &'c mut Diagnostics,
    plain: Vec<u32>,
    qualified: Vec<QualifiedGrant>,
    conditions: Vec<(u32, u32)>,
}

impl Compiler<'_> {
    /// Adds what a grant says; false where the policy is too large.
    fn grant(&mut self, at: u32, grant: &Grant) -> bool {
        let Grant { effect, pattern: Text { text, span }, when } = grant;
        let Some(pattern) = Pattern::parse(text) else {
            let help = "write `resource:action`, `resource:*`, `*:action` or `resource:action{field,field}`";
            let message = format!("`{}` is neither a permission nor a pattern of permissions", shown(text));
            self.diagnostics.add(*span, message).help(help);
            return true;
        };
        if pattern.resource == Some("admin") && pattern.action == Some("all") {
            self.check_admin(grant, &pattern);
            return true;
        }
        let matched = self.symbols.matching(&pattern);
        if matched.is_empty() {
            let symbols = self.symbols;
            tell(grant.pattern.span, self.diagnostics, |reporters, all| {
                (reporters.unmatched)(symbols, grant, &pattern, all)
            });
        }
        if let Some(when) = when
            && let Err(error) = check_grammar(&when.text)
        {
            self.wrong(grant, when, error);
            return true;
        }
        if !self.budget.steps.takes(matched.len()) {
            return false;
        }
        if grant.is_plain() {
            self.plain.extend(matched);
            return true;
        }
        // Permissions of one type share a condition and a set of fields, and stand one after the other.
        let mut last = (None, None);
        for permission in matched {
            let Some(ty) = self.symbols.permissions.get(permission as usize).map(|one| one.ty) else { continue };
            if last.0 != Some(ty) {
                // Every type has a copy of the condition, known by its text, and its tests have theirs.
                let length = when.as_ref().map_or(0, |when| when.text.len());
                if !self.budget.steps.takes(100 + length / 10) || !self.budget.bytes.takes(3 * length) {
                    return false;
                }
                last = (Some(ty), self.on_type(ty, grant, &pattern));
            }
            let Some((condition, fields)) = last.1 else { continue };
            if !self.budget.bytes.takes(size_of::<QualifiedGrant>()) {
                return false;
            }
            if condition != NONE {
                self.conditions.push((ty, condition));
            }
            let grant = GrantId { role: self.id, at };
            self.qualified.push(QualifiedGrant { permission, effect: *effect, condition, fields, grant });
        }
        true
    }

    /// Given unconditionally or not at all, and never denied.
    fn check_admin(&mut self, grant: &Grant, pattern: &Pattern<'_>) {
        let message = match (grant.effect, &grant.when, &pattern.fields) {
            (Effect::Deny, _, _) => "`admin:all` cannot be denied",
            (_, Some(_), _) => "`admin:all` is held without a condition or not at all",
            (_, _, Some(_)) => "`admin:all` has no fields",
            (Effect::Allow, None, None) => return,
        };
        self.diagnostics.add(grant.pattern.span, message);
    }

    /// The condition and the fields as this type has them; none where they do not fit it.
    fn on_type(&mut self, ty: u32, grant: &Grant, pattern: &Pattern<'_>) -> Option<(u32, u32)> {
        let fields = self.fields(ty, grant, pattern);
        let condition = grant.when.as_ref().map_or(Some(NONE), |when| self.condition(ty, grant, when));
        Some((condition?, fields?))
    }

    fn fields(&mut self, ty: u32, grant: &Grant, pattern: &Pattern<'_>) -> Option<u32> {
        let Some(names) = &pattern.fields else { return Some(NONE) };
        let ty = self.symbols.types.get(ty as usize)?;
        let mut slots = Vec::with_capacity(names.len());
        for name in names {
            match ty.slot(name) {
                Some(slot) => slots.push(slot),
                None => {
                    let known = ty.attributes.iter().map(|one| one.name.as_str());
                    let help = self.diagnostics.suggest(name, known);
                    let message = format!("type `{}` has no field `{}`", ty.name, shown(name));
                    self.diagnostics.add(grant.pattern.span, message).help_if(help);
                }
            }
        }
        if slots.len() < names.len() {
            return None;
        }
        Some(self.interner.fields(sorted(slots)))
    }

    fn condition(&mut self, ty: u32, grant: &Grant, when: &Text) -> Option<u32> {
        let is_deny = grant.effect == Effect::Deny;
        if let Some(known) = self.interner.known(&when.text, ty, is_deny) {
            return Some(known);
        }
        let resource = self.symbols.types.get(ty as usize)?;
        match parse(&when.text, is_deny, &self.symbols.vocabulary(resource)) {
            Ok(condition) => {
                let ty = condition.reads(Root::Resource).then_some(ty);
                Some(self.interner.add(condition, ty, is_deny))
            }
            Err(errors) => {
                errors.into_iter().for_each(|error| self.wrong(grant, when, error));
                None
            }
        }
    }

    fn wrong(&mut self, grant: &Grant, when: &Text, error: ConditionError) {
        let role = self.role;
        tell(when.span, self.diagnostics, |reporters, all| (reporters.wrong)(role, grant, when, error, all));
    }
}

impl RuleSet {
    /// The permissions that a grant of this pattern is about; `admin:all` is about itself.
    pub(crate) fn permissions_matching(&self, pattern: &str) -> Vec<PermissionId> {
        let matched = Pattern::parse(pattern).map(|pattern| self.shared.symbols.matching(&pattern));
        matched.unwrap_or_default().into_iter().map(PermissionId).collect()
    }
}
