//! What is shown of an asset: of its operator and users only those that the caller may see.

use std::collections::{BTreeMap, BTreeSet};

use rolekeep_macros::Describe;
use serde::Serialize;

use super::{AssetRecord, Assignment};
use crate::{
    model::{
        error::Result,
        id::{AssetId, UserId},
        predicate::Predicate,
        user::User,
        value::Value,
    },
    operations::{Visible, plan::Plan, target::TargetRow},
};

/// A short form of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Describe)]
#[non_exhaustive]
pub struct UserBrief {
    /// The name it signs in with.
    pub username: Option<String>,
    /// The full name.
    pub full_name: Option<String>,
    /// The user's id.
    pub id: UserId,
}

/// A short form of an asset, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct AssetBrief {
    /// Its kind: `drone`, or one that the policy declares.
    pub kind: String,
    /// Its id; of a drone the drone's.
    pub id: AssetId,
    /// A code chosen by the application, such as `drone-001`.
    pub code: String,
    /// Its model, in the words of its kind, such as `FlyOS_MQ7`.
    pub model: String,
    /// Its status, in the words of its kind, such as `ACTIVE`.
    pub status: String,
}

/// Who uses an asset, as far as the caller may see them.
#[derive(Default)]
pub(in crate::operations) struct Crew {
    /// The operator.
    pub(in crate::operations) operator: Option<UserBrief>,
    /// The users, by username.
    pub(in crate::operations) users: Vec<UserBrief>,
}

/// The crews of assets as stored, in the same order; two queries whatever their number.
pub(in crate::operations) async fn of_all<R: AssetRecord>(plan: &Plan<'_>, assets: &[R]) -> Result<Vec<Crew>> {
    if assets.is_empty() {
        return Ok(Vec::new());
    }
    let ids = Predicate::set(assets.iter().map(|asset| Value::Id(asset.id())));
    let assigned: Vec<R::Assignment> = plan.reads().all(Predicate::In(R::Assignment::ASSET.into(), ids)).await?;
    of_assigned(plan, assets, &assigned).await
}

/// The crew of one asset with the assignments given, which may be planned only.
pub(in crate::operations) async fn of<R: AssetRecord>(
    plan: &Plan<'_>,
    asset: &R,
    assigned: &[R::Assignment],
) -> Result<Crew> {
    let crews = of_assigned(plan, std::slice::from_ref(asset), assigned).await?;
    Ok(crews.into_iter().next().unwrap_or_default())
}

async fn of_assigned<R: AssetRecord>(plan: &Plan<'_>, assets: &[R], assigned: &[R::Assignment]) -> Result<Vec<Crew>> {
    let operators = assets.iter().filter_map(R::operator);
    let users: BTreeSet<UserId> = operators.chain(assigned.iter().map(Assignment::user)).collect();
    let users: Vec<User> = plan.reads().many(users.into_iter().map(|id| (id,))).await?;
    let mut seen: BTreeMap<UserId, UserBrief> = BTreeMap::new();
    for user in users {
        if plan.may(User::READ, &TargetRow::of(&user)).await? {
            seen.insert(user.id, UserBrief::from(user));
        }
    }
    let crew = |asset: &R| {
        let of_asset = assigned.iter().filter(|assigned| assigned.asset() == asset.id());
        let mut users: Vec<_> = of_asset.filter_map(|assigned| seen.get(&assigned.user()).cloned()).collect();
        users.sort();
        Crew { operator: asset.operator().and_then(|id| seen.get(&id).cloned()), users }
    };
    Ok(assets.iter().map(crew).collect())
}

/// Reads at once whom a change of an asset is about: its users, its operator, and another one.
pub(super) async fn read_ahead<R: AssetRecord>(
    plan: &Plan<'_>,
    asset: &R,
    assigned: &[R::Assignment],
    other: Option<UserId>,
) -> Result<()> {
    let users = assigned.iter().map(Assignment::user).chain(asset.operator()).chain(other);
    plan.read_ahead::<User>(users.map(|id| (id,)).collect()).await
}

impl From<User> for UserBrief {
    fn from(user: User) -> Self {
        Self { id: user.id, username: user.username, full_name: user.full_name }
    }
}

impl AssetBrief {
    /// That of an asset.
    pub(in crate::operations) fn of<R: AssetRecord>(asset: &R) -> Self {
        let (model, status) = asset.words();
        Self {
            kind: asset.kind().into_owned(),
            id: AssetId(asset.id()),
            code: asset.code().to_owned(),
            model: model.to_owned(),
            status: status.to_owned(),
        }
    }
}
