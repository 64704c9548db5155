//! The same done to many users at once (USR-8).

use rolekeep_macros::{Describe, Input, Word, boxed_async};
use serde::Serialize;

use super::{
    DroppedAssets,
    change::ValidChange,
    delete::{delete, require_own_proof},
    existing, region_named,
    status::NewStatus,
};
use crate::{
    model::{
        check::wrong,
        decode::FieldCode,
        error::{Code, Error, Reason, Result},
        id::UserId,
        input::Limits,
        patch::Patch,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, Visible, administrators, authority, plan::Plan, rights::require_target, services::Services,
        target::TargetRow,
    },
};

/// So many at a time.
const MOST: usize = 1_000;

/// Changes the status of many users, in one commit.
///
/// Each as `users.activate`, `deactivate`, `suspend`, `ban` and `lift` do, by the permission `user:set_status`. Users who cannot be
/// changed stay as they are, and the result says why; with `atomic` no user is changed then. Errors: `VALIDATION_ERROR` with all wrong
/// fields; with `atomic` that of the first user who cannot be changed.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SetStatuses {
    /// The users' ids, at most 1,000.
    pub ids: Vec<UserId>,
    /// The change of the status.
    pub action: StatusAction,
    /// Why they are suspended or banned, at most 500 characters.
    pub reason: Option<String>,
    /// When a suspension ends, in the future; not given: when it is lifted.
    pub until: Option<Time>,
    /// Whether all are changed or none. Default: false.
    #[input(default = false)]
    pub atomic: bool,
}

/// Deletes many users, in one commit, each as `users.delete` does.
///
/// Permission `user:delete`. Users who cannot be deleted stay, and the result says why; with `atomic` no user is deleted then. Errors:
/// `VALIDATION_ERROR` for too many; with `atomic` that of the first user who cannot be deleted.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteUsers {
    /// The users' ids, at most 1,000.
    pub ids: Vec<UserId>,
    /// Whether all are deleted or none. Default: false.
    #[input(default = false)]
    pub atomic: bool,
}

/// Moves many users to a region, or out of theirs, in one commit, each as `users.update` does.
///
/// Permission `user:update`, and what that says of the region. Users who cannot be moved stay, and the result says why; with `atomic` no
/// user is moved then. Errors: `VALIDATION_ERROR` for too many, and for a region that is not there; with `atomic` that of the first user
/// who cannot be moved.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct MoveUsers {
    /// The users' ids, at most 1,000.
    pub ids: Vec<UserId>,
    /// The region, by id or code; not given: none.
    pub region: Option<String>,
    /// Whether all are moved or none. Default: false.
    #[input(default = false)]
    pub atomic: bool,
}

/// A change of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum StatusAction {
    /// Inactive users sign in again.
    Activate,
    /// Users are deactivated.
    Deactivate,
    /// Users are suspended, for a limited time or until that is lifted.
    Suspend,
    /// Users are banned.
    Ban,
    /// A suspension or ban is lifted.
    Lift,
}

/// The result of a change of many users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct BulkResult {
    /// How many were changed, or already were as requested.
    pub done: i64,
    /// How many were not.
    pub failed: i64,
    /// The result for each user, in the order of the input.
    pub items: Vec<BulkItem>,
}

/// The result for one of many users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct BulkItem {
    /// The user's id.
    pub id: UserId,
    /// Whether the user is now as requested.
    pub is_done: bool,
    /// The code of the error, if not.
    pub code: Option<Code>,
    /// Its reason.
    pub reason: Option<Reason>,
    /// What is wrong, in English.
    pub message: Option<String>,
    /// Assets that the user may no longer use after moving to another region.
    pub dropped: DroppedAssets,
}

/// Many users, and whether all are changed or none.
pub struct Many {
    ids: Vec<UserId>,
    atomic: bool,
}

impl Many {
    fn of(ids: Vec<UserId>, atomic: bool) -> Result<Self> {
        match ids.len() {
            0..=MOST => Ok(Self { ids, atomic }),
            _ => Err(wrong("ids", FieldCode::TooLong, format!("must have at most {MOST} items"))),
        }
    }

