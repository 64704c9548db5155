//! The decision, as RBAC.md says it ("The decision").

use crate::model::{
    error::{Error, Reason, Result},
    time::Time,
    value::Value,
};

use super::{
    attribute::ResourceType,
    condition::{
        code::{Path, Values},
        parser::Root,
    },
    datum::{Datum, read},
    explain::Explanation,
    policy::Effect,
    principal::{HeldRole, Principal},
    reads::TypeReads,
    resource::{Context, Resource},
    role::{GrantId, NONE, Special},
    rule_set::{FieldId, Mark, PermissionId, RuleSet},
    scope_kind::{BoundScope, KindId},
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

/// What decided about one principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The account is not active.
    Inactive,
    /// An assignment holds `admin:all`.
    Admin { assignment: usize },
    /// A grant allows. Where fields were named, that of the last.
    Allowed { assignment: usize },
    /// A grant denies, on this field where one was named.
    Denied { assignment: usize, grant: GrantId, field: Option<FieldId> },
    /// Nothing grants it, on this field where one was named.
    NothingGrants { field: Option<FieldId> },
    /// No pattern of the API key matches.
    BeyondKey,
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
    pub(super) reads: &'a TypeReads,
    pub(super) principal: &'a Principal,
    pub(super) resource: Option<&'a Resource<'a>>,
    pub(super) context: &'a Context,
    pub(super) now: i64,
}

