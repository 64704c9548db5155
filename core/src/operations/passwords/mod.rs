//! Passwords (AUT-2, 8): changing one's own, and setting somebody else's.

mod change;
mod manage;

pub use super::sessions::Tokens;
pub use change::ChangePassword;
pub use manage::{ExpirePasswords, SetPassword, SetTemporaryPassword, TemporaryPassword};

use super::{epochs, plan::Plan};
use crate::{
    credentials::password::PasswordRule,
    model::{
        check::{Checks, wrong},
        credential::Credential,
        decode::FieldCode,
        error::Result,
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::users::existing,
};

/// Checks a password that a user chose, and hashes it. It is not the present one, or nothing would have changed.
pub(super) async fn chosen(
    plan: &Plan<'_>,
    field: &str,
    password: &Secret,
    user: &User,
    before: &Credential,
) -> Result<String> {
    check(plan.services.config.password_rule(), field, password, user)?;
    let hash = before.password_hash.as_ref().map(|hash| hash.expose().to_owned());
    if hash.is_some() && plan.services.hasher.verify(hash, password).await? {
        return Err(wrong(field, FieldCode::Disagrees, "must not be the present password"));
    }
    plan.services.hasher.hash(password.clone()).await
}

/// Checks a password against the rule and the names of its user.
fn check(rule: PasswordRule<'_>, field: &str, password: &Secret, user: &User) -> Result<()> {
    let names = [&user.email, &user.username, &user.full_name];
    let names: Vec<&str> = names.into_iter().filter_map(Option::as_deref).collect();
    let mut checks = Checks::default();
    checks.field(field, rule.check(password, &names));
    checks.finish()
}

/// Puts a password in that its user chose.
pub(super) fn set(credential: &mut Credential, hash: String, now: Time) {
    credential.password_hash = Some(hash.into());
    credential.set_at = Some(now);
    credential.must_change = false;
    credential.temporary_until = None;
}

/// Puts a password in that somebody else chose, for so many seconds and the next sign-in.
pub(super) fn set_temporary(credential: &mut Credential, hash: String, now: Time, seconds: i64) {
    set(credential, hash, now);
    credential.must_change = true;
    credential.temporary_until = Some(now.plus_seconds(seconds));
}

/// Whether the password, if it is right, lets its user in at this time.
pub(super) fn lets_in(credential: &Credential, now: Time) -> bool {
    credential.temporary_until.is_none_or(|until| now < until)
}

/// The caller, if this is its password. The log hears of a wrong one.
pub(super) async fn proved(
    plan: &mut Plan<'_>,
    field: &str,
    password: &Secret,
    failed: &str,
) -> Result<(User, Credential)> {
    let user = existing(plan.reads(), plan.actor.signed_in()?.id).await?;
    let credential = epochs::credential_of(plan, user.id).await?.unwrap_or_else(|| Credential::none(user.id));
    let hash = credential.password_hash.as_ref().map(|hash| hash.expose().to_owned());
    if plan.services.hasher.verify(hash, password).await? {
        if credential.version > 0 {
            plan.check(&credential);
        }
        return Ok((user, credential));
    }
    plan.audit(failed, Some(("user", user.id.to_string())), None);
    let wrong = wrong(field, FieldCode::Incorrect, "is not the password");
    plan.refuse(wrong.clone());
    Err(wrong)
}

/// A password that nobody chose: 100 bits, in letters and digits that are not taken for one another.
fn generated(random: [u8; 20]) -> Secret {
    // Crockford's base32, without the letters that read as digits.
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    let groups = random.chunks(5).map(|group| group.iter().map(letter).collect::<String>());
    groups.collect::<Vec<_>>().join("-").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_2_a_generated_password_has_all_its_bits() {
        let password = generated(std::array::from_fn(|at| at as u8 * 13));
        assert_eq!(password.expose().len(), 23);
        let mut all: Vec<String> = (0..=255).map(|byte| generated([byte; 20]).expose().to_owned()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 32);
    }
}
