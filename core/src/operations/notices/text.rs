//! The words of notices, in English and plain text. Nothing that somebody typed stands in them: who asks could write to
//! others by our hand.

use super::NoticeKind;
use crate::model::{secret::Secret, time::Time};

/// What stands in a notice beside its words.
pub(super) struct Told<'n> {
    pub(super) application: Option<&'n str>,
    pub(super) at: Time,
    pub(super) ip: Option<&'n str>,
    /// The link, or the token where there is no page, and until when it is good.
    pub(super) link: Option<(&'n Secret, Time)>,
    /// What is typed instead.
    pub(super) code: Option<&'n Secret>,
    /// What the API keys begin with that go on.
    pub(super) api_keys: &'n [String],
}

/// The same for all notices of a kind.
pub(super) const fn subject(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::PasswordReset => "Choose a new password",
        NoticeKind::SignInElsewhere | NoticeKind::SignInByOtherWays => "How to sign in",
        NoticeKind::SignInCode => "Your code to sign in",
        NoticeKind::Verification => "Confirm your e-mail address",
        NoticeKind::Invitation => "You are invited",
        NoticeKind::Registration => "Begin your account",
        NoticeKind::EmailChange => "Confirm your new e-mail address",
        NoticeKind::AddressTaken => "Your e-mail address is in use",
        NoticeKind::EmailChanged => "Your e-mail address was changed",
        NoticeKind::UsernameChanged => "Your username was changed",
        NoticeKind::FactorAdded => "A second factor was added to your account",
        NoticeKind::FactorRemoved => "A second factor was removed from your account",
        NoticeKind::RecoveryCodesMade => "Your account has new recovery codes",
        NoticeKind::RecoveryCodeUsed => "A recovery code of your account was used",
        NoticeKind::IdentityLinked => "Another service signs in to your account",
        NoticeKind::IdentityUnlinked => "A service signs in to your account no more",
        NoticeKind::PasskeySuspended => "A passkey of your account was suspended",
        NoticeKind::FactorFailed => "Somebody knows your password",
        NoticeKind::ApiKeyCreated => "Your account has a new API key",
        NoticeKind::ApiKeyRevoked => "An API key of your account was ended",
        NoticeKind::SessionsEnded => "All sessions of your account were ended",
        NoticeKind::SessionRevoked => "We ended a session of your account",
        NoticeKind::Impersonated => "Somebody of us used your account",
        NoticeKind::PasswordChanged => "Your password was changed",
        NoticeKind::NewDevice => "A sign-in on a new device",
        NoticeKind::SessionReused => "A session of your account was ended",
        NoticeKind::SignInLocked => "Somebody tries to sign in to your account",
    }
}

const fn about(kind: NoticeKind, has_link: bool) -> &'static str {
    match kind {
        NoticeKind::PasswordReset => {
            "Somebody, probably you, asked to choose a new password for your account. Open this to do so:"
        }
        NoticeKind::SignInElsewhere => {
            "Somebody, probably you, asked for a mail to get into your account. It has no password: sign in the way you did before, \
             through the service that you signed up with."
        }
        NoticeKind::SignInByOtherWays => {
            "Somebody, probably you, asked to sign in to your account by mail. It is kept by more than a mailbox: sign in with \
             your password and your second factor, or with a passkey. If you do not know the password, or never chose it, ask for a \
             link by \"Forgot your password?\"."
        }
        NoticeKind::SignInCode => {
            "Somebody, probably you, asked to sign in. Type the code where you asked, or open the link on the same device. Nobody of \
             us asks for it: whoever does wants to sign in as you."
        }
        NoticeKind::Verification => "Open this to confirm that this e-mail address is yours:",
        NoticeKind::Invitation => {
            "You are invited to have an account here. Open this to choose a password; if this e-mail address has an account here already, \
             sign in to it before:"
        }
        NoticeKind::Registration => {
            "Somebody, probably you, asked for an account with this e-mail address. Open this and give the password that you chose; the \
             account begins then:"
        }
        NoticeKind::EmailChange => "Open this, signed in to your account, to use this e-mail address for it:",
        NoticeKind::AddressTaken => {
            "Somebody, perhaps you, asked to use this e-mail address for another account, or for a new one. Yours has it, and keeps it."
        }
        NoticeKind::EmailChanged if has_link => {
            "The e-mail address of your account was changed to another one. If it was not you, open this to change it back, and \
             choose a new password then:"
        }
        NoticeKind::EmailChanged => "The e-mail address of your account was changed.",
        NoticeKind::UsernameChanged => {
            "The username of your account was changed. Signing in takes the new one from now on, if there is one."
        }
        NoticeKind::FactorAdded if has_link => {
            "A second factor was added to your account, an authenticator app or a passkey: signing in asks for it from now on. If it was \
             not you, open this to remove it, and choose a new password then:"
        }
        NoticeKind::FactorAdded => {
            "A second factor was added to your account, an authenticator app or a passkey: signing in asks for it from now on."
        }
        NoticeKind::FactorRemoved => {
            "A second factor was removed from your account: an authenticator app or a passkey."
        }
        NoticeKind::RecoveryCodesMade => "New recovery codes were made for your account. Those before are void.",
        NoticeKind::RecoveryCodeUsed => "A recovery code of your account was used in place of its second factor.",
        NoticeKind::IdentityLinked if has_link => {
            "Your account was linked to one at another service, which signs in to it from now on. If it was not you, open this to undo \
             it, and choose a new password then:"
        }
        NoticeKind::IdentityLinked => {
            "Your account was linked to one at another service, which signs in to it from now on."
        }
        NoticeKind::IdentityUnlinked => {
            "Your account is not linked any more to one at another service, which signed in to it before."
        }
        NoticeKind::PasskeySuspended => {
            "Two devices used the same passkey of your account, as if somebody had copied it; one of them, perhaps yours, was not let in. \
             It does not count any more, and all sessions have ended: sign in by another way, remove it, and add one anew."
        }
        NoticeKind::FactorFailed => {
            "Somebody gave the password of your account and then five wrong codes in a row, and was not let in."
        }
        NoticeKind::ApiKeyCreated => {
            "An API key was made for your account: a program that has it does what you may, until you end it or its time is over."
        }
        NoticeKind::ApiKeyRevoked => "An API key of your account was ended. Programs that use it are refused.",
        NoticeKind::SessionsEnded => {
            "All sessions of your account were ended, by you or by somebody who looks after this service: every device has to sign in again."
        }
        NoticeKind::SessionRevoked => {
            "Somebody who looks after this service ended a session of your account: that device has to sign in again."
        }
        NoticeKind::Impersonated => {
            "Somebody who looks after this service uses it as you for up to an hour, to see what you see. That changes neither your \
             password nor anything else that you sign in by. You see it among your sessions, and can end it there."
        }
        NoticeKind::PasswordChanged => "The password of your account was changed, and all other sessions have ended.",
        NoticeKind::NewDevice => "Somebody signed in to your account on a device that was not used for it before.",
        NoticeKind::SessionReused => {
            "Two devices used the same session of your account, as if somebody had copied it. It has ended on both."
        }
        NoticeKind::SignInLocked => {
            "So many sign-ins to your account have failed in a row that only devices that you have used before are let in."
        }
    }
}

