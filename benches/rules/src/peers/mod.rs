//! Other engines, one per file, each in the best shape that its documents show for roles.

mod casbin;
mod cedar;
mod gatehouse;
mod oso;
mod regorus;
mod role_system;
mod rust_rbac;

pub use casbin::{Cached as CasbinCached, Plain as Casbin};
pub use cedar::{PerGrant as CedarPerGrant, RoleSets as CedarRoleSets, Scoped as CedarScoped};
pub use gatehouse::Gatehouse;
pub use oso::Oso;
pub use regorus::{Interpreter as Regorus, Vm as RegorusVm};
pub use role_system::{Cached as RoleSystemCached, Plain as RoleSystem};
pub use rust_rbac::RustRbac;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use anyhow::{Result, bail};

/// The outcome of something asynchronous that never waits: what these engines do in memory.
fn now<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => bail!("it waits for something"),
    }
}
