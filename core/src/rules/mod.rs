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

mod authorize;
mod cache;
mod compile;
mod condition;
mod diagnostics;
mod explain;
mod filter;
mod policy;
mod principal;
mod resource;
mod scope;
mod standalone;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use authorize::{Decision, EffectiveGrant, PermissionHandle, Question};
pub use cache::{Directory, Outdated, Pin, Rights, Ticket, UserHandle};
pub use compile::{
    lint::LooseDeny,
    rule_set::{FieldId, PermissionId, PermissionInfo, RoleId, RoleInfo, RuleSet},
    schema::Schema,
};
pub use explain::{AssignmentTrace, Cause, Change, ChangeKind, Explanation, GrantTrace, TestOutcome, TestTrace};
pub use filter::RowFilter;
pub use policy::{
    Effect, Policy, Role,
    diff::{FlatAnswer, FlatRoles, Names, Said, Verdicts},
    names::Language,
    rows::{PartProblem, PolicyParts},
};
pub use principal::{AssignedRole, AssignmentFacts, Principal, PrincipalData, PrincipalFacts, PrincipalId};
pub use resource::{Context, Resource, layout::ResourceShape};
pub use scope::{NoScope, Scope, tree::ScopeTree};
pub use standalone::{Asking, Rules};
pub(crate) use {condition::duration::LIMIT as WIDEST_DURATION, condition::value::Base, filter::FilterAttribute};
