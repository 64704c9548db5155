//! What is shown of an account: its row, and when it last signed in.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rolekeep_macros::Describe;
use serde::Serialize;
use serde_json::Value as Json;

use super::ExternalIdentity;
use crate::{
    model::{
        attributes,
        error::Result,
        id::{RegionId, UserId},
        identity::Identity,
        time::Time,
        user::{User, UserActivity, UserStatus, Visibility},
    },
    operations::{plan::Plan, reads::Ahead},
};

/// An account: a person or service that can sign in and hold roles. Secrets are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "User")]
#[non_exhaustive]
pub struct UserView {
    /// The account's id.
    pub id: UserId,
    /// The name that the user signs in with, if there is one; unique, whatever the case.
    pub username: Option<String>,
    /// The address that the user signs in with, if there is one; unique, whatever the case.
    pub email: Option<String>,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// The identities at other issuers that the account stands for.
    pub identities: Vec<ExternalIdentity>,
    /// The whole name.
    pub full_name: Option<String>,
    /// The name shown to others.
    pub display_name: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The phone number in E.164.
    pub phone: Option<String>,
    /// The date of birth.
    pub birth_date: Option<Date>,
    /// A short biography.
    pub bio: Option<String>,
    /// Where the user is, in their own words.
    pub location: Option<String>,
    /// The address of the user's picture.
    pub avatar_url: Option<String>,
    /// The address of the user's web page.
    pub website: Option<String>,
    /// Which other users see the user's profile.
    pub visibility: Visibility,
    /// Other data that the application keeps with it. Times are RFC 3339, durations microseconds.
    pub attributes: BTreeMap<String, Json>,
    /// The region that the user belongs to.
    pub region_id: Option<RegionId>,
    /// The status, which says whether the user may sign in. A suspension that has ended no longer shows.
    pub status: UserStatus,
    /// Why the user is suspended or banned.
    pub status_reason: Option<String>,
    /// When a suspension ends; null: when it is lifted.
    pub suspended_until: Option<Time>,
    /// When the user last signed in.
    pub last_login_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
    /// Increases by one with every change; pass it as `expected_version` to detect lost updates.
    pub version: i64,
}

/// And what [`shown`] reads of a user.
pub(in crate::operations) fn ahead(ahead: Ahead, user: UserId) -> Ahead {
    ahead.row::<UserActivity>(&(user,)).of::<Identity>("user_id", user)
}

/// The view of one user, as the plan leaves it.
pub(in crate::operations) async fn shown(plan: &Plan<'_>, user: User) -> Result<UserView> {
    plan.reads().ahead(ahead(Ahead::new(), user.id)).await?;
    let activity: Option<UserActivity> = plan.reads().get(&(user.id,)).await?;
    let identities: Vec<Identity> = plan.owned("user_id", &user.id.into()).await?;
    let identities = identities.into_iter().map(ExternalIdentity::from).collect();
    Ok(UserView::of(user.shown_at(plan.now), identities, activity.as_ref()))
}

impl UserView {
    /// A user as it is shown, with whom it stands for, and with what is known of its sign-ins.
    pub(super) fn of(user: User, identities: Vec<ExternalIdentity>, activity: Option<&UserActivity>) -> Self {
        Self {
            id: user.id,
            username: user.username,
            email: user.email,
            email_verified: user.email_verified,
            identities,
            full_name: user.full_name,
            display_name: user.display_name,
            first_name: user.first_name,
            last_name: user.last_name,
            phone: user.phone,
            birth_date: user.birth_date,
            bio: user.bio,
            location: user.location,
            avatar_url: user.avatar_url,
            website: user.website,
            visibility: user.visibility,
            attributes: attributes::shown(user.attributes.as_ref()),
            region_id: user.region_id,
            status: user.status,
            status_reason: user.status_reason,
            suspended_until: user.suspended_until,
            last_login_at: activity.and_then(UserActivity::last_login),
            created_at: user.created_at,
            updated_at: user.updated_at,
            deleted_at: user.deleted_at,
            version: user.version,
        }
    }
}
