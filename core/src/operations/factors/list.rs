//! Listing one's own second factors.

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{are_demanded, code::MOST_FAILURES, of, recovery};
use crate::{
    model::{
        error::Result,
        factor::{Factor, FactorKind, FactorState},
        id::FactorId,
        time::Time,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
};

/// Lists the caller's own second factors.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListFactors {}

/// The second factors of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct FactorList {
    /// In the order in which they were added.
    pub factors: Vec<FactorView>,
    /// How many recovery codes were not used yet.
    pub recovery_codes_left: i64,
    /// Whether the account has to have one: by `Config::second_factor`, or by a role of its user's. The last one cannot be removed
    /// then.
    pub are_required: bool,
}

/// A second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "Factor")]
#[non_exhaustive]
pub struct FactorView {
    /// Its id.
    pub id: FactorId,
    /// What it is.
    pub kind: FactorKind,
    /// The user's name for it.
    pub name: Option<String>,
    /// When it was added.
    pub added_at: Time,
    /// When it was used last.
    pub last_used_at: Time,
    /// Whether it counts no more: a hundred codes in a row were wrong. Sign in by another one or by a recovery code, remove
    /// it and add it anew.
    pub is_suspended: bool,
}

impl FactorView {
    pub(super) fn of(factor: &Factor, state: &FactorState) -> Self {
        Self {
            id: factor.id,
            kind: factor.kind,
            name: factor.name.clone(),
            added_at: factor.added_at,
            last_used_at: state.last_used_at,
            is_suspended: state.failures >= MOST_FAILURES,
        }
    }
}

#[portable_async]
impl Operation for ListFactors {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<FactorList> {
        let user = plan.actor.signed_in()?.id;
        let factors = of(plan, user).await?;
        let factors = factors.iter().map(|(factor, state)| FactorView::of(factor, state)).collect();
        let recovery_codes_left = recovery::count_left(plan, user).await?;
        Ok(FactorList { factors, recovery_codes_left, are_required: are_demanded(plan, user).await? })
    }
}
