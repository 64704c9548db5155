//! Listing one's own second factors.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{are_demanded, code::counts, of, passkeys, recovery};
use crate::{
    model::{
        deferred::unless_page,
        error::Result,
        factor::{Factor, FactorKind, FactorState, FormerFactor},
        id::{FactorId, UserId},
        predicate::Predicate,
        record::Record,
        time::Time,
    },
    operations::{Access, Operation, plan::Plan, services::Services},
    storage::{Direction, Order, Query, Window},
};

/// So many of those that an account had are listed.
const MOST_FORMER: u64 = 100;

/// Lists the caller's own second factors, present and former ones.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListFactors {}

/// The second factors of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct FactorList {
    /// In the order in which they were added.
    pub factors: Vec<FactorView>,
    /// Those that the account had before, the last 100 of them: those that ended last come first.
    pub former: Vec<FormerFactorView>,
    /// How many recovery codes were not used yet.
    pub recovery_codes_left: i64,
    /// Whether the account is required to have one, by the setting `second_factor` or by a role of the user. Then the last one cannot be
    /// removed.
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
    /// Whether it is suspended, after a hundred wrong codes in a row or because the passkey was copied. Sign in with another one or with
    /// a recovery code, remove it and add it again.
    pub is_suspended: bool,
    /// A passkey's credential id, base64url: what a browser names it by.
    pub credential_id: Option<String>,
    /// Whether a passkey was backed up, or synchronized between devices, when it was last used: then losing a device does not lose it.
    pub is_backed_up: Option<bool>,
}

impl FactorView {
    pub(super) fn of(factor: &Factor, state: &FactorState) -> Self {
        Self {
            id: factor.id,
            kind: factor.kind,
            name: factor.name.clone(),
            added_at: factor.added_at,
            last_used_at: state.last_used_at,
            is_suspended: !counts(state),
            credential_id: None,
            is_backed_up: state.is_backed_up,
        }
    }
}

/// A second factor that an account had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "FormerFactor")]
#[non_exhaustive]
pub struct FormerFactorView {
    /// The id that it had.
    pub id: FactorId,
    /// What it was.
    pub kind: FactorKind,
    /// The user's name for it.
    pub name: Option<String>,
    /// When it was added.
    pub added_at: Time,
    /// When it was removed, by whomever.
    pub ended_at: Time,
}

impl From<FormerFactor> for FormerFactorView {
    fn from(former: FormerFactor) -> Self {
        let FormerFactor { id, kind, name, added_at, ended_at, .. } = former;
        Self { id, kind, name, added_at, ended_at }
    }
}

#[boxed_async]
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
        let mut views: Vec<_> = factors.iter().map(|(factor, state)| FactorView::of(factor, state)).collect();
        unless_page(Ok(()), || Box::pin(name_passkeys(plan, user, &factors, &mut views))).await?;
        let recovery_codes_left = recovery::count_left(plan, user).await?;
        let former = former(plan, user).await?;
        Ok(FactorList { factors: views, former, recovery_codes_left, are_required: are_demanded(plan, user).await? })
    }
}

/// What an account had before.
async fn former(plan: &Plan<'_>, user: UserId) -> Result<Vec<FormerFactorView>> {
    let order = vec![Order { column: "ended_at".into(), direction: Direction::Descending }];
    let window = Window { limit: Some(MOST_FORMER), ..Window::default() };
    let of_user = Predicate::equals("user_id", user.0);
    let former: Vec<FormerFactor> =
        plan.reads().query(&Query { order, window, ..Query::of(FormerFactor::TABLE, of_user) }).await?;
    Ok(former.into_iter().map(Into::into).collect())
}

/// Says by what browsers name passkeys.
async fn name_passkeys(
    plan: &Plan<'_>,
    user: UserId,
    factors: &[(Factor, FactorState)],
    views: &mut [FactorView],
) -> Result<()> {
    for passkey in passkeys::among(plan, user, factors).await? {
        let view = views.iter_mut().find(|view| view.id == passkey.factor_id);
        view.into_iter().for_each(|view| view.credential_id = Some(passkey.credential_id.clone()));
    }
    Ok(())
}
