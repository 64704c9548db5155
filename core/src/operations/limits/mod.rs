//! Limits (AUT-12): how often somebody may try to prove who it is (docs/decisions/021-limits.md).
//!
//! A failed try counts in lanes: of the address, of the name that was typed, of the device or of the user. A try is let in
//! where each lane has room, and its answer is told only if that is so still when it is committed: then a failed one takes
//! its places in the same commit, and one that holds relies on the lanes. So no more answers are told than there are
//! places, however many tries there are at a time and on however many instances; and what succeeds writes nothing.
//!
//! | file | holds |
//! |---|---|
//! | `quota` | how many in which time (GCRA), pure |
//! | `lanes` | what a try counts in |
//! | `requests` | what a request for mail or an account counts in |
//! | `tries` | letting tries in, and counting them |
//! | `permits` | how many are looked at now, on this instance |
//! | `rates` | requests a minute, reads and writes an hour |
//! | `clear` | the operation `limits.clear` |

mod clear;
mod lanes;
mod permits;
mod quota;
mod rates;
mod requests;
mod tries;

pub use clear::ClearLimits;
pub(super) use clear::{forget, lanes_of};
pub(crate) use lanes::network;
pub(super) use lanes::{Claimed, FactorTry, Try, known_device, mail_device_token, new_device_token, pseudonym_of};
pub(super) use permits::{Permit, Permits};
pub(crate) use quota::Quota;
pub(crate) use rates::{Rate, rates, take_some};
pub(super) use tries::{Standing, Tries, room};
