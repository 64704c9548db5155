//! Plain data, one file per noun; valid by construction.

pub mod check;
pub mod decode;
pub(crate) mod deferred;
pub mod drone;
pub mod error;
pub mod id;
pub mod input;
pub mod ip;
pub mod noun;
pub mod page;
pub mod patch;
pub mod policy;
pub mod predicate;
pub mod record;
pub mod region;
pub mod registry;
pub mod report;
pub mod role_assignment;
pub mod search;
pub mod secret;
pub mod session;
pub mod text;
pub mod time;
pub(crate) mod unicode;
pub mod user;
pub mod value;
