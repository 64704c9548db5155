//! The values of one question.

use crate::model::{
    error::{Error, Reason, Result},
    value::Value,
};
use crate::rules::{
    BoundScope, Condition, Context, GrantId, KindId, Path, Principal, Question, Resource, ResourceType, ResourceValues,
    Root, RuleSet, TypeReads, TypedValue, Values, missing,
};

/// What an explanation supposes to be otherwise, but for what the principal has.
// Behind a pointer: the evaluator is compiled once, and knows nothing of explanations.
pub(in crate::rules) trait Supposed {
    /// Whether a question that names no resource names one.
    fn names_resource(&self) -> bool;
    /// Whether a scope covers that resource.
    fn covers(&self, scope: &BoundScope) -> bool;
    /// Whether a condition holds.
    fn holds(&self, condition: &Condition) -> bool;
    /// Whether a deny has no say.
    fn is_lifted(&self, grant: GrantId) -> bool;
    /// Whether it is granted, whatever the roles say.
    fn is_granted(&self) -> bool;
}

/// A question that is complete, and the values that it reads.
#[derive(Clone, Copy)]
pub(in crate::rules) struct EvaluationContext<'a> {
    pub(in crate::rules) rules: &'a RuleSet,
    pub(in crate::rules) ty: &'a ResourceType,
    pub(in crate::rules) principal: &'a Principal,
    pub(in crate::rules) resource: Option<&'a Resource<'a>>,
    values: &'a [Option<TypedValue<'a>>],
    pub(in crate::rules) context: &'a Context,
    /// When it is asked, in microseconds.
    now: i64,
    pub(super) supposed: Option<&'a dyn Supposed>,
}

impl RuleSet {
    /// Checks that a question is complete, and looks at it with the values that it reads.
    #[inline]
    pub(in crate::rules) fn evaluate<'a, T>(
        &'a self,
        question: &Question<'a>,
        look: impl FnOnce(&EvaluationContext<'_>) -> T,
    ) -> Result<T> {
        let mut values = ResourceValues::default();
        let ty = self.find_values(question, &mut values)?;
        Ok(look(&self.evaluation_context(question, ty, &values)))
    }

    /// Checks that a question is complete, and finds what it reads of the resource: what comes before anything else.
    /// Gives the type that the question is about.
    pub(in crate::rules) fn find_values<'a>(
        &'a self,
        question: &Question<'a>,
        values: &mut ResourceValues<'a>,
    ) -> Result<&'a ResourceType> {
        let Question { principal, permission, fields, resource, context, .. } = *question;
        if !principal.is_of(self) {
            return Err(Error::new(Reason::Internal, "this principal was made by another rule set"));
        }
        if permission.0 as usize >= self.decision_flags.len() {
            return Err(Error::new(Reason::UnknownPermission, "this permission is of another rule set"));
        }
        let (ty, reads) = self.type_of(permission);
        if let Some(field) = fields.iter().find(|field| field.0 as usize >= ty.attributes.len()) {
            let message = format!("type `{}` has no field number {}", ty.name, field.0);
            return Err(Error::new(Reason::UnknownPermission, message));
        }
        if let Some(resource) = resource {
            resource.find_values(ty, reads, values)?;
        }
        self.check_context(context, reads)?;
        principal.chain().try_for_each(|one| self.check_principal(one, reads))?;
        Ok(ty)
    }

    #[inline]
    fn check_context(&self, context: &Context, reads: &TypeReads) -> Result<()> {
        let declared = &self.shared.symbols.context;
        context.check(declared)?;
        let mut read = reads.context.iter().filter_map(|slot| declared.get(*slot as usize));
        let lacking = read.find(|one| context.value(one).is_absent());
        lacking.map_or(Ok(()), |one| Err(missing(Reason::ContextIncomplete, "context", &one.name)))
    }

    /// Who is not signed in has no attributes: a policy that grants it anything says what their absence means.
    #[inline]
    fn check_principal(&self, principal: &Principal, reads: &TypeReads) -> Result<()> {
        if let Some(problem) = principal.problem() {
            return Err(Error::new(Reason::PrincipalInvalid, problem));
        }
        let is_lacking = |path: &&Path| principal.id().is_some() && principal.attribute(**path).is_absent();
        let Some(path) = reads.principal.iter().find(is_lacking) else { return Ok(()) };
        let attribute = self.shared.symbols.principal.get(path.slot as usize);
        Err(missing(Reason::ResourceIncomplete, "principal", attribute.map_or("", |one| &one.name)))
    }

    /// A question with the values that were found for it.
    #[inline]
    pub(in crate::rules) fn evaluation_context<'a>(
        &'a self,
        question: &Question<'a>,
        ty: &'a ResourceType,
        values: &'a [Option<TypedValue<'a>>],
    ) -> EvaluationContext<'a> {
        let Question { principal, resource, context, now, .. } = *question;
        let now = now.as_microsecond();
        EvaluationContext { rules: self, ty, principal, resource, values, context, now, supposed: None }
    }
}

