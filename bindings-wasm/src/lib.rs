//! The wasm half of the npm package `rolekeep`: a door of strings, which the TypeScript half gives types.
#![cfg(target_arch = "wasm32")]

#[cfg(not(feature = "tools"))]
mod caller;
#[cfg(not(feature = "tools"))]
mod environment;
#[cfg(not(feature = "tools"))]
mod error;
#[cfg(not(feature = "tools"))]
mod persister;
#[cfg(not(feature = "tools"))]
mod store;
#[cfg(feature = "tools")]
mod tools;
