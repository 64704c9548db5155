//! A store of the library in which a sequence is played, and what it says of its rows.

use std::collections::{BTreeMap, BTreeSet};

use rolekeep::{
    Caller, Policy, Resource, UserId, UserManagement, ffi,
    internals::{drone::Drone, record::Record, region::Region, user::User},
    storage::Kind,
};
use serde_json::{Map, Value as Json, json};

use super::{
    judge::Judge,
    rows::{Row, Scope, USERS, World},
};

use crate::cheap;

pub struct Store {
    um: UserManagement,
    /// Rows by their id.
    rows: BTreeMap<String, Row>,
    callers: Vec<Caller>,
}

/// Rows as they are stored: their attributes, and the crew of drones.
pub type Stored = BTreeMap<Row, (Map<String, Json>, BTreeSet<String>)>;

impl Store {
    pub async fn open(world: &World, policy: &str) -> Self {
        let policy = Policy::from_toml(policy).unwrap();
        let um = cheap::builder().policy(policy).open().await.unwrap();
        let rows = world.rows().map(|row| (row.seeded_id().unwrap().to_string(), row)).collect();
        let mut store = Self { um, rows, callers: Vec::new() };
        store.system("setup.seed", world.seed()).await;
        for (operation, input) in roles(world) {
            store.system(operation, store.filled(&input)).await;
        }
        for user in 0..USERS {
            let id = UserId(Row::User(user).seeded_id().unwrap());
            store.callers.push(store.um.acting_as(id).await.unwrap());
        }
        store
    }

    async fn system(&self, operation: &str, input: Json) -> Json {
        let answer = ffi::call(&self.um.system(), operation, &input.to_string()).await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Asks for an operation; the code of the error. A row that it makes is known from then on.
    pub async fn call(
        &mut self,
        user: usize,
        (operation, input): (&str, Json),
        makes: Option<Row>,
    ) -> Result<(), String> {
        let input = self.filled(&input).to_string();
        let answer = ffi::call(&self.callers[user], operation, &input).await;
        let answer = answer.map_err(|error| error.code().as_str().to_owned())?;
        if let Some(row) = makes {
            let answer: Json = serde_json::from_str(&answer).unwrap();
            self.rows.insert(answer["id"].as_str().unwrap().to_owned(), row);
        }
        Ok(())
    }

    fn filled(&self, input: &Json) -> Json {
        let id = |text: &str| {
            let name = text.strip_prefix('$')?;
            let known = self.rows.iter().find(|(_, row)| row.name() == name);
            // Nothing was made: an id that nothing has.
            Some(known.map_or("0190a0b0-0000-7000-8000-0000000000ff", |(id, _)| id).into())
        };
        match input {
            Json::String(text) => id(text).unwrap_or_else(|| input.clone()),
            Json::Object(keys) if keys.contains_key("$join") => {
                let parts = keys["$join"].as_array().unwrap().iter().map(|part| self.filled(part));
                parts.map(|part| part.as_str().unwrap().to_owned()).collect::<String>().into()
            }
            Json::Object(keys) => keys.iter().map(|(key, value)| (key.clone(), self.filled(value))).collect(),
            other => other.clone(),
        }
    }

    /// The rows as the host reads them.
    pub async fn stored(&self) -> Stored {
        let mut stored = Stored::new();
        for list in ["users.list", "regions.list", "drones.list"] {
            let page = self.system(list, json!({"limit": 100})).await;
            for item in page["items"].as_array().unwrap() {
                let mut attributes = item.as_object().unwrap().clone();
                let operator = attributes.get("operator").map(|operator| operator["id"].clone());
                operator.into_iter().for_each(|id| drop(attributes.insert("operator_id".to_owned(), id)));
                let crew = item["assigned_users"].as_array().into_iter().flatten();
                let crew = crew.map(|user| user["id"].as_str().unwrap().to_owned()).collect();
                stored.insert(self.rows[item["id"].as_str().unwrap()], (attributes, crew));
            }
        }
        stored
    }

    /// The same in the words of the model.
    pub fn told(&self, stored: &Stored) -> BTreeMap<String, Json> {
        let name = |id: &str| self.rows.get(id).map_or_else(|| id.to_owned(), |row| row.name());
        let named = stored.iter().map(|(row, (attributes, crew))| {
            let known = match row {
                Row::User(_) => &["email", "full_name", "display_name", "region_id", "status"][..],
                Row::Region(_) => &["code", "area", "commander_name", "status"],
                Row::Drone(_) => &["code", "model", "status", "region_id", "operator_id"],
            };
            let texts = known.iter().chain(&["id"]).map(|key| (*key, attributes[*key].as_str().map(name)));
            let version = ("version", Some(attributes["version"].to_string()));
            let texts: BTreeMap<_, _> = texts.chain([version]).collect();
            (row.name(), json!([texts, crew.iter().map(|id| name(id)).collect::<BTreeSet<_>>()]))
        });
        named.collect()
    }

    /// What a user may do to each row as it is stored.
    pub async fn reach(&self, stored: &Stored, user: usize) -> BTreeSet<(String, Row)> {
        let resources: Vec<(Row, Resource<'_>)> =
            stored.iter().map(|(row, (attributes, crew))| (*row, resource(row.kind(), attributes, crew))).collect();
        let asked = resources.iter().flat_map(|(row, resource)| {
            Judge::permissions(row.kind()).map(move |permission| (permission, *row, resource))
        });
        let asked: Vec<_> = asked.collect();
        let id = UserId(Row::User(user).seeded_id().unwrap());
        let checks: Vec<_> =
            asked.iter().map(|(permission, _, resource)| (id, permission.as_str(), Some(*resource))).collect();
        let allowed = match self.um.check_many(&checks).await {
            Ok(allowed) => allowed,
            // Who is deleted reaches nothing.
            Err(error) if error.code().as_str() == "RESOURCE_NOT_FOUND" => return BTreeSet::new(),
            Err(error) => panic!("{error:?}"),
        };
        asked.iter().zip(allowed).filter(|(_, is_allowed)| *is_allowed).map(|(one, _)| (one.0.clone(), one.1)).collect()
    }
}

fn resource<'a>(kind: &str, attributes: &Map<String, Json>, crew: &BTreeSet<String>) -> Resource<'a> {
    let table = match kind {
        "user" => User::TABLE,
        "region" => Region::TABLE,
        _ => Drone::TABLE,
    };
    // What is shown beside the columns is no attribute.
    let is_attribute =
        |name: &String| table.columns.iter().any(|column| column.name == name && column.kind != Kind::Json);
    let mut all: BTreeMap<String, Json> =
        attributes.clone().into_iter().filter(|(name, _)| is_attribute(name)).collect();
    if kind == "drone" {
        all.insert("assigned_users".to_owned(), json!(crew));
    }
    Resource::from_json(kind, &all)
}

/// The operations that give the roles of a world.
pub fn roles(world: &World) -> Vec<(&'static str, Json)> {
    let given = world.held.iter().map(|held| {
        let mut input = json!({"user_id": Row::User(held.user).input(), "role": format!("role{}", held.role)});
        if held.scope != Scope::Global {
            input["scope"] = held.scope.input();
        }
        ("roles.assign", input)
    });
    given.collect()
}
