//! Plain data, one file per noun; valid by construction.

pub mod decode;
pub mod error;
pub mod id;
pub mod patch;
pub mod predicate;
pub mod record;
pub mod search;
pub mod secret;
pub mod time;
pub mod value;
