//! What drones and assets of declared kinds have in common (FLT-3, 4, 7, 8): each is here once, whatever the record.
//!
//! | file | holds |
//! |---|---|
//! | `crew` | what is shown of an asset's operator and users, and what is shown of an asset elsewhere |
//! | `create` | a new asset, with its code and its operator's assignment |
//! | `assign` | giving an asset to a user, and taking it away |
//! | `change` | an asset that is changed, moved or deleted |
//! | `moved` | what a user loses who moves to another region |
//! | `list` | which assets of a list the caller asks for |

pub(super) mod assign;
pub(super) mod change;
pub(super) mod create;
pub(super) mod crew;
pub(super) mod list;
pub(super) mod moved;

use std::borrow::Cow;

use uuid::Uuid;

pub use change::DroppedUsers;
pub use crew::{AssetBrief, UserBrief};
pub use moved::DroppedAssets;

use super::plan::Plan;
use crate::model::{
    asset::{Asset, AssetAssignment},
    check::wrong,
    decode::FieldCode,
    drone::{Drone, DroneAssignment},
    error::{Error, Result},
    id::{AssetId, DroneId, RegionId, UserId},
    noun::ResourceType,
    predicate::Predicate,
    record::{Record, ResourceRecord},
    time::Time,
    user::User,
};

/// What may be assigned to users.
pub(super) trait AssetRecord: ResourceRecord + PartialEq {
    /// That it is assigned to one.
    type Assignment: Assignment;

    /// The key of its id.
    fn key_of_id(id: Uuid) -> Self::Key;
    /// Its resource type: what stands before the colon of the permissions on it.
    fn kind(&self) -> Cow<'static, str>;
    /// Its id.
    fn id(&self) -> Uuid;
    /// Its code.
    fn code(&self) -> &str;
    /// The region that the user belongs to.
    fn region(&self) -> Option<RegionId>;
    /// The user who uses it.
    fn operator(&self) -> Option<UserId>;
    /// Another operator from now on, or none.
    #[must_use]
    fn operated_by(&self, operator: Option<UserId>, now: Time) -> Self;
    /// The same, changed now.
    #[must_use]
    fn changed(self, now: Time) -> Self;
    /// Its model and its status, as words.
    fn words(&self) -> (&str, &str);

    /// A permission on it.
    fn permission(&self, action: &str) -> String {
        format!("{}:{action}", self.kind())
    }

    /// Whose claim its code is.
    fn claims(&self) -> Cow<'static, str> {
        let kind = self.kind();
        Self::TABLE
            .noun
            .resource
            .map_or(kind.clone(), |resource: ResourceType| resource.claims_of(&kind).into_owned().into())
    }
}

/// That an asset is assigned to a user.
pub(super) trait Assignment: Record {
    /// The column of the asset's id.
    const ASSET: &'static str;

    /// A new one.
    fn new(asset: Uuid, user: UserId, now: Time) -> Self;
    /// The asset.
    fn asset(&self) -> Uuid;
    /// The user.
    fn user(&self) -> UserId;
}

macro_rules! asset_record {
    ($record:ident($id:ident), $assignment:ident($column:ident), |$of:ident| $kind:expr) => {
        impl AssetRecord for $record {
            type Assignment = $assignment;

            fn key_of_id(id: Uuid) -> Self::Key {
                ($id(id),)
            }
            fn kind(&self) -> Cow<'static, str> {
                let $of = self;
                $kind.into()
            }
            fn id(&self) -> Uuid {
                self.id.0
            }
            fn code(&self) -> &str {
                &self.code
            }
            fn region(&self) -> Option<RegionId> {
                self.region_id
            }
            fn operator(&self) -> Option<UserId> {
                self.operator_id
            }
            fn operated_by(&self, operator_id: Option<UserId>, now: Time) -> Self {
                Self { operator_id, updated_at: now, ..self.clone() }
            }
            fn changed(self, now: Time) -> Self {
                Self { updated_at: now, ..self }
            }
            fn words(&self) -> (&str, &str) {
                (self.model.as_str(), self.status.as_str())
            }
        }

        impl Assignment for $assignment {
            const ASSET: &'static str = stringify!($column);

            fn new(asset: Uuid, user_id: UserId, now: Time) -> Self {
                Self { $column: $id(asset), user_id, assigned_at: now, version: 0 }
            }
            fn asset(&self) -> Uuid {
                self.$column.0
            }
            fn user(&self) -> UserId {
                self.user_id
            }
        }
    };
}
asset_record!(Drone(DroneId), DroneAssignment(drone_id), |_drone| Drone::TYPE);
asset_record!(Asset(AssetId), AssetAssignment(asset_id), |asset| asset.kind.clone());

/// An asset of a region is for that region's users; one without a region for anybody.
fn require_same_region<R: AssetRecord>(asset: &R, user: &User, field: &str) -> Result<()> {
    if asset.region().is_none() || asset.region() == user.region_id {
        return Ok(());
    }
    let message = format!("the user does not belong to the {}'s region", R::TYPE);
    Err(wrong(field, FieldCode::Disagrees, message))
}

/// Whether such records are of kinds that the policy declares.
pub(super) fn is_of_kinds<R: AssetRecord>() -> bool {
    R::TABLE.noun.resource.is_some_and(|resource| resource.kinds.is_some())
}

/// Which of these records, of whatever kind, the caller may do this to.
pub(super) fn visible<R: AssetRecord>(plan: &Plan<'_>, action: &str) -> Result<Predicate> {
    if !is_of_kinds::<R>() {
        return plan.visible(&format!("{}:{action}", R::TYPE));
    }
    let kinds = plan.rules().asset_kinds().map(|kind| plan.visible(&format!("{}:{action}", kind.name())));
    Ok(Predicate::any(kinds.collect::<Result<Vec<_>>>()?))
}

/// Whom an asset is assigned to.
pub(super) async fn assignments_of<R: AssetRecord>(plan: &Plan<'_>, asset: &R) -> Result<Vec<R::Assignment>> {
    plan.reads().all(Predicate::equals(R::Assignment::ASSET, asset.id())).await
}

/// Nothing of the kind is there, as far as the caller may know.
pub(super) fn not_there<R: AssetRecord>() -> Error {
    Error::not_found(R::TYPE)
}
