//! Asking for another address, and proving that one has it.

use rolekeep_macros::{Describe, Input, boxed_async};

use crate::{
    model::{
        check::{Checks, wrong},
        credential::Credential,
        decode::FieldCode,
        error::Result,
        link::{LinkPurpose, OneTimeLink},
        names,
        notice::NoticeKind,
        secret::Secret,
        session::SessionEnd,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        epochs::{self, ApiKeyFate, Password},
        links, notices,
        plan::Plan,
        services::Services,
        sessions::{self, Tokens, own_among_all, renew},
        users::existing,
    },
};

/// Begins to change the caller's e-mail address: mails a link to the new one, a notice of the kind `email_change`.
///
/// Nothing changes before `email.confirm`. If another account has the address, its owner is notified, and the caller does not learn it.
/// The link is valid for an hour; a repeated request soon after is mailed the same link. It needs a sign-in or `sessions.step_up` within
/// the last five minutes.
/// Errors: `VALIDATION_ERROR` for an invalid address and for the present one, `RATE_LIMIT_EXCEEDED` for asking twice within a minute or
/// six times within an hour, `UNAVAILABLE` where the store has no notifier.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ChangeEmail {
    /// The new address.
    pub email: String,
}

/// Changes the caller's address, with the token of an `email_change`.
///
/// The caller must be signed in as the user who asked for it, so that the owner of a mistyped address does not get the account. The
/// address then counts as verified. All sessions end; the caller continues in a new one with the returned tokens. The old address is
/// notified and, if it was verified, can undo the change for seven days by `email.revert`; nobody else can take it in that time.
/// Errors: `UNAUTHORIZED` for an invalid or expired token and for a caller without a session, `DUPLICATE_RESOURCE` if another account has
/// taken the address meanwhile.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ConfirmEmail {
    /// The token that was mailed.
    pub token: Secret,
}

#[boxed_async]
impl Operation for ChangeEmail {
    type Target = ();
    type Valid = String;

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, services: &Services, _: Time) -> Result<String> {
        let mut checks = Checks::default();
        let email = checks.field("email", services.config.names().email(&self.email));
        checks.finish()?;
        Ok(email.unwrap_or_default())
    }

    async fn plan(email: &String, (): (), plan: &mut Plan<'_>) -> Result<()> {
        notices::require_notifier(plan)?;
        let user = existing(plan.reads(), plan.actor.signed_in()?.id).await?;
        if user.email.as_ref() == Some(email) {
            return Err(wrong("email", FieldCode::Disagrees, "must not be the present address"));
        }
        let other = (email, epochs::credential_or_empty(plan, user.id).await?.epoch);
        notices::request_for_oneself(plan, NoticeKind::EmailChange, &user, Some(other)).await?;
        plan.audit("email.change", Some(("user", user.id.to_string())), None);
        Ok(())
    }
}

#[boxed_async]
impl Operation for ConfirmEmail {
    type Target = ();
    type Valid = Secret;

    const ACCESS: Access = Access::SignedIn;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Secret> {
        Ok(self.token)
    }

    async fn plan(token: &Secret, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own_among_all(plan).await?;
        let opened = links::open(plan, LinkPurpose::EmailChange, token).await?;
        if opened.user.id != session.user_id {
            return Err(links::void());
        }
        opened.link.use_up(plan);
        let (user, _) = change_address(plan, &opened.user, &opened.link.address, ApiKeyFate::Kept).await?;
        if !offer_undo(plan, &opened.user, &opened.link).await? {
            notices::tell(plan, NoticeKind::EmailChanged, &opened.user)?;
        }
        notices::tell(plan, NoticeKind::EmailChanged, &user)?;
        plan.audit("email.confirm", Some(("user", user.id.to_string())), None);
        let proved = sessions::proof_of(&session);
        renew(plan, user, &session, proved).await
    }
}

/// Plans that a user has proved another address, after which nothing counts that was proved before.
pub(super) async fn change_address(
    plan: &mut Plan<'_>,
    before: &User,
    address: &str,
    keys: ApiKeyFate,
) -> Result<(User, Credential)> {
    // Conditions may read it.
    plan.move_authority(before.id).await?;
    plan.claim("email", address, before.id).await?;
    let email = Some(address.to_owned());
    let user = plan.establish(before, User { email, email_verified: true, updated_at: plan.now, ..before.clone() });
    let mut credential = epochs::advance(plan, &user, SessionEnd::CredentialChanged, Password::Kept, keys).await?;
    if credential.address_proved_at.is_none() {
        let proved = Credential { address_proved_at: Some(plan.now), ..credential.clone() };
        credential = plan.write_consequence(Some(&credential), proved);
    }
    Ok((user, credential))
}

/// Plans that the former address can undo it, and is nobody else's until then; whether it can. One that was never proved may
/// have been mistyped: whoever has it gets no account by that.
async fn offer_undo(plan: &mut Plan<'_>, before: &User, by: &OneTimeLink) -> Result<bool> {
    let is_other = |address: &&String| !names::is_same_mailbox(address, &by.address);
    let Some(former) = before.email.as_ref().filter(is_other) else { return Ok(false) };
    // Two mailboxes of compatible letters are one name, which the account has.
    let is_same_name = names::email_key(former) == names::email_key(&by.address);
    if !before.email_verified {
        if !is_same_name {
            plan.release("email", former, before.id).await?;
        }
        return Ok(false);
    }
    let link = links::make(plan, before, by.epoch, LinkPurpose::EmailRevert, former)?;
    if !is_same_name {
        plan.hold("email", former, before.id, link.expires_at).await?;
    }
    notices::tell_by_link(plan, NoticeKind::EmailChanged, before, link)?;
    Ok(true)
}