    /// Plans the same for each, and says what becomes of it.
    async fn each(&self, deed: Deed<'_>, plan: &mut Plan<'_>) -> Result<BulkResult> {
        plan.read_ahead::<User>(self.ids.iter().map(|id| (*id,)).collect()).await?;
        let mut items = Vec::with_capacity(self.ids.len());
        for (at, id) in self.ids.iter().enumerate() {
            let savepoint = plan.savepoint();
            let user = existing(plan.reads(), *id).await;
            let mut applied = match &user {
                Ok(user) => deed.apply(plan, user).await,
                Err(missing) => Err(missing.clone()),
            };
            if applied.is_ok()
                && let Err(refused) = authority::require_since(plan, &savepoint, deed.permission()).await
            {
                applied = Err(refused);
            }
            match applied {
                Ok(dropped) => {
                    plan.keep(savepoint);
                    items.push(BulkItem { id: *id, is_done: true, code: None, reason: None, message: None, dropped });
                }
                Err(error) if self.atomic || !is_of_one(&error) => return Err(error.of_item(&format!("ids[{at}]"))),
                Err(error) => {
                    plan.undo(savepoint);
                    items.push(BulkItem {
                        id: *id,
                        is_done: false,
                        code: Some(error.code()),
                        reason: Some(error.reason()),
                        message: Some(error.message().to_owned()),
                        dropped: DroppedAssets::default(),
                    });
                    if let Ok(user) = user {
                        plan.refuse_one(TargetRow::of(&user), error);
                    }
                }
            }
        }
        let done = items.iter().filter(|item| item.is_done).count();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(BulkResult { done: count(done), failed: count(items.len() - done), items })
    }
}

/// Whether an error is about one user, and says nothing of the others.
pub(in crate::operations) fn is_of_one(error: &Error) -> bool {
    match error.code() {
        Code::Validation | Code::Forbidden | Code::NotFound | Code::Duplicate | Code::Conflict => true,
        // The caller is asked to prove who it is for its own account alone.
        Code::Unauthorized => error.reason() == Reason::StepUpRequired,
        Code::RateLimited | Code::Unavailable | Code::Internal => false,
    }
}

/// What is done to each.
enum Deed<'d> {
    Status(&'d NewStatus),
    Delete,
    Move(&'d ValidChange),
}

impl Deed<'_> {
    const fn permission(&self) -> Option<&'static str> {
        let access = match self {
            Self::Status(_) => SetStatuses::ACCESS,
            Self::Delete => DeleteUsers::ACCESS,
            Self::Move(_) => MoveUsers::ACCESS,
        };
        if let Access::Permission(permission) = access { Some(permission) } else { None }
    }

    async fn apply(&self, plan: &mut Plan<'_>, user: &User) -> Result<DroppedAssets> {
        if let Some(permission) = self.permission() {
            require_target(plan, permission, &TargetRow::of(user), User::READ).await?;
        }
        match self {
            Self::Status(status) => drop(status.plan(user.clone(), plan).await?),
            Self::Delete => {
                administrators::require_may_act_as(plan, user.id).await?;
                require_own_proof(plan, user.id).await?;
                delete(plan, user).await?;
            }
            Self::Move(change) => return change.plan(user.clone(), plan).await.map(|(_, dropped)| dropped),
        }
        Ok(DroppedAssets::default())
    }
}

#[boxed_async]
impl Operation for SetStatuses {
    type Target = ();
    type Valid = (Many, NewStatus);

    const ACCESS: Access = Access::Permission("user:set_status");
    const LIMITS: Limits = Limits::ROWS;
    // A page has a few users, and the operations on one.
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, now: Time) -> Result<Self::Valid> {
        let status = NewStatus::of(self.action, self.reason.as_deref(), self.until, now)?;
        Ok((Many::of(self.ids, self.atomic)?, status))
    }

    async fn plan((many, status): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<BulkResult> {
        many.each(Deed::Status(status), plan).await
    }
}

#[boxed_async]
impl Operation for DeleteUsers {
    type Target = ();
    type Valid = Many;

    const ACCESS: Access = Access::Permission("user:delete");
    const LIMITS: Limits = Limits::ROWS;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Many> {
        Many::of(self.ids, self.atomic)
    }

    async fn plan(many: &Many, (): (), plan: &mut Plan<'_>) -> Result<BulkResult> {
        many.each(Deed::Delete, plan).await
    }
}

#[boxed_async]
impl Operation for MoveUsers {
    type Target = ();
    type Valid = (Many, Option<String>);

    const ACCESS: Access = Access::Permission("user:update");
    const LIMITS: Limits = Limits::ROWS;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((Many::of(self.ids, self.atomic)?, self.region))
    }

    async fn plan((many, region): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<BulkResult> {
        // One that is not there is wrong for all of them.
        let region = match region {
            Some(region) => Patch::Set(region_named(plan, "region", region).await?.to_string()),
            None => Patch::Clear,
        };
        let change = ValidChange { region, ..ValidChange::default() };
        many.each(Deed::Move(&change), plan).await
    }
}