impl Values for Here<'_> {
    fn at(&self, path: Path) -> Datum<'_> {
        let slot = path.slot as usize;
        match path.root {
            Root::Principal => self.principal.attribute(path),
            Root::Context => {
                self.rules.shared.words.context.get(slot).map_or(Datum::Absent, |one| self.context.value(one))
            }
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
    /// Whether the principal may do this, to no resource in particular: [`RuleSet::decide`] without
    /// fields, resource and context, at the cost of a lookup where no condition has a say.
    ///
    /// # Errors
    /// As [`RuleSet::decide`].
    #[inline]
    pub fn check(&self, principal: &Principal, permission: PermissionId, now: Time) -> Result<bool> {
        match self.at_a_glance(principal, permission) {
            Some(is_allowed) => Ok(is_allowed),
            None => self.check_closely(principal, permission, now),
        }
    }

    /// The answer of [`RuleSet::decide`] alone, which costs less.
    ///
    /// # Errors
    /// As [`RuleSet::decide`].
    #[inline]
    pub fn allows(&self, question: &Question<'_>) -> Result<bool> {
        let is_plain = question.resource.is_none() && question.fields.is_empty();
        match is_plain.then(|| self.at_a_glance(question.principal, question.permission)).flatten() {
            Some(is_allowed) => Ok(is_allowed),
            None => Ok(self.decide(question)?.is_allowed()),
        }
    }

    /// The answer, where neither a condition nor a scope nor a window has a say in it.
    #[inline]
    pub(crate) fn at_a_glance(&self, principal: &Principal, permission: PermissionId) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        if principal.stamp != self.stamp || mark.has(Mark::DENIED.or(Mark::DEMANDING)) {
            return None;
        }
        let gives = |role: &u32| self.rows.get(*role as usize).is_some_and(|row| row.has(permission.0));
        if principal.plain.iter().any(gives) {
            return Some(true);
        }
        (principal.is_simple && !mark.has(Mark::SPECIAL)).then_some(false)
    }

    #[cold]
    fn check_closely(&self, principal: &Principal, permission: PermissionId, now: Time) -> Result<bool> {
        let context = Context::new();
        let question = Question { principal, permission, fields: &[], resource: None, context: &context, now };
        Ok(self.decide(&question)?.is_allowed())
    }

    /// Decides. Allocates nothing.
    ///
    /// Fails where the question is no question: [`Reason::ResourceIncomplete`] and
    /// [`Reason::ContextIncomplete`] where a value is missing that the policy reads for the type,
    /// [`Reason::InvalidInput`] where the resource is not of the permission's type,
    /// [`Reason::Internal`] where the principal belongs to another rule set.
    pub fn decide<'a>(&'a self, question: &Question<'a>) -> Result<Decision<'a>> {
        let here = self.here(question)?;
        let mut verdict = self.verdict(question, &here);
        let mut behind = question.principal.on_behalf_of();
        while let Some(principal) = behind.filter(|_| verdict.is_allowed()) {
            let other = self.verdict(question, &Here { principal, ..here });
            // Allowed is what all may do; the explanation is about who asks, or who may not.
            verdict = if other.is_allowed() { verdict } else { other };
            behind = principal.on_behalf_of();
        }
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
        if permission.0 as usize >= self.marks.len() {
            return Err(Error::new(Reason::UnknownPermission, "this permission is of another rule set"));
        }
        let (ty, reads) = self.type_of(permission);
        let here = Here { rules: self, ty, reads, principal, resource, context, now: question.now.as_microsecond() };
        if let Some(field) = question.fields.iter().find(|field| field.0 as usize >= ty.attributes.len()) {
            let message = format!("type `{}` has no field number {}", ty.name, field.0);
            return Err(Error::new(Reason::UnknownPermission, message));
        }
        here.complete()?;
        let mut behind = principal.on_behalf_of();
        while let Some(principal) = behind {
            Here { principal, ..here }.complete_principal()?;
            behind = principal.on_behalf_of();
        }
        Ok(here)
    }

    /// About one principal, whoever it acts on behalf of.
    pub(super) fn verdict(&self, question: &Question<'_>, here: &Here<'_>) -> Verdict {
        let principal = here.principal;
        if !principal.is_active {
            return Verdict::Inactive;
        }
        if !principal.is_within_key(question.permission.0) {
            return Verdict::BeyondKey;
        }
        if let Some(assignment) = principal.held().position(|one| self.administers(principal, one, here.now)) {
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
        let is_denied = self.marks.get(permission as usize).is_none_or(|mark| mark.has(Mark::DENIED));
        let mut allowed = None;
        for (at, held) in here.principal.held().enumerate() {
            if !self.counts(held, here.now) {
                continue;
            }
            if allowed.is_none()
                && self.parts(here.principal, held.role).any(|role| self.gives(role, permission, held, field, here))
            {
                allowed = Some(at);
            }
            if !is_denied {
                if allowed.is_some() {
                    break;
                }
                continue;
            }
            // Not activating a role never sheds its denies.
            let specials =
                self.roles.get(held.role as usize).map(|role| role.special_of(permission)).unwrap_or_default();
            let denies = |one: &&Special| one.effect == Effect::Deny && self.denies(one, held, field, here);
            if let Some(special) = specials.iter().find(denies) {
                return Verdict::Denied { assignment: at, grant: special.grant, field };
            }
        }
        match allowed {
            Some(assignment) => Verdict::Allowed { assignment },
            None => Verdict::NothingGrants { field },
        }
    }

    /// Whether a role, held so, allows.
    fn gives(&self, role: u32, permission: u32, held: HeldRole<'_>, field: Option<FieldId>, here: &Here<'_>) -> bool {
        if self.rows.get(role as usize).is_some_and(|row| row.has(permission)) && here.covers(held.scope()) {
            return true;
        }
        let specials = self.roles.get(role as usize).map(|role| role.special_of(permission)).unwrap_or_default();
        specials.iter().any(|one| one.effect == Effect::Allow && self.grants(one, held, field, here))
    }

    /// Whether an assignment has any effect now: `admin:all` is held everywhere or not at all.
    pub(super) fn counts(&self, held: HeldRole<'_>, now: i64) -> bool {
        held.is_valid(now) && (*held.scope() == BoundScope::Global || !self.is_administrator(held.role))
    }

    /// Whether an assignment holds `admin:all` now, in active roles.
    pub(super) fn administers(&self, principal: &Principal, held: HeldRole<'_>, now: i64) -> bool {
        self.is_administrator(held.role)
            && self.counts(held, now)
            && self.parts(principal, held.role).any(|role| self.is_administrator(role))
    }

    /// The roles that allow, of an assigned one: itself, or the active ones among its juniors.
    pub(super) fn parts<'p>(&'p self, principal: &'p Principal, role: u32) -> impl Iterator<Item = u32> + 'p {
        let active = principal.active();
        let whole = active.is_none().then_some(role);
        let held = self.roles.get(role as usize);
        let parts = active.into_iter().flatten().copied();
        whole.into_iter().chain(parts.filter(move |part| held.is_some_and(|held| held.has_junior(*part))))
    }

    pub(super) fn grants(
        &self,
        special: &Special,
        held: HeldRole<'_>,
        field: Option<FieldId>,
        here: &Here<'_>,
    ) -> bool {
        // Asked without fields, a narrowed allow does not count.
        self.is_on(special.fields, field, false)
            && here.covers(held.scope())
            && self.condition_allows(special.condition, here)
    }

    pub(super) fn denies(
        &self,
        special: &Special,
        held: HeldRole<'_>,
        field: Option<FieldId>,
        here: &Here<'_>,
    ) -> bool {
        if !self.is_on(special.fields, field, true) {
            return false;
        }
        // Without a resource, whatever might matter there counts: it fails closed.
        let covers = here.resource.is_none() || here.covers(held.scope());
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
            Some(field) => {
                self.pool.field_sets.get(fields as usize).is_some_and(|set| set.binary_search(&field.0).is_ok())
            }
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
                self.ty.bound.iter().any(|(bound, slot)| self.lies_within(*bound, *slot, *kind, wanted))
            }
        }
    }

    /// The value of an attribute of the resource, as a column would hold it; none where it is absent.
    pub(super) fn slot_value(&self, slot: u32) -> Option<Value> {
        self.resource?.value(self.ty, self.ty.attributes.get(slot as usize)?)?.to_value()
    }

    /// Whether what the resource is bound to by one kind is, or lies within, a scope.
    fn lies_within(&self, bound: KindId, slot: u32, kind: KindId, wanted: &Value) -> bool {
        let Some(resource) = self.resource else { return false };
        let Some(attribute) = self.ty.attributes.get(slot as usize) else { return false };
        if bound == kind {
            let value = resource.value(self.ty, attribute);
            let order = value.and_then(|value| value.order(read(wanted, attribute.ty.base)));
            return order.is_some_and(std::cmp::Ordering::is_eq);
        }
        let Some(tree) = self.principal.tree() else { return false };
        let value = resource.value(self.ty, attribute).and_then(Datum::to_value);
        value.is_some_and(|value| tree.is_within(bound, &value, kind, wanted))
    }

    fn complete(&self) -> Result<()> {
        if let Some(resource) = self.resource {
            if resource.resource_type != self.ty.name {
                let message =
                    format!("a {} is no {}, which this permission is about", resource.resource_type, self.ty.name);
                return Err(Error::new(Reason::InvalidInput, message));
            }
            for slot in &self.reads.slots {
                let Some(attribute) = self.ty.attributes.get(*slot as usize) else { continue };
                let value = resource.value(self.ty, attribute);
                if value.is_none_or(|value| value.is_absent() && !attribute.is_optional) {
                    return Err(missing(Reason::ResourceIncomplete, &self.ty.name, &attribute.name));
                }
            }
        }
        for slot in &self.reads.context {
            let Some(attribute) = self.rules.shared.words.context.get(*slot as usize) else { continue };
            if self.context.value(attribute).is_absent() {
                return Err(missing(Reason::ContextIncomplete, "context", &attribute.name));
            }
        }
        self.complete_principal()
    }

    fn complete_principal(&self) -> Result<()> {
        // Who is not signed in has no attributes: a policy that grants it anything says what their absence means.
        let is_account = self.principal.id().is_some();
        for slot in self.reads.principal.iter().filter(|_| is_account) {
            let Some(attribute) = self.rules.shared.words.principal.get(*slot as usize) else { continue };
            if self.principal.attribute(Path { root: Root::Principal, slot: *slot, ty: attribute.ty }).is_absent() {
                return Err(missing(Reason::ResourceIncomplete, "principal", &attribute.name));
            }
        }
        Ok(())
    }
}

fn missing(reason: Reason, of: &str, name: &str) -> Error {
    Error::new(reason, format!("the {of} lacks `{name}`, which the policy reads"))
}
