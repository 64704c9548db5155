//! Who may use an asset (FLT-3, 7).

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{AssetView, target, view};
use crate::{
    model::{asset::Asset, error::Result, id::UserId, time::Time},
    operations::{Access, Operation, actor::Actor, fleet, plan::Plan, reads::Reads, services::Services},
};

/// Assigns an asset to a user, who becomes its operator; others keep their assignments.
///
/// Permission `KIND:assign`, and `KIND:set_authority` if conditions of the policy read who is assigned.
/// Errors: `VALIDATION_ERROR` if the user does not belong to the asset's region, `DUPLICATE_RESOURCE`
/// if it is assigned already, `CONFLICT` if the user would be assigned more than 1,000 assets.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AssignAsset {
    /// The asset's kind.
    pub kind: String,
    /// The asset's id or code.
    pub asset: String,
    /// The user's id.
    pub user_id: UserId,
}

/// Removes an asset from a user; if the user was its operator, the asset has none then.
///
/// Permissions as for `assign`. Errors: `RESOURCE_NOT_FOUND` if it is not assigned to the user, or the caller may not read the user.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UnassignAsset {
    /// The asset's kind.
    pub kind: String,
    /// The asset's id or code.
    pub asset: String,
    /// The user's id.
    pub user_id: UserId,
}

/// Moves an asset from its operator to another user, in one commit.
///
/// Permissions and errors as for `assign`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ReassignAsset {
    /// The asset's kind.
    pub kind: String,
    /// The asset's id or code.
    pub asset: String,
    /// The new operator's id.
    pub user_id: UserId,
}

#[boxed_async]
impl Operation for AssignAsset {
    type Target = Asset;
    type Valid = UserId;

    const ACCESS: Access = Access::OfKind("assign");

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Asset> {
        target(reads, &self.kind, &self.asset).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UserId> {
        Ok(self.user_id)
    }

    async fn plan(user: &UserId, asset: Asset, plan: &mut Plan<'_>) -> Result<AssetView> {
        let assigned = fleet::assign::assign(*user, asset, plan).await?;
        view::one(plan, assigned).await
    }
}

#[boxed_async]
impl Operation for UnassignAsset {
    type Target = Asset;
    type Valid = UserId;

    const ACCESS: Access = Access::OfKind("assign");

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Asset> {
        target(reads, &self.kind, &self.asset).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UserId> {
        Ok(self.user_id)
    }

    async fn plan(user: &UserId, asset: Asset, plan: &mut Plan<'_>) -> Result<AssetView> {
        let assigned = fleet::assign::unassign(*user, asset, plan).await?;
        view::one(plan, assigned).await
    }
}

#[boxed_async]
impl Operation for ReassignAsset {
    type Target = Asset;
    type Valid = UserId;

    const ACCESS: Access = Access::OfKind("assign");

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Asset> {
        target(reads, &self.kind, &self.asset).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<UserId> {
        Ok(self.user_id)
    }

    async fn plan(user: &UserId, asset: Asset, plan: &mut Plan<'_>) -> Result<AssetView> {
        let assigned = fleet::assign::reassign(*user, asset, plan).await?;
        view::one(plan, assigned).await
    }
}
