//! What explanations say to people: `explanations/*.txt`, which `UPDATE_SNAPSHOTS=1` writes anew. Read what
//! changed as somebody who never saw the library.

use std::{path::Path, sync::Arc};

use rolekeep::{
    Time, Value,
    rules::{Context, Policy, Principal, Question, Resource, Role, RuleSet, Scope, StoredAssignment, StoredPrincipal},
};
use uuid::Uuid;

const EAST: Uuid = Uuid::from_u128(0xea57);
const WEST: Uuid = Uuid::from_u128(0x3e57);
const AUSTRIA: Uuid = Uuid::from_u128(0xa7);
const ITALY: Uuid = Uuid::from_u128(0x17);
const ADA: Uuid = Uuid::from_u128(0xada);
const BOB: Uuid = Uuid::from_u128(0xb0b);
const DRONE: Uuid = Uuid::from_u128(0xd1);

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn held(role: &str, scope: Scope) -> StoredAssignment {
    StoredAssignment::new(role, scope)
}

fn everywhere(role: &str) -> Vec<StoredAssignment> {
    vec![held(role, Scope::Global)]
}

fn account(id: Uuid, region: Option<Uuid>, assignments: Vec<StoredAssignment>) -> StoredPrincipal {
    let attributes = vec![
        ("username".into(), Value::from("ada")),
        ("email".into(), Value::from("ada@example.org")),
        ("status".into(), Value::from("active")),
        ("region_id".into(), region.into()),
    ];
    StoredPrincipal { attributes, assignments, ..StoredPrincipal::new(id) }
}

fn drone(region: Option<Uuid>) -> Resource<'static> {
    let id = |id: Option<Uuid>| Value::from(id);
    let drone = Resource::of("drone").with("id", DRONE).with("region_id", id(region)).with("status", "ACTIVE");
    drone.with("operator_id", Value::Null).relation("assigned_users", [BOB])
}

fn user(id: Uuid) -> Resource<'static> {
    Resource::of("user").with("id", id).with("region_id", Value::Null)
}

/// A policy with something of everything.
fn own() -> Policy {
    Policy::new()
        .resource_type("region", [("country_id", "id?")])
        .resource_type("user", [("bio", "string?"), ("avatar", "string?")])
        .context("mfa", "bool")
        .scope_kind("country", "country_id")
        .nested_scope_kind("region", "region_id", "country_id")
        .anonymous("guest")
        .add_role(Role::new("guest").allow_when("drone:list", "resource.status == 'ACTIVE'"))
        .add_role(Role::new("reader").allow("drone:read"))
        .add_role(Role::new("pilot").inherits("reader").allow_when(
            "drone:update",
            "context.mfa == true and resource.status in ['ACTIVE', 'IDLE'] and now < '2026-06-01T06:00:00Z'",
        ))
        .add_role(Role::new("chief").inherits("pilot").allow("drone:assign"))
        .add_role(
            Role::new("own_drones")
                .allow_when("drone:delete", "has resource.operator_id and resource.operator_id == principal.id"),
        )
        .add_role(Role::new("grounded").deny_when("drone:*", "resource.status != 'MAINTENANCE'"))
        .add_role(Role::new("closed").deny("drone:read"))
        .add_role(Role::new("author").allow("user:update{bio,avatar}"))
        .add_role(Role::new("root").allow("admin:all"))
}

/// One situation.
struct Told<'a> {
    rules: &'a RuleSet,
    context: Context,
}

impl Told<'_> {
    fn tell(&self, name: &str, principal: &Principal, permission: &str, resource: Option<&Resource<'_>>) {
        let (permission, fields) = self.rules.permission_and_fields(permission).unwrap();
        let now = time("2026-06-01T12:00:00Z");
        let question = Question { principal, permission, fields: &fields, resource, context: &self.context, now };
        let explanation = self.rules.decide(&question).unwrap().explain();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explanations").join(format!("{name}.txt"));
        let text = explanation.text + "\n";
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, known, "{name}: UPDATE_SNAPSHOTS=1 writes it anew");
    }
}

