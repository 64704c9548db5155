//! Sequences as conformance scenarios: what comes of each step, and what everybody reaches in the end,
//! is what the model says.

use std::collections::BTreeSet;

use rolekeep_test_cases::Choices;
use serde_json::{Map, Value as Json, json};

use super::{
    judge::Judge,
    play,
    policy::{self, Policy},
    rows::{ADMINISTRATOR, Row, USERS, World},
};

const SEQUENCES: u64 = 20;
const STEPS: usize = 25;
/// Of these so many at most are refused for want of a plain permission.
const PLAINLY_REFUSED: usize = 5;

/// The file `guarded_attributes.json`, a step on each line.
pub fn file() -> String {
    let scenarios: Vec<String> = (1..=SEQUENCES).map(scenario).collect();
    format!("{{\n  \"scenarios\": [\n{}\n  ]\n}}\n", scenarios.join(",\n"))
}

/// The same numbers for a seed for ever (SplitMix64).
fn numbers(seed: u64, count: usize) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    };
    (0..count).map(|_| next()).collect()
}

fn scenario(seed: u64) -> String {
    let mut choices = Choices::new(numbers(seed, 600));
    let judge = Judge::new(Policy::draw(&mut choices));
    let mut world = policy::world(&mut choices);
    let mut steps = start(&world);
    let (mut done, mut plainly_refused, mut steps_seen) = (0, 0, Vec::new());
    for draw in 0..500 {
        if done == STEPS {
            break;
        }
        let mut choices = Choices::new(numbers(seed * 1000 + draw, 500));
        let Some((user, deed, verdict)) = judge.step(&mut choices, &world, done, 30) else { continue };
        let is_plain = !verdict.codes.is_empty() && verdict.guarded.is_none();
        // What depends on how conditions fold is no part of the rule.
        if verdict.codes.len() > 1 || is_plain && plainly_refused == PLAINLY_REFUSED {
            continue;
        }
        // Nor is it worth a step to change nothing, or to be refused the same once more.
        let call = (user, deed.call(&world));
        if verdict.codes.is_empty() && verdict.after == world || steps_seen.contains(&call) {
            continue;
        }
        steps_seen.push(call);
        plainly_refused += usize::from(is_plain);
        done += 1;
        let (operation, with) = deed.call(&world);
        let mut step = json!({"call": operation, "as": Row::User(user).name(), "with": with});
        match (verdict.codes.first(), deed.makes(&world)) {
            (Some(code), _) => step["error"] = json!({ "code": code }),
            (None, Some(row)) => step["save"] = json!({ row.name(): "id" }),
            (None, None) => {}
        }
        steps.push(step);
        // What the caller would have come to by it.
        if let Some(would_be) = verdict.guarded {
            let gained = judge.gained(&world, &would_be, user).into_iter().next();
            steps.extend(gained.map(|(permission, row)| explained(user, &permission, row, false)));
        }
        world = verdict.after;
    }
    assert_eq!(done, STEPS, "sequence {seed}");
    steps.extend(rows(&world));
    for user in 1..USERS {
        steps.extend(reach(&judge, &world, user, numbers(seed ^ user as u64, 16)));
    }
    let steps: Vec<String> = steps.iter().map(|step| format!("        {step}")).collect();
    let head = json!({"settings": {"policy_toml": judge.policy.toml()}});
    format!(
        "    {{\n      \"name\": \"nobody moves itself or a thing into its own reach: sequence {seed}\",\n      \"covers\": \
         [\"RBC-6\", \"RBC-7\"],\n      \"store\": {head},\n      \"steps\": [\n{}\n      ]\n    }}",
        steps.join(",\n")
    )
}

fn start(world: &World) -> Vec<Json> {
    let mut steps = vec![json!({"call": "setup.seed", "with": world.seed()})];
    steps.extend(play::roles(world).into_iter().map(|(operation, with)| json!({"call": operation, "with": with})));
    steps.splice(
        1..1,
        world.rows().map(|row| match row {
            Row::User(at) => {
                let email = &world.users[at].as_ref().unwrap().email;
                json!({"call": "users.find", "with": {"email": email}, "save": {row.name(): "id"}})
            }
            row => {
                let code = world.attributes(row)["code"].clone();
                json!({"call": format!("{}s.get", row.kind()), "with": {row.kind(): code}, "save": {row.name(): "id"}})
            }
        }),
    );
    let callers = (0..USERS).map(Row::User);
    steps.extend(callers.map(|row| json!({"act_as": row.input(), "name": row.name()})));
    steps
}

