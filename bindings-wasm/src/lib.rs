//! The wasm half of the npm package `rolekeep`: a door of strings, which the TypeScript half gives types.
#![cfg(target_arch = "wasm32")]

mod caller;
#[cfg(feature = "node")]
mod command;
mod environment;
mod error;
mod persister;
mod store;
