//! Who may use an asset (FLT-3).

use super::{AssetRecord, Assignment, assignments_of, create, create::Room, crew, require_same_region};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::UserId,
        registry::Guard,
        user::User,
    },
    operations::{Visible, plan::Plan, reads::Ahead, target::TargetRow},
};

/// An asset, and whom it is assigned to, as a plan leaves them.
pub(in crate::operations) type Assigned<R> = (R, Vec<<R as AssetRecord>::Assignment>);

/// Assigns an asset to a user, who becomes its operator; others keep their assignments.
pub(in crate::operations) async fn assign<R: AssetRecord>(
    user: UserId,
    asset: R,
    plan: &mut Plan<'_>,
) -> Result<Assigned<R>> {
    read_ahead(plan, &asset, Some(user), None).await?;
    let assigned = assignments_of(plan, &asset).await?;
    crew::read_ahead(plan, &asset, &assigned, Some(user)).await?;
    let user = create::user_named(plan, "user_id", user).await?;
    give(plan, asset, assigned, &user).await
}

/// Takes an asset from a user; if the user was its operator, it has none then.
pub(in crate::operations) async fn unassign<R: AssetRecord>(
    user: UserId,
    asset: R,
    plan: &mut Plan<'_>,
) -> Result<Assigned<R>> {
    read_ahead(plan, &asset, None, Some(user)).await?;
    let mut assigned = assignments_of(plan, &asset).await?;
    crew::read_ahead(plan, &asset, &assigned, Some(user)).await?;
    let held = plan.reads().get::<User>(&(user,)).await?;
    let (true, Some(held)) = (assigned.iter().any(|assigned| assigned.user() == user), held) else {
        return Err(Error::not_found("assignment"));
    };
    // Nobody learns by trying who uses an asset.
    if !plan.may(User::READ, &TargetRow::of(&held)).await? {
        return Err(plan.hide("assignment"));
    }
    // Somebody may be making the user the asset's operator.
    plan.check(&asset);
    take::<R>(plan, &mut assigned, user).await?;
    let after = if asset.operator() == Some(user) { asset.operated_by(None, plan.now) } else { asset.clone() };
    Ok((plan.update(&asset, after), assigned))
}

/// Moves an asset from its operator to another user.
pub(in crate::operations) async fn reassign<R: AssetRecord>(
    user: UserId,
    asset: R,
    plan: &mut Plan<'_>,
) -> Result<Assigned<R>> {
    read_ahead(plan, &asset, Some(user), asset.operator()).await?;
    let mut assigned = assignments_of(plan, &asset).await?;
    crew::read_ahead(plan, &asset, &assigned, Some(user)).await?;
    let user = create::user_named(plan, "user_id", user).await?;
    let operator = asset.operator().filter(|operator| *operator != user.id);
    let moved = operator.into_iter().chain([user.id]).map(|user| (Guard::of_user(user),));
    plan.read_ahead::<Guard>(moved.collect()).await?;
    if let Some(operator) = operator {
        take::<R>(plan, &mut assigned, operator).await?;
    }
    give(plan, asset, assigned, &user).await
}

/// Reads at once whom an asset is assigned to, and what is known of the user to whom it is given and of the one from whom it is taken.
async fn read_ahead<R: AssetRecord>(
    plan: &Plan<'_>,
    asset: &R,
    to: Option<UserId>,
    from: Option<UserId>,
) -> Result<()> {
    let ahead = Ahead::new().of::<R::Assignment>(R::Assignment::ASSET, asset.id());
    let about = [to, from].into_iter().flatten();
    let ahead = about.fold(ahead, |ahead, user| ahead.row::<User>(&(user,)).guard(Guard::of_user(user)));
    let ahead = to.into_iter().fold(ahead, |ahead, user| create::room_ahead(plan, ahead, user));
    plan.reads().ahead(ahead).await
}

async fn give<R: AssetRecord>(
    plan: &mut Plan<'_>,
    asset: R,
    mut assigned: Vec<R::Assignment>,
    user: &User,
) -> Result<Assigned<R>> {
    require_same_region(&asset, user, "user_id")?;
    match assigned.iter().find(|assigned| assigned.user() == user.id) {
        Some(_) if asset.operator() == Some(user.id) => {
            let message = format!("the {} is assigned to this user already", asset.kind());
            return Err(Error::new(Reason::AlreadyAssigned, message));
        }
        // It must not be taken away meanwhile: an operator has an assignment.
        Some(held) => plan.check(held),
        None => assigned.push(create::assign(plan, &asset, user, Room::Open).await?),
    }
    let after = asset.operated_by(Some(user.id), plan.now);
    Ok((plan.update(&asset, after), assigned))
}

/// Plans the end of a user's assignment. What the user may do by it ends too: whatever it is about to
/// write relies on its guard.
pub(super) async fn take<R: AssetRecord>(
    plan: &mut Plan<'_>,
    assigned: &mut Vec<R::Assignment>,
    user: UserId,
) -> Result<()> {
    assigned.iter().filter(|assigned| assigned.user() == user).for_each(|gone| plan.delete_consequence(gone));
    assigned.retain(|assigned| assigned.user() != user);
    plan.move_authority(user).await
}
