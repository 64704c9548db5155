//! Whether an account may sign in (USR-6).

use rolekeep_macros::{Describe, Input, portable_async};

use super::{StatusAction, UserView, existing_to_show, shown};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        session::SessionEnd,
        text,
        time::Time,
        user::{User, UserStatus},
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators,
        epochs::{self, ApiKeyFate, Password},
        held,
        plan::{Plan, expect_version},
        reads::Reads,
        services::Services,
    },
};

/// Lets an inactive user sign in again.
///
/// Permission `user:set_status`, for an administrator `admin:all`. For suspended and banned users use `lift` instead.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ActivateUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

/// Deactivates a user; their sessions end at once.
///
/// Permission `user:set_status`; for administrators `admin:all`. Errors: `CONFLICT` for the last active administrator.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeactivateUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

/// Suspends a user, for a limited time or until it is lifted; their sessions end at once.
///
/// Permission `user:set_status`; for administrators `admin:all`. Errors: `CONFLICT` for the last active administrator.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SuspendUser {
    /// The user's id.
    pub id: UserId,
    /// Why, at most 500 characters.
    pub reason: Option<String>,
    /// When it expires, in the future; not given: when it is lifted.
    pub until: Option<Time>,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

/// Bans a user; their sessions and API keys end at once.
///
/// Permission `user:set_status`; for administrators `admin:all`. Errors: `CONFLICT` for the last active administrator.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct BanUser {
    /// The user's id.
    pub id: UserId,
    /// Why, at most 500 characters.
    pub reason: Option<String>,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

/// Lifts a suspension or ban.
///
/// Permission `user:set_status`, for an administrator `admin:all`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct LiftUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

/// A valid change of status.
pub struct NewStatus {
    expected_version: Option<i64>,
    to: UserStatus,
    /// The statuses it may be changed from.
    from: &'static [UserStatus],
    reason: Option<String>,
    until: Option<Time>,
}

macro_rules! status_operations {
    ($($operation:ident: $to:ident from [$($from:ident),*], |$input:ident, $now:ident| $valid:expr;)*) => {$(
        impl $operation {
            /// What the status becomes, and from which it may.
            const CHANGE: (UserStatus, &'static [UserStatus]) = (UserStatus::$to, &[$(UserStatus::$from),*]);
        }

        #[portable_async]
        impl Operation for $operation {
            type Target = User;
            type Valid = NewStatus;

            const ACCESS: Access = Access::Permission("user:set_status");

            async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
                existing_to_show(reads, self.id).await
            }

            async fn validate(self, _: &Services, $now: Time) -> Result<NewStatus> {
                let $input = &self;
                let (reason, until) = $valid?;
                let (to, from) = Self::CHANGE;
                Ok(NewStatus { expected_version: self.expected_version, to, from, reason, until })
            }

            async fn plan(valid: &NewStatus, before: User, plan: &mut Plan<'_>) -> Result<UserView> {
                let user = valid.plan(before, plan).await?;
                shown(plan, user).await
            }
        }
    )*};
}

status_operations! {
    ActivateUser: Active from [Inactive], |_input, now| valid(Checks::default(), None, None, now);
    DeactivateUser: Inactive from [Active, Suspended], |_input, now| valid(Checks::default(), None, None, now);
    SuspendUser: Suspended from [Active, Inactive, Suspended], |input, now| valid(Checks::default(), input.reason.as_deref(), input.until, now);
    BanUser: Banned from [Active, Inactive, Suspended, Banned], |input, now| valid(Checks::default(), input.reason.as_deref(), None, now);
    LiftUser: Active from [Suspended, Banned], |_input, now| valid(Checks::default(), None, None, now);
}

fn valid(
    mut checks: Checks,
    reason: Option<&str>,
    until: Option<Time>,
    now: Time,
) -> Result<(Option<String>, Option<Time>)> {
    let reason = checks.optional("reason", reason, reason_of_status);
    check_end(&mut checks, "until", until, now);
    checks.finish()?;
    Ok((reason, until))
}

fn reason_of_status(reason: &str) -> Result<String, Invalid> {
    text::name(reason, 500)
}

fn check_end(checks: &mut Checks, field: &str, until: Option<Time>, now: Time) {
    if until.is_some_and(|until| until <= now) {
        checks.error(field, Invalid::new(FieldCode::OutOfRange, "must lie in the future"));
    }
}

