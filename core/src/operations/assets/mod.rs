//! Assets of the kinds that the policy declares, and who uses them (FLT-7): `operations/fleet` with words that the policy knows.
//! `operations/asset_kinds` has the kinds.

mod assign;
mod change;
mod create;
mod read;
mod view;

pub use super::fleet::{AssetBrief, DroppedUsers, UserBrief};
pub use assign::{AssignAsset, ReassignAsset, UnassignAsset};
pub use change::{ChangedAsset, DeleteAsset, UpdateAsset};
pub use create::CreateAsset;
pub use read::{GetAsset, ListAssets};
pub use view::AssetView;

use std::borrow::Cow;

use super::{
    Target, asset_kinds,
    fleet::AssetRecord,
    plan::Plan,
    reads::Reads,
    target::{TargetRow, find_of},
};
use crate::{
    model::{
        asset::Asset,
        check::{Checks, Invalid},
        decode::{FieldCode, nearest},
        error::{Error, Result},
    },
    rules::AssetKind,
};

impl Target for Asset {
    fn row(&self) -> Option<(TargetRow, Cow<'static, str>)> {
        Some((TargetRow::of(self), self.permission("read").into()))
    }
}

async fn target(reads: Reads<'_>, kind: &str, name: &str) -> Result<Asset> {
    // In the words of an asset that the caller may not see.
    find_of(reads, kind, name).await?.ok_or_else(|| Error::not_found(kind))
}

/// The kind that an input names.
fn kind_named<'p>(plan: &Plan<'p>, kind: &str) -> Result<AssetKind<'p>> {
    let rules = plan.rules();
    rules.asset_kind(kind).ok_or_else(|| asset_kinds::no_such_kind(rules, kind))
}

/// Notes words that a kind does not have; what may have been meant is told to who may read the policy.
fn check_words(
    checks: &mut Checks,
    plan: &Plan<'_>,
    kind: AssetKind<'_>,
    model: Option<&str>,
    status: Option<&str>,
) -> Result<()> {
    for (field, word, known) in [("model", model, kind.models()), ("status", status, kind.statuses())] {
        let Some(word) = word.filter(|word| !known.contains(word)) else { continue };
        let mut message = format!("is no {field} of the assets of this kind");
        if plan.may_everywhere("policy:read")?
            && let Some(near) = nearest(word, known.iter().copied())
        {
            message = format!("{message}; did you mean `{near}`?");
        }
        checks.error(field, Invalid::new(FieldCode::UnknownValue, message));
    }
    Ok(())
}
