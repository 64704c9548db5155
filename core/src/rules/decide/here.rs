//! The values of one question.

use crate::model::{
    error::{Error, Reason, Result},
    value::Value,
};

use super::{
    super::{
        attribute::ResourceType,
        condition::{
            code::{Path, Values},
            parser::Root,
        },
        datum::Datum,
        principal::Principal,
        reads::TypeReads,
        resource::{Context, Resource},
        rule_set::RuleSet,
        scope_kind::{BoundScope, KindId},
    },
    Question,
};

/// So many values of a resource are looked up once for all conditions, in the order of [`TypeReads::slots`].
const AT_HAND: usize = 6;

/// The values of one question.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Here<'a> {
    pub(in crate::rules) rules: &'a RuleSet,
    pub(in crate::rules) ty: &'a ResourceType,
    reads: &'a TypeReads,
    pub(in crate::rules) principal: &'a Principal,
    pub(in crate::rules) resource: Option<&'a Resource<'a>>,
    at_hand: [Datum<'a>; AT_HAND],
    pub(in crate::rules) context: &'a Context,
    pub(in crate::rules) now: i64,
}

impl RuleSet {
    /// Checks that the question is complete, before anything else.
    #[inline]
    pub(in crate::rules) fn here<'a>(&'a self, question: &Question<'a>) -> Result<Here<'a>> {
        let Question { principal, permission, resource, context, .. } = *question;
        if principal.stamp != self.stamp {
            return Err(Error::new(Reason::Internal, "this principal was made by another rule set"));
        }
        if permission.0 as usize >= self.marks.len() {
            return Err(Error::new(Reason::UnknownPermission, "this permission is of another rule set"));
        }
        let (ty, reads) = self.type_of(permission);
        let (at_hand, now) = ([Datum::Absent; AT_HAND], question.now.as_microsecond());
        let mut here = Here { rules: self, ty, reads, principal, resource, at_hand, context, now };
        if let Some(field) = question.fields.iter().find(|field| field.0 as usize >= ty.attributes.len()) {
            let message = format!("type `{}` has no field number {}", ty.name, field.0);
            return Err(Error::new(Reason::UnknownPermission, message));
        }
        here.complete()?;
        let mut behind = principal.on_behalf_of();
        while let Some(principal) = behind {
            here.of(principal).complete_principal()?;
            behind = principal.on_behalf_of();
        }
        Ok(here)
    }
}

impl Values for Here<'_> {
    fn at(&self, path: Path) -> Datum<'_> {
        let slot = path.slot as usize;
        match path.root {
            Root::Principal => self.principal.attribute(path),
            Root::Context => {
                self.rules.shared.words.context.get(slot).map_or(Datum::Absent, |one| self.context.value(one))
            }
            Root::Resource => self.value(path.slot).unwrap_or(Datum::Absent),
        }
    }

    fn now(&self) -> i64 {
        self.now
    }
}

impl<'a> Here<'a> {
    /// The same question, asked by somebody else.
    pub(in crate::rules) fn of<'b>(&self, principal: &'b Principal) -> Here<'b>
    where
        'a: 'b,
    {
        Here { principal, ..*self }
    }

    /// Whether a scope covers the resource; without one, only `global` does.
    #[inline]
    pub(in crate::rules) fn covers(&self, scope: &BoundScope) -> bool {
        match scope {
            BoundScope::Global => true,
            BoundScope::Nowhere => false,
            BoundScope::Of(kind, wanted) => {
                self.resource.is_some()
                    && self.ty.bound.iter().any(|(bound, slot)| match bound == kind {
                        true => self.value(*slot).is_some_and(|value| value.is(wanted)),
                        false => self.lies_within(*bound, *slot, *kind, wanted),
                    })
            }
        }
    }

    /// The value of an attribute of the resource, as a column would hold it; none where it is absent.
    pub(in crate::rules) fn slot_value(&self, slot: u32) -> Option<Value> {
        self.value(slot)?.to_value()
    }

    /// The value of an attribute of the resource; none where there is none, not even null.
    #[inline]
    fn value(&self, slot: u32) -> Option<Datum<'a>> {
        let resource = self.resource?;
        match self.reads.place(slot).and_then(|place| self.at_hand.get(place)) {
            Some(value) => Some(*value),
            None => resource.value(self.ty, self.ty.attributes.get(slot as usize)?),
        }
    }

    /// Whether what the resource is bound to by one kind lies within a scope of another.
    fn lies_within(&self, bound: KindId, slot: u32, kind: KindId, wanted: &Value) -> bool {
        let Some(tree) = self.principal.tree() else { return false };
        self.slot_value(slot).is_some_and(|value| tree.is_within(bound, &value, kind, wanted))
    }

    fn complete(&mut self) -> Result<()> {
        if let Some(resource) = self.resource {
            if resource.resource_type != self.ty.name {
                let message =
                    format!("a {} is no {}, which this permission is about", resource.resource_type, self.ty.name);
                return Err(Error::new(Reason::InvalidInput, message));
            }
            for (place, slot) in self.reads.slots.iter().enumerate() {
                let Some(attribute) = self.ty.attributes.get(*slot as usize) else { continue };
                let value = resource.value_at(place, self.ty, attribute);
                let Some(value) = value.filter(|value| !value.is_absent() || attribute.is_optional) else {
                    return Err(missing(Reason::ResourceIncomplete, &self.ty.name, &attribute.name));
                };
                if let Some(at_hand) = self.at_hand.get_mut(place) {
                    *at_hand = value;
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

#[cold]
fn missing(reason: Reason, of: &str, name: &str) -> Error {
    Error::new(reason, format!("the {of} lacks `{name}`, which the policy reads"))
}
