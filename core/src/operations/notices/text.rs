//! The words of notices, in English and plain text. Nothing that somebody typed stands in them: who asks could write to
//! others by our hand.

use super::NoticeKind;
use crate::model::{secret::Secret, time::Time};

/// What stands in a notice beside its words.
pub(super) struct NoticeDetails<'n> {
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

/// The words of a notice.
pub(super) struct Words {
    /// The same for all of a kind.
    pub(super) subject: &'static str,
    about: &'static str,
    /// What to do if it was not asked for by who reads it.
    otherwise: &'static str,
}

const UNCHANGED: &str = "If it was not you, there is nothing to do: your account is as it was.";
const NOT_A_USER: &str = "If you do not have an account with us, there is nothing to do.";
const IF_IT_WAS_YOU: &str = "If it was you, there is nothing to do.";
const ASK_UNLESS_IT_WAS_YOU: &str = "If it was you, there is nothing to do; if not, ask for help where you signed up.";
const CHOOSE_PASSWORD: &str =
    "If it was not you, choose a new password at once: ask for a link by \"Forgot your password?\".";
const ASK_FOR_HELP: &str = "If you do not know why, ask for help where you signed up.";

/// The words of a kind; some have others where there is a link.
pub(super) const fn words(kind: NoticeKind, has_link: bool) -> Words {
    match kind {
        NoticeKind::PasswordReset => Words {
            subject: "Choose a new password",
            about: "Somebody, probably you, asked to choose a new password for your account. Open this to do so:",
            otherwise: UNCHANGED,
        },
        NoticeKind::SignInElsewhere => Words {
            subject: "How to sign in",
            about: "Somebody, probably you, asked for a mail to get into your account. It has no password: sign in the way you did before, \
             through the service that you signed up with.",
            otherwise: UNCHANGED,
        },
        NoticeKind::SignInCode => Words {
            subject: "Your code to sign in",
            about: "Somebody, probably you, asked to sign in. Type the code where you asked, or open the link on the same device. We never \
             ask you for it: whoever does wants to sign in as you.",
            otherwise: UNCHANGED,
        },
        NoticeKind::SignInByOtherWays => Words {
            subject: "How to sign in",
            about: "Somebody, probably you, asked to sign in to your account by mail. It is protected by more than a mailbox: sign in with \
             your password and your second factor, or with a passkey. If you do not know the password, or never chose it, ask for a \
             link by \"Forgot your password?\".",
            otherwise: UNCHANGED,
        },
        NoticeKind::Verification => Words {
            subject: "Confirm your e-mail address",
            about: "Open this to confirm that this e-mail address is yours:",
            otherwise: NOT_A_USER,
        },
        NoticeKind::Invitation => Words {
            subject: "You are invited",
            about: "You are invited to have an account here. Open this to choose a password; if this e-mail address has an account here already, \
             sign in to it before:",
            otherwise: "If you did not expect this, there is nothing to do.",
        },
        NoticeKind::Registration => Words {
            subject: "Begin your account",
            about: "Somebody, probably you, asked for an account with this e-mail address. Open this and give the password that you chose; the \
             account begins then:",
            otherwise: "If it was not you, there is nothing to do: there is no account.",
        },
        NoticeKind::EmailChange => Words {
            subject: "Confirm your new e-mail address",
            about: "Open this, signed in to your account, to use this e-mail address for it:",
            otherwise: NOT_A_USER,
        },
        NoticeKind::AddressTaken => Words {
            subject: "Your e-mail address is in use",
            about: "Somebody, perhaps you, asked to use this e-mail address for another account, or for a new one. Yours has it, and keeps it.",
            otherwise: "There is nothing to do.",
        },
        NoticeKind::EmailChanged if has_link => Words {
            subject: "Your e-mail address was changed",
            about: "The e-mail address of your account was changed to another one. If it was not you, open this to change it back, and \
             choose a new password then:",
            otherwise: IF_IT_WAS_YOU,
        },
        NoticeKind::EmailChanged => Words {
            subject: "Your e-mail address was changed",
            about: "The e-mail address of your account was changed.",
            otherwise: ASK_UNLESS_IT_WAS_YOU,
        },
        NoticeKind::UsernameChanged => Words {
            subject: "Your username was changed",
            about: "The username of your account was changed. Signing in takes the new one from now on, if there is one.",
            otherwise: ASK_UNLESS_IT_WAS_YOU,
        },
        NoticeKind::FactorAdded if has_link => Words {
            subject: "A second factor was added to your account",
            about: "A second factor was added to your account, an authenticator app or a passkey: signing in asks for it from now on. If it was \
             not you, open this to remove it, and choose a new password then:",
            otherwise: IF_IT_WAS_YOU,
        },
        NoticeKind::FactorAdded => Words {
            subject: "A second factor was added to your account",
            about: "A second factor was added to your account, an authenticator app or a passkey: signing in asks for it from now on.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::FactorRemoved => Words {
            subject: "A second factor was removed from your account",
            about: "A second factor was removed from your account: an authenticator app or a passkey.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::RecoveryCodesMade => Words {
            subject: "Your account has new recovery codes",
            about: "New recovery codes were made for your account. The earlier ones are void.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::RecoveryCodeUsed => Words {
            subject: "A recovery code of your account was used",
            about: "A recovery code of your account was used in place of its second factor.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::IdentityLinked if has_link => Words {
            subject: "Another service signs in to your account",
            about: "Your account was linked to one at another service, which signs in to it from now on. If it was not you, open this to undo \
             it, and choose a new password then:",
            otherwise: IF_IT_WAS_YOU,
        },
        NoticeKind::IdentityLinked => Words {
            subject: "Another service signs in to your account",
            about: "Your account was linked to one at another service, which signs in to it from now on.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::IdentityUnlinked => Words {
            subject: "A service no longer signs in to your account",
            about: "Your account is no longer linked to one at another service, which signed in to it before.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::PasskeySuspended => Words {
            subject: "A passkey of your account was suspended",
            about: "Two devices used the same passkey of your account, as if somebody had copied it; one of them, perhaps yours, was not let in. \
             It no longer counts, and all sessions have ended: sign in another way, remove it, and add one anew.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::FactorFailed => Words {
            subject: "Somebody knows your password",
            about: "Somebody gave the password of your account and then five wrong codes in a row, and was not let in.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::ApiKeyCreated => Words {
            subject: "Your account has a new API key",
            about: "An API key was made for your account: a program that has it does what you may, until you end it or it expires.",
            otherwise: "If it was not you, end the key and choose a new password at once: ask for a link by \"Forgot your password?\", which ends \
             all keys.",
        },
        NoticeKind::ApiKeyRevoked => Words {
            subject: "An API key of your account was ended",
            about: "An API key of your account was ended. Programs that use it are refused.",
            otherwise: ASK_FOR_HELP,
        },
        NoticeKind::SessionsEnded => Words {
            subject: "All sessions of your account were ended",
            about: "All sessions of your account were ended, by you or by somebody who looks after this service: every device has to sign in again.",
            otherwise: ASK_FOR_HELP,
        },
        NoticeKind::SessionRevoked => Words {
            subject: "We ended a session of your account",
            about: "Somebody who looks after this service ended a session of your account: that device has to sign in again.",
            otherwise: ASK_FOR_HELP,
        },
        NoticeKind::Impersonated => Words {
            subject: "One of our staff used your account",
            about: "Somebody who looks after this service uses it as you for up to an hour, to see what you see. That changes neither your \
             password nor anything else that you sign in by. You see it among your sessions, and can end it there.",
            otherwise: ASK_FOR_HELP,
        },
        NoticeKind::PasswordChanged => Words {
            subject: "Your password was changed",
            about: "The password of your account was changed, and all other sessions have ended.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::NewDevice => Words {
            subject: "A sign-in on a new device",
            about: "Somebody signed in to your account on a device that was not used for it before.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::SessionReused => Words {
            subject: "A session of your account was ended",
            about: "Two devices used the same session of your account, as if somebody had copied it. It has ended on both.",
            otherwise: CHOOSE_PASSWORD,
        },
        NoticeKind::SignInLocked => Words {
            subject: "Somebody tries to sign in to your account",
            about: "So many sign-ins to your account have failed in a row that only devices that you have used before are let in.",
            otherwise: "To sign in on another device, choose a new password: ask for a link by \"Forgot your password?\".",
        },
    }
}

