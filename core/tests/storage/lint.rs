//! Denies that a value of another type keeps from firing are told when a host starts.

use rolekeep::{
    Policy, Reason, Resource, Value,
    rules::{Context, Question, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal},
    storage::sql::{ColumnMapping, TableMapping},
};
use uuid::Uuid;

fn rules() -> RuleSet {
    let policy = Policy::new()
        .resource_type("document", [("level", "int?"), ("tags", "set<string>?"), ("reviewers", "set<id>")])
        .permissions(["document:read", "document:edit"])
        .add_role(
            Role::new("reader")
                .allow("document:*")
                .deny_when("*:edit", "resource.reviewers contains principal.id")
                .deny_when("document:*", "has resource.level and resource.level > 3")
                .deny("document:edit{tags}"),
        )
        .add_role(Role::new("tagger").deny_when("document:edit", "has resource.tags and resource.tags contains \"x\""))
        .add_role(Role::new("other").allow_when("document:read", "resource.level == 1"));
    RuleSet::compile(&policy, &Schema::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn told(mapping: TableMapping) -> Vec<String> {
    let mapping = mapping.column("reviewers", ColumnMapping::link("reviewers", "document", "id", "user"));
    mapping.lint(&rules(), "document").unwrap().iter().map(ToString::to_string).collect()
}

const LEVEL: &str = "role `reader`: `deny document:* when has resource.level and resource.level > 3` does not fire where \
                     `level` holds a value of another type, which counts as absent";
const TAGS: &str = "role `tagger`: `deny document:edit when has resource.tags and resource.tags contains \"x\"` does not \
                    fire where `tags` holds a value of another type, which counts as absent";

#[test]
fn denies_that_read_loose_columns_are_told() {
    assert_eq!(told(TableMapping::sqlite("d")), [LEVEL, TAGS]);
    // Sets are JSON in SQLite, whatever the table.
    assert_eq!(told(TableMapping::sqlite("d").strict()), [TAGS]);
    assert!(told(TableMapping::postgres("d")).is_empty());
    assert_eq!(told(TableMapping::postgres("d").column("level", ColumnMapping::json("meta", ["level"]))), [LEVEL]);
    let error = TableMapping::sqlite("d").lint(&rules(), "paper").unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidInput);
}

/// What is told is so.
#[test]
fn a_guarded_deny_does_not_fire_on_a_stored_value_of_another_type() {
    let rules = rules();
    let facts = StoredPrincipal {
        assignments: vec![StoredAssignment::new("reader", Scope::Global)],
        ..StoredPrincipal::new(Uuid::from_u128(1))
    };
    let (principal, context) = (rules.resolve_stored(facts), Context::new());
    for (level, is_allowed) in [("4", false), ("\"4\"", true), ("3", true)] {
        let resource = Resource::of("document")
            .stored("level", Value::Json(level.into()))
            .with("tags", Value::Null)
            .relation("reviewers", [Uuid::from_u128(2)]);
        let permission = rules.permission("document:read").unwrap();
        let (now, fields) = ("2026-06-01T12:00:00Z".parse().unwrap(), &[][..]);
        let question =
            Question { principal: &principal, permission, fields, resource: Some(&resource), context: &context, now };
        assert_eq!(rules.allows(&question).unwrap(), is_allowed, "{level}");
    }
}