#[test]
fn presets() {
    let flyos = RuleSet::compile(&Policy::preset("flyos").unwrap(), &rolekeep_test_cases::schema()).unwrap();
    let told = Told { rules: &flyos, context: Context::new() };
    let of = |role: &str, region| flyos.resolve_stored(account(ADA, region, everywhere(role)));
    told.tell("allowed_by_administrator", &of("MAIN_HQ", None), "drone:update", Some(&drone(None)));
    told.tell("allowed_by_condition", &of("REGIONAL_HQ", Some(EAST)), "drone:read", Some(&drone(Some(EAST))));
    told.tell("denied_by_condition", &of("REGIONAL_HQ", Some(EAST)), "drone:read", Some(&drone(Some(WEST))));
    told.tell("denied_by_absent_value", &of("REGIONAL_HQ", None), "drone:read", Some(&drone(Some(WEST))));
    told.tell("denied_by_relation", &of("OPERATOR", None), "drone:read", Some(&drone(Some(WEST))));
    told.tell("denied_for_administrators_only", &of("OPERATOR", None), "drone:update", Some(&drone(None)));
    told.tell("denied_without_a_resource", &of("OPERATOR", None), "drone:read", None);
    let suspended =
        StoredPrincipal { is_active: false, status: "suspended".into(), ..account(BOB, None, everywhere("OPERATOR")) };
    told.tell("denied_suspended", &flyos.resolve_stored(suspended.clone()), "drone:read", Some(&drone(None)));
    let suspended = StoredPrincipal { id: ADA, ..suspended };
    told.tell("denied_suspended_and_more", &flyos.resolve_stored(suspended), "drone:read", Some(&drone(None)));

    let standard = RuleSet::compile(&Policy::preset("standard").unwrap(), &rolekeep_test_cases::schema()).unwrap();
    let told = Told { rules: &standard, context: Context::new() };
    let of = |role: &str| standard.resolve_stored(account(ADA, None, everywhere(role)));
    told.tell("allowed_plainly", &of("moderator"), "user:update", Some(&user(ADA)));
    told.tell("denied_not_ones_own", &of("user"), "user:update", Some(&user(BOB)));
    told.tell("denied_no_role_held_gives_it", &of("user"), "user:list", Some(&user(BOB)));
    told.tell(
        "denied_nothing_held",
        &standard.resolve_stored(account(ADA, None, Vec::new())),
        "user:read",
        Some(&user(BOB)),
    );
    told.tell("denied_unknown_role", &of("moderater"), "user:list", Some(&user(BOB)));
}

