//! Second factors (AUT-10): what an account asks for beside its password, and what stands in for it (docs/decisions/023-second-factors.md).
//!
//! | file | holds |
//! |---|---|
//! | `setup` | an authenticator app before it is added: its seed, as text and as QR code |
//! | `add`, `adopt` | adding one, signed in; what follows from it wherever it is done |
//! | `code` | codes that somebody typed |
//! | `passkeys` | passkeys: asking for them, and what they answer |
//! | `recovery` | recovery codes |
//! | `list`, `remove` | the operations of these names, and `reset_of` |

mod add;
mod adopt;
mod code;
mod list;
pub(super) mod passkeys;
mod recovery;
mod remove;
mod setup;

pub use super::sessions::Tokens;
pub use crate::model::factor::FactorKind;
pub use add::{AddFactor, AddedFactor, StartFactor};
pub(super) use add::{enrol, valid_name};
pub(super) use code::{answered, prove_by_code, require_code};
pub use list::{FactorList, FactorView, FormerFactorView, ListFactors};
pub use passkeys::{AddPasskey, PasskeyOptions, StartPasskey};
pub use recovery::{MakeRecoveryCodes, RecoveryCodes};
pub use remove::{RemoveFactor, ResetFactorsOf};
pub(super) use remove::{end_after, end_all};
pub use setup::FactorSetup;
pub(super) use setup::{begin_setup, require_offered};

use super::{
    administrators,
    held::{self, Held},
    plan::Plan,
};
use crate::{
    config::SecondFactor,
    model::{
        credential::Credential,
        deferred::unless_page,
        error::Result,
        factor::{Factor, FactorState},
        id::UserId,
        proof::Proof,
        registry::Guard,
    },
};

/// A user's second factors, in the order in which they were added.
pub(super) async fn of(plan: &Plan<'_>, user: UserId) -> Result<Vec<(Factor, FactorState)>> {
    let factors: Vec<Factor> = plan.reads().of_user(user).await?;
    let states: Vec<FactorState> = plan.reads().many(factors.iter().map(|factor| (factor.id,))).await?;
    let state_of = |factor: &Factor| states.iter().find(|state| state.factor_id == factor.id).cloned();
    let mut both: Vec<_> = factors.into_iter().filter_map(|factor| Some((state_of(&factor)?, factor))).collect();
    both.sort_unstable_by_key(|(_, factor)| factor.id);
    Ok(both.into_iter().map(|(state, factor)| (factor, state)).collect())
}

/// Why an account does not sign in by a mailbox alone, if it does not. One whose address nobody proved may have been registered by
/// somebody else: then its factors count for nothing, unless there is authority to inherit.
pub(super) async fn forbid_mail(
    plan: &mut Plan<'_>,
    user: UserId,
    credential: Option<&Credential>,
) -> Result<Option<&'static str>> {
    // Who is given a role meanwhile that needs a second factor has it.
    plan.rely_on(&Guard::of_user(user)).await?;
    let is_proved = credential.is_some_and(|credential| credential.address_proved_at.is_some());
    if !is_proved && administrators::has_more_than_defaults(plan, user).await? {
        return Ok(Some("nobody has proved the address, and the account has authority"));
    }
    let has_factor = credential.is_some_and(|credential| credential.second_factor_since.is_some());
    if (has_factor && is_proved) || are_demanded(plan, user).await? {
        return Ok(Some("the account has a second factor, or has to have one"));
    }
    Ok(None)
}

/// What a factor of a kind proves, where it can be asked for.
fn proof_by(plan: &Plan<'_>, kind: FactorKind) -> Option<Proof> {
    match kind {
        FactorKind::Totp => Some(Proof::Totp),
        FactorKind::Passkey => passkeys::are_offered(plan).then_some(Proof::Passkey),
    }
}

/// By what a user can prove the second factor.
pub(super) async fn offers(plan: &Plan<'_>, user: UserId) -> Result<Vec<Proof>> {
    let in_pages = Ok(vec![Proof::Totp, Proof::RecoveryCode]);
    unless_page(in_pages, || Box::pin(offered(plan, user))).await
}

async fn offered(plan: &Plan<'_>, user: UserId) -> Result<Vec<Proof>> {
    let factors = of(plan, user).await?;
    let counting = factors.iter().filter(|(_, state)| code::counts(state));
    let mut offers: Vec<Proof> = counting.filter_map(|(factor, _)| proof_by(plan, factor.kind)).collect();
    offers.push(Proof::RecoveryCode);
    // The best first: what cannot be phished, then what is no last resort.
    offers.sort_unstable_by_key(|proof| (*proof == Proof::RecoveryCode, *proof != Proof::Passkey));
    offers.dedup();
    Ok(offers)
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
    let is_held = |held: &Held| held.valid_from.is_none_or(|from| from <= plan.now) && !held.has_ended(plan.now);
    let held = held::of(plan, user).await?;
    Ok(held.iter().any(|held| is_held(held) && rules.second_factor_demanded_by(&held.role)))
}
