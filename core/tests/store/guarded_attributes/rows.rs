//! The rows of the model: users, regions, drones and who holds which role, by small numbers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A row, by its number among those of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    User(usize),
    Region(usize),
    Drone(usize),
}

/// How many rows a store starts with.
pub const USERS: usize = 5;
pub const REGIONS: usize = 3;
pub const DRONES: usize = 3;

impl Row {
    pub fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Region(_) => "region",
            Self::Drone(_) => "drone",
        }
    }

    /// `u1`
    pub fn name(self) -> String {
        match self {
            Self::User(at) => format!("u{at}"),
            Self::Region(at) => format!("r{at}"),
            Self::Drone(at) => format!("d{at}"),
        }
    }

    /// The id of a row that the store starts with; those made later get theirs from the library.
    pub fn seeded_id(self) -> Option<Uuid> {
        let (is_seeded, number) = match self {
            Self::User(at) => (at < USERS, 0x100 + at),
            Self::Region(at) => (at < REGIONS, 0x200 + at),
            Self::Drone(at) => (at < DRONES, 0x300 + at),
        };
        is_seeded.then(|| Uuid::from_u128(0x0190_a0b0_0000_7000_8000_0000_0000_0000 + number as u128))
    }

    /// As an input names it: by what its id was saved as.
    pub fn input(self) -> Json {
        format!("${}", self.name()).into()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub email: String,
    pub full_name: Option<String>,
    pub display_name: Option<String>,
    pub region: Option<usize>,
    pub status: &'static str,
    /// What keeps it out, all at once: the status is the strongest.
    pub shut: BTreeSet<&'static str>,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    pub code: String,
    pub area: Option<String>,
    pub commander: Option<String>,
    pub status: &'static str,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drone {
    pub code: String,
    pub model: &'static str,
    pub status: &'static str,
    pub region: Option<usize>,
    pub operator: Option<usize>,
    pub crew: BTreeSet<usize>,
    pub version: i64,
}

/// A role that a user holds, everywhere or where a row of the start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub user: usize,
    pub role: usize,
    pub scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Global,
    Region(usize),
    On(Row),
}

impl Scope {
    /// As an input names it.
    pub fn input(self) -> Json {
        match self {
            Self::Global => "global".into(),
            Self::Region(at) => json!({"$join": ["region:", Row::Region(at).input()]}),
            Self::On(row) => json!({"$join": [format!("resource:{}:", row.kind()), row.input()]}),
        }
    }

    /// The row that it names.
    pub fn row(self) -> Option<Row> {
        match self {
            Self::Global => None,
            Self::Region(at) => Some(Row::Region(at)),
            Self::On(row) => Some(row),
        }
    }
}

/// All rows; a deleted one leaves its number behind. User 0 is the administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub users: Vec<Option<User>>,
    pub regions: Vec<Option<Region>>,
    pub drones: Vec<Option<Drone>>,
    pub held: Vec<Held>,
}

pub const ADMINISTRATOR: usize = 0;

impl World {
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let users = (0..self.users.len()).map(Row::User);
        let regions = (0..self.regions.len()).map(Row::Region);
        let drones = (0..self.drones.len()).map(Row::Drone);
        users.chain(regions).chain(drones).filter(|row| self.is_there(*row))
    }

    pub fn is_there(&self, row: Row) -> bool {
        match row {
            Row::User(at) => self.users.get(at).is_some_and(Option::is_some),
            Row::Region(at) => self.regions.get(at).is_some_and(Option::is_some),
            Row::Drone(at) => self.drones.get(at).is_some_and(Option::is_some),
        }
    }

    /// Every attribute but the relation, by the name that policies have for it; null is none.
    pub fn attributes(&self, row: Row) -> BTreeMap<&'static str, Option<String>> {
        let region = |at: Option<usize>| at.map(|at| Row::Region(at).name());
        match row {
            Row::User(at) => {
                let user = self.users[at].as_ref().unwrap();
                BTreeMap::from([
                    ("id", Some(row.name())),
                    ("email", Some(user.email.clone())),
                    ("full_name", user.full_name.clone()),
                    ("display_name", user.display_name.clone()),
                    ("region_id", region(user.region)),
                    ("status", Some(user.status.to_owned())),
                    ("version", Some(user.version.to_string())),
                ])
            }
            Row::Region(at) => {
                let region = self.regions[at].as_ref().unwrap();
                BTreeMap::from([
                    ("id", Some(row.name())),
                    ("code", Some(region.code.clone())),
                    ("area", region.area.clone()),
                    ("commander_name", region.commander.clone()),
                    ("status", Some(region.status.to_owned())),
                    ("version", Some(region.version.to_string())),
                ])
            }
            Row::Drone(at) => {
                let drone = self.drones[at].as_ref().unwrap();
                BTreeMap::from([
                    ("id", Some(row.name())),
                    ("code", Some(drone.code.clone())),
                    ("model", Some(drone.model.to_owned())),
                    ("status", Some(drone.status.to_owned())),
                    ("region_id", region(drone.region)),
                    ("operator_id", drone.operator.map(|at| Row::User(at).name())),
                    ("version", Some(drone.version.to_string())),
                ])
            }
        }
    }

    pub fn crew(&self, row: Row) -> BTreeSet<String> {
        let Row::Drone(at) = row else { return BTreeSet::new() };
        self.drones[at].iter().flat_map(|drone| drone.crew.iter().map(|user| Row::User(*user).name())).collect()
    }

    /// Everything there is, to be compared with what a store answers.
    pub fn told(&self) -> BTreeMap<String, Json> {
        let row = |row: Row| (row.name(), json!([self.attributes(row), self.crew(row)]));
        self.rows().map(row).collect()
    }

    /// The input of `setup.seed` that makes this world, but for roles that are held in a scope.
    pub fn seed(&self) -> Json {
        let code = |at: Option<usize>| at.map(|at| self.regions[at].as_ref().unwrap().code.clone());
        let email = |at: Option<usize>| at.map(|at| self.users[at].as_ref().unwrap().email.clone());
        let regions = self.regions.iter().flatten().enumerate().map(|(at, region)| {
            json!({"id": Row::Region(at).seeded_id(), "code": region.code, "name": "A region", "area": region.area,
                   "commander_name": region.commander})
        });
        let users = self.users.iter().flatten().enumerate().map(|(at, user)| {
            let roles: &[&str] = if at == ADMINISTRATOR { &["admin"] } else { &[] };
            json!({"id": Row::User(at).seeded_id(), "email": user.email, "full_name": user.full_name,
                   "region": code(user.region), "roles": roles})
        });
        let drones = self.drones.iter().flatten().enumerate().map(|(at, drone)| {
            json!({"id": Row::Drone(at).seeded_id(), "code": drone.code, "model": drone.model, "status": drone.status,
                   "region": code(drone.region), "operator": email(drone.operator)})
        });
        json!({"regions": regions.collect::<Vec<_>>(), "users": users.collect::<Vec<_>>(),
               "drones": drones.collect::<Vec<_>>()})
    }
}
