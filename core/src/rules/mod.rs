//! The rule engine (docs/rules.md): a policy is compiled, and the result answers questions. Pure: no I/O,
//! no clock of its own.
//!
//! | folder | holds |
//! |---|---|
//! | `policy/` | what a host writes, in code, TOML or JSON; as rows of a store |
//! | `compile/` | a policy and what the library brings (`schema`) to a [`RuleSet`] and its tables, or every problem at once |
//! | `condition/` | the small language behind `when`, and the typed values that it reads |
//! | `principal/`, `resource/`, `scope/` | who asks, about what, and where roles are held |
//! | `authorize/` | the decision, and what somebody may do at all |
//! | `filter` | the same rules as a predicate on rows |
//! | `explain/` | why, and what would have to change |
//! | `cache/` | the principals that are in memory |
//! | `standalone` | all of that for hosts without accounts, by names |
//! | `diagnostics` | problems of a policy, with their places in its file |

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

pub use authorize::{Decision, EffectiveGrant, PermissionHandle, PermissionName, Question};
pub use cache::{Outdated, Pin, PrincipalCache, Rights, Ticket, UserHandle};
pub use compile::{
    lint::LooseDeny,
    rule_set::{FieldId, PermissionId, PermissionInfo, RoleId, RoleInfo, RuleSet},
    schema::Schema,
};
pub use explain::{
    AssignmentTrace, Cause, ChangeKind, Explanation, GrantTrace, ProposedChange, TestOutcome, TestTrace,
};
pub use filter::RowFilter;
pub use policy::{Effect, Policy, Role};
pub use principal::{AssignedRole, Principal, PrincipalData, PrincipalId, StoredAssignment, StoredPrincipal};
pub use resource::{Context, Resource};
pub use scope::{ParseScopeError, Scope, tree::ScopeTree};
pub use standalone::{PrincipalChecks, Rules};

// For the crate.
pub(crate) use authorize::Check;
pub(crate) use compile::asset_kinds::AssetKind;
pub(crate) use condition::{
    duration::LIMIT as WIDEST_DURATION,
    value::{Base, GivenValue},
};
pub(crate) use filter::FilterAttribute;
pub(crate) use policy::rows::PolicyRows;
pub(crate) use principal::{KeyProperties, SessionProperties};
#[cfg(feature = "bindings")]
pub(crate) use resource::ResourceValue;

// Among the folders, in which each of these names means one thing.
use authorize::{EvaluationContext, Supposed, Verdict};
use compile::{
    attribute::{Attribute, ResourceType, Stored},
    interner::to_index,
    reads::TypeReads,
    role::{CompiledRole, GrantId, NONE, OwnGrant, QualifiedGrant},
    rule_set::{DecisionFlags, RuleSetVersion, suggestion},
    symbols::{Symbols, USER},
};
use condition::{
    ConditionError,
    check::Vocabulary,
    parser::{Root, check_grammar},
    satisfiable::is_satisfiable,
    tree::{Condition, Literal, Operand, Path, Source, Test, TestKind, Tree, Values},
    value::{Type, TypedValue, parse_type, read_one, read_text, type_names},
};
use diagnostics::{Diagnostic, Diagnostics, Span, Text, shown};
use policy::{
    AssetKindDecl, AttributeDecl, Grant, PermissionDecl, ScopeDecl,
    name::{ADMIN, Pattern, is_name, is_word},
};
use principal::{Assignment, RoleAssignment};
use resource::{NO_CONTEXT, ResourceValues, given::check_declared, missing};
use scope::kind::{BoundScope, KindId, ScopeKind, bind};
