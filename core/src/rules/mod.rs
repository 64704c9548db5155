//! The rule engine (RBAC.md): a policy is compiled, and the result answers questions. Pure: no I/O,
//! no clock of its own.
//!
//! | file | holds |
//! |---|---|
//! | `policy`, `file/` | what a host writes, in code, TOML or JSON |
//! | `schema` | what the library brings: record types, relations, permissions |
//! | `compile/` | policy and schema to a [`RuleSet`], or every problem at once (`faults`) |
//! | `condition/` | the small language behind `when` |
//! | `rule_set` | the compiled form, and questions about the policy itself |
//! | `principal`, `resource`, `scope` | who asks, about what, held where |
//! | `decide` | the decision |
//! | `handle` | a permission that is asked for again and again |
//! | `filter` | the same rules as a predicate on rows |
//! | `explain/` | why |
//! | `effective` | what somebody may do |

mod attribute;
mod bits;
mod compile;
mod condition;
mod datum;
mod decide;
mod duration;
mod effective;
mod explain;
mod faults;
mod file;
mod filter;
mod handle;
mod json;
mod name;
mod policy;
mod principal;
mod resource;
mod rule_set;
mod schema;
mod scope;
mod scope_kind;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use decide::{Decision, Question};
pub use effective::EffectiveGrant;
pub use explain::{AssignmentTrace, Cause, Change, ChangeKind, Explanation, GrantTrace, TestTrace};
pub use filter::RowFilter;
pub use handle::PermissionHandle;
pub use policy::{Effect, Policy, Role};
pub use principal::{AssignmentFacts, Principal, PrincipalFacts};
pub use resource::{Context, Resource};
pub use rule_set::{FieldId, PermissionId, PermissionInfo, RoleId, RoleInfo, RuleSet};
pub use schema::Schema;
pub use scope::{NoScope, Scope};
pub(crate) use {datum::Base, duration::LIMIT as WIDEST_DURATION, filter::FilterAttribute};
