//! Kinds of assets in policies: what each brings, and what is wrong with one.

use rolekeep::rules::{Policy, RuleSet, Schema};

fn compiled(policy: &Policy) -> Result<RuleSet, rolekeep::Error> {
    RuleSet::compile(policy, &rolekeep::library_schema())
}

fn vehicle() -> Policy {
    Policy::new().asset_kind("vehicle", ["Truck", "Mavic 3 Pro"], ["READY", "IN_REPAIR"])
}

#[test]
fn a_kind_brings_what_drones_have() {
    let rules = compiled(&vehicle()).unwrap();
    let of = |kind: &str| -> Vec<String> {
        let names = rules.permissions().filter_map(|one| one.name.strip_prefix(kind).map(str::to_owned));
        names.filter(|name| name.starts_with(':')).collect()
    };
    assert_eq!(of("vehicle"), of("drone"));
    assert_eq!(of("vehicle").len(), 7);
    assert!(of("asset").is_empty(), "they are of their kind alone");
    // Nor does a kind that nobody declares.
    assert!(compiled(&Policy::new()).unwrap().permission("vehicle:read").is_err());
}

#[test]
fn conditions_read_assets_as_they_read_drones() {
    let when = "resource.region_id == principal.region_id and resource.status != 'IN_REPAIR' \
                and resource.assigned_users contains principal.id and resource.kind == 'vehicle'";
    let role = rolekeep::rules::Role::new("driver").allow_when("vehicle:read", when);
    let rules = compiled(&vehicle().add_role(role)).unwrap();
    let mut read: Vec<&str> = rules.reads("vehicle").iter().map(String::as_str).collect();
    read.sort_unstable();
    assert_eq!(read, ["assigned_users", "id", "kind", "region_id", "status"]);
    assert!(
        rules.carries_authority("vehicle", "assigned_users") && !rules.carries_authority("drone", "assigned_users")
    );
    let more = rolekeep::rules::Role::new("driver").allow_when("vehicle:read", "resource.speed == 7");
    assert!(compiled(&vehicle().add_role(more)).is_err());
}

#[test]
fn what_is_wrong_with_a_kind_is_told_at_its_place() {
    let wrong = |text: &str| {
        let policy = Policy::from_toml(text).unwrap();
        let error = compiled(&policy).unwrap_err();
        error.problems().iter().map(|one| format!("{}: {}", one.line, one.message)).collect::<Vec<_>>()
    };
    let kind = |name: &str, models: &str| format!("[asset_kinds.{name}]\nmodels = {models}\nstatuses = ['READY']\n");
    assert_eq!(wrong(&kind("drone", "['A']")), ["1: `drone` is a type of the library"]);
    assert_eq!(wrong(&kind("policy", "['A']")), ["1: `policy` is a type of the library"]);
    assert_eq!(wrong(&kind("Truck", "['A']")), ["1: `Truck` cannot name a kind of assets"]);
    assert_eq!(wrong(&kind("truck", "[]")), ["1: the kind of assets `truck` has 0 models"]);
    assert_eq!(wrong(&kind("truck", "['A', 'B', 'A']")), ["2: `A` is among the models twice"]);
    assert_eq!(wrong(&kind("truck", "['A', ' B']")), ["2: ` B` cannot be one of the models"]);
    assert_eq!(wrong("[asset_kinds.truck]\nmodels = ['A']\n"), ["1: the kind of assets `truck` has 0 statuses"]);
    let typed = format!("{}[types.truck]\nattributes = {{ model = 'string?' }}\n", kind("truck", "['A']"));
    assert_eq!(wrong(&typed), ["5: type `truck` already has an attribute `model`"]);
    let many: Vec<String> = (0..257).map(|at| format!("'{at}'")).collect();
    let many = wrong(&kind("truck", &format!("[{}]", many.join(", "))));
    assert_eq!(many, ["1: the kind of assets `truck` has 257 models"]);
}

#[test]
fn there_are_at_most_64() {
    let kinds = |count: usize| {
        (0..count).fold(Policy::new(), |policy, at| policy.asset_kind(format!("kind-{at}"), ["A"], ["READY"]))
    };
    assert!(compiled(&kinds(64)).is_ok());
    assert_eq!(compiled(&kinds(65)).unwrap_err().problems().len(), 1);
    let twice = vehicle().asset_kind("vehicle", ["A"], ["READY"]);
    assert_eq!(compiled(&twice).unwrap_err().problems()[0].message, "the kind of assets `vehicle` is declared twice");
}

#[test]
fn without_a_store_there_are_none() {
    let error = RuleSet::compile(&vehicle(), &Schema::new()).unwrap_err();
    assert_eq!(error.problems()[0].message, "kinds of assets are for a store, which keeps them");
}

#[test]
fn files_say_them_as_code_does() {
    for text in [vehicle().to_toml().unwrap(), vehicle().to_json().unwrap()] {
        let read = if text.starts_with('{') { Policy::from_json(&text) } else { Policy::from_toml(&text) };
        assert_eq!(read.unwrap(), vehicle());
    }
}