fn of_kind<'a>(world: &'a World, kind: &'a str) -> impl Iterator<Item = Row> + 'a {
    world.rows().filter(move |row| row.kind() == kind)
}

/// The rows as the host reads them.
fn rows(world: &World) -> Vec<Json> {
    let id = |at: Option<usize>, of: fn(usize) -> Row| at.map_or(Json::Null, |at| of(at).input());
    let shown = |row: Row| {
        let mut shown = Map::new();
        for (name, value) in world.attributes(row) {
            shown.insert(name.to_owned(), json!(value));
        }
        shown.remove("operator_id");
        shown["id"] = row.input();
        match row {
            Row::User(at) => {
                shown["region_id"] = id(world.users[at].as_ref().and_then(|user| user.region), Row::Region);
            }
            Row::Drone(at) => {
                let drone = world.drones[at].as_ref().unwrap();
                shown["region_id"] = id(drone.region, Row::Region);
                let operator = drone.operator.map(|at| json!({"id": Row::User(at).input()}));
                shown.insert("operator".to_owned(), json!(operator));
                let crew: Vec<Json> = drone.crew.iter().map(|at| json!({"id": Row::User(*at).input()})).collect();
                shown.insert("assigned_users".to_owned(), json!({ "$unordered": crew }));
            }
            Row::Region(_) => {}
        }
        shown["version"] = world.attributes(row)["version"].as_ref().unwrap().parse::<i64>().unwrap().into();
        Json::Object(shown)
    };
    let list = |kind: &str| {
        let rows: Vec<Json> = of_kind(world, kind).map(shown).collect();
        json!({"call": format!("{kind}s.list"), "with": {"limit": 100}, "expect": {"items": {"$unordered": rows}}})
    };
    ["user", "region", "drone"].map(list).to_vec()
}

fn explained(user: usize, permission: &str, row: Row, is_allowed: bool) -> Json {
    let with = json!({"user_id": Row::User(user).input(), "permission": permission, "resource": row.input()});
    json!({"call": "permissions.explain", "with": with, "expect": {"allowed": is_allowed}})
}

/// What a caller reaches in the end: its lists, and some permissions on some rows.
fn reach(judge: &Judge, world: &World, user: usize, numbers: Vec<u32>) -> Vec<Json> {
    if !world.is_there(Row::User(user)) {
        return Vec::new();
    }
    let reach = judge.reach(world, user);
    let is_active = world.users[user].as_ref().is_some_and(|user| user.status == "active");
    let mut steps = Vec::new();
    for kind in ["user", "region", "drone"] {
        let permission = format!("{kind}:list");
        let call = |with: &str, what: Json| json!({"call": format!("{kind}s.list"), "as": Row::User(user).name(), "with": {"limit": 100}, with: what});
        match judge.somewhere(world, user, &permission) {
            _ if !is_active => steps.push(call("error", json!({"code": "UNAUTHORIZED"}))),
            Some(true) => {
                let seen = of_kind(world, kind).filter(|row| reach.contains(&(permission.clone(), *row)));
                let seen: Vec<Json> = seen.map(|row| json!({"id": row.input()})).collect();
                steps.push(call("expect", json!({"items": {"$unordered": seen}})));
            }
            Some(false) => steps.push(call("error", json!({"code": "FORBIDDEN"}))),
            None => {}
        }
    }
    let all: BTreeSet<_> =
        world.rows().flat_map(|row| Judge::permissions(row.kind()).map(move |permission| (permission, row))).collect();
    let denied: Vec<_> = all.difference(&reach).collect();
    let mut choices = Choices::new(numbers);
    let mut some = |of: &[&(String, Row)], is_allowed| {
        if of.is_empty() {
            return;
        }
        for _ in 0..2 {
            let (permission, row) = *choices.one(of);
            steps.push(explained(user, permission, *row, is_allowed));
        }
    };
    some(&reach.iter().collect::<Vec<_>>(), true);
    some(&denied, false);
    debug_assert_ne!(user, ADMINISTRATOR);
    steps
}