impl Words {
    /// The text, with what stands in it.
    pub(super) fn text(&self, told: &NoticeDetails<'_>) -> Secret {
        let mut text = String::from("Hello,\n\n");
        text.push_str(self.about);
        text.push('\n');
        if let Some(code) = told.code {
            let (first, last) = code.expose().split_at_checked(4).unwrap_or((code.expose(), ""));
            text.push_str(&format!("\n{first} {last}\n"));
        }
        if !told.api_keys.is_empty() {
            let keys = told.api_keys.join("\n");
            text.push_str(&format!(
                "\nAPI keys that begin like this still work. End those that you do not recognise:\n\n{keys}\n"
            ));
        }
        if let Some((link, until)) = told.link {
            text.push_str(&format!("\n{}\n\nIt can be used once, until {}.\n", link.expose(), minute(until)));
        }
        text.push_str(&format!("\n{}\n\nTime: {}\n", self.otherwise, minute(told.at)));
        if let Some(ip) = told.ip {
            text.push_str(&format!("IP address: {ip}\n"));
        }
        if let Some(application) = told.application {
            text.push_str(&format!("\n{application}\n"));
        }
        text.into()
    }
}

/// A time to the minute, in UTC.
fn minute(time: Time) -> String {
    let text = time.to_string();
    match text.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => text,
    }
}
