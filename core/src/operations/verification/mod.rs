//! Proving that an account's e-mail address is its user's (AUT-9).
//!
//! A link proves that somebody reads the address, not that it is who made the account: that one may have mistyped it, or
//! meant to be there first. So it counts together with the account's password or a session, and otherwise leads to a new
//! password, which voids what was set before.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{
    Access, Operation, administrators, epochs, factors,
    limits::Claimed,
    links, notices,
    passwords::{Guess, GuessOutcome},
    plan::Plan,
    services::Services,
    users::{existing, is_elsewhere, unlink_since},
};
use crate::model::{
    credential::Credential,
    error::{Error, Reason, Result},
    link::LinkPurpose,
    notice::NoticeKind,
    secret::Secret,
    time::Time,
    user::User,
};

/// Mails the caller a link that verifies their e-mail address: a notice of the kind `verification`.
///
/// The link is valid for a day. Nothing is mailed if the address is already verified. A repeated request soon after is mailed the same
/// link.
/// Errors: `CONFLICT` for an account without an address, `RATE_LIMIT_EXCEEDED` for asking twice within a minute or six times
/// within an hour, `UNAVAILABLE` where the store has no notifier.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SendVerification {}

/// Verifies an account's e-mail address, with the token of a `verification`.
///
/// The token alone only proves that somebody reads the address, who may not be the one who created the account. So the caller has to be
/// signed in as the user, or give the account's password. Otherwise nothing changes, and the result has a token for `passwords.reset`,
/// unless the password was changed since, or the account has none and signs in at another issuer.
/// Errors: `UNAUTHORIZED` for an invalid or expired token and for a wrong password, `RATE_LIMIT_EXCEEDED` after too many wrong passwords.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ConfirmVerification {
    /// The token that was mailed.
    pub token: Secret,
    /// The account's password, for a caller who is not signed in.
    pub password: Option<Secret>,
}

/// The result of a confirmation.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct Confirmation {
    /// Whether the address is now verified.
    pub is_verified: bool,
    /// Otherwise: a token for `passwords.reset`, which verifies the address, too.
    pub reset_token: Option<Secret>,
}

#[boxed_async]
impl Operation for SendVerification {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<()> {
        notices::require_notifier(plan)?;
        let user = existing(plan.reads(), plan.actor.signed_in()?.id).await?;
        if user.email.is_none() {
            return Err(Error::new(Reason::WrongStatus, "the account has no e-mail address"));
        }
        if user.email_verified {
            return Ok(());
        }
        notices::request_for_oneself(plan, NoticeKind::Verification, &user, None).await?;
        plan.audit("verification.send", Some(("user", user.id.to_string())), None);
        Ok(())
    }
}

#[boxed_async]
impl Operation for ConfirmVerification {
    type Target = ();
    type Valid = (Secret, Option<Guess>);

    const ACCESS: Access = Access::Public;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        Ok((self.token, self.password.map(Guess::new)))
    }

    async fn plan((token, password): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Confirmation> {
        let opened = links::open(plan, LinkPurpose::Verification, token).await?;
        let (user, credential) = (&opened.user, opened.credential.as_ref());
        let target = Some(("user", user.id.to_string()));
        let is_proved = match password {
            _ if plan.actor.in_person() == Some(user.id) => true,
            Some(guess) => {
                let claimed = Claimed::Session(user.id, opened.link.id.0);
                if let GuessOutcome::Wrong { is_last } = guess.attempt(plan, &claimed, credential).await? {
                    if is_last {
                        // The link is no way to guess on.
                        opened.link.use_up(plan);
                    }
                    plan.audit("verification.failed", target, Some("wrong password".to_owned()));
                    let wrong = Error::new(Reason::InvalidCredentials, "the password is wrong");
                    plan.refuse(wrong.clone());
                    return Err(wrong);
                }
                true
            }
            None => false,
        };
        if is_proved {
            opened.link.use_up(plan);
            prove(plan, user, opened.credential.clone()).await?;
            plan.audit("verification.confirm", target, None);
            return Ok(Confirmation { is_verified: true, reset_token: None });
        }
        // What was mailed before the password was changed proves the address still, and does not change it again.
        let is_of_epoch = opened.link.epoch == epochs::epoch_of(credential);
        if !is_of_epoch || is_elsewhere(plan, user.id, credential).await? {
            return Ok(Confirmation { is_verified: false, reset_token: None });
        }
        let link = links::reuse_or_make(plan, user, credential, LinkPurpose::Reset, &opened.link.address).await?;
        plan.audit("verification.reset", target, None);
        Ok(Confirmation { is_verified: false, reset_token: Some(link.secret(plan.services)?) })
    }
}

/// Plans that nothing counts any more, beside the password, that was set before anybody proved the account's address: somebody else
/// may have registered it.
pub(super) async fn void_others(plan: &mut Plan<'_>, user: &User) -> Result<()> {
    unlink_since(plan, user.id, (i64::MIN, Time::MIN)).await?;
    void_factors(plan, user).await
}

/// The same of its factors alone.
pub(super) async fn void_factors(plan: &mut Plan<'_>, user: &User) -> Result<()> {
    // A mistyped address inherits no authority.
    if administrators::has_more_than_defaults(plan, user.id).await? {
        return factors::passkeys::suspend_after(plan, user.id, i64::MIN).await;
    }
    factors::end_all(plan, user).await.map(drop)
}

/// Plans that a user's address is proved. Relies on the credential that is given, or that there is none.
pub(super) async fn prove(plan: &mut Plan<'_>, user: &User, credential: Option<Credential>) -> Result<()> {
    // Conditions may read it.
    plan.move_authority(user.id).await?;
    let proved = User { email_verified: true, updated_at: plan.now, ..user.clone() };
    plan.establish(user, proved);
    let known = credential.unwrap_or_else(|| Credential::empty(user.id));
    if known.address_proved_at.is_none() {
        let before = epochs::credential_of(plan, user.id).await?;
        plan.write_consequence(before.as_ref(), Credential { address_proved_at: Some(plan.now), ..known });
    } else {
        plan.check(&known);
    }
    Ok(())
}
