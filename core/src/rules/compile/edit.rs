//! One role changed, without compiling the others again: what `with_role` costs grows with the role
//! and its seniors, not with the policy.

use std::sync::Arc;

use super::{
    Budget, bits, conditions, grants,
    interner::Interner,
    reads::Reads,
    role::Closure,
    roles::{self, MAX_ROLES},
    sorted,
};

use crate::model::error::{Error, Reason, Result};
use crate::rules::{CompiledRole, Diagnostics, NONE, Policy, Role, RoleId, RuleSet, RuleSetVersion, shown, to_index};

/// What roles that changed or are gone have left (numbers, conditions, sets of fields) stays until so much has gathered;
/// then the policy is compiled anew.
const MAX_LEFT_OVER: usize = 1_000;

impl RuleSet {
    /// The same policy with this role added, or in place of the one of its name.
    ///
    /// Principals of this rule set are principals of the new one, and the other way round, unless
    /// conditions now read other attributes of theirs than before ([`RuleSet::is_compatible_with`]).
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] with every problem, as [`RuleSet::compile`] has them.
    ///
    /// ```
    /// # use rolekeep::rules::{Policy, Role, RuleSet, Schema};
    /// let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    /// let rules = RuleSet::compile(&policy, &Schema::new())?;
    /// let edited = rules.with_role(Role::new("author").inherits("editor"))?;
    /// assert!(rules.role("author").is_err());
    /// assert!(edited.role("author").is_ok());
    /// # Ok::<(), rolekeep::Error>(())
    /// ```
    pub fn with_role(&self, role: Role) -> Result<Self> {
        let known = self.role_ids.get(role.name.text.as_str()).copied();
        let (mut diagnostics, mut budget) = (Diagnostics::default(), self.budget);
        if known.is_none() {
            roles::check_name(&role.name, &mut diagnostics);
        }
        if self.role(&role.name.text).is_err() && self.live_roles().count() >= MAX_ROLES {
            diagnostics.add(role.name.span, roles::too_many());
        }
        let find = |name: &str| self.role(name).ok();
        let names = || self.live_roles().map(CompiledRole::name);
        let id = known.unwrap_or_else(|| self.numbers.of(&role.name.text, self.roles.len()));
        let inherits = roles::juniors(&role, self.shared.base.limited_hierarchy, &find, names, &mut diagnostics);
        for junior in inherits.iter().filter_map(|junior| self.roles.get(junior.0 as usize)) {
            if junior.has_junior(id) {
                let (one, other) = (shown(&role.name.text), junior.name());
                let message = format!("roles inherit from each other in a circle: {one} → {other} → {one}");
                diagnostics.add(role.name.span, message);
            }
        }
        let closure = self.closure(id, &inherits);
        let mut interner = (*self.interner).clone();
        let own = grants::own(id, &role, &self.shared.symbols, &mut interner, &mut budget, &mut diagnostics);
        // Whether it is too large, or only what edits replaced, is known once everything is compiled.
        let Some(own) = own else { return self.compiled_with(role) };
        diagnostics.refuse()?;
        if self.is_for_anonymous(id, &closure) || self.has_much_left_over(&interner) {
            return self.compiled_with(role);
        }
        let (mut edited, role) = (self.clone(), Arc::new(role));
        edited.interner = Arc::new(interner);
        let compiled = CompiledRole::new(id, role.clone(), inherits, closure, Arc::new(own));
        if edited.put(compiled, &mut budget).is_none() {
            return self.compiled_with(Role::clone(&role));
        }
        edited.budget = budget;
        edited.after_edit(self);
        Ok(edited)
    }

    /// The same policy with this role, compiled anew.
    fn compiled_with(&self, role: Role) -> Result<Self> {
        let mut policy = self.policy();
        policy.roles.retain(|other| other.name != role.name);
        Self::compile(&policy.add_role(role), &self.shared.schema)
    }

    /// The same policy without this role. Assignments of it no longer have an effect.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`]; [`Reason::PolicyInvalid`] if a role inherits it, or it is the anonymous role.
    pub fn without_role(&self, name: &str) -> Result<Self> {
        let RoleId(id) = self.role(name)?;
        let heirs = self.live_roles().filter(|role| role.inherits.contains(&RoleId(id)));
        let mut heirs: Vec<&str> = heirs.map(CompiledRole::name).collect();
        if self.anonymous == Some(RoleId(id)) {
            heirs.push("anonymous");
        }
        if !heirs.is_empty() {
            let message = format!("role `{}` is used by {}", shown(name), heirs.join(", "));
            return Err(Error::new(Reason::PolicyInvalid, message));
        }
        let mut edited = self.clone();
        edited.change(gone(id, name));
        edited.after_edit(self);
        Ok(edited)
    }

    /// Whether principals of the other rule set can be used with this one.
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        self.rules_version == other.rules_version
    }

    /// The policy as it is now: what [`RuleSet::compile`] would make this rule set from.
    pub fn policy(&self) -> Policy {
        let mut policy = self.shared.base.clone();
        policy.roles = self.live_roles().map(|role| role.source.clone()).collect();
        policy
    }

    /// What conditions may read of who is not signed in depends on whether it is granted anything.
    fn is_for_anonymous(&self, id: u32, closure: &[u32]) -> bool {
        let role = self.anonymous.and_then(|role| self.roles.get(role.0 as usize));
        role.is_some_and(|role| role.has_junior(id) || closure.contains(&id) && self.anonymous == Some(RoleId(id)))
    }

    fn has_much_left_over(&self, interner: &Interner) -> bool {
        let is_much = |count: usize, used: usize| count > MAX_LEFT_OVER + 2 * used;
        let narrowed = |role: &CompiledRole| role.own.qualified.iter().filter(|one| one.fields != NONE).count();
        is_much(interner.conditions.len(), self.roles.iter().map(|role| role.own.conditions.len()).sum())
            || is_much(self.roles.len(), self.live_roles().count())
            || is_much(interner.field_sets.len(), self.live_roles().map(narrowed).sum())
    }

    /// A role and all juniors, sorted.
    fn closure(&self, id: u32, inherits: &[RoleId]) -> Closure {
        let juniors = inherits.iter().filter_map(|junior| self.roles.get(junior.0 as usize));
        Closure::from_slice(&sorted(juniors.flat_map(|junior| junior.closure.iter().copied()).chain([id]).collect()))
    }

    /// Puts a role in its place, and makes its seniors anew; none where that takes more than is left.
    fn put(&mut self, role: CompiledRole, budget: &mut Budget) -> Option<()> {
        let id = role.id;
        let is_senior = |one: &&Arc<CompiledRole>| one.id != id && one.has_junior(id);
        let mut seniors: Vec<Arc<CompiledRole>> = self.roles.iter().filter(is_senior).cloned().collect();
        // A senior's closure is larger than that of any of its juniors.
        seniors.sort_by_key(|senior| senior.closure.len());
        let mut row = bits::empty(self.all_permissions().len());
        let takes = |closure: &Closure, budget: &mut Budget| budget.takes_closure(closure.len()).then_some(());
        takes(&role.closure, budget)?;
        let role = role.flattened(&self.roles, &mut row, budget)?;
        if !self.role_ids.contains_key(role.name()) {
            let mut ids = (*self.role_ids).clone();
            ids.insert(role.name().into(), id);
            self.role_ids = Arc::new(ids);
        }
        // Numbers between are of roles that other edits added.
        for number in self.roles.len()..=id as usize {
            self.roles.push(Arc::new(gone(to_index(number), "")));
        }
        self.change(role);
        for senior in seniors {
            let closure = self.closure(senior.id, &senior.inherits);
            takes(&closure, budget)?;
            let role = CompiledRole { closure, ..CompiledRole::clone(&senior) };
            self.change(role.flattened(&self.roles, &mut row, budget)?);
        }
        Some(())
    }

    /// Another role in the place of the one that was there.
    fn change(&mut self, role: CompiledRole) {
        let Some(known) = self.roles.get_mut(role.id as usize) else { return };
        self.permission_index.change(role.id, &known.plain, &role.plain);
        if !Arc::ptr_eq(&known.own, &role.own) {
            self.qualified_grants.change(role.id, &known.own.qualified, &role.own.qualified);
        }
        *known = Arc::new(role);
    }

    /// What follows from the roles as they are now.
    fn after_edit(&mut self, before: &Self) {
        let (new, old) = (conditions(&self.roles), conditions(&before.roles));
        if new != old {
            self.reads = Arc::new(Reads::of(&self.shared.symbols, &self.interner, &new));
            // Each way: a principal holds the attributes that were read when it was made.
            if self.reads.principal != before.reads.principal {
                self.rules_version = RuleSetVersion::new();
            }
        }
        self.derive_from_roles();
    }
}

/// In the place of a role that is not there.
fn gone(id: u32, name: &str) -> CompiledRole {
    let nothing = CompiledRole::new(id, Arc::new(Role::new(name)), Box::default(), Closure::default(), Arc::default());
    CompiledRole { is_gone: true, ..nothing }
}
