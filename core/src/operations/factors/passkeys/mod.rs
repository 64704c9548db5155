//! Passkeys as factors (Web Authentication, Level 3; docs/decisions/024-passkeys.md): what browsers are asked, and what they
//! answer.
//!
//! | file | holds |
//! |---|---|
//! | `ask` | what a browser is asked, and the challenges of who has none of a sign-in |
//! | `add` | adding one |
//! | `answer` | what one proves that was added |

mod add;
mod answer;
mod ask;

pub use add::{AddPasskey, StartPasskey};
pub(in crate::operations) use add::{add, creation, was_added};
pub(in crate::operations) use answer::{Answer, Refused, accept, answerer, request, suspend_after};
pub use ask::PasskeyOptions;
pub(in crate::operations) use ask::{are_offered, require_passkeys};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{
    credentials::passkeys::{Handle, Known},
    model::{
        error::{Error, Reason, Result},
        factor::{Factor, FactorKind, FactorState, Passkey},
        id::UserId,
    },
    operations::{factors::code::counts, plan::Plan},
};

/// A user's passkeys, read if there are any among these factors.
pub(super) async fn among(plan: &Plan<'_>, user: UserId, factors: &[(Factor, FactorState)]) -> Result<Vec<Passkey>> {
    if !factors.iter().any(|(factor, _)| factor.kind == FactorKind::Passkey) {
        return Ok(Vec::new());
    }
    plan.reads().of_user(user).await
}

/// Whether it is a passkey that signs in by itself, now.
pub(in crate::operations) fn signs_in((factor, state): &(Factor, FactorState)) -> bool {
    factor.kind == FactorKind::Passkey && state.has_verified == Some(true) && counts(state)
}

/// What was stored of a passkey, as bytes.
struct Descriptor {
    id: Vec<u8>,
    transports: Vec<String>,
}

impl Descriptor {
    fn of(passkey: &Passkey) -> Result<Self> {
        let transports = passkey.transports.split_whitespace().map(str::to_owned).collect();
        Ok(Self { id: decoded(&passkey.credential_id)?, transports })
    }

    fn known(&self) -> Known<'_> {
        Known { id: &self.id, transports: &self.transports }
    }
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| corrupt())
}

fn decoded_handle(text: &str) -> Result<Handle> {
    decoded(text)?.try_into().map_err(|_| corrupt())
}

fn corrupt() -> Error {
    Error::new(Reason::Corrupt, "what was stored of a passkey cannot be read")
}
