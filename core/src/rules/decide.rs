//! The decision, as RBAC.md says it ("The decision").

use crate::model::{
    error::{Error, Reason, Result},
    time::Time,
};

use super::{
    attribute::ResourceType,
    condition::{
        code::{Path, Values},
        parser::Root,
    },
    datum::Datum,
    explain::Explanation,
    policy::Effect,
    principal::{Assignment, Principal},
    resource::{Context, Resource},
    rule_set::{FieldId, NONE, PermissionId, RuleSet, Special},
    scope_kind::BoundScope,
};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// To do what.
    pub permission: PermissionId,
    /// On these fields; each is decided alone and all must pass. None named: on the whole.
    pub fields: &'a [FieldId],
    /// To what; none: to no resource in particular.
    pub resource: Option<&'a Resource<'a>>,
    /// Under which circumstances.
    pub context: &'a Context,
    /// When.
    pub now: Time,
}

/// The answer, and what is needed to explain it.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) question: Question<'a>,
    pub(super) verdict: Verdict,
}

impl Decision<'_> {
    /// Whether it is allowed.
    pub fn is_allowed(&self) -> bool {
        self.verdict.is_allowed()
    }

    /// Why, as data and text. Costs nothing unless called.
    pub fn explain(&self) -> Explanation {
        Explanation::of(self)
    }
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The account is not active.
    Inactive,
    /// An assignment holds `admin:all`.
    Admin { assignment: usize },
    /// A grant allows. Where fields were named, that of the last.
    Allowed { assignment: usize },
    /// A grant denies, on this field where one was named.
    Denied { assignment: usize, grant: u32, field: Option<FieldId> },
    /// Nothing grants it, on this field where one was named.
    NothingGrants { field: Option<FieldId> },
}

impl Verdict {
    pub(super) fn is_allowed(self) -> bool {
        matches!(self, Verdict::Admin { .. } | Verdict::Allowed { .. })
    }
}

/// The values of one question.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) ty: &'a ResourceType,
    pub(super) principal: &'a Principal,
    pub(super) resource: Option<&'a Resource<'a>>,
    pub(super) context: &'a Context,
    pub(super) now: i64,
}

impl Values for Here<'_> {
    fn at(&self, path: Path) -> Datum<'_> {
        let slot = path.slot as usize;
        match path.root {
            Root::Principal => self.principal.attributes.get(slot).map_or(Datum::Absent, |held| held.read(path.ty)),
            Root::Context => self.rules.context.get(slot).map_or(Datum::Absent, |one| self.context.value(one)),
            Root::Resource => {
                let attribute = self.ty.attributes.get(slot);
                let value = attribute.zip(self.resource).and_then(|(one, resource)| resource.value(self.ty, one));
                value.unwrap_or(Datum::Absent)
            }
        }
    }

    fn now(&self) -> i64 {
        self.now
    }
}

impl RuleSet {
    /// Decides. Allocates nothing.
    ///
    /// Fails where the question is no question: [`Reason::ResourceIncomplete`] and
    /// [`Reason::ContextIncomplete`] where a value is missing that the policy reads for the type,
    /// [`Reason::InvalidInput`] where the resource is not of the permission's type,
    /// [`Reason::Internal`] where the principal belongs to another rule set.
    pub fn decide<'a>(&'a self, question: &Question<'a>) -> Result<Decision<'a>> {
        let here = self.here(question)?;
        let verdict = self.verdict(question, &here);
        Ok(Decision { rules: self, question: *question, verdict })
    }

    /// Whether the principal could be allowed this on some resource: what a menu asks. May say yes
    /// too often (where rows that would pass do not exist), never no.
    pub fn can_somewhere(
        &self,
        principal: &Principal,
        permission: PermissionId,
        context: &Context,
        now: Time,
    ) -> Result<bool> {
        let question = Question { principal, permission, fields: &[], resource: None, context, now };
        let here = self.here(&question)?;
        Ok(self.is_possible(permission, &here))
    }

    /// Checks that the question is complete, before anything else.
    pub(super) fn here<'a>(&'a self, question: &Question<'a>) -> Result<Here<'a>> {
        let Question { principal, permission, resource, context, .. } = *question;
        if principal.stamp != self.stamp {
            return Err(Error::new(Reason::Internal, "this principal was made by another rule set"));
        }
        if self.permissions.get(permission.0 as usize).is_none() {
            return Err(Error::new(Reason::UnknownPermission, "this permission is of another rule set"));
        }
        let ty = self.type_of(permission);
        let here = Here { rules: self, ty, principal, resource, context, now: question.now.as_microsecond() };
        if let Some(field) = question.fields.iter().find(|field| field.0 as usize >= ty.attributes.len()) {
            let message = format!("type `{}` has no field number {}", ty.name, field.0);
            return Err(Error::new(Reason::UnknownPermission, message));
        }
        here.complete()?;
        Ok(here)
    }

    fn verdict(&self, question: &Question<'_>, here: &Here<'_>) -> Verdict {
        let principal = here.principal;
        if !principal.is_active {
            return Verdict::Inactive;
        }
        let holds_admin = |one: &Assignment| one.is_valid(here.now) && self.is_administrator(one.role);
        if let Some(assignment) = principal.assignments.iter().position(holds_admin) {
            return Verdict::Admin { assignment };
        }
        let mut verdict = Verdict::NothingGrants { field: None };
        if question.fields.is_empty() {
            return self.verdict_on(question.permission.0, None, here);
        }
        for field in question.fields {
            verdict = self.verdict_on(question.permission.0, Some(*field), here);
            if !verdict.is_allowed() {
                return verdict;
            }
        }
        verdict
    }

