//! The decision (docs/rules.md, "The decision").
//!
//! | file | holds |
//! |---|---|
//! | `fast_path` | most answers: one lookup in the permission index |
//! | `evaluator` | all others; explanations ask it what would be decided if some things were different |
//! | `evaluation_context` | the values of one question: resource, principal, context, time |
//! | `can_somewhere` | whether there could be a resource for which the answer is yes |
//! | `effective` | every grant that a principal holds |
//! | `holds` | whether a principal holds a role or `admin:all` |
//! | `handle` | permissions by name or by a handle that caches their number |
//!
//! The hot path is inlined, except in wasm, where the size of a page matters more.

mod can_somewhere;
mod effective;
mod evaluation_context;
mod evaluator;
mod fast_path;
mod handle;
mod holds;

pub use effective::EffectiveGrant;
pub use handle::{PermissionHandle, PermissionName};

use crate::model::{error::Result, time::Time};
use crate::rules::{
    Context, Explanation, FieldId, NO_CONTEXT, PermissionId, Principal, Resource, ResourceValues, RuleSet,
};

pub(in crate::rules) use evaluation_context::{EvaluationContext, Supposed};

/// A question to the rules.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The principal.
    pub principal: &'a Principal,
    /// The permission.
    pub permission: PermissionId,
    /// The fields; each is decided alone and all must be allowed. Empty: the resource as a whole.
    pub fields: &'a [FieldId],
    /// The resource; none: all resources there could be.
    pub resource: Option<&'a Resource<'a>>,
    /// The context.
    pub context: &'a Context,
    /// The time.
    pub now: Time,
}

/// The answer to a [`Question`], which can be explained.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    pub(in crate::rules) rules: &'a RuleSet,
    pub(in crate::rules) question: Question<'a>,
    pub(in crate::rules) verdict: Verdict,
}

impl Decision<'_> {
    /// Whether it is allowed.
    pub fn is_allowed(&self) -> bool {
        self.verdict.is_allowed()
    }

    /// Explains the decision, as data and text.
    pub fn explain(&self) -> Explanation {
        Explanation::of(self)
    }
}

/// What decided about one principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Verdict {
    /// The account is not active.
    Inactive,
    /// An assignment holds `admin:all`.
    Admin { assignment: usize },
    /// A grant allows. Where fields were named, that of the last.
    Allowed { assignment: usize },
    /// A grant denies, on this field where one was named.
    Denied { assignment: usize, field: Option<FieldId> },
    /// Nothing grants it, on this field where one was named.
    NothingGrants { field: Option<FieldId> },
    /// No pattern of the API key matches.
    BeyondKey,
}

/// One check of many: the permission and its fields as they were found, and the resource.
pub(crate) type Check<'a> = (Result<(PermissionId, Vec<FieldId>)>, Option<&'a Resource<'a>>);

impl Verdict {
    pub(in crate::rules) fn is_allowed(self) -> bool {
        matches!(self, Verdict::Admin { .. } | Verdict::Allowed { .. })
    }
}

impl RuleSet {
    /// Whether the principal may do this: [`RuleSet::decide`] without fields, resource and context. Costs a lookup if no
    /// condition matters.
    ///
    /// # Errors
    /// As [`RuleSet::decide`].
    #[inline(always)]
    pub fn check(&self, principal: &Principal, permission: PermissionId, now: Time) -> Result<bool> {
        let quick = self.fast_path(principal, permission);
        quick.map_or_else(|| self.check_closely(principal, permission, now), Ok)
    }

    /// Only the answer of [`RuleSet::decide`], which costs less.
    ///
    /// # Errors
    /// As [`RuleSet::decide`].
    #[inline]
    pub fn allows(&self, question: &Question<'_>) -> Result<bool> {
        let Question { principal, permission, context, now, .. } = *question;
        if question.fields.is_empty() && question.resource.is_none() {
            return self.allows_at_all(principal, permission, context, || now);
        }
        self.full_evaluation(question)
    }

