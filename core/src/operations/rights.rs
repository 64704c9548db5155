//! The right first, then anything about what exists (SEC-9): asked inside a plan, before it says why else it fails.

use super::{
    plan::Plan,
    target::{ResourceRecord, TargetRow},
};
use crate::model::error::{Error, Result};

/// Refuses a row that the caller may not have as it will be. The engine asks again, about all rows; here it is
/// asked before a name turns out to be taken.
pub async fn require_after<R: ResourceRecord>(plan: &Plan<'_>, permission: &str, after: &R) -> Result<()> {
    match plan.may_after(permission, &TargetRow::of(after)).await? {
        true => Ok(()),
        false => Err(Error::denied(permission)),
    }
}
