//! Getting and listing assets.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{AssetView, check_words, kind_named, target, view};
use crate::{
    model::{asset::Asset, check::Checks, error::Result, id::UserId, page::Page, time::Time},
    operations::{
        Access, Operation,
        actor::Actor,
        fleet::{
            self,
            list::{ValidList, words},
        },
        plan::Plan,
        reads::Reads,
        services::Services,
    },
};

/// Gets an asset.
///
/// Permission `KIND:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetAsset {
    /// Its kind.
    pub kind: String,
    /// Its id or code.
    pub asset: String,
}

/// Lists the assets of a kind that the caller may see, newest first.
///
/// Permission `KIND:list`. Errors: `VALIDATION_ERROR` if the kind does not have the model or the status.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListAssets {
    /// The kind.
    pub kind: String,
    /// Only assets of this model.
    pub model: Option<String>,
    /// Only assets of this status.
    pub status: Option<String>,
    /// Only assets of this region, by id or code.
    pub region: Option<String>,
    /// Only assets whose operator is this user, whom the caller must be allowed to read.
    pub operator_id: Option<UserId>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

#[boxed_async]
impl Operation for GetAsset {
    type Target = Asset;
    type Valid = ();

    const ACCESS: Access = Access::OfKind("read");
    const IS_READ: bool = true;

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Asset> {
        target(reads, &self.kind, &self.asset).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), asset: Asset, plan: &mut Plan<'_>) -> Result<AssetView> {
        let assigned = fleet::assignments_of(plan, &asset).await?;
        view::one(plan, (asset, assigned)).await
    }
}

#[boxed_async]
impl Operation for ListAssets {
    type Target = ();
    type Valid = (ListAssets, ValidList);

    const ACCESS: Access = Access::OfKind("list");
    const IS_READ: bool = true;

    fn kind(&self) -> &str {
        &self.kind
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        checks.finish()?;
        let filter = words(self.model.as_deref(), self.status.as_deref());
        let valid = ValidList { page, filter, region: self.region.clone(), operator: self.operator_id };
        Ok((self, valid))
    }

    async fn plan((asked, valid): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Page<AssetView>> {
        let kind = kind_named(plan, &asked.kind)?;
        let mut checks = Checks::default();
        check_words(&mut checks, plan, kind, asked.model.as_deref(), asked.status.as_deref())?;
        checks.finish()?;
        let rows: Page<Asset> = fleet::list::page(valid, &format!("{}:list", asked.kind), plan).await?;
        let views = view::views(plan, rows.items.clone()).await?;
        Ok(rows.with_items(views))
    }
}
