//! Removing an account for good, with what the audit log says of the person (USR-13).

use std::borrow::Cow;

use rolekeep_macros::{Describe, Input, boxed_async};

use crate::{
    audit_chain::AuditEntry,
    model::{
        erasure::Erasure,
        error::{Error, Result},
        id::UserId,
        predicate::Predicate,
        record::ResourceRecord,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, Target, Visible,
        actor::Actor,
        administrators, erasures, groups, held,
        plan::{Plan, expect_version},
        reads::Reads,
        services::Services,
        target::TargetRow,
    },
};

/// Removes a user for good, as `users.purge` does after a deletion, together with the personal data in the audit log: changed fields
/// other than ids, times, numbers and states; reasons; and the IP addresses and user agents of the user's own requests. The user's id,
/// and what happened to the account and when, stay. The log still proves that nothing else was removed from it. It cannot be undone.
///
/// The account is gone at once, and its data in the log is no longer shown (except by `audit.export`, which returns the log as it is
/// stored, until the erasure is done). The log itself is processed in pieces, in the background; the last one writes the entry
/// `users.erased`. Copies of the storage are not changed. Whether others may take the names is up to
/// [`names_after_purge`](crate::Config::names_after_purge).
///
/// Permission `user:erase`, also for one's own account, in addition to those of `users.delete`. Only the application itself can erase a
/// user who was already purged. Errors: `UNAUTHORIZED`, reason `step_up_required`, if the caller did not authenticate within the last
/// five minutes; `CONFLICT` for the last active administrator.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct EraseUser {
    /// The user's id; also that of a deleted one.
    pub id: UserId,
    /// The version that the decision is based on.
    pub expected_version: Option<i64>,
}

/// Who is erased.
#[derive(Clone)]
pub struct Erased {
    id: UserId,
    /// None: the account was purged before.
    user: Option<User>,
}

impl Target for Erased {
    fn row(&self) -> Option<(TargetRow, Cow<'static, str>)> {
        self.user.as_ref().map(|user| (TargetRow::of(user), User::READ.into()))
    }
}

#[boxed_async]
impl Operation for EraseUser {
    type Target = Erased;
    type Valid = Option<i64>;

    const ACCESS: Access = Access::Permission("user:erase");
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, actor: &Actor) -> Result<Erased> {
        let user: Option<User> = reads.get(&(self.id,)).await?;
        if user.is_none() && !actor.is_system() {
            return Err(Error::not_found("user"));
        }
        Ok(Erased { id: self.id, user })
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Option<i64>> {
        Ok(self.expected_version)
    }

    async fn plan(expected_version: &Option<i64>, target: Erased, plan: &mut Plan<'_>) -> Result<()> {
        plan.tell_nothing_personal();
        match &target.user {
            Some(user) => purge(plan, user, *expected_version).await?,
            None => {
                require_known(plan, target.id).await?;
                plan.audit(erasures::BEGUN, Some((User::TYPE, target.id.to_string())), None);
            }
        }
        plan.write_consequence(None, Erasure::new(target.id, plan.now));
        Ok(())
    }
}

/// Plans that an account goes with all that is its own.
async fn purge(plan: &mut Plan<'_>, user: &User, expected_version: Option<i64>) -> Result<()> {
    administrators::require_may_act_as(plan, user.id).await?;
    expect_version(expected_version, user.version)?;
    // Before what is its own is read. What comes to it all the same goes when the log was gone through.
    plan.move_authority(user.id).await?;
    if user.is_active(plan.now) {
        let held = held::of(plan, user.id).await?;
        administrators::require_one_left(plan, &held).await?;
    }
    groups::leave_all(plan, user).await?;
    plan.purge_with_owned(user).await?;
    plan.release_all(user.id).await
}

/// Refuses who never was a user, and who was erased before.
async fn require_known(plan: &Plan<'_>, id: UserId) -> Result<()> {
    let of_user = Predicate::equals("target_id", id.to_string());
    let is_user = of_user.clone().and(Predicate::equals("target_type", User::TYPE));
    let is_erased = of_user.and(Predicate::equals("action", erasures::BEGUN));
    let is_there = async |filter: Predicate| plan.reads().count_up_to::<AuditEntry>(filter, 1).await;
    match is_there(is_user).await? > 0 && is_there(is_erased).await? == 0 {
        true => Ok(()),
        false => Err(Error::not_found("user")),
    }
}
