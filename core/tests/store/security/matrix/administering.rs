//! The table "Giving and administering" of docs/rules.md: the operations that ask some callers for `admin:all`, whatever else they hold.

use std::{collections::BTreeSet, fs, path::Path};

use rolekeep::{
    Reason, UserId,
    assets::GetAsset,
    drones::GetDrone,
    ffi,
    roles::{AssignRole, CreateRole, NewGrant},
    rules::Effect,
    scopes::MoveScope,
};
use serde_json::{Value, json};

use super::{super::kit::signed_in, PUBLIC, Preset, World};
use crate::cheap;

/// Whom the inputs are about holds `admin:all`, by itself and by its group.
const STRONGEST: Preset = Preset { name: "standard", admin: "admin", role: "admin" };

/// A store in which everything that an administrator alone may do can be asked for.
async fn world() -> World {
    let world = World::of(&STRONGEST, cheap::builder()).await;
    let system = world.um.system();
    let all = || NewGrant::new("*:*");
    system.roles().create(CreateRole::new("almost").grants([all()])).await.unwrap();
    system.roles().create(CreateRole::new("barred").grants([all().effect(Effect::Deny)])).await.unwrap();
    let suspended: UserId = world.suspended.parse().unwrap();
    system.roles().assign(AssignRole::new(suspended, "admin")).await.unwrap();
    system.scopes().move_to(MoveScope::new("area:tyrol").parent("country:austria")).await.unwrap();
    // What goes with the rows that are deleted is a deny.
    let other: UserId = world.inactive.parse().unwrap();
    let drone = system.drones().get(GetDrone::new("theirs")).await.unwrap().id;
    let asset = system.assets().get(GetAsset::new("vehicle", "theirs")).await.unwrap().id;
    let scopes = ["region:east".to_owned(), format!("resource:drone:{drone}"), format!("resource:vehicle:{asset}")];
    for scope in scopes {
        system.roles().assign(AssignRole::new(other, "barred").scope(scope)).await.unwrap();
    }
    world
}

/// Inputs of an operation, each with one thing that may need an administrator.
fn inputs(world: &World, operation: &str) -> Vec<Value> {
    match operation {
        "users.create" => vec![
            json!({"email": "new@example.org", "roles": ["admin"]}),
            json!({"email": "new@example.org", "groups": [world.group]}),
        ],
        "users.restore" => vec![json!({ "id": world.deleted, "roles": ["admin"] })],
        "users.erase" => vec![json!({ "id": world.victim })],
        // Otherwise each is told of its own.
        "users.set_status_many" | "users.delete_many" | "users.move_many" => {
            let mut input = world.input(operation);
            input["atomic"] = true.into();
            vec![input]
        }
        "invitations.create" => vec![
            json!({"email": "victim@example.org", "roles": [{"role": "admin"}]}),
            json!({"email": "victim@example.org", "groups": [world.group]}),
        ],
        "imports.begin" => [
            json!({"roles": {"a": "admin"}}),
            json!({"groups": {"a": "Moderators"}}),
            json!({"trust_verified_emails": true}),
        ]
        .into_iter()
        .map(|mut input| {
            input["source"] = "old".into();
            input["format"] = "csv".into();
            input
        })
        .collect(),
        _ => vec![world.input(operation)],
    }
}

/// The operations that the first column of the table names.
fn named() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Giving and administering\n").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let first = rows.map(|row| row.trim_start_matches('|').split('|').next().unwrap());
    first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// A row that is missing there promises a right that nobody has.
#[tokio::test]
async fn sec_9_the_table_of_docs_rules_names_whatever_asks_for_an_administrator() {
    let mut found = BTreeSet::new();
    for operation in ffi::OPERATIONS.iter().filter(|operation| !PUBLIC.contains(operation)) {
        let world = world().await;
        let (almost, _) = signed_in(&world.um, "somebody", &["almost"]).await;
        for input in inputs(&world, operation) {
            let answer = world.knock(&almost, operation, &input).await;
            if let Err(refused) = answer
                && refused.reason() == Reason::Denied
                && refused.message().contains("only administrators may")
            {
                found.insert((*operation).to_owned());
            }
        }
    }
    let named = named();
    let missing: Vec<_> = found.difference(&named).collect();
    let idle: Vec<_> = named.difference(&found).collect();
    assert!(missing.is_empty() && idle.is_empty(), "not in the table: {missing:?}; only there: {idle:?}");
}
