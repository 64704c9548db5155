//! What an answer to a step of a sign-in can do.

use crate::{
    Result,
    face::{SignInResult, Tokens},
};

#[uniffi::export]
impl SignInResult {
    /// The tokens; `UNAUTHORIZED` with the reason `step_needed` if a step is owed.
    pub fn done(&self) -> Result<Tokens> {
        self.tokens.clone().ok_or_else(|| rolekeep::sign_in::step_needed().into())
    }
}
