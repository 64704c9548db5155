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
//! | `principal/`, `resource`, `shape`, `scope` | who asks, about what, held where |
//! | `given` | whether what is handed in with a question is of the declared types |
//! | `reads`, `datum` | what is read of a resource type, and the values as conditions see them |
//! | `columns`, `bits` | which roles allow a permission, as tables of bits |
//! | `decide/` | the decision |
//! | `directory/` | the principals that are in memory |
//! | `handle` | a permission that is asked for again and again |
//! | `filter` | the same rules as a predicate on rows |
//! | `explain/` | why |
//! | `effective` | what somebody may do |
//! | `lint` | what is right and may not do what it seems to |
//! | `standalone` | all of that for hosts without accounts, by names |
//! | `names/` | the permissions of a policy as source text of a language |
//! | `flat` | what roles say of permissions, to compare two policies |

mod attribute;
mod bits;
mod columns;
mod compile;
mod condition;
mod datum;
mod decide;
mod directory;
mod duration;
mod effective;
mod explain;
mod faults;
mod file;
mod filter;
mod flat;
mod given;
mod handle;
mod json;
mod lint;
mod name;
mod names;
mod parts;
mod policy;
mod pool;
mod principal;
mod reads;
mod resource;
mod role;
mod rule_set;
mod schema;
mod scope;
mod scope_kind;
mod scope_tree;
mod shape;
mod standalone;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use decide::{Decision, Question};
pub use directory::{Directory, Outdated, Pin, Rights, Ticket, UserHandle};
pub use effective::EffectiveGrant;
pub use explain::{AssignmentTrace, Cause, Change, ChangeKind, Explanation, GrantTrace, TestOutcome, TestTrace};
pub use filter::RowFilter;
pub use flat::{FlatAnswer, FlatRoles, Names, Said, Verdicts};
pub use handle::PermissionHandle;
pub use lint::LooseDeny;
pub use names::Language;
pub use parts::{PartProblem, PolicyParts};
pub use policy::{Effect, Policy, Role};
pub use principal::{AssignedRole, AssignmentFacts, Principal, PrincipalData, PrincipalFacts, PrincipalId};
pub use resource::{Context, Resource};
pub use rule_set::{FieldId, PermissionId, PermissionInfo, RoleId, RoleInfo, RuleSet};
pub use schema::Schema;
pub use scope::{NoScope, Scope};
pub use scope_tree::ScopeTree;
pub use shape::ResourceShape;
pub use standalone::{Asking, Rules};
pub(crate) use {datum::Base, duration::LIMIT as WIDEST_DURATION, filter::FilterAttribute};
