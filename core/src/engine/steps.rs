//! One operation on its way through the five steps, its type forgotten: so the engine's loop exists
//! once, and not once for each operation.

use std::{borrow::Cow, future::ready};

use crate::{
    environment::MaybeSend,
    model::{
        deferred::Work,
        error::{Error, Reason, Result},
        time::Time,
    },
    operations::{Access, Operation, Target, plan::Plan, services::Services, target::TargetRow},
};

/// What the engine asks of an operation, step by step.
pub(crate) trait Steps: MaybeSend {
    /// What the list says of it.
    fn listed(&self) -> Entry;

    /// The account that the input names to be let in by it.
    fn account(&self) -> Option<&str>;

    /// The permission that its access names, on the target and on the row as it will be.
    fn permission(&self) -> Option<Cow<'static, str>>;

    /// The input as text, without its secrets.
    fn input(&self) -> String;

    /// Loads what it is done to.
    fn load<'s>(&'s mut self, plan: &'s Plan<'_>) -> Work<'s, Result<()>>;

    /// What the rules are to be asked about what was loaded.
    fn permission_check(&self, plan: &Plan<'_>) -> Option<PermissionCheck>;

    /// Makes the input valid, the first time.
    fn validate<'s>(&'s mut self, services: &'s Services, now: Time) -> Work<'s, Result<()>>;

    /// Plans it, on what was loaded; keeps the answer.
    fn plan<'s>(&'s mut self, plan: &'s mut Plan<'_>) -> Work<'s, Result<()>>;
}

/// Keeps what comes of a step. It knows the step's result alone, and exists once for all operations that have the same.
fn keep<'s, T: MaybeSend>(step: Work<'s, Result<T>>, place: &'s mut Option<T>) -> Work<'s, Result<()>> {
    Box::pin(async move {
        *place = Some(step.await?);
        Ok(())
    })
}

/// An operation's place in the list.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(super) name: &'static str,
    pub(super) access: Access,
    pub(super) may_be_own: bool,
    pub(super) is_read: bool,
    pub(super) needs_fresh: bool,
    pub(super) is_in_person: bool,
}

/// A permission to be asked for on a row.
pub(crate) struct PermissionCheck {
    pub(super) permission: Cow<'static, str>,
    pub(super) target: TargetRow,
    /// By which a caller may know that the row exists.
    pub(super) read: Cow<'static, str>,
}

/// An operation with what came of its steps so far.
pub(crate) struct Running<O: Operation> {
    input: O,
    target: Option<O::Target>,
    valid: Option<O::Valid>,
    output: Option<O::Output>,
}

impl<O: Operation> Running<O> {
    pub(crate) fn new(input: O) -> Self {
        Self { input, target: None, valid: None, output: None }
    }

    /// The answer, once the engine is done with it.
    pub(crate) fn into_output(self) -> Result<O::Output> {
        self.output.ok_or_else(|| out_of_order(O::NAME))
    }

    /// The same, left in place.
    #[cfg(feature = "bindings")]
    pub(crate) fn output(&self) -> Result<&O::Output> {
        self.output.as_ref().ok_or_else(|| out_of_order(O::NAME))
    }
}

impl<O: Operation> Steps for Running<O> {
    fn listed(&self) -> Entry {
        Entry {
            name: O::NAME,
            access: O::ACCESS,
            may_be_own: O::MAY_BE_OWN,
            is_read: O::IS_READ,
            needs_fresh: O::NEEDS_FRESH,
            is_in_person: O::IN_PERSON,
        }
    }

    fn account(&self) -> Option<&str> {
        self.input.account()
    }

    fn permission(&self) -> Option<Cow<'static, str>> {
        named(O::ACCESS, &self.input)
    }

    fn input(&self) -> String {
        format!("{:?}", self.input)
    }

    fn load<'s>(&'s mut self, plan: &'s Plan<'_>) -> Work<'s, Result<()>> {
        keep(self.input.target(plan.reads(), plan.actor), &mut self.target)
    }

    fn permission_check(&self, plan: &Plan<'_>) -> Option<PermissionCheck> {
        let target = self.target.as_ref()?;
        let permission = named(self.input.access(target, plan.actor), &self.input)?;
        let (target, read) = target.row()?;
        Some(PermissionCheck { permission, target, read })
    }

    fn validate<'s>(&'s mut self, services: &'s Services, now: Time) -> Work<'s, Result<()>> {
        match self.valid {
            Some(_) => Box::pin(ready(Ok(()))),
            None => keep(self.input.clone().validate(services, now), &mut self.valid),
        }
    }

    fn plan<'s>(&'s mut self, plan: &'s mut Plan<'_>) -> Work<'s, Result<()>> {
        match (&self.valid, self.target.take()) {
            (Some(valid), Some(target)) => keep(O::plan(valid, target, plan), &mut self.output),
            _ => Box::pin(ready(Err(out_of_order(O::NAME)))),
        }
    }
}

/// The permission that an access names to an input.
fn named<O: Operation>(access: Access, input: &O) -> Option<Cow<'static, str>> {
    match access {
        Access::Permission(permission) => Some(permission.into()),
        Access::OfKind(action) => Some(format!("{}:{action}", input.kind()).into()),
        Access::Everywhere(_) | Access::Public | Access::SignedIn | Access::System => None,
    }
}

/// The engine takes the steps in order, so this does not happen.
#[cold]
#[inline(never)]
fn out_of_order(operation: &str) -> Error {
    Error::new(Reason::Internal, format!("a step of {operation} was left out"))
}