    fn verdict_on(&self, permission: u32, field: Option<FieldId>, here: &Here<'_>) -> Verdict {
        let is_denied = self.permissions.get(permission as usize).is_none_or(|one| one.is_denied);
        let mut allowed = None;
        for (at, assignment) in here.principal.assignments.iter().enumerate() {
            if !assignment.is_valid(here.now) {
                continue;
            }
            let Some(role) = self.roles.get(assignment.role as usize) else { continue };
            if allowed.is_none() && role.plain.has(permission) && here.covers(&assignment.scope) {
                allowed = Some(at);
            }
            if allowed.is_some() && !is_denied {
                break;
            }
            for special in role.special_of(permission) {
                match special.effect {
                    Effect::Deny if self.denies(special, assignment, field, here) => {
                        return Verdict::Denied { assignment: at, grant: special.grant, field };
                    }
                    Effect::Allow if allowed.is_none() && self.allows(special, assignment, field, here) => {
                        allowed = Some(at);
                    }
                    _ => {}
                }
            }
        }
        match allowed {
            Some(assignment) => Verdict::Allowed { assignment },
            None => Verdict::NothingGrants { field },
        }
    }

    pub(super) fn allows(
        &self,
        special: &Special,
        assignment: &Assignment,
        field: Option<FieldId>,
        here: &Here<'_>,
    ) -> bool {
        // Asked without fields, a narrowed allow does not count.
        self.is_on(special.fields, field, false)
            && here.covers(&assignment.scope)
            && self.condition_allows(special.condition, here)
    }

    pub(super) fn denies(
        &self,
        special: &Special,
        assignment: &Assignment,
        field: Option<FieldId>,
        here: &Here<'_>,
    ) -> bool {
        if !self.is_on(special.fields, field, true) {
            return false;
        }
        // Without a resource, whatever might matter there counts: it fails closed.
        let covers = here.resource.is_none() || here.covers(&assignment.scope);
        let condition = self.condition(special.condition);
        let is_open = here.resource.is_none() && condition.is_some_and(|one| one.reads(Root::Resource));
        covers && (is_open || condition.is_none_or(|condition| condition.holds(here)))
    }

    fn condition_allows(&self, condition: u32, here: &Here<'_>) -> bool {
        let Some(condition) = self.condition(condition) else { return true };
        (here.resource.is_some() || !condition.reads(Root::Resource)) && condition.holds(here)
    }

    /// Whether a grant narrowed to `fields` is about this question.
    pub(super) fn is_on(&self, fields: u32, field: Option<FieldId>, without: bool) -> bool {
        if fields == NONE {
            return true;
        }
        match field {
            None => without,
            Some(field) => self.field_sets.get(fields as usize).is_some_and(|set| set.binary_search(&field.0).is_ok()),
        }
    }

    pub(super) fn is_administrator(&self, role: u32) -> bool {
        self.roles.get(role as usize).is_some_and(|role| role.is_administrator)
    }
}

impl Here<'_> {
    /// Whether a scope covers the resource; without one, only `global` does.
    pub(super) fn covers(&self, scope: &BoundScope) -> bool {
        match scope {
            BoundScope::Global => true,
            BoundScope::Nowhere => false,
            BoundScope::Of(kind, wanted) => {
                let slot = self.ty.slot_of_kind(*kind);
                let attribute = slot.and_then(|slot| self.ty.attributes.get(slot as usize));
                let value = attribute.zip(self.resource).and_then(|(one, resource)| {
                    let value = resource.value(self.ty, one)?;
                    value.order(super::datum::read(wanted, one.ty.base))
                });
                value.is_some_and(std::cmp::Ordering::is_eq)
            }
        }
    }

    fn complete(&self) -> Result<()> {
        if let Some(resource) = self.resource {
            if resource.resource_type != self.ty.name {
                let message =
                    format!("a {} is no {}, which this permission is about", resource.resource_type, self.ty.name);
                return Err(Error::new(Reason::InvalidInput, message));
            }
            for slot in &self.ty.reads {
                let Some(attribute) = self.ty.attributes.get(*slot as usize) else { continue };
                let value = resource.value(self.ty, attribute);
                if value.is_none_or(|value| value.is_absent() && !attribute.is_optional) {
                    return Err(missing(Reason::ResourceIncomplete, &self.ty.name, &attribute.name));
                }
            }
        }
        for slot in &self.ty.context_reads {
            let Some(attribute) = self.rules.context.get(*slot as usize) else { continue };
            if self.context.value(attribute).is_absent() {
                return Err(missing(Reason::ContextIncomplete, "context", &attribute.name));
            }
        }
        // Who is not signed in has no attributes: a policy that grants it anything says what their absence means.
        let is_account = self.principal.id.is_some();
        for slot in self.ty.principal_reads.iter().filter(|_| is_account) {
            let Some(attribute) = self.rules.principal.get(*slot as usize) else { continue };
            let held = self.principal.attributes.get(*slot as usize);
            if held.is_none_or(|held| held.read(attribute.ty).is_absent()) {
                return Err(missing(Reason::ResourceIncomplete, "principal", &attribute.name));
            }
        }
        Ok(())
    }
}

fn missing(reason: Reason, of: &str, name: &str) -> Error {
    Error::new(reason, format!("the {of} lacks `{name}`, which the policy reads"))
}