impl NewStatus {
    /// The change of many users.
    pub(super) fn of(action: StatusAction, reason: Option<&str>, until: Option<Time>, now: Time) -> Result<Self> {
        let (to, from): (_, &'static [UserStatus]) = match action {
            StatusAction::Activate => ActivateUser::CHANGE,
            StatusAction::Deactivate => DeactivateUser::CHANGE,
            StatusAction::Suspend => SuspendUser::CHANGE,
            StatusAction::Ban => BanUser::CHANGE,
            StatusAction::Lift => LiftUser::CHANGE,
        };
        let mut checks = Checks::default();
        let only = |checks: &mut Checks, field: &str, is_given: bool, actions: &[StatusAction]| {
            if is_given && !actions.contains(&action) {
                let message = format!("does not go with `{action}`");
                checks.error(field, Invalid::new(FieldCode::Disagrees, message));
            }
        };
        only(&mut checks, "reason", reason.is_some(), &[StatusAction::Suspend, StatusAction::Ban]);
        only(&mut checks, "until", until.is_some(), &[StatusAction::Suspend]);
        let (reason, until) = valid(checks, reason, until, now)?;
        Ok(Self { expected_version: None, to, from, reason, until })
    }

    /// The change to a status, noting what is wrong with it.
    pub(super) fn to(
        to: UserStatus,
        reason: Option<&str>,
        until: Option<Time>,
        now: Time,
        checks: &mut Checks,
    ) -> Option<Self> {
        const ANY: &[UserStatus] = &[UserStatus::Inactive, UserStatus::Suspended, UserStatus::Banned];
        let (to, from) = match to {
            UserStatus::Active => (to, ANY),
            UserStatus::Inactive => DeactivateUser::CHANGE,
            UserStatus::Suspended => SuspendUser::CHANGE,
            UserStatus::Banned => BanUser::CHANGE,
            UserStatus::Deleted => {
                checks.error("status", Invalid::new(FieldCode::UnknownValue, "users are deleted by `users.delete`"));
                return None;
            }
        };
        let mut only = |field: &str, is_given: bool, fitting: &[UserStatus]| {
            if is_given && !fitting.contains(&to) {
                checks.error(field, Invalid::new(FieldCode::Disagrees, format!("does not go with `{to}`")));
            }
        };
        only("status_reason", reason.is_some(), &[UserStatus::Suspended, UserStatus::Banned]);
        only("suspended_until", until.is_some(), &[UserStatus::Suspended]);
        let reason = checks.optional("status_reason", reason, reason_of_status);
        check_end(checks, "suspended_until", until, now);
        Some(Self { expected_version: None, to, from, reason, until })
    }

    /// Whether a user is so already: without a reason and an end, whatever its own are.
    pub(super) fn is_of(&self, user: &User) -> bool {
        let is_same = (&self.reason, self.until) == (&user.status_reason, user.suspended_until);
        self.to == user.status && (is_same || self.reason.is_none() && self.until.is_none())
    }

    pub(super) async fn plan(&self, before: User, plan: &mut Plan<'_>) -> Result<User> {
        // Nor does a moderator shut out those who appointed it.
        administrators::require_may_act_as(plan, before.id).await?;
        expect_version(self.expected_version, before.version)?;
        if before.status == self.to && self.to == UserStatus::Active {
            return Ok(before);
        }
        if !self.from.contains(&before.status) {
            let message = format!("a user who is {} cannot become {} this way", before.status, self.to);
            return Err(Error::new(Reason::WrongStatus, message));
        }
        let id = before.id;
        // Before its roles are read, so that it is not appointed unseen.
        plan.move_authority(id).await?;
        let after = User {
            status: self.to,
            status_reason: self.reason.clone(),
            suspended_until: self.until,
            updated_at: plan.now,
            ..before.clone()
        };
        if self.to != UserStatus::Active {
            let held = held::of(plan, id).await?;
            if before.is_active(plan.now) {
                administrators::require_one_left(plan, &held).await?;
            }
        }
        // Whoever is off for a time finds its keys again.
        let keys = if self.to == UserStatus::Banned { ApiKeyFate::Ended } else { ApiKeyFate::Kept };
        epochs::advance(plan, &before, SessionEnd::UserInactive, Password::Kept, keys).await?;
        Ok(plan.update(&before, after))
    }
}