    /// [`RuleSet::allows`] without fields and resource; the time is asked for only where it matters.
    pub(crate) fn allows_at_all(
        &self,
        principal: &Principal,
        permission: PermissionId,
        context: &Context,
        now: impl FnOnce() -> Time,
    ) -> Result<bool> {
        // A context is checked even if nothing reads it.
        let quick = if context.is_empty() { self.fast_path(principal, permission) } else { None };
        let question = || Question { principal, permission, fields: &[], resource: None, context, now: now() };
        quick.map_or_else(|| self.full_evaluation(&question()), Ok)
    }

    #[inline(never)]
    pub(super) fn check_closely(&self, principal: &Principal, permission: PermissionId, now: Time) -> Result<bool> {
        let question = Question { principal, permission, fields: &[], resource: None, context: &NO_CONTEXT, now };
        self.full_evaluation(&question)
    }

    /// Several questions of one moment: what is read of a resource is looked up once where questions about it follow each
    /// other.
    ///
    /// # Errors
    /// As [`RuleSet::decide`], and those of the questions, for the first that has one.
    pub(crate) fn check_each<'a>(
        &'a self,
        principal: &'a Principal,
        context: &'a Context,
        now: Time,
        // However permissions are named, it is compiled once.
        checks: &mut dyn Iterator<Item = Check<'a>>,
    ) -> Result<Vec<bool>> {
        let mut known = None;
        let mut values = ResourceValues::default();
        let answers = checks.map(|(permission, resource)| {
            let (permission, fields) = permission?;
            let whole = Question { principal, permission, fields: &[], resource, context, now };
            let question = Question { fields: &fields, ..whole };
            let Some(resource) = resource else { return self.allows(&question) };
            let (ty, _) = self.type_of(permission);
            let about = (std::ptr::from_ref(resource), std::ptr::from_ref(ty));
            if known != Some(about) {
                known = None;
                values = ResourceValues::default();
                self.find_values(&whole, &mut values)?;
                known = Some(about);
            }
            Ok(self.verdict_of_chain(&question, &self.evaluation_context(&question, ty, &values)).is_allowed())
        });
        answers.collect()
    }

    /// Decides a question. Does not allocate if the type has at most twelve attributes.
    ///
    /// # Errors
    /// [`Reason`](crate::Reason)s `ResourceIncomplete` and `ContextIncomplete` if a value is missing that the policy reads for
    /// the type; `ResourceInvalid`, `PrincipalInvalid` and `ContextInvalid` if a value does not have the declared type, or its
    /// attribute is not declared; `InvalidInput` if the resource does not have the permission's type; `Internal` if the
    /// principal belongs to another rule set.
    pub fn decide<'a>(&'a self, question: &Question<'a>) -> Result<Decision<'a>> {
        let verdict = self.evaluate(question, |cx| self.verdict_of_chain(question, cx))?;
        Ok(Decision { rules: self, question: *question, verdict })
    }

    /// Only whether it is allowed: nothing of the verdict is moved.
    #[inline(never)]
    fn full_evaluation(&self, question: &Question<'_>) -> Result<bool> {
        self.evaluate(question, |cx| self.verdict_of_chain(question, cx).is_allowed())
    }

    /// About the principal and those on whose behalf it acts.
    #[inline]
    fn verdict_of_chain(&self, question: &Question<'_>, cx: &EvaluationContext<'_>) -> Verdict {
        let verdict = self.verdict(question, cx);
        if !verdict.is_allowed() {
            return verdict;
        }
        // Allowed is what all may do; the explanation is about who asks, or who may not.
        let mut others = question.principal.chain().skip(1).map(|principal| self.verdict(question, &cx.of(principal)));
        others.find(|other| !other.is_allowed()).unwrap_or(verdict)
    }

    /// Whether there could be a resource to which the principal may do this: for menus. The answer may be a wrong yes, if no
    /// such row exists, never a wrong no.
    ///
    /// # Errors
    /// As [`RuleSet::decide`].
    pub fn can_somewhere(
        &self,
        principal: &Principal,
        permission: PermissionId,
        context: &Context,
        now: Time,
    ) -> Result<bool> {
        let question = Question { principal, permission, fields: &[], resource: None, context, now };
        self.evaluate(&question, |cx| self.is_possible(permission, cx))
    }
}
