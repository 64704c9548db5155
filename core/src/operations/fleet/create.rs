//! New assets, and whom an input names.

use super::{AssetRecord, Assignment, require_same_region};
use crate::{
    model::{error::Result, id::UserId, user::User},
    operations::{
        Visible,
        plan::{Plan, no_such},
        regions::rename_field,
        rights,
        target::TargetRow,
        users::existing,
    },
};

/// Plans a new asset with its code and its operator's assignment.
pub(in crate::operations) async fn insert<R: AssetRecord>(
    asset: R,
    plan: &mut Plan<'_>,
) -> Result<(R, Vec<R::Assignment>)> {
    let mut assigned = Vec::new();
    if let Some(operator) = asset.operator() {
        let user = user_named(plan, "operator_id", operator).await?;
        require_same_region(&asset, &user, "operator_id")?;
        assigned.push(assign(plan, &asset, &user).await?);
    }
    rights::require_after(plan, &asset.permission("create"), None, &asset).await?;
    let claimed = plan.claim(&asset.claims(), asset.code(), asset.id()).await;
    claimed.map_err(|error| rename_field(error, "code"))?;
    Ok((plan.insert(asset), assigned))
}

/// A user that an input names by id. One that the caller may not see is not there.
pub(in crate::operations) async fn user_named(plan: &mut Plan<'_>, field: &str, id: UserId) -> Result<User> {
    let user: User = existing(plan.reads(), id).await.map_err(|error| match error.code() {
        crate::Code::NotFound => no_such(field, "user"),
        _ => error,
    })?;
    if !plan.may(User::READ, &TargetRow::of(&user)).await? {
        return Err(plan.hide_reference(field, "user"));
    }
    // Its region must still be the same when the commit comes.
    plan.check(&user);
    Ok(user)
}

/// Plans an assignment.
pub(super) async fn assign<R: AssetRecord>(plan: &mut Plan<'_>, asset: &R, user: &User) -> Result<R::Assignment> {
    // Whoever deletes or moves the user looks at its assignments, and must not miss this one.
    plan.move_authority(user.id).await?;
    let assignment = R::Assignment::new(asset.id(), user.id, plan.now);
    Ok(plan.write_consequence(None, assignment))
}
