//! Whether an account may sign in (USR-6).

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{StatusAction, UserView, delete::require_own_proof, existing_to_show, shown};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        session::SessionEnd,
        standing::Standing,
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

/// Lets an inactive user sign in again; one who may sign in already stays as it is.
///
/// Permission `user:set_status`, for an administrator `admin:all`. Errors: `CONFLICT` for suspended and banned users: use `lift` instead;
/// for one's own account as with `deactivate`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ActivateUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

/// Deactivates a user; their sessions end at once. Suspended and banned users stay so, and are inactive when that ends; inactive users stay as
/// they are.
///
/// Permission `user:set_status`; for administrators `admin:all`. Errors: `CONFLICT` for the last active administrator; for one's own account
/// `UNAUTHORIZED`, reason `step_up_required`, if the caller did not authenticate within the last five minutes.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeactivateUser {
    /// The user's id.
    pub id: UserId,
    /// The version that the change is based on.
    pub expected_version: Option<i64>,
}

/// Suspends a user, for a limited time or until it is lifted; their sessions end at once. Inactive users are inactive again afterwards. For
/// suspended users the reason and the end are replaced.
///
/// Permission `user:set_status`; for administrators `admin:all`. Errors: `CONFLICT` for the last active administrator, and for banned users;
/// for one's own account `UNAUTHORIZED`, reason `step_up_required`, if the caller did not authenticate within the last five minutes.
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

/// Bans a user; their sessions and API keys end at once. When the ban is lifted, the previous status applies again, a suspension with its
/// reason and end, unless it has ended meanwhile. For banned users the reason is replaced.
///
/// Permission `user:set_status`; for administrators `admin:all`. Errors: `CONFLICT` for the last active administrator; for one's own account
/// `UNAUTHORIZED`, reason `step_up_required`, if the caller did not authenticate within the last five minutes.
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

/// Lifts a ban, else a suspension: what the user was before is so again. Who may sign in stays as it is.
///
/// Permission `user:set_status`, for an administrator `admin:all`. Errors: `CONFLICT` for inactive users, who are activated, not lifted;
/// for one's own account as with `deactivate`.
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
    deed: Deed,
    reason: Option<String>,
    until: Option<Time>,
}

/// What is done to a user.
#[derive(Clone, Copy)]
enum Deed {
    /// What the operation of this name does.
    Act(StatusAction),
    /// It gets this status.
    Become(UserStatus),
}

impl Deed {
    /// The status that it is about.
    const fn to(self) -> UserStatus {
        match self {
            Self::Act(StatusAction::Activate | StatusAction::Lift) => UserStatus::Active,
            Self::Act(StatusAction::Deactivate) => UserStatus::Inactive,
            Self::Act(StatusAction::Suspend) => UserStatus::Suspended,
            Self::Act(StatusAction::Ban) => UserStatus::Banned,
            Self::Become(status) => status,
        }
    }

    /// What is so of a user then; none: it cannot be done to one of whom this is so.
    fn after(self, before: Standing) -> Option<Standing> {
        use StatusAction::{Activate, Ban, Deactivate, Lift, Suspend};
        use UserStatus::{Active, Banned, Deleted, Inactive, Suspended};
        match (self, before.status()) {
            (Self::Act(Activate), Active | Inactive) => Some(Standing { is_off: false, ..before }),
            (Self::Act(Deactivate), _) => Some(Standing { is_off: true, ..before }),
            (Self::Act(Suspend) | Self::Become(Suspended), Active | Inactive | Suspended) => {
                Some(Standing { is_suspended: true, ..before })
            }
            (Self::Act(Ban) | Self::Become(Banned), _) => Some(Standing { is_banned: true, ..before }),
            (Self::Act(Lift), Active) => Some(before),
            (Self::Act(Lift), Suspended) => Some(Standing { is_suspended: false, ..before }),
            (Self::Act(Lift), Banned) => Some(Standing { is_banned: false, ..before }),
            (Self::Become(Active), _) => Some(Standing::default()),
            (Self::Become(Inactive), Active | Inactive | Suspended) => Some(Standing::OFF),
            (Self::Act(Activate), Suspended | Banned | Deleted)
            | (Self::Act(Suspend) | Self::Become(Suspended | Inactive), Banned | Deleted)
            | (Self::Act(Lift), Inactive | Deleted)
            | (Self::Become(Deleted), _) => None,
        }
    }
}