impl Values for EvaluationContext<'_> {
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn at(&self, path: Path) -> TypedValue<'_> {
        match path.root {
            Root::Principal => self.principal.attribute(path),
            Root::Context => {
                let attribute = self.rules.shared.symbols.context.get(path.slot as usize);
                attribute.map_or(TypedValue::Absent, |one| self.context.value(one))
            }
            Root::Resource => self.slot_read(path.slot).unwrap_or(TypedValue::Absent),
        }
    }

    fn now(&self) -> i64 {
        self.now
    }
}

impl<'a> EvaluationContext<'a> {
    /// The same question, asked by somebody else.
    pub(in crate::rules) fn of(self, principal: &'a Principal) -> Self {
        Self { principal, ..self }
    }

    /// The same question, some things being otherwise.
    pub(in crate::rules) fn supposing(self, principal: &'a Principal, supposed: &'a dyn Supposed) -> Self {
        Self { principal, supposed: Some(supposed), ..self }
    }

    /// Whether the question names a resource.
    #[inline]
    pub(in crate::rules) fn has_resource(&self) -> bool {
        self.resource.is_some() || self.supposed.is_some_and(|supposed| supposed.names_resource())
    }

    /// Whether a condition holds.
    #[inline]
    pub(in crate::rules) fn holds(&self, condition: &Condition) -> bool {
        self.supposed.map_or_else(|| condition.holds(self), |supposed| supposed.holds(condition))
    }

    /// Whether a scope covers the resource; without one, only `global` does.
    #[inline]
    pub(in crate::rules) fn covers(&self, scope: &BoundScope) -> bool {
        // What most scopes compare with.
        if let (BoundScope::Id(kind, id), [(own, slot)]) = (scope, &*self.ty.bound)
            && own == kind
            && let Some(TypedValue::Id(at)) = self.slot_read(*slot)
        {
            return at == *id;
        }
        if let Some(supposed) = self.supposed.filter(|supposed| supposed.names_resource()) {
            return supposed.covers(scope);
        }
        let Some(kind) = scope.kind() else { return *scope == BoundScope::Global };
        self.ty.bound.iter().any(|(own, slot)| match *own == kind {
            true => self.slot_read(*slot).is_some_and(|value| scope.is_of(value)),
            false => self.lies_within(*own, *slot, kind, scope),
        })
    }

    /// Where a deny counts: everywhere, where resources of the type may lie within its scope and nobody says which do. It
    /// fails closed.
    #[inline]
    pub(in crate::rules) fn scope_of_deny<'s>(&self, scope: &'s BoundScope) -> &'s BoundScope {
        let Some(kind) = scope.kind().filter(|_| self.rules.tree_of(self.principal).is_none()) else { return scope };
        let bound = || self.ty.bound.iter().map(|(bound, _)| *bound);
        let is_unknown = || bound().all(|own| own != kind) && bound().any(|own| self.rules.lies_under(own, kind));
        if is_unknown() { &BoundScope::Global } else { scope }
    }

    /// Whether what the resource is bound to by one kind lies within a scope of another.
    fn lies_within(&self, own: KindId, slot: u32, kind: KindId, scope: &BoundScope) -> bool {
        let tree = self.rules.tree_of(self.principal).filter(|_| self.rules.lies_under(own, kind));
        let ids = || Some((self.slot_value(slot)?, scope.id()?));
        tree.is_some_and(|tree| ids().is_some_and(|(value, wanted)| tree.is_within(own, &value, kind, &wanted)))
    }

    /// An attribute that was given, or that conditions or scopes read.
    #[inline]
    fn slot_read(&self, slot: u32) -> Option<TypedValue<'a>> {
        *self.values.get(slot as usize)?
    }

    /// The value of an attribute of the resource, as a column would hold it; none where it is absent.
    pub(in crate::rules) fn slot_value(&self, slot: u32) -> Option<Value> {
        match self.slot_read(slot) {
            Some(value) => value.to_value(),
            // What nothing reads was not looked up.
            None => {
                let attribute = self.ty.attributes.get(slot as usize)?;
                self.resource?.find(self.ty, attribute)?.to_value()
            }
        }
    }
}
