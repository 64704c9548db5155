//! User management and RBAC that an application embeds instead of deploying.

pub mod audit;
#[cfg(feature = "describe")]
pub mod describe;
pub mod environment;
pub mod model;
pub mod rules;
pub mod storage;

pub use model::error::{Code, Error, Reason, Result};
