//! The scripts of PostgreSQL.

use crate::storage::sql::migrations::{Script, scripts};

/// The scripts that were released, in order; a released script never changes.
pub(super) const SCRIPTS: &[Script] = scripts! { "postgres":
    "0001_initial": kept ["all that is stored"];
};
