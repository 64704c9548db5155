//! The scripts of PostgreSQL.

use crate::storage::sql::migrations::{Script, scripts};

/// The scripts, in order; one that was released never changes. Until the first release there is one.
pub(super) const SCRIPTS: &[Script] = scripts! { "postgres":
    "0001_initial": kept ["all that is stored"];
};
