//! Passwords and tokens, pure: bytes in, bytes out; no storage, no clock.

pub mod access_token;
#[cfg(target_arch = "wasm32")]
mod hmac_provider;
pub mod password;
pub mod refresh_token;
