//! One operation on its way through the five steps, its type forgotten: so the engine's loop exists
//! once, and not once for each operation.

use std::borrow::Cow;

use rolekeep_macros::portable_async;

use crate::{
    environment::MaybeSend,
    model::{
        error::{Error, Reason, Result},
        time::Time,
    },
    operations::{Access, Operation, Target, plan::Plan, services::Services, target::TargetRow},
};

/// What the engine asks of an operation, step by step.
#[portable_async]
pub(crate) trait Steps: MaybeSend {
    /// What the list says of it.
    fn listed(&self) -> Entry;

    /// The account that the input names to be let in by it.
    fn account(&self) -> Option<&str>;

    /// The permission that its access names, on the target and on the row as it will be.
    fn permission(&self) -> Option<Cow<'static, str>>;

    /// The input as text, without its secrets.
    fn input(&self) -> String;

    /// Loads what it is done to; answers what the rules are to be asked about that.
    async fn load(&mut self, plan: &Plan<'_>) -> Result<Option<Asked>>;

    /// Makes the input valid, the first time.
    async fn validate(&mut self, services: &Services, now: Time) -> Result<()>;

    /// Plans it, on what was loaded; keeps the answer.
    async fn plan(&mut self, plan: &mut Plan<'_>) -> Result<()>;
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
pub(crate) struct Asked {
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

#[portable_async]
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

    async fn load(&mut self, plan: &Plan<'_>) -> Result<Option<Asked>> {
        let target = self.input.target(plan.reads(), plan.actor).await?;
        let asked = match (named(self.input.access(&target, plan.actor), &self.input), target.row()) {
            (Some(permission), Some((target, read))) => Some(Asked { permission, target, read }),
            _ => None,
        };
        self.target = Some(target);
        Ok(asked)
    }

    async fn validate(&mut self, services: &Services, now: Time) -> Result<()> {
        if self.valid.is_none() {
            self.valid = Some(self.input.clone().validate(services, now).await?);
        }
        Ok(())
    }

    async fn plan(&mut self, plan: &mut Plan<'_>) -> Result<()> {
        let (Some(valid), Some(target)) = (&self.valid, self.target.take()) else {
            return Err(out_of_order(O::NAME));
        };
        self.output = Some(O::plan(valid, target, plan).await?);
        Ok(())
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
fn out_of_order(operation: &str) -> Error {
    Error::new(Reason::Internal, format!("a step of {operation} was left out"))
}
