//! The decision, as RBAC.md says it ("The decision").
//!
//! | file | holds |
//! |---|---|
//! | `glance` | most answers: by a few bits, or in one pass over what is held |
//! | `here` | the values of one question: resource, principal, context, time |
//!
//! What every question runs through is inlined but in a wasm, where a page's bytes count.

mod effective;
mod evaluation_context;
mod fast_path;
mod handle;
mod holds;

pub use effective::EffectiveGrant;
pub use handle::PermissionHandle;

use crate::model::{error::Result, time::Time};

use crate::rules::{
    compile::{
        bits,
        role::{GrantId, NONE, Special},
        rule_set::{FieldId, Mark, PermissionId, RuleSet},
    },
    condition::parser::Root,
    explain::Explanation,
    policy::Effect,
    principal::{Principal, RoleAssignment},
    resource::{Context, Resource},
    scope::kind::BoundScope,
};
pub(in crate::rules) use evaluation_context::{EvaluationContext, ResourceValues, missing};

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
    pub(in crate::rules) rules: &'a RuleSet,
    pub(in crate::rules) question: Question<'a>,
    pub(in crate::rules) verdict: Verdict,
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
pub(in crate::rules) enum Verdict {
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
    pub(in crate::rules) fn is_allowed(self) -> bool {
        matches!(self, Verdict::Admin { .. } | Verdict::Allowed { .. })
    }
}

impl RuleSet {
    /// Whether the principal may do this, to no resource in particular: [`RuleSet::decide`] without
    /// fields, resource and context, at the cost of a lookup where no condition has a say.
    ///
    /// # Errors
    /// As [`RuleSet::decide`].
    #[inline(always)]
    pub fn check(&self, principal: &Principal, permission: PermissionId, now: Time) -> Result<bool> {
        match self.fast_path(principal, permission) {
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
        // What is said beside the question is looked at even where nothing reads it.
        if question.fields.is_empty() && question.resource.is_none() && question.context.is_empty() {
            return self.check(question.principal, question.permission, question.now);
        }
        Ok(self.settle(question)?.is_allowed())
    }

    #[inline(never)]
    pub(super) fn check_closely(&self, principal: &Principal, permission: PermissionId, now: Time) -> Result<bool> {
        let context = Context::new();
        let question = Question { principal, permission, fields: &[], resource: None, context: &context, now };
        Ok(self.settle(&question)?.is_allowed())
    }

    /// Decides. Allocates nothing where questions about the type read at most eight attributes.
    ///
    /// # Errors
    /// Where the question is no question: `RESOURCE_INCOMPLETE` and `CONTEXT_INCOMPLETE` where a value is
    /// missing that the policy reads for the type, `RESOURCE_INVALID`, `PRINCIPAL_INVALID` and `CONTEXT_INVALID` where one
    /// is of another type than declared or of no declared attribute, `INVALID_INPUT` where the resource is not of the
    /// permission's type, `INTERNAL` where the principal belongs to another rule set
    /// ([`Reason`](crate::model::error::Reason)).
    pub fn decide<'a>(&'a self, question: &Question<'a>) -> Result<Decision<'a>> {
        Ok(Decision { rules: self, question: *question, verdict: self.settle(question)? })
    }

    #[inline(never)]
    fn settle(&self, question: &Question<'_>) -> Result<Verdict> {
        let mut values = ResourceValues::new();
        self.find_values(question, &mut values)?;
        Ok(self.judge(question, &self.evaluation_context(question, &values)))
    }

    /// About all who ask together.
    fn judge(&self, question: &Question<'_>, cx: &EvaluationContext<'_>) -> Verdict {
        let mut verdict = self.verdict(question, cx);
        let mut behind = question.principal.on_behalf_of();
        while let Some(principal) = behind.filter(|_| verdict.is_allowed()) {
            let other = self.verdict(question, &cx.of(principal));
            // Allowed is what all may do; the explanation is about who asks, or who may not.
            verdict = if other.is_allowed() { verdict } else { other };
            behind = principal.on_behalf_of();
        }
        verdict
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
        let mut values = ResourceValues::new();
        self.find_values(&question, &mut values)?;
        let cx = self.evaluation_context(&question, &values);
        Ok(self.is_possible(permission, &cx))
    }

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
        let mut verdict = Verdict::NothingGrants { field: None };
        if question.fields.is_empty() {
            return self.verdict_on(question.permission.0, None, cx);
        }
        for field in question.fields {
            verdict = self.verdict_on(question.permission.0, Some(*field), cx);
            if !verdict.is_allowed() {
                return verdict;
            }
        }
        verdict
    }

    /// The assignment that administers, if one does.
    #[inline]
    pub(in crate::rules) fn administration(&self, principal: &Principal, now: i64) -> Option<usize> {
        // Most hold no such role, which is seen at once.
        let is_possible = principal.assignments().any(|held| self.is_administrator(held.role));
        is_possible.then(|| principal.assignments().position(|one| self.administers(principal, one, now)))?
    }

