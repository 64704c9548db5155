//! Profiles: what users show of themselves, and to whom (USR-10, decision 044).

mod change;
mod view;

use jiff::civil::Date;
use rolekeep_macros::{Describe, Input, boxed_async};

pub(super) use change::ProfileChange;
pub use view::{Profile, ProfileDetail};

use super::{
    Access, Operation,
    plan::{Plan, expect_version},
    rights,
    services::Services,
    target::TargetRow,
    users::existing,
};
use crate::model::{
    check::Checks,
    error::{Error, Result},
    id::UserId,
    patch::{Change, Patch},
    time::Time,
    user::{User, UserStatus},
};

pub use crate::model::user::Visibility;

/// What changing one's own profile needs.
const UPDATE: &str = "user:update_profile";

/// Gets a user's profile, as far as its visibility allows; one's own is returned completely.
///
/// Another user's profile needs permission `user:read_profile`, and is returned while the user is active: without phone number and date
/// of birth if it is `public`, as a card (names and picture) to all but followers if it is `followers`, and not at all if it is
/// `private`. With permission `user:read_any_profile` everything is returned, whatever the visibility and the status. A profile that the
/// caller may not see is `RESOURCE_NOT_FOUND`, like that of a user who does not exist.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetProfile {
    /// The user's id; the caller's own if not given.
    pub id: Option<UserId>,
}

/// Changes the given fields of one's own profile; null clears one.
///
/// Permission `user:update_profile` before and after the change; only administrators may change what the policy's conditions read of
/// users.
/// Errors: `CONFLICT` if `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdateProfile {
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// The name shown to others, at most 100 characters.
    pub display_name: Patch<String>,
    /// The phone number; kept as E.164.
    pub phone: Patch<String>,
    /// The date of birth, not in the future.
    pub birth_date: Patch<Date>,
    /// A short biography, in at most 500 characters and several lines.
    pub bio: Patch<String>,
    /// Where the user is, in their own words, at most 255 characters.
    pub location: Patch<String>,
    /// The address of a picture, by `http` or `https`, at most 500 characters; null removes it. It is never fetched.
    pub avatar_url: Patch<String>,
    /// The address of the user's web page, likewise.
    pub website: Patch<String>,
    /// Which other users see the profile.
    pub visibility: Change<Visibility>,
}

/// Clears one's own profile: everything that `profiles.update` changes, except the visibility. The account stays.
///
/// Permission and errors as with `update`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteProfile {
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
}

#[boxed_async]
impl Operation for GetProfile {
    type Target = ();
    type Valid = Option<UserId>;

    // Whether it is to be seen depends on whose it is.
    const ACCESS: Access = Access::Permission("user:read_profile");
    const MAY_BE_OWN: bool = true;
    const IN_PERSON: bool = false;
    const IS_READ: bool = true;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Option<UserId>> {
        Ok(self.id)
    }

    async fn plan(id: &Option<UserId>, (): (), plan: &mut Plan<'_>) -> Result<Profile> {
        let id = match id {
            Some(id) => *id,
            None => plan.actor.signed_in()?.id,
        };
        let user: Option<User> = plan.reads().get(&(id,)).await?;
        let user = user.filter(|user| user.status != UserStatus::Deleted).ok_or_else(|| Error::not_found("user"))?;
        match view::seen(plan, &user).await? {
            Some(detail) => Ok(Profile::of(user, detail)),
            None => Err(plan.hide("user")),
        }
    }
}

#[boxed_async]
impl Operation for UpdateProfile {
    type Target = ();
    type Valid = (Option<i64>, ProfileChange);

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, now: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let change = ProfileChange {
            display_name: self.display_name,
            phone: self.phone,
            birth_date: self.birth_date,
            bio: self.bio,
            location: self.location,
            avatar_url: self.avatar_url,
            website: self.website,
            visibility: self.visibility,
        };
        let change = change.checked(&mut checks, now);
        checks.finish()?;
        Ok((self.expected_version, change))
    }

    async fn plan((expected, change): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Profile> {
        let user = own(plan).await?;
        let user = change_own(plan, user, *expected, change.clone()).await?;
        Ok(Profile::of(user, ProfileDetail::Whole))
    }
}

#[boxed_async]
impl Operation for DeleteProfile {
    type Target = ();
    type Valid = Option<i64>;

    const ACCESS: Access = Access::SignedIn;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Option<i64>> {
        Ok(self.expected_version)
    }

    async fn plan(expected: &Option<i64>, (): (), plan: &mut Plan<'_>) -> Result<()> {
        let user = own(plan).await?;
        change_own(plan, user, *expected, ProfileChange::cleared()).await.map(|_| ())
    }
}

/// Plans a change of the caller's own profile, if the caller may make it.
pub(super) async fn change_own(
    plan: &mut Plan<'_>,
    before: User,
    expected: Option<i64>,
    change: ProfileChange,
) -> Result<User> {
    if !plan.may(UPDATE, &TargetRow::of(&before)).await? {
        return Err(Error::denied(UPDATE));
    }
    expect_version(expected, before.version)?;
    let after = change.apply(before.clone());
    if before == after {
        return Ok(before);
    }
    let after = User { updated_at: plan.now, ..after };
    rights::require_after(plan, UPDATE, Some(&before), &after).await?;
    plan.move_authority(before.id).await?;
    Ok(plan.update(&before, after))
}

/// The caller's account.
async fn own(plan: &Plan<'_>) -> Result<User> {
    existing(plan.reads(), plan.actor.signed_in()?.id).await
}
