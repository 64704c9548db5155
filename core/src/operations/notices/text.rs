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
}

/// The same for all notices of a kind.
pub(super) const fn subject(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::PasswordReset => "Choose a new password",
        NoticeKind::SignInElsewhere => "How to sign in",
        NoticeKind::Verification => "Confirm your e-mail address",
        NoticeKind::EmailChange => "Confirm your new e-mail address",
        NoticeKind::AddressTaken => "Your e-mail address is in use",
        NoticeKind::EmailChanged => "Your e-mail address was changed",
        NoticeKind::FactorAdded => "A second factor was added to your account",
        NoticeKind::FactorRemoved => "A second factor was removed from your account",
        NoticeKind::RecoveryCodesMade => "Your account has new recovery codes",
        NoticeKind::RecoveryCodeUsed => "A recovery code of your account was used",
        NoticeKind::FactorFailed => "Somebody knows your password",
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
            "Somebody, probably you, asked to choose a new password for your account. It has none: sign in the way you \
             did before, through the service that you signed up with."
        }
        NoticeKind::Verification => "Open this to confirm that this e-mail address is yours:",
        NoticeKind::EmailChange => "Open this, signed in to your account, to use this e-mail address for it:",
        NoticeKind::AddressTaken => {
            "Somebody, perhaps you, asked to use this e-mail address for another account. Yours has it, and keeps it."
        }
        NoticeKind::EmailChanged if has_link => {
            "The e-mail address of your account was changed to another one. If it was not you, open this to change it back, and \
             choose a new password then:"
        }
        NoticeKind::EmailChanged => "The e-mail address of your account was changed.",
        NoticeKind::FactorAdded if has_link => {
            "An authenticator app was added to your account: signing in asks for a code of it from now on. If it was not you, open this \
             to remove it, and choose a new password then:"
        }
        NoticeKind::FactorAdded => {
            "An authenticator app was added to your account: signing in asks for a code of it from now on."
        }
        NoticeKind::FactorRemoved => "An authenticator app was removed from your account.",
        NoticeKind::RecoveryCodesMade => "New recovery codes were made for your account. Those before are void.",
        NoticeKind::RecoveryCodeUsed => "A recovery code of your account was used in place of its second factor.",
        NoticeKind::FactorFailed => {
            "Somebody gave the password of your account and then five wrong codes in a row, and was not let in."
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
        NoticeKind::PasswordReset | NoticeKind::SignInElsewhere => {
            "If it was not you, there is nothing to do: your account is as it was."
        }
        NoticeKind::AddressTaken => "There is nothing to do.",
        NoticeKind::EmailChanged | NoticeKind::FactorAdded if has_link => "If it was you, there is nothing to do.",
        NoticeKind::EmailChanged => "If it was you, there is nothing to do; if not, ask for help where you signed up.",
        NoticeKind::Verification | NoticeKind::EmailChange => {
            "If you do not have an account with us, there is nothing to do."
        }
        NoticeKind::PasswordChanged
        | NoticeKind::NewDevice
        | NoticeKind::SessionReused
        | NoticeKind::FactorAdded
        | NoticeKind::FactorRemoved
        | NoticeKind::RecoveryCodesMade
        | NoticeKind::RecoveryCodeUsed
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
