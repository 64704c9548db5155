//! What is shown of an asset.

use std::collections::BTreeMap;

use rolekeep_macros::Describe;
use serde::Serialize;
use serde_json::Value as Json;

use super::UserBrief;
use crate::{
    model::{
        asset::Asset,
        attributes::shown,
        error::Result,
        id::{AssetId, RegionId},
        time::Time,
    },
    operations::{
        fleet::{
            assign::Assigned,
            crew::{self, Crew},
        },
        plan::Plan,
    },
};

/// An asset with its operator and users, as far as the caller may see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Asset")]
#[non_exhaustive]
pub struct AssetView {
    /// The asset's id.
    pub id: AssetId,
    /// Its kind.
    pub kind: String,
    /// A code chosen by the application, such as `truck-7`.
    pub code: String,
    /// Its model, one of its kind's.
    pub model: String,
    /// Its status, one of its kind's.
    pub status: String,
    /// The region it belongs to.
    pub region_id: Option<RegionId>,
    /// Its operator; also null if the caller may not see that user.
    pub operator: Option<UserBrief>,
    /// The users who may use it and whom the caller may see, by username.
    pub assigned_users: Vec<UserBrief>,
    /// Other data that the application keeps with it. Times are RFC 3339, durations microseconds.
    pub attributes: BTreeMap<String, Json>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change.
    pub version: i64,
}

/// Views of assets as stored, in the same order; two queries whatever their number.
pub(super) async fn views(plan: &Plan<'_>, assets: Vec<Asset>) -> Result<Vec<AssetView>> {
    let crews = crew::of_all(plan, &assets).await?;
    Ok(assets.into_iter().zip(crews).map(|(asset, crew)| AssetView::new(asset, crew)).collect())
}

/// The view of one asset with the assignments given, which may be planned only.
pub(super) async fn one(plan: &Plan<'_>, (asset, assigned): Assigned<Asset>) -> Result<AssetView> {
    let crew = crew::of(plan, &asset, &assigned).await?;
    Ok(AssetView::new(asset, crew))
}

impl AssetView {
    fn new(asset: Asset, crew: Crew) -> Self {
        Self {
            operator: crew.operator,
            assigned_users: crew.users,
            id: asset.id,
            kind: asset.kind,
            code: asset.code,
            model: asset.model,
            status: asset.status,
            region_id: asset.region_id,
            attributes: shown(asset.attributes.as_ref()),
            created_at: asset.created_at,
            updated_at: asset.updated_at,
            version: asset.version,
        }
    }
}
