//! Changing one's own e-mail address (AUT-9): by a link to the new one, opened by who asked; the former one can undo it.

mod change;
mod revert;

pub use super::sessions::Tokens;
pub use change::{ChangeEmail, ConfirmEmail};
pub use revert::RevertEmail;
pub(super) use revert::forbid_undo;