    fn verdict_on(&self, permission: u32, field: Option<FieldId>, cx: &EvaluationContext<'_>) -> Verdict {
        let mark = self.marks.get(permission as usize).copied().unwrap_or_default();
        let principal = cx.principal;
        let is_whole = principal.active().is_none();
        let gives = |role| self.gives(role, permission, mark, field, cx);
        let allows = |held: RoleAssignment<'_>| {
            self.counts(held, cx.now())
                && cx.covers(held.scope())
                && match is_whole {
                    true => gives(held.role),
                    false => self.parts(principal, held.role).any(gives),
                }
        };
        // Denies come first, and not activating a role never sheds its own.
        if mark.has(Mark::DENIED)
            && let Some((assignment, special)) = self.denial(permission, field, cx)
        {
            return Verdict::Denied { assignment, grant: special.grant, field };
        }
        match principal.assignments().position(allows) {
            Some(assignment) => Verdict::Allowed { assignment },
            None => Verdict::NothingGrants { field },
        }
    }

    /// The first assignment that denies, and its grant.
    fn denial(&self, permission: u32, field: Option<FieldId>, cx: &EvaluationContext<'_>) -> Option<(usize, &Special)> {
        let counted = cx.principal.assignments().enumerate().filter(|(_, held)| self.counts(*held, cx.now()));
        counted.into_iter().find_map(|(at, held)| {
            let mut specials = self.specials(held.role, permission).iter();
            let denies = |one: &&Special| one.effect == Effect::Deny && self.denies(one, held, field, cx);
            specials.find(denies).map(|special| (at, special))
        })
    }

    /// Whether a role, held where the resource is, allows.
    #[inline]
    fn gives(
        &self,
        role: u32,
        permission: u32,
        mark: Mark,
        field: Option<FieldId>,
        cx: &EvaluationContext<'_>,
    ) -> bool {
        let allows = |one: &Special| one.effect == Effect::Allow && self.grants(one, field, cx);
        self.permission_index.has(role, permission)
            || mark.has(Mark::SPECIAL) && self.specials(role, permission).iter().any(allows)
    }

    /// What a role says of a permission beside its plain bits, grant by grant.
    #[inline]
    pub(super) fn specials(&self, role: u32, permission: u32) -> &[Special] {
        self.roles.get(role as usize).map(|role| role.special_of(permission)).unwrap_or_default()
    }

    /// Whether an assignment has any effect now: `admin:all` is held everywhere or not at all.
    pub(in crate::rules) fn counts(&self, held: RoleAssignment<'_>, now: i64) -> bool {
        held.is_valid(now) && (matches!(held.scope(), BoundScope::Global) || !self.is_administrator(held.role))
    }

    /// Whether an assignment holds `admin:all` now, in active roles.
    pub(in crate::rules) fn administers(&self, principal: &Principal, held: RoleAssignment<'_>, now: i64) -> bool {
        self.is_administrator(held.role)
            && self.counts(held, now)
            && self.parts(principal, held.role).any(|role| self.is_administrator(role))
    }

    /// The roles that allow, of an assigned one: itself, or the active ones among its juniors.
    pub(in crate::rules) fn parts<'p>(&'p self, principal: &'p Principal, role: u32) -> impl Iterator<Item = u32> + 'p {
        let active = principal.active();
        let whole = active.is_none().then_some(role);
        let held = self.roles.get(role as usize);
        let parts = active.into_iter().flatten().copied();
        whole.into_iter().chain(parts.filter(move |part| held.is_some_and(|held| held.has_junior(*part))))
    }

    /// Whether a grant allows that is held where the resource is.
    pub(in crate::rules) fn grants(
        &self,
        special: &Special,
        field: Option<FieldId>,
        cx: &EvaluationContext<'_>,
    ) -> bool {
        // Asked without fields, a narrowed allow does not count.
        self.is_on(special.fields, field, false) && self.condition_allows(special.condition, cx)
    }

    pub(in crate::rules) fn denies(
        &self,
        special: &Special,
        held: RoleAssignment<'_>,
        field: Option<FieldId>,
        cx: &EvaluationContext<'_>,
    ) -> bool {
        if !self.is_on(special.fields, field, true) {
            return false;
        }
        // Without a resource, whatever might matter there counts: it fails closed.
        let covers = cx.resource.is_none() || cx.covers(held.scope());
        let condition = self.condition(special.condition);
        let is_open = cx.resource.is_none() && condition.is_some_and(|one| one.reads(Root::Resource));
        covers && (is_open || condition.is_none_or(|condition| condition.holds(cx)))
    }

    fn condition_allows(&self, condition: u32, cx: &EvaluationContext<'_>) -> bool {
        let Some(condition) = self.condition(condition) else { return true };
        (cx.resource.is_some() || !condition.reads(Root::Resource)) && condition.holds(cx)
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

    pub(in crate::rules) fn is_administrator(&self, role: u32) -> bool {
        bits::has(&self.administrators, role)
    }
}
