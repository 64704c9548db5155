//! The values of one question.

use crate::model::{
    error::{Error, Reason, Result},
    time::Time,
    value::Value,
};

use super::Question;
use crate::rules::{
    compile::{
        attribute::ResourceType,
        reads::{Bound, ReadAttribute, TypeRead, TypeReads},
        rule_set::RuleSet,
    },
    condition::{
        code::{Path, Values},
        parser::Root,
        value::{Base, Found, Halves, TypedValue},
    },
    principal::Principal,
    resource::{Context, Resource, Seen},
    scope::kind::{BoundScope, KindId},
};

/// So many values of a resource are found once for all conditions, in the order of
/// [`TypeReads::attributes`].
const AT_HAND: usize = 6;

/// The values of one question.
#[derive(Clone, Copy)]
pub(in crate::rules) struct EvaluationContext<'a> {
    pub(in crate::rules) rules: &'a RuleSet,
    pub(in crate::rules) ty: &'a ResourceType,
    read: &'a TypeRead,
    reads: &'a TypeReads,
    pub(in crate::rules) principal: &'a Principal,
    pub(in crate::rules) resource: Option<&'a Resource<'a>>,
    at_hand: [Found<'a>; AT_HAND],
    /// Where the resource lies, where it is bound to one kind of scope, by an id.
    lies_at: Option<(KindId, Halves)>,
    pub(in crate::rules) context: &'a Context,
    pub(in crate::rules) when: Time,
}

impl RuleSet {
    /// Checks that the question is complete, before anything else.
    pub(in crate::rules) fn cx<'a>(&'a self, question: &Question<'a>) -> Result<EvaluationContext<'a>> {
        let mut cx = self.unread(question);
        cx.read(question)?;
        Ok(cx)
    }

    /// Before any value was looked up; [`EvaluationContext::read`] comes next. Apart, as moving the values would cost
    /// as much as finding them.
    #[inline]
    pub(in crate::rules) fn unread<'a>(&'a self, question: &Question<'a>) -> EvaluationContext<'a> {
        let Question { principal, permission, resource, context, .. } = *question;
        let (ty, read) = self.type_of(permission);
        let (at_hand, lies_at, when) = ([Found::Nothing; AT_HAND], None, question.now);
        EvaluationContext {
            rules: self,
            ty,
            read,
            reads: &read.reads,
            principal,
            resource,
            at_hand,
            lies_at,
            context,
            when,
        }
    }
}

impl Values for EvaluationContext<'_> {
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn at(&self, path: Path) -> TypedValue<'_> {
        let slot = path.slot as usize;
        match path.root {
            Root::Principal => self.principal.attribute(path),
            Root::Context => {
                self.rules.shared.symbols.context.get(slot).map_or(TypedValue::Absent, |one| self.context.value(one))
            }
            // Without a resource, all at hand are absent.
            Root::Resource => match self.reads.place(path.slot).and_then(|place| self.at_hand.get(place)) {
                Some(found) => found.read(path.ty),
                None => self.far_value(path.slot).unwrap_or(TypedValue::Absent),
            },
        }
    }

    // Apart, or every condition would do the division.
    #[inline(never)]
    fn now(&self) -> i64 {
        self.when.as_microsecond()
    }
}

impl<'a> EvaluationContext<'a> {
    /// Looks up what is read of the resource, and checks that nothing is missing.
    #[inline]
    pub(in crate::rules) fn read(&mut self, question: &Question<'_>) -> Result<()> {
        if !self.principal.is_of(self.rules) {
            return Err(Error::new(Reason::Internal, "this principal was made by another rule set"));
        }
        if question.permission.0 as usize >= self.rules.marks.len() {
            return Err(Error::new(Reason::UnknownPermission, "this permission is of another rule set"));
        }
        if let Some(field) = question.fields.iter().find(|field| field.0 as usize >= self.ty.attributes.len()) {
            let message = format!("type `{}` has no field number {}", self.ty.name, field.0);
            return Err(Error::new(Reason::UnknownPermission, message));
        }
        self.complete()?;
        let mut behind = self.principal.on_behalf_of();
        while let Some(principal) = behind {
            self.of(principal).complete_principal()?;
            behind = principal.on_behalf_of();
        }
        Ok(())
    }

    /// When it is asked, in microseconds.
    pub(in crate::rules) fn now(&self) -> i64 {
        self.when.as_microsecond()
    }