macro_rules! status_operations {
    ($($operation:ident: $action:ident, |$input:ident, $now:ident| $valid:expr;)*) => {$(
        #[boxed_async]
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
                let deed = Deed::Act(StatusAction::$action);
                Ok(NewStatus { expected_version: self.expected_version, deed, reason, until })
            }

            async fn plan(valid: &NewStatus, before: User, plan: &mut Plan<'_>) -> Result<UserView> {
                let user = valid.plan(before, plan).await?;
                shown(plan, user).await
            }
        }
    )*};
}

status_operations! {
    ActivateUser: Activate, |_input, now| valid(Checks::default(), None, None, now);
    DeactivateUser: Deactivate, |_input, now| valid(Checks::default(), None, None, now);
    SuspendUser: Suspend, |input, now| valid(Checks::default(), input.reason.as_deref(), input.until, now);
    BanUser: Ban, |input, now| valid(Checks::default(), input.reason.as_deref(), None, now);
    LiftUser: Lift, |_input, now| valid(Checks::default(), None, None, now);
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
        Ok(Self { expected_version: None, deed: Deed::Act(action), reason, until })
    }

    /// The change to a status, noting what is wrong with it.
    pub(super) fn to(
        to: UserStatus,
        reason: Option<&str>,
        until: Option<Time>,
        now: Time,
        checks: &mut Checks,
    ) -> Option<Self> {
        if to == UserStatus::Deleted {
            checks.error("status", Invalid::new(FieldCode::UnknownValue, "users are deleted by `users.delete`"));
            return None;
        }
        let mut only = |field: &str, is_given: bool, fitting: &[UserStatus]| {
            if is_given && !fitting.contains(&to) {
                checks.error(field, Invalid::new(FieldCode::Disagrees, format!("does not go with `{to}`")));
            }
        };
        only("status_reason", reason.is_some(), &[UserStatus::Suspended, UserStatus::Banned]);
        only("suspended_until", until.is_some(), &[UserStatus::Suspended]);
        let reason = checks.optional("status_reason", reason, reason_of_status);
        check_end(checks, "suspended_until", until, now);
        Some(Self { expected_version: None, deed: Deed::Become(to), reason, until })
    }

    /// Whether a user is so already: without a reason and an end, whatever its own are.
    pub(super) fn is_of(&self, user: &User, now: Time) -> bool {
        let shown = user.clone().shown_at(now);
        let is_same = (&self.reason, self.until) == (&shown.status_reason, shown.suspended_until);
        self.deed.to() == shown.status && (is_same || self.reason.is_none() && self.until.is_none())
    }

    pub(super) async fn plan(&self, before: User, plan: &mut Plan<'_>) -> Result<User> {
        // Nor does a moderator shut out those who appointed it.
        administrators::require_may_act_as(plan, before.id).await?;
        require_own_proof(plan, before.id).await?;
        expect_version(self.expected_version, before.version)?;
        let (now, to) = (before.standing(plan.now), self.deed.to());
        let Some(then) = self.deed.after(now) else {
            let message = format!("a user who is {} cannot become {to} this way", now.status());
            return Err(Error::new(Reason::WrongStatus, message));
        };
        // A ban or suspension is given anew, with its reason and its end.
        let is_given = to == UserStatus::Banned || to == UserStatus::Suspended;
        if then == now && !is_given {
            return Ok(before);
        }
        let id = before.id;
        // Before its roles are read, so that it is not appointed unseen.
        plan.move_authority(id).await?;
        let mut after = User { updated_at: plan.now, ..before.clone() }.stands(then);
        if is_given {
            after.status_reason.clone_from(&self.reason);
        }
        if to == UserStatus::Suspended {
            after.suspended_until = self.until;
        }
        if then != Standing::default() {
            let held = held::of(plan, id).await?;
            if before.is_active(plan.now) {
                administrators::require_one_left(plan, &held).await?;
            }
        }
        // Whoever is off for a time finds its keys again.
        let keys = if to == UserStatus::Banned { ApiKeyFate::Ended } else { ApiKeyFate::Kept };
        epochs::advance(plan, &before, SessionEnd::UserInactive, Password::Kept, keys).await?;
        Ok(plan.update(&before, after))
    }
}
