//! How much of a profile somebody sees.

use jiff::civil::Date;
use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use crate::{
    model::{
        error::Result,
        id::UserId,
        time::Time,
        user::{User, Visibility},
    },
    operations::{plan::Plan, target::TargetRow},
};

/// A user's profile. Fields are null if they are not set, or if the caller may not see them (`detail`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct Profile {
    /// The user's id.
    pub user_id: UserId,
    /// How much of it is shown.
    pub detail: ProfileDetail,
    /// The name that the user signs in with, if there is one.
    pub username: Option<String>,
    /// The name shown to others.
    pub display_name: Option<String>,
    /// The address of the user's picture.
    pub avatar_url: Option<String>,
    /// A short biography.
    pub bio: Option<String>,
    /// Where the user is, in their own words.
    pub location: Option<String>,
    /// The address of the user's web page.
    pub website: Option<String>,
    /// When the account was created.
    pub created_at: Option<Time>,
    /// The phone number in E.164.
    pub phone: Option<String>,
    /// The date of birth.
    pub birth_date: Option<Date>,
    /// Which other users see the profile.
    pub visibility: Option<Visibility>,
    /// The version of the user's account; pass it as `expected_version` to detect lost updates.
    pub version: Option<i64>,
}

/// How much of a profile is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ProfileDetail {
    /// Names and picture.
    Card,
    /// What others see: all but the phone number, the date of birth, the visibility and the version.
    Public,
    /// Everything: for the user, and for callers who may see any profile.
    Whole,
}

/// How much the caller sees of a user that is not deleted: the first of these cases that holds. More private never shows more.
pub(super) async fn seen(plan: &Plan<'_>, user: &User) -> Result<Option<ProfileDetail>> {
    let target = TargetRow::of(user);
    if plan.actor.user_id() == Some(user.id) || plan.may("user:read_any_profile", &target).await? {
        return Ok(Some(ProfileDetail::Whole));
    }
    if !user.is_active(plan.now) || !plan.may("user:read_profile", &target).await? {
        return Ok(None);
    }
    Ok(match user.visibility {
        Visibility::Public => Some(ProfileDetail::Public),
        // Nobody follows anybody yet.
        Visibility::Followers => Some(ProfileDetail::Card),
        Visibility::Private => None,
    })
}

impl Profile {
    /// What of a user's profile is shown in this detail.
    pub(super) fn of(user: User, detail: ProfileDetail) -> Self {
        let (is_public, is_whole) = (detail != ProfileDetail::Card, detail == ProfileDetail::Whole);
        Self {
            user_id: user.id,
            detail,
            username: user.username,
            display_name: user.display_name,
            avatar_url: user.avatar_url,
            bio: user.bio.filter(|_| is_public),
            location: user.location.filter(|_| is_public),
            website: user.website.filter(|_| is_public),
            created_at: is_public.then_some(user.created_at),
            phone: user.phone.filter(|_| is_whole),
            birth_date: user.birth_date.filter(|_| is_whole),
            visibility: is_whole.then_some(user.visibility),
            version: is_whole.then_some(user.version),
        }
    }
}
