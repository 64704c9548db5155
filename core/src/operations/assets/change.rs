//! Changing and deleting assets.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::Value as Json;

use super::{AssetView, DroppedUsers, check_words, kind_named, target, view};
use crate::{
    model::{
        asset::Asset,
        check::Checks,
        error::Result,
        patch::{Change, Patch},
        text,
        time::Time,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        attributes, fleet,
        plan::{Plan, expect_version},
        reads::Reads,
        services::Services,
    },
};

/// Changes the given fields of an asset; null clears one. The operator is changed by `assign` and `unassign`, the kind never.
///
/// Permission `KIND:update` before and after the change; the region, what the policy declares of `attributes`, and whatever else its
/// conditions read, needs `KIND:set_authority` as well. Moving it to another region removes it from users of other regions, whom the
/// result names. Errors: `CONFLICT` if `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdateAsset {
    /// Its kind.
    pub kind: String,
    /// Its id or code.
    pub asset: String,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// The code chosen by the application.
    pub code: Change<String>,
    /// Its model, one of its kind's.
    pub model: Change<String>,
    /// Its status, one of its kind's.
    pub status: Change<String>,
    /// The region, by id or code.
    pub region: Patch<String>,
    /// Other data that the application keeps with it: each given value is set, or removed by null; the others stay. As with `create`.
    pub attributes: BTreeMap<String, Json>,
}

/// Deletes an asset; its assignments and the roles held on it end.
///
/// Permission `KIND:delete`, and `admin:all` if one of those roles denies something.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteAsset {
    /// Its kind.
    pub kind: String,
    /// Its id or code.
    pub asset: String,
}

/// An asset as it is now, and the users from whom the change has removed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChangedAsset {
    /// The asset.
    pub asset: AssetView,
    /// Users who may no longer use it, because it moved to another region.
    pub dropped: DroppedUsers,
}

#[boxed_async]
impl Operation for UpdateAsset {
    type Target = Asset;
    type Valid = (UpdateAsset, Checks);

    const ACCESS: Access = Access::OfKind("update");

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Asset> {
        target(reads, &self.kind, &self.asset).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let code = self.code.clone().try_map(|code| text::code(&code));
        let code = checks.field("code", code).unwrap_or_default();
        attributes::check_names::<Asset>(&mut checks, &self.attributes);
        Ok((UpdateAsset { code, ..self }, checks))
    }

    async fn plan((change, checks): &Self::Valid, before: Asset, plan: &mut Plan<'_>) -> Result<ChangedAsset> {
        expect_version(change.expected_version, before.version)?;
        let (change, mut checks) = (change.clone(), checks.clone());
        let mut after = before.clone();
        after.code = change.code.apply(after.code);
        after.model = change.model.apply(after.model);
        after.status = change.status.apply(after.status);
        if (&after.model, &after.status) != (&before.model, &before.status) {
            let kind = kind_named(plan, &before.kind)?;
            check_words(&mut checks, plan, kind, Some(&after.model), Some(&after.status))?;
            plan.join_words_of(&before.kind).await?;
        }
        let held = before.attributes.as_ref();
        after.attributes =
            attributes::changed(&mut checks, plan.rules(), &before.kind, held, &change.attributes, false);
        let region = fleet::change::region_after(plan, after.region_id, &change.region).await;
        after.region_id = checks.found(region)?.flatten();
        checks.finish()?;
        let (assigned, dropped) = fleet::change::update(&before, after, plan).await?;
        Ok(ChangedAsset { asset: view::one(plan, assigned).await?, dropped })
    }
}

#[boxed_async]
impl Operation for DeleteAsset {
    type Target = Asset;
    type Valid = ();

    const ACCESS: Access = Access::OfKind("delete");

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Asset> {
        target(reads, &self.kind, &self.asset).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), asset: Asset, plan: &mut Plan<'_>) -> Result<()> {
        fleet::change::delete(&asset, plan).await
    }
}
