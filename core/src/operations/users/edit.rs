//! Changing an account, its profile and its status at once.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, boxed_async};
use serde_json::Value as Json;

use super::{
    ChangedUser, DroppedAssets,
    change::{ValidChange, user_change},
    existing_to_show, shown,
    status::NewStatus,
};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::Result,
        id::UserId,
        patch::{Change, Patch},
        text,
        time::Time,
        user::{User, UserStatus, Visibility},
    },
    operations::{
        Access, Operation, Visible,
        actor::Actor,
        attributes,
        plan::{Plan, expect_version},
        profiles::ProfileChange,
        reads::Reads,
        rights,
        services::Services,
        target::TargetRow,
    },
};

user_change! {
    /// Changes the given fields and the status of a user, in one commit; null clears a field, as `update` does.
    ///
    /// Each part needs its own permission, in addition to `user:read`, before and after the change: the fields `user:update` and whatever
    /// else `update` needs; the status `user:set_status`, as for `activate`, `deactivate`, `suspend`, `ban` and `lift`. The user's
    /// present status is no change, unless another reason or end is given with it.
    /// Errors: those of either part; `CONFLICT` if `expected_version` is stale.
    EditUser {
        /// The new status: any but `deleted`. A banned user cannot be made inactive.
        pub status: Option<UserStatus>,
        /// Why the user is suspended or banned, at most 500 characters; given together with `status`.
        pub status_reason: Option<String>,
        /// When a suspension ends, in the future; not given: when it is lifted. Given together with `status`.
        pub suspended_until: Option<Time>,
    }
}

#[boxed_async]
impl Operation for EditUser {
    type Target = User;
    type Valid = (ValidChange, Option<NewStatus>);

    // Each part asks for more.
    const ACCESS: Access = Access::Permission(User::READ);
    // A page has the operations on the parts.
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing_to_show(reads, self.id).await
    }

    async fn validate(self, services: &Services, now: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let change = self.checked(&mut checks, services, now);
        let (reason, until) = (self.status_reason.as_deref(), self.suspended_until);
        let status = match self.status {
            Some(status) => NewStatus::to(status, reason, until, now, &mut checks),
            None => {
                for (field, is_given) in [("status_reason", reason.is_some()), ("suspended_until", until.is_some())] {
                    if is_given {
                        checks.error(field, Invalid::new(FieldCode::Disagrees, "goes with `status`"));
                    }
                }
                None
            }
        };
        checks.finish()?;
        Ok((change, status))
    }

    async fn plan((change, status): &Self::Valid, before: User, plan: &mut Plan<'_>) -> Result<ChangedUser> {
        let (expected, change) = (change.expected_version, ValidChange { expected_version: None, ..change.clone() });
        let is_of_fields = change != ValidChange::default();
        let asked = [("user:update", is_of_fields), ("user:set_status", status.is_some())];
        let asked: Vec<&str> =
            asked.into_iter().filter_map(|(permission, is_asked)| is_asked.then_some(permission)).collect();
        for permission in &asked {
            rights::require_target(plan, permission, &TargetRow::of(&before), User::READ).await?;
        }
        expect_version(expected, before.version)?;
        let (mut user, mut dropped) = (before.clone(), DroppedAssets::default());
        if let Some(status) = status.as_ref().filter(|status| !status.is_of(&before, plan.now)) {
            // What is wrong with the fields is said before what stands against the status, and that before whose names are taken.
            if is_of_fields {
                change.applied(&before, plan).await?;
            }
            user = status.plan(user, plan).await?;
        }
        if is_of_fields {
            (user, dropped) = change.plan(user, plan).await?;
        }
        for permission in asked {
            rights::require_after(plan, permission, Some(&before), &user).await?;
        }
        Ok(ChangedUser { user: shown(plan, user).await?, dropped })
    }
}
