//! Which assets of a list the caller asks for.

use super::AssetRecord;
use crate::{
    model::{
        error::Result,
        id::UserId,
        page::{Page, PageRequest},
        predicate::Predicate,
        user::User,
    },
    operations::{Visible, listing, plan::Plan, regions, target::TargetRow},
};

/// A valid list request.
pub struct ValidList {
    pub(in crate::operations) page: PageRequest,
    pub(in crate::operations) filter: Predicate,
    pub(in crate::operations) region: Option<String>,
    pub(in crate::operations) operator: Option<UserId>,
}

/// What a list is narrowed to by words.
pub(in crate::operations) fn words(model: Option<&str>, status: Option<&str>) -> Predicate {
    let equals = |column: &'static str, word: Option<&str>| {
        word.map_or(Predicate::Always, |word| Predicate::equals(column, word))
    };
    Predicate::all([equals("model", model), equals("status", status)])
}

/// One page of the assets that a permission lets the caller see, newest first.
pub(in crate::operations) async fn page<R: AssetRecord>(
    valid: &ValidList,
    permission: &str,
    plan: &mut Plan<'_>,
) -> Result<Page<R>> {
    let mut filter = valid.filter.clone();
    if let Some(region) = &valid.region {
        filter = filter.and(regions::filter(plan, region).await?);
    }
    if let Some(operator) = valid.operator {
        let seen = may_know(plan, operator).await?;
        filter = filter.and(if seen { Predicate::equals("operator_id", operator.0) } else { Predicate::Never });
    }
    listing::page(plan, &valid.page, permission, filter, listing::newest_first()).await
}

/// Whether the caller may be told what a user uses: a view shows the operator to those who may read it.
async fn may_know(plan: &Plan<'_>, operator: UserId) -> Result<bool> {
    if plan.actor.user_id() == Some(operator) {
        return Ok(true);
    }
    let user: Option<User> = plan.reads().get(&(operator,)).await?;
    match user {
        Some(user) => plan.may(User::READ, &TargetRow::of(&user)).await,
        None => Ok(false),
    }
}