#[test]
fn everything() {
    let rules = RuleSet::compile(&own(), &rolekeep_test_cases::schema()).unwrap();
    let told = Told { rules: &rules, context: Context::new().with("mfa", false) };
    let tree = [("region", EAST, AUSTRIA), ("region", WEST, ITALY)];
    let rows = tree.into_iter().map(|(kind, id, above)| (kind, Value::Id(id), Value::Id(above)));
    let tree = Arc::new(rules.scope_tree(rows));
    let of = |assignments: Vec<StoredAssignment>| rules.resolve_stored_in(account(ADA, None, assignments), Some(&tree));
    let east = drone(Some(EAST));

    let crew = StoredAssignment { group: Some("night crew".into()), ..held("chief", Scope::region(EAST)) };
    told.tell("allowed_by_group_region_and_role_path", &of(vec![crew]), "drone:read", Some(&east));
    let austria = || vec![held("reader", Scope::of("country", AUSTRIA))];
    told.tell("allowed_by_nested_scope", &of(austria()), "drone:read", Some(&east));
    told.tell("denied_in_another_country", &of(austria()), "drone:read", Some(&drone(Some(WEST))));
    told.tell("denied_in_no_region", &of(austria()), "drone:read", Some(&drone(None)));
    let in_east = || vec![held("reader", Scope::region(EAST))];
    told.tell("denied_in_another_region", &of(in_east()), "drone:read", Some(&drone(Some(WEST))));
    told.tell(
        "denied_on_another_drone",
        &of(vec![held("reader", Scope::resource("drone", BOB))]),
        "drone:read",
        Some(&east),
    );
    told.tell("denied_without_a_resource_in_a_region", &of(in_east()), "drone:read", None);
    told.tell("denied_in_a_tenant", &of(vec![held("reader", Scope::of("tenant", "7"))]), "drone:read", Some(&east));
    told.tell(
        "denied_administrator_in_a_region",
        &of(vec![held("root", Scope::region(EAST)), held("grounded", Scope::Global)]),
        "drone:read",
        Some(&east),
    );

    let window = |from: Option<&str>, until: Option<&str>| {
        vec![StoredAssignment {
            valid_from: from.map(time),
            valid_until: until.map(time),
            ..held("reader", Scope::Global)
        }]
    };
    told.tell("denied_window_over", &of(window(None, Some("2026-05-31T00:00:00Z"))), "drone:read", Some(&east));
    told.tell("denied_window_to_come", &of(window(Some("2026-07-01T00:00:00Z"), None)), "drone:read", Some(&east));

    let pilot = everywhere("chief");
    told.tell("denied_by_several_tests", &of(pilot.clone()), "drone:update", Some(&east));
    told.tell("denied_by_conditions_without_a_resource", &of(pilot.clone()), "drone:update", None);
    told.tell("denied_by_owner", &of(everywhere("own_drones")), "drone:delete", Some(&east));
    let grounded: Vec<_> = everywhere("reader")
        .into_iter()
        .chain([held("grounded", Scope::region(EAST)), held("grounded", Scope::Global)])
        .collect();
    told.tell("denied_by_a_deny", &of(grounded.clone()), "drone:read", Some(&east));
    told.tell("denied_by_a_deny_without_a_resource", &of(grounded), "drone:read", None);

    let in_italy = vec![held("reader", Scope::Global), held("closed", Scope::of("country", ITALY))];
    told.tell("denied_by_a_scoped_deny_without_a_resource", &of(in_italy), "drone:read", None);
    told.tell("denied_without_fields", &of(everywhere("author")), "user:update", Some(&user(BOB)));
    told.tell("denied_one_field_of_two", &of(everywhere("author")), "user:update{bio,email}", Some(&user(BOB)));
    told.tell("allowed_on_a_field", &of(everywhere("author")), "user:update{bio}", Some(&user(BOB)));

    let chief = of(everywhere("chief"));
    let key = rules.api_key(&chief, &["chief"], &["drone:list", "user:*"]).unwrap();
    told.tell("denied_by_key_pattern", &key, "drone:read", Some(&east));
    let key = rules.api_key(&chief, &["guest"], &["drone:*"]).unwrap();
    told.tell("denied_by_key_roles", &key, "drone:read", Some(&east));
    let key = rules.api_key(&of(everywhere("root")), &["root"], &["*:*"]).unwrap();
    told.tell("denied_key_never_administers", &key, "admin:all", None);
    let session = rules.with_active_roles(&chief, &[rules.role("guest").unwrap()]);
    told.tell("denied_role_not_active", &session, "drone:read", Some(&east));

    let bob = rules.resolve_stored_in(account(BOB, None, in_east()), Some(&tree));
    let both = rules.on_behalf_of(&of(austria()), &bob).unwrap();
    told.tell("allowed_on_behalf_of", &both, "drone:read", Some(&east));
    let both = rules.on_behalf_of(&chief, &bob).unwrap();
    told.tell("denied_on_behalf_of", &both, "drone:read", Some(&drone(Some(WEST))));
    told.tell("denied_not_signed_in", &rules.anonymous(), "drone:read", Some(&east));
    told.tell("denied_no_role_gives_it", &chief, "audit:read", None);
}

#[test]
fn what_no_role_gives() {
    let policy = Policy::new().permissions(["document:read", "document:print"]).role("reader", ["document:read"]);
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let told = Told { rules: &rules, context: Context::new() };
    let reader = rules.resolve_stored(account(ADA, None, everywhere("reader")));
    told.tell("denied_policy_lacks_it", &reader, "document:print", Some(&Resource::of("document")));
}
