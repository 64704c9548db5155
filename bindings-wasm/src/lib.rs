//! The wasm half of the npm package `rolekeep`: functions of strings, which the TypeScript half gives types.
#![cfg(target_arch = "wasm32")]

#[cfg(feature = "node")]
mod breached;
#[cfg(not(feature = "rules"))]
mod caller;
#[cfg(feature = "node")]
mod command;
#[cfg(feature = "deferred")]
mod deferred;
mod environment;
mod error;
#[cfg(feature = "node")]
mod fetch;
#[cfg(feature = "node")]
mod notifier;
mod packed;
#[cfg(not(feature = "rules"))]
mod persister;
#[cfg(any(feature = "rules", feature = "node"))]
mod rules;
#[cfg(not(feature = "rules"))]
mod store;
#[cfg(feature = "node")]
mod telemetry;
