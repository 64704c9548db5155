//! User management and RBAC that an application embeds instead of deploying.

pub mod audit;
pub mod caller;
pub mod config;
pub mod credentials;
#[cfg(feature = "describe")]
pub mod describe;
pub mod door;
mod engine;
pub mod environment;
pub mod manager;
pub mod model;
pub mod operations;
pub mod rules;
pub mod settings;
pub mod storage;

pub use caller::Caller;
pub use config::Config;
pub use manager::UserManagement;
pub use model::error::{Code, Error, Reason, Result};
pub use operations::actor::RequestContext;
pub use rules::{Policy, Resource};
