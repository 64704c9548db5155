//! Passwords (AUT-2, 7, 8): changing one's own, replacing one that was forgotten, and setting somebody else's.

mod breached;
mod change;
mod costs;
mod forgot;
mod guess;
mod manage;
mod retire;

pub use super::sessions::Tokens;
pub use breached::BreachedPasswords;
pub(crate) use breached::Breaches;
pub(super) use breached::{AcceptedPassword, NewPassword};
pub use change::ChangePassword;
pub(super) use costs::{Hashes, unused as unused_costs};
pub use forgot::{ForgotPassword, PasswordReset, ResetPassword};
pub(super) use guess::{Guess, GuessOutcome};
pub use manage::{ExpirePasswords, SetPassword, SetTemporaryPassword, TemporaryPassword};
pub use retire::{ListPasswordCosts, PasswordCost, RetirePasswords, RetiredPasswords};

use rolekeep_macros::boxed_async;

use super::{
    epochs::{self, ApiKeyFate, Password},
    factors,
    limits::Claimed,
    plan::Plan,
    sessions,
};
use crate::{
    credentials::letters,
    model::{
        check::{Checks, wrong},
        credential::Credential,
        decode::FieldCode,
        error::Result,
        secret::Secret,
        session::{Session, SessionEnd},
        time::Time,
        user::User,
    },
    operations::users::existing,
};

/// Checks a password that a user chose, and hashes it. It is not the present one, or nothing would have changed.
pub(super) async fn hash_chosen(
    plan: &Plan<'_>,
    field: &str,
    password: &NewPassword,
    user: &User,
    before: &Credential,
) -> Result<Password> {
    let is_short = check(plan, field, password.secret(), user).await?;
    password.accepted(plan.services, field).await?;
    if before.password_hash.is_some() && is_right(plan, before, password.secret()).await? {
        return Err(wrong(field, FieldCode::Disagrees, "must not be the present password"));
    }
    let hash = password.hash(plan.services, field, true).await?;
    Ok(Password::Chosen { hash, is_short })
}

/// Whether it is the password; where there is none, no password is, after the same work.
pub(super) async fn is_right(plan: &Plan<'_>, credential: &Credential, password: &Secret) -> Result<bool> {
    let place = plan.services.hasher.enter(plan.actor.user_id().is_some())?;
    Ok(plan.verify(Some(credential), password, place).await?.is_right)
}

/// Checks a password against the rule and the names of its user; whether it is good beside a second factor alone, which the
/// user has to have.
async fn check(plan: &Plan<'_>, field: &str, password: &Secret, user: &User) -> Result<bool> {
    let config = &plan.services.config;
    let is_short = config.is_short(password) && factors::are_demanded(plan, user.id).await?;
    let names = [&user.email, &user.username, &user.full_name];
    let names: Vec<&str> = names.into_iter().filter_map(Option::as_deref).collect();
    let mut checks = Checks::default();
    checks.field(field, config.password_rule(is_short).check(password, &names)?);
    checks.finish()?;
    Ok(is_short)
}

/// Plans the hash of today in place of one of another form or cost, where a sign-in made one.
pub(super) async fn upgrade_hash(plan: &mut Plan<'_>, before: Credential, hash: Option<Secret>) -> Result<Credential> {
    let Some(hash) = hash else { return Ok(before) };
    let hash_cost = Some(plan.keep_cost(&hash).await?);
    let after = Credential { password_hash: Some(hash), hash_cost, ..before.clone() };
    Ok(plan.write_consequence(Some(&before), after))
}

/// Whether the password, if it is right, lets its user in at this time.
pub(super) fn lets_in(credential: &Credential, now: Time) -> bool {
    credential.temporary_until.is_none_or(|until| now < until)
}

/// The user of a session, if this is its password. A wrong one counts, and the log hears of it; the session ends after too
/// many of them.
pub(super) async fn require_password(
    plan: &mut Plan<'_>,
    session: &Session,
    field: &str,
    guess: &Guess,
    failed: &str,
) -> Result<(User, Credential)> {
    let user = existing(plan.reads(), session.user_id).await?;
    let credential = epochs::credential_or_empty(plan, user.id).await?;
    let claimed = Claimed::Session(user.id, session.id.0);
    match guess.attempt(plan, &claimed, Some(&credential)).await? {
        GuessOutcome::Right(_) => {
            epochs::rely_on(plan, &credential);
            return Ok((user, credential));
        }
        GuessOutcome::Wrong { is_last: true } => sessions::end(plan, session.clone(), SessionEnd::ProofsFailed),
        GuessOutcome::Wrong { is_last: false } => {}
    }
    plan.audit(failed, Some(("user", user.id.to_string())), None);
    let wrong = wrong(field, FieldCode::Incorrect, "is not the password");
    plan.refuse(wrong.clone());
    Err(wrong)
}

/// Setting passwords of others.
// Behind a box, so that it is there once, and not in each operation.
#[boxed_async]
trait PasswordOfOther {
    /// Plans a password that the user did not choose; until when it lets the user in, where it is temporary.
    async fn set_password_of(&mut self, user: &User, new: Password, action: &str) -> Result<Option<Time>>;
}

#[boxed_async]
impl PasswordOfOther for Plan<'_> {
    async fn set_password_of(&mut self, user: &User, new: Password, action: &str) -> Result<Option<Time>> {
        let credential = epochs::advance(self, user, SessionEnd::CredentialChanged, new, ApiKeyFate::Ended).await?;
        self.audit(action, Some(("user", user.id.to_string())), None);
        Ok(credential.temporary_until)
    }
}

/// A password that nobody chose: 140 bits.
fn generated(random: [u8; letters::UNGUESSABLE]) -> Secret {
    letters::grouped(&random, 4)
}
