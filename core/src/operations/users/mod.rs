//! Accounts (USR-1, 3 to 6, 12).

mod admin;
mod change;
mod confirm_registration;
mod create;
mod delete;
mod edit;
mod erase;
mod export;
mod identity;
mod list;
mod many;
mod overview;
mod purge;
mod read;
mod register;
mod restore;
mod shown_status;
mod statistics;
mod status;
mod view;

pub use super::fleet::DroppedAssets;
pub use crate::model::user::UserStatus;
pub use admin::{GrantAdmin, RevokeAdmin};
pub(super) use change::ValidChange;
pub use change::{ChangedUser, ReplaceUser, UpdateUser};
pub use confirm_registration::{ConfirmRegistration, ConfirmedRegistration};
pub use create::CreateUser;
pub(super) use create::{
    Fields, Made, NewUser, Past, bio, check_roles, insert, insert_own, location, not_future, refuse_authority,
};
pub use delete::DeleteUser;
pub use edit::EditUser;
pub use erase::EraseUser;
pub use export::{ExportUser, UserExport};
pub use identity::ExternalIdentity;
pub(super) use identity::{identity_of, is_elsewhere, link, unlink, unlink_others, unlink_since};
pub use list::{ListUsers, UserSort};
pub(super) use many::is_of_one;
pub use many::{BulkItem, BulkResult, DeleteUsers, MoveUsers, SetStatuses, StatusAction};
pub use overview::{GetUserOverview, ListUserOverviews, UserOverview};
pub use purge::PurgeUser;
pub use read::{FindUser, GetUser, Me};
pub(super) use read::{check_identifier, owner_of};
pub use register::{RegisterUser, RegisteredUser};
pub use restore::RestoreUser;
pub(super) use shown_status::{differing, rewrite};
use shown_status::{ended, of_status};
pub use statistics::{DailyCount, GetUserStatistics, UserStatistics};
pub use status::{ActivateUser, BanUser, DeactivateUser, LiftUser, SuspendUser};
pub use view::UserView;
pub(super) use view::{ahead as ahead_of_shown, shown};

use super::{
    Visible,
    plan::{Plan, no_such},
    reads::{Ahead, Reads},
};
use crate::model::{
    error::{Error, Result},
    id::{RegionId, UserId},
    region::Region,
    user::User,
};

impl Visible for User {
    const READ: &'static str = "user:read";
}

/// A user that is there; deleted ones are not.
pub(super) async fn existing(reads: Reads<'_>, id: UserId) -> Result<User> {
    let user: User = reads.require(&(id,), "user").await?;
    if user.status == UserStatus::Deleted { Err(Error::not_found("user")) } else { Ok(user) }
}

/// The same, to be shown in the end: what is shown of it is read with it.
async fn existing_to_show(reads: Reads<'_>, id: UserId) -> Result<User> {
    reads.ahead(ahead_of_shown(Ahead::new().row::<User>(&(id,)), id)).await?;
    existing(reads, id).await
}

/// The unique names of an account, by their kinds.
fn names_of(user: &User) -> impl Iterator<Item = (&'static str, &str)> {
    let names = [("email", &user.email), ("username", &user.username)];
    names.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?)))
}

/// The region that an input names by id or code. One that the caller may not see is not there.
pub(super) async fn region_named(plan: &mut Plan<'_>, field: &str, name: &str) -> Result<RegionId> {
    let region = super::target::find(plan.reads(), name).await?;
    let region: Region = region.ok_or_else(|| no_such(field, "region"))?;
    if !plan.may(Region::READ, &super::target::TargetRow::of(&region)).await? {
        return Err(plan.hide_reference(field, "region"));
    }
    plan.join(&region).await?;
    Ok(region.id)
}
