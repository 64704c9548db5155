//! A password that somebody typed to prove who it is.

use std::sync::{Mutex, PoisonError};

use super::{Hashes, lets_in};
use crate::{
    credentials::hashing::Verified,
    model::{credential::Credential, error::Result, secret::Secret},
    operations::{
        limits::{Claimed, Tries, Try, room},
        plan::Plan,
    },
};

/// A password that somebody typed to prove who it is: hashed where the limits have room for it, and once, however often the operation is
/// planned again.
pub struct Guess {
    password: Secret,
    /// What came of it, by which stored hash.
    verified: Mutex<Option<(Option<Secret>, Verified)>>,
}

/// What came of a guess, which is counted.
pub(in crate::operations) enum GuessOutcome {
    /// It is the password.
    Right(Verified),
    /// It is not.
    Wrong {
        /// So many were wrong in a row that no other is let in.
        is_last: bool,
    },
}

impl Guess {
    pub(in crate::operations) fn new(password: Secret) -> Self {
        Self { password, verified: Mutex::default() }
    }

    /// Tries it as the password of who claims to be a user, and plans that this counts. A temporary one that has run out is wrong: it is
    /// known to who made it.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED`
    pub(in crate::operations) async fn attempt(
        &self,
        plan: &mut Plan<'_>,
        claimed: &Claimed<'_>,
        credential: Option<&Credential>,
    ) -> Result<GuessOutcome> {
        let tried = Try::new(plan.services, plan.actor, claimed, plan.now)?;
        let verified = self.verify(plan, &tried, credential).await?;
        let standing = plan.standing(&tried).await?;
        if verified.is_right && credential.is_some_and(|credential| lets_in(credential, plan.now)) {
            plan.record_success(&tried, &standing);
            return Ok(GuessOutcome::Right(verified));
        }
        Ok(GuessOutcome::Wrong { is_last: plan.record_failure(&tried, &standing) })
    }

    /// Whether it is the password; where there is none, no password is, after the same work.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED`
    pub(in crate::operations) async fn verify(
        &self,
        plan: &Plan<'_>,
        tried: &Try,
        credential: Option<&Credential>,
    ) -> Result<Verified> {
        let hash = credential.and_then(|one| one.password_hash.clone());
        let known = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, verified)) = known().as_ref().filter(|(of, _)| *of == hash) {
            return Ok(verified.clone());
        }
        let services = plan.services;
        let _permit = tried.permit(services)?;
        let (_turn, is_first) = room(services, tried).await?;
        let place = services.hasher.enter(is_first)?;
        let verified = plan.verify(credential, &self.password, place).await?;
        *known() = Some((hash, verified.clone()));
        Ok(verified)
    }
}
