//! Creating an asset.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde_json::Value as Json;

use super::{AssetView, check_words, kind_named, view};
use crate::{
    model::{
        asset::Asset,
        check::Checks,
        error::Result,
        id::{AssetId, UserId},
        text,
        time::Time,
    },
    operations::{
        Access, Operation, attributes,
        fleet::{self, create::Room},
        plan::Plan,
        services::Services,
        users::region_named,
    },
};

/// Creates an asset of a kind that the policy declares; an operator named here gets the assignment too.
///
/// Permission `KIND:create`, and `KIND:set_authority` for what the policy declares of `attributes`. Errors: `DUPLICATE_RESOURCE` for a code that another asset of the kind has; `VALIDATION_ERROR` if the kind
/// does not have the model or the status, if the region or the operator does not exist, or the operator does not belong to the region;
/// `CONFLICT` if the operator would be assigned more than 1,000 assets.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateAsset {
    /// Its kind, such as `vehicle`.
    pub kind: String,
    /// A name such as `truck-7`: 1 to 64 letters, digits, `-`, `_`, `.`; unique among those of its kind, whatever the case.
    pub code: String,
    /// Its model, one of its kind's.
    pub model: String,
    /// Its status, one of its kind's; the first of these if not given.
    pub status: Option<String>,
    /// The region, by id or code.
    pub region: Option<String>,
    /// The operator's user id.
    pub operator_id: Option<UserId>,
    /// Other data that the application keeps with it, at most 16 KiB as JSON. An attribute that the policy declares for the type that is
    /// its kind must have the declared type, and conditions can read it; rules read no others. Names have 1 to 64 letters a to z, digits
    /// and underscores.
    pub attributes: BTreeMap<String, Json>,
}

#[boxed_async]
impl Operation for CreateAsset {
    type Target = ();
    type Valid = (AssetId, CreateAsset, Checks);

    const ACCESS: Access = Access::OfKind("create");

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn validate(self, services: &Services, _: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let code = checks.field("code", text::code(&self.code)).unwrap_or_default();
        attributes::check_names::<Asset>(&mut checks, &self.attributes);
        Ok((services.env.new_id()?, CreateAsset { code, ..self }, checks))
    }

    async fn plan((id, new, checks): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<AssetView> {
        let kind = kind_named(plan, &new.kind)?;
        let mut checks = checks.clone();
        check_words(&mut checks, plan, kind, Some(&new.model), new.status.as_deref())?;
        let attributes = attributes::changed(&mut checks, plan.rules(), &new.kind, None, &new.attributes, false);
        let region_id = match &new.region {
            Some(region) => checks.found(region_named(plan, "region", region).await)?,
            None => None,
        };
        fleet::create::check_operator(&mut checks, plan, new.operator_id).await?;
        checks.finish()?;
        plan.join_words_of(&new.kind).await?;
        let status = new.status.as_deref().or(kind.statuses().first().copied()).unwrap_or_default();
        let asset = Asset {
            id: *id,
            kind: new.kind.clone(),
            code: new.code.clone(),
            model: new.model.clone(),
            status: status.to_owned(),
            region_id,
            operator_id: new.operator_id,
            attributes,
            created_at: plan.now,
            updated_at: plan.now,
            version: 0,
        };
        let assigned = fleet::create::insert(asset, Room::Open, plan).await?;
        view::one(plan, assigned).await
    }
}
