//! The policy as data that is managed while the store is open (RBC-1, RBC-2, RBC-14).
//!
//! | file | holds |
//! |---|---|
//! | `state` | the policy of an open store, and THE place where its rules are made anew |
//! | `open` | what the host gives at opening, merged with what is stored |
//! | `edit` | one edit: its rows, its problems as field errors, the last administrator |
//! | `file` | get, export, validate, diff, import |
//! | `nesting` | which scopes lie within which, in force together with the policy |
//! | `difference` | what differs between two policies, as data |
//! | `dry_run`, `comparison` | which decisions would change |
//! | `statements` | what roles say of permissions, for the comparison and for who reads one role |
//!
//! Roles and permissions one by one are in `operations/roles` and `operations/permissions`.

mod comparison;
mod difference;
mod dry_run;
pub(crate) mod edit;
mod file;
pub(in crate::operations) mod nesting;
pub(crate) mod open;
pub(crate) mod state;
pub(in crate::operations) mod statements;

pub use difference::{PolicyChange, PolicyChangeKind, PolicyFieldChange, PolicyPart};
pub use dry_run::{DecisionAnswer, DecisionChange, DryRun, DryRunPolicy, RoleEdit};
pub use file::{
    DiffPolicy, ExportPolicy, GetPolicy, ImportPolicy, ImportedPolicy, PolicyFile, PolicyFormat, PolicySummary,
    PolicyValidation, ValidatePolicy,
};