/// What to do if it was not asked for by who reads it.
const fn otherwise(kind: NoticeKind, has_link: bool) -> &'static str {
    match kind {
        NoticeKind::PasswordReset
        | NoticeKind::SignInElsewhere
        | NoticeKind::SignInByOtherWays
        | NoticeKind::SignInCode => "If it was not you, there is nothing to do: your account is as it was.",
        NoticeKind::AddressTaken => "There is nothing to do.",
        NoticeKind::Invitation => "If you do not know why, there is nothing to do.",
        NoticeKind::Registration => "If it was not you, there is nothing to do: there is no account.",
        NoticeKind::EmailChanged | NoticeKind::FactorAdded | NoticeKind::IdentityLinked if has_link => {
            "If it was you, there is nothing to do."
        }
        NoticeKind::ApiKeyCreated => {
            "If it was not you, end the key and choose a new password at once: ask for a link by \"Forgot your password?\", which ends \
             all keys."
        }
        NoticeKind::ApiKeyRevoked
        | NoticeKind::SessionsEnded
        | NoticeKind::SessionRevoked
        | NoticeKind::Impersonated => "If you do not know why, ask for help where you signed up.",
        NoticeKind::EmailChanged | NoticeKind::UsernameChanged => {
            "If it was you, there is nothing to do; if not, ask for help where you signed up."
        }
        NoticeKind::Verification | NoticeKind::EmailChange => {
            "If you do not have an account with us, there is nothing to do."
        }
        NoticeKind::PasswordChanged
        | NoticeKind::NewDevice
        | NoticeKind::SessionReused
        | NoticeKind::FactorAdded
        | NoticeKind::FactorRemoved
        | NoticeKind::IdentityLinked
        | NoticeKind::IdentityUnlinked
        | NoticeKind::RecoveryCodesMade
        | NoticeKind::RecoveryCodeUsed
        | NoticeKind::PasskeySuspended
        | NoticeKind::FactorFailed => {
            "If it was not you, choose a new password at once: ask for a link by \"Forgot your password?\"."
        }
        NoticeKind::SignInLocked => {
            "To sign in on another device, choose a new password: ask for a link by \"Forgot your password?\"."
        }
    }
}

/// The text.
pub(super) fn text(kind: NoticeKind, told: &Told<'_>) -> Secret {
    let mut text = String::from("Hello,\n\n");
    text.push_str(about(kind, told.link.is_some()));
    text.push('\n');
    if let Some(code) = told.code {
        let (first, last) = code.expose().split_at_checked(4).unwrap_or((code.expose(), ""));
        text.push_str(&format!("\n{first} {last}\n"));
    }
    if !told.api_keys.is_empty() {
        let keys = told.api_keys.join("\n");
        text.push_str(&format!("\nAPI keys that begin so go on. End those that you do not know:\n\n{keys}\n"));
    }
    if let Some((link, until)) = told.link {
        text.push_str(&format!("\n{}\n\nIt can be used once, until {}.\n", link.expose(), minute(until)));
    }
    text.push_str(&format!("\n{}\n\nTime: {}\n", otherwise(kind, told.link.is_some()), minute(told.at)));
    if let Some(ip) = told.ip {
        text.push_str(&format!("IP address: {ip}\n"));
    }
    if let Some(application) = told.application {
        text.push_str(&format!("\n{application}\n"));
    }
    text.into()
}

/// A time to the minute, in UTC.
fn minute(time: Time) -> String {
    let text = time.to_string();
    match text.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => text,
    }
}
