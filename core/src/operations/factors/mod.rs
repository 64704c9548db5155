//! Second factors (AUT-10): what an account asks for beside its password, and what stands in for it (docs/decisions/023-second-factors.md).
//!
//! | file | holds |
//! |---|---|
//! | `setup` | an authenticator app before it is added: its seed, as text and as QR code |
//! | `add` | adding one, signed in; what follows from it wherever it is done |
//! | `code` | codes that somebody typed |
//! | `recovery` | recovery codes |
//! | `list`, `remove` | the operations of these names, and `reset_of` |

mod add;
mod code;
mod list;
mod recovery;
mod remove;
mod setup;

pub use super::sessions::Tokens;
pub use crate::model::factor::FactorKind;
pub use add::{AddFactor, AddedFactor, StartFactor};
pub(super) use add::{enrol, valid_name};
pub(super) use code::{answered, proved, proved_again};
pub use list::{FactorList, FactorView, ListFactors};
pub use recovery::{MakeRecoveryCodes, RecoveryCodes};
pub use remove::{RemoveFactor, ResetFactorsOf};
pub(super) use remove::{end_after, end_all};
pub use setup::FactorSetup;
pub(super) use setup::{begun, require_offered};

use super::{administrators, plan::Plan};
use crate::{
    config::SecondFactor,
    model::{
        error::Result,
        factor::{Factor, FactorState},
        id::UserId,
        predicate::Predicate,
        role_assignment::RoleAssignment,
    },
};

/// A user's second factors, in the order in which they were added.
async fn of(plan: &Plan<'_>, user: UserId) -> Result<Vec<(Factor, FactorState)>> {
    let factors: Vec<Factor> = plan.reads().all(Predicate::equals("user_id", user.0)).await?;
    let states: Vec<FactorState> = plan.reads().many(factors.iter().map(|factor| (factor.id,))).await?;
    let state_of = |factor: &Factor| states.iter().find(|state| state.factor_id == factor.id).cloned();
    let mut both: Vec<_> = factors.into_iter().filter_map(|factor| Some((state_of(&factor)?, factor))).collect();
    both.sort_unstable_by_key(|(_, factor)| factor.id);
    Ok(both.into_iter().map(|(state, factor)| (factor, state)).collect())
}

/// Whether a user has to have a second factor: everybody has, or who holds a role of the user's.
pub(super) async fn are_demanded(plan: &Plan<'_>, user: UserId) -> Result<bool> {
    match plan.services.config.second_factor {
        SecondFactor::Required => return Ok(true),
        SecondFactor::Off => return Ok(false),
        SecondFactor::Optional => {}
    }
    let rules = plan.rules();
    if !rules.has_second_factors() {
        return Ok(false);
    }
    let is_held = |held: &RoleAssignment| {
        held.valid_from.is_none_or(|from| from <= plan.now) && !administrators::has_ended(held, plan.now)
    };
    let held = administrators::assignments_of(plan, user).await?;
    Ok(held.iter().any(|held| is_held(held) && rules.second_factor_demanded_by(&held.role)))
}