    /// The same question, asked by somebody else.
    pub(in crate::rules) fn of<'b>(&self, principal: &'b Principal) -> EvaluationContext<'b>
    where
        'a: 'b,
    {
        EvaluationContext { principal, ..*self }
    }

    /// Where the resource lies, where it is bound to one kind of scope, by an id.
    #[inline]
    pub(in crate::rules) fn lies_at(&self) -> Option<(KindId, Halves)> {
        self.lies_at
    }

    /// Whether a scope covers the resource; without one, only `global` does.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(in crate::rules) fn covers(&self, scope: &BoundScope) -> bool {
        match (scope, self.lies_at) {
            (BoundScope::Id(kind, id), Some((own, at))) if own == *kind => at == Halves::from(*id),
            _ => self.covers_other(scope),
        }
    }

    #[inline(never)]
    fn covers_other(&self, scope: &BoundScope) -> bool {
        match scope {
            BoundScope::Global => true,
            BoundScope::Nowhere => false,
            BoundScope::Id(kind, id) => {
                let id = Halves::from(*id);
                self.lies_in(*kind, scope, |value| matches!(value, TypedValue::Id(own) if own == id))
            }
            BoundScope::Other(kind, id) => self.lies_in(*kind, scope, |value| value.is(id)),
        }
    }

    /// Whether the resource lies in a scope of this kind, whose id `is_it` knows.
    fn lies_in(&self, kind: KindId, scope: &BoundScope, is_it: impl Fn(TypedValue<'_>) -> bool) -> bool {
        self.reads.bound.iter().any(|bound| match self.at_hand.get(bound.place as usize) {
            Some(found) if bound.kind == kind => is_it(found.read(bound.ty)),
            None if bound.kind == kind => self.far_value(bound.slot).is_some_and(&is_it),
            _ => self.lies_within(bound, kind, scope),
        })
    }

    /// The value of an attribute of the resource, as a column would hold it; none where it is absent.
    pub(in crate::rules) fn slot_value(&self, slot: u32) -> Option<Value> {
        self.value(slot)?.to_value()
    }

    /// The value of an attribute of the resource; none where there is none, not even null.
    #[inline]
    fn value(&self, slot: u32) -> Option<TypedValue<'a>> {
        let at_hand = |place: usize| Some((self.at_hand.get(place)?, self.reads.attributes.get(place)?));
        match self.reads.place(slot).and_then(at_hand) {
            Some((found, attribute)) => self.resource.map(|_| found.read(attribute.ty)),
            None => self.far_value(slot),
        }
    }

    /// The same, of an attribute that is read by no condition and no scope, or one of many.
    #[cold]
    fn far_value(&self, slot: u32) -> Option<TypedValue<'a>> {
        let seen = self.resource?.seen(self.read)?;
        let find = |place: usize, attribute: &ReadAttribute| {
            seen.find(place, self.reads.table, attribute).map(|found| found.read(attribute.ty))
        };
        match self.reads.place(slot).and_then(|place| Some((place, self.reads.attributes.get(place)?))) {
            Some((place, attribute)) => find(place, attribute),
            None => find(usize::MAX, &ReadAttribute::of(self.ty.attributes.get(slot as usize)?)),
        }
    }

    /// Whether what the resource is bound to by one kind lies within a scope of another.
    #[cold]
    fn lies_within(&self, bound: &Bound, kind: KindId, scope: &BoundScope) -> bool {
        let (Some(tree), Some(wanted)) = (self.principal.tree(), scope.id()) else { return false };
        self.slot_value(bound.slot).is_some_and(|value| tree.is_within(bound.kind, &value, kind, &wanted))
    }

    #[inline]
    fn complete(&mut self) -> Result<()> {
        if let Some(resource) = self.resource {
            let Some(seen) = resource.seen(self.read) else { return Err(self.other_type(resource)) };
            let is_plain = seen.find_plain(&self.reads.attributes, &mut self.at_hand);
            // What is plain is of the right type.
            if !is_plain || !seen.is_of_just(self.reads.attributes.len()) {
                resource.check(self.read, self.ty)?;
            }
            if !is_plain {
                self.find_each(seen)?;
            }
            if let [bound] = &*self.reads.bound
                && bound.ty == Base::Id.one()
                && let Some(Found::One(Value::Id(id))) = self.at_hand.get(bound.place as usize)
            {
                self.lies_at = Some((bound.kind, Halves::from(*id)));
            }
        }
        self.context.check(self.rules.stamp, &self.rules.shared.symbols.context)?;
        for slot in &self.reads.context {
            let Some(attribute) = self.rules.shared.symbols.context.get(*slot as usize) else { continue };
            if self.context.value(attribute).is_absent() {
                return Err(missing(Reason::ContextIncomplete, "context", &attribute.name));
            }
        }
        self.complete_principal()
    }

    #[inline(never)]
    fn find_each(&mut self, seen: Seen<'a>) -> Result<()> {
        for (place, attribute) in self.reads.attributes.iter().enumerate() {
            let Some(found) = seen.find(place, self.reads.table, attribute) else {
                return Err(self.missing(attribute));
            };
            if !attribute.is_optional && found.read(attribute.ty).is_absent() {
                return Err(self.missing(attribute));
            }
            if let Some(at_hand) = self.at_hand.get_mut(place) {
                *at_hand = found;
            }
        }
        Ok(())
    }

    #[cold]
    fn missing(&self, attribute: &ReadAttribute) -> Error {
        missing(Reason::ResourceIncomplete, &self.ty.name, &attribute.name)
    }

    #[cold]
    fn other_type(&self, resource: &Resource<'_>) -> Error {
        let (one, other) = (resource.resource_type(), &self.ty.name);
        Error::new(Reason::InvalidInput, format!("a {one} is no {other}, which this permission is about"))
    }

    #[inline]
    fn complete_principal(&self) -> Result<()> {
        if self.principal.is_complete() { Ok(()) } else { self.find_lacking() }
    }

    /// Most lack nothing that any condition reads; of others, it matters what this question reads.
    #[cold]
    fn find_lacking(&self) -> Result<()> {
        if let Some(problem) = self.principal.problem() {
            return Err(Error::new(Reason::PrincipalInvalid, problem));
        }
        match self.reads.principal.iter().find(|path| self.principal.attribute(**path).is_absent()) {
            Some(path) => {
                let attribute = self.rules.shared.symbols.principal.get(path.slot as usize);
                Err(missing(Reason::ResourceIncomplete, "principal", attribute.map_or("", |one| &one.name)))
            }
            None => Ok(()),
        }
    }
}

#[cold]
fn missing(reason: Reason, of: &str, name: &str) -> Error {
    Error::new(reason, format!("the {of} lacks `{name}`, which the policy reads"))
}
