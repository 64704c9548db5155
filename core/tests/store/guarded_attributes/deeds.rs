//! What callers do in a sequence: drawn, told as an operation with its input, and done to the model.

use std::collections::BTreeSet;

use rolekeep_test_cases::Choices;
use serde_json::{Map, Value as Json, json};

use super::{
    policy::{self, Policy},
    rows::{ADMINISTRATOR, Drone, Held, REGIONS, Region, Row, Scope, USERS, User, World},
};

/// A field of an update: not given, cleared or set.
type Patch<T> = Option<Option<T>>;

#[derive(Clone, Debug)]
pub enum Deed {
    UpdateUser {
        user: usize,
        is_whole: bool,
        region: Patch<usize>,
        full_name: Patch<String>,
        display_name: Patch<String>,
    },
    CreateUser {
        email: String,
        region: Option<usize>,
        display_name: Option<String>,
    },
    SetStatus {
        user: usize,
        operation: &'static str,
    },
    DeleteUser(usize),
    UpdateRegion {
        region: usize,
        code: Option<String>,
        area: Patch<String>,
        commander: Patch<String>,
        status: Option<&'static str>,
    },
    CreateRegion {
        code: String,
        area: Option<String>,
    },
    DeleteRegion(usize),
    UpdateDrone {
        drone: usize,
        code: Option<String>,
        model: Option<&'static str>,
        status: Option<&'static str>,
        region: Patch<usize>,
    },
    CreateDrone {
        code: String,
        region: Option<usize>,
        operator: Option<usize>,
    },
    DeleteDrone(usize),
    Crew {
        operation: &'static str,
        drone: usize,
        user: usize,
    },
    Role {
        gives: bool,
        held: Held,
    },
    GrantAdmin(usize),
}

const STATUSES: [&str; 5] = ["users.suspend", "users.activate", "users.lift", "users.deactivate", "users.ban"];

fn one_of(choices: &mut Choices, words: &[&'static str]) -> &'static str {
    words[choices.below(words.len())]
}

fn word(choices: &mut Choices) -> Option<String> {
    choices.one(&[None, Some("one"), Some("two")]).map(str::to_owned)
}

impl Deed {
    /// A deed in the step of this number, on rows that are there or were.
    pub fn draw(choices: &mut Choices, world: &World, step: usize) -> Self {
        let any = |choices: &mut Choices| choices.below(USERS + 1).min(world.users.len() - 1);
        // Whose shutting out or deletion would end the sequence is left alone.
        let other = |choices: &mut Choices| 1 + choices.below(world.users.len() - 1);
        let drone = |choices: &mut Choices| choices.below(world.drones.len().min(4));
        let region = |choices: &mut Choices| choices.below(world.regions.len().min(4));
        let some_region = |choices: &mut Choices| Some(choices.below(REGIONS + 1)).filter(|at| *at < REGIONS);
        let code = |choices: &mut Choices| if choices.once_in(2) { "prime".to_owned() } else { format!("code-{step}") };
        match choices.below(36) {
            0..=5 => {
                let mut deed = (None, None, None);
                match choices.below(6) {
                    0..=2 => deed.0 = Some(some_region(choices)),
                    3 => deed.1 = Some(word(choices)),
                    _ => deed.2 = Some(word(choices)),
                }
                let user = any(choices);
                Self::UpdateUser { user, is_whole: false, region: deed.0, full_name: deed.1, display_name: deed.2 }
            }
            6 | 7 => Self::UpdateUser {
                user: any(choices),
                is_whole: true,
                region: Some(some_region(choices)),
                full_name: Some(word(choices)),
                display_name: Some(word(choices)),
            },
            8 => Self::CreateUser {
                email: format!("step{step}@example.org"),
                region: some_region(choices),
                display_name: word(choices),
            },
            9..=11 => Self::SetStatus { user: other(choices), operation: one_of(choices, &STATUSES) },
            12 => Self::DeleteUser(other(choices)),
            13 | 14 => Self::UpdateRegion {
                region: region(choices),
                code: choices.once_in(3).then(|| code(choices)),
                area: choices.once_in(2).then(|| word(choices)),
                commander: choices.once_in(2).then(|| word(choices)),
                status: choices.once_in(3).then(|| one_of(choices, &["ACTIVE", "INACTIVE"])),
            },
            15 => Self::CreateRegion { code: code(choices), area: word(choices) },
            16 => Self::DeleteRegion(region(choices)),
            17..=22 => {
                let mut deed = (None, None, None, None);
                match choices.below(7) {
                    0..=2 => deed.3 = Some(some_region(choices)),
                    3 => deed.0 = Some(code(choices)),
                    4 => deed.1 = Some(one_of(choices, &["FlyOS_MQ5", "FlyOS_MQ7"])),
                    _ => deed.2 = Some(one_of(choices, &["ACTIVE", "STANDBY", "OFFLINE"])),
                }
                Self::UpdateDrone { drone: drone(choices), code: deed.0, model: deed.1, status: deed.2, region: deed.3 }
            }
            23 => Self::CreateDrone {
                code: code(choices),
                region: some_region(choices),
                operator: choices.once_in(2).then(|| any(choices)),
            },
            24 => Self::DeleteDrone(drone(choices)),
            25..=31 => Self::Crew {
                operation: one_of(
                    choices,
                    &["drones.assign", "drones.unassign", "drones.reassign", "drones.assign", "drones.unassign"],
                ),
                drone: drone(choices),
                user: any(choices),
            },
            32 => Self::GrantAdmin(1 + choices.below(USERS - 1)),
            _ => {
                let held: Vec<Held> = world.held.clone();
                match choices.once_in(2) && !held.is_empty() {
                    true => Self::Role { gives: false, held: *choices.one(&held) },
                    false => Self::Role {
                        gives: true,
                        held: Held {
                            user: 1 + choices.below(USERS - 1),
                            role: policy::any_role(choices),
                            scope: policy::scope(choices),
                        },
                    },
                }
            }
        }
    }

    /// Its operation, and the input.
    pub fn call(&self, world: &World) -> (&'static str, Json) {
        let mut with = Map::new();
        let mut put = |key: &str, value: Json| drop(with.insert(key.to_owned(), value));
        let row = |row: Option<Row>| row.map_or(Json::Null, Row::input);
        let operation = match self {
            Self::UpdateUser { user, is_whole, region, full_name, display_name } => {
                put("id", Row::User(*user).input());
                if *is_whole {
                    let email = world.users[*user].as_ref().map_or("gone@example.org", |user| &user.email);
                    put("email", email.into());
                }
                full_name.iter().for_each(|name| put("full_name", json!(name)));
                display_name.iter().for_each(|name| put("display_name", json!(name)));
                region.iter().for_each(|at| put("region", row(at.map(Row::Region))));
                if *is_whole { "users.replace" } else { "users.update" }
            }
            Self::CreateUser { email, region, display_name } => {
                put("email", email.as_str().into());
                put("region", row(region.map(Row::Region)));
                put("display_name", json!(display_name));
                "users.create"
            }
            Self::SetStatus { user, operation } => {
                put("id", Row::User(*user).input());
                operation
            }
            Self::DeleteUser(user) => {
                put("id", Row::User(*user).input());
                "users.delete"
            }
            Self::UpdateRegion { region, code, area, commander, status } => {
                put("region", Row::Region(*region).input());
                code.iter().for_each(|code| put("code", code.as_str().into()));
                area.iter().for_each(|area| put("area", json!(area)));
                commander.iter().for_each(|name| put("commander_name", json!(name)));
                status.iter().for_each(|status| put("status", (*status).into()));
                "regions.update"
            }
            Self::CreateRegion { code, area } => {
                put("code", code.as_str().into());
                put("name", "A region".into());
                put("area", json!(area));
                "regions.create"
            }
            Self::DeleteRegion(region) => {
                put("region", Row::Region(*region).input());
                "regions.delete"
            }
            Self::UpdateDrone { drone, code, model, status, region } => {
                put("drone", Row::Drone(*drone).input());
                code.iter().for_each(|code| put("code", code.as_str().into()));
                model.iter().for_each(|model| put("model", (*model).into()));
                status.iter().for_each(|status| put("status", (*status).into()));
                region.iter().for_each(|at| put("region", row(at.map(Row::Region))));
                "drones.update"
            }
            Self::CreateDrone { code, region, operator } => {
                put("code", code.as_str().into());
                put("model", "FlyOS_MQ5".into());
                put("region", row(region.map(Row::Region)));
                put("operator_id", row(operator.map(Row::User)));
                "drones.create"
            }
            Self::DeleteDrone(drone) => {
                put("drone", Row::Drone(*drone).input());
                "drones.delete"
            }
            Self::Crew { operation, drone, user } => {
                put("drone", Row::Drone(*drone).input());
                put("user_id", Row::User(*user).input());
                operation
            }
            Self::Role { gives, held } => {
                put("user_id", Row::User(held.user).input());
                put("role", format!("role{}", held.role).into());
                put("scope", held.scope.input());
                if *gives { "roles.assign" } else { "roles.unassign" }
            }
            Self::GrantAdmin(user) => {
                put("id", Row::User(*user).input());
                "users.grant_admin"
            }
        };
        (operation, Json::Object(with))
    }

    /// The permission that it asks for, and the row that it is done to.
    pub fn asks(&self) -> (&'static str, Option<Row>) {
        match self {
            Self::UpdateUser { user, .. } => ("user:update", Some(Row::User(*user))),
            Self::CreateUser { .. } => ("user:create", None),
            Self::SetStatus { user, .. } => ("user:set_status", Some(Row::User(*user))),
            Self::DeleteUser(user) => ("user:delete", Some(Row::User(*user))),
            Self::UpdateRegion { region, .. } => ("region:update", Some(Row::Region(*region))),
            Self::CreateRegion { .. } => ("region:create", None),
            Self::DeleteRegion(region) => ("region:delete", Some(Row::Region(*region))),
            Self::UpdateDrone { drone, .. } => ("drone:update", Some(Row::Drone(*drone))),
            Self::CreateDrone { .. } => ("drone:create", None),
            Self::DeleteDrone(drone) => ("drone:delete", Some(Row::Drone(*drone))),
            Self::Crew { drone, .. } => ("drone:assign", Some(Row::Drone(*drone))),
            Self::Role { held, .. } => ("role:assign", Some(Row::User(held.user))),
            Self::GrantAdmin(user) => ("user:set_admin", Some(Row::User(*user))),
        }
    }

    /// Whether it changes the account of the administrator, as whom nobody else may act.
    pub fn is_of_administrator(&self, world: &World) -> bool {
        let is_it = |user: &usize| *user == ADMINISTRATOR;
        match self {
            Self::UpdateUser { user, .. } | Self::SetStatus { user, .. } | Self::DeleteUser(user) => is_it(user),
            Self::DeleteRegion(region) => {
                world.users[ADMINISTRATOR].as_ref().is_some_and(|user| user.region == Some(*region))
            }
            _ => false,
        }
    }

    /// Whether it changes the status of this user, or deletes it: one's own account needs a fresh proof.
    pub fn shuts_out(&self, of: usize) -> bool {
        matches!(self, Self::SetStatus { user, .. } | Self::DeleteUser(user) if *user == of)
    }

    /// The row that it makes.
    pub fn makes(&self, world: &World) -> Option<Row> {
        match self {
            Self::CreateUser { .. } => Some(Row::User(world.users.len())),
            Self::CreateRegion { .. } => Some(Row::Region(world.regions.len())),
            Self::CreateDrone { .. } => Some(Row::Drone(world.drones.len())),
            _ => None,
        }
    }

    /// The world once it is done, or why it cannot be, whoever may do what: the code of the error.
    /// `sees` says which rows the caller may read.
    pub fn done(
        &self,
        world: &World,
        policy: &Policy,
        is_administrator: bool,
        sees: &dyn Fn(Row) -> bool,
    ) -> Result<World, &'static str> {
        let mut next = world.clone();
        // What an input names must be there, as far as the caller knows.
        let named = |row: Row| if world.is_there(row) && sees(row) { Ok(()) } else { Err("VALIDATION_ERROR") };
        match self {
            Self::UpdateUser { user: at, is_whole: _, region, full_name, display_name } => {
                region.iter().flatten().try_for_each(|at| named(Row::Region(*at)))?;
                let user = next.users[*at].as_mut().unwrap();
                let before = user.clone();
                full_name.iter().for_each(|name| user.full_name.clone_from(name));
                display_name.iter().for_each(|name| user.display_name.clone_from(name));
                region.iter().for_each(|region| user.region = *region);
                if *user == before {
                    return Ok(next);
                }
                user.version += 1;
                let region = user.region;
                if region != before.region {
                    next.leave(*at, |drone| drone.region.is_some() && drone.region != region);
                }
            }
            Self::CreateUser { email, region, display_name } => {
                region.iter().try_for_each(|at| named(Row::Region(*at)))?;
                next.users.push(Some(User {
                    email: email.clone(),
                    full_name: None,
                    display_name: display_name.clone(),
                    region: *region,
                    status: "active",
                    shut: BTreeSet::new(),
                    version: 1,
                }));
            }
            Self::SetStatus { user, operation } => {
                let user = next.users[*user].as_mut().unwrap();
                // Whoever is given a reason or an end anew is changed, whatever it was.
                let is_given = matches!(*operation, "users.suspend" | "users.ban");
                let is_changed = match (*operation, user.status) {
                    ("users.activate", "suspended" | "banned")
                    | ("users.lift", "inactive")
                    | ("users.suspend", "banned") => return Err("CONFLICT"),
                    ("users.activate", _) => user.shut.remove("inactive"),
                    ("users.lift", status) => user.shut.remove(status),
                    ("users.deactivate", _) => user.shut.insert("inactive"),
                    ("users.suspend", _) => user.shut.insert("suspended"),
                    _ => user.shut.insert("banned"),
                };
                let strongest = ["banned", "suspended", "inactive"].into_iter().find(|one| user.shut.contains(one));
                user.status = strongest.unwrap_or("active");
                user.version += i64::from(is_changed || is_given);
            }
            Self::DeleteUser(user) => {
                next.end_scopes(&[Scope::On(Row::User(*user))], policy, is_administrator)?;
                next.held.retain(|held| held.user != *user);
                next.leave(*user, |_| true);
                next.users[*user] = None;
            }
            Self::UpdateRegion { region: at, code, area, commander, status } => {
                let region = next.regions[*at].as_mut().unwrap();
                let before = region.clone();
                code.iter().for_each(|code| region.code.clone_from(code));
                area.iter().for_each(|area| region.area.clone_from(area));
                commander.iter().for_each(|name| region.commander.clone_from(name));
                status.iter().for_each(|status| region.status = status);
                if *region != before {
                    region.version += 1;
                    let code = region.code.clone();
                    world.free(&world.regions, *at, |region| region.code == code)?;
                }
            }
            Self::CreateRegion { code, area } => {
                world.free(&world.regions, usize::MAX, |region| region.code == *code)?;
                next.regions.push(Some(Region {
                    code: code.clone(),
                    area: area.clone(),
                    commander: None,
                    status: "ACTIVE",
                    version: 1,
                }));
            }
            Self::DeleteRegion(at) => {
                next.end_scopes(&[Scope::Region(*at), Scope::On(Row::Region(*at))], policy, is_administrator)?;
                for user in next.users.iter_mut().flatten().filter(|user| user.region == Some(*at)) {
                    (user.region, user.version) = (None, user.version + 1);
                }
                for drone in next.drones.iter_mut().flatten().filter(|drone| drone.region == Some(*at)) {
                    (drone.region, drone.version) = (None, drone.version + 1);
                }
                next.regions[*at] = None;
            }
            Self::UpdateDrone { drone: at, code, model, status, region } => {
                region.iter().flatten().try_for_each(|at| named(Row::Region(*at)))?;
                let drone = next.drones[*at].as_mut().unwrap();
                let before = drone.clone();
                code.iter().for_each(|code| drone.code.clone_from(code));
                model.iter().for_each(|model| drone.model = model);
                status.iter().for_each(|status| drone.status = status);
                region.iter().for_each(|region| drone.region = *region);
                if drone.region != before.region && drone.region.is_some() {
                    let here =
                        |user: &usize| world.users[*user].as_ref().is_some_and(|user| user.region == drone.region);
                    drone.crew.retain(here);
                    drone.operator = drone.operator.filter(here);
                }
                if *drone != before {
                    drone.version += 1;
                    let code = drone.code.clone();
                    world.free(&world.drones, *at, |drone| drone.code == code)?;
                }
            }
            Self::CreateDrone { code, region, operator } => {
                region.iter().try_for_each(|at| named(Row::Region(*at)))?;
                operator.iter().try_for_each(|at| named(Row::User(*at)))?;
                let new = Drone {
                    code: code.clone(),
                    model: "FlyOS_MQ5",
                    status: "STANDBY",
                    region: *region,
                    operator: *operator,
                    crew: operator.iter().copied().collect(),
                    version: 1,
                };
                operator.iter().try_for_each(|at| world.same_region(&new, *at))?;
                world.free(&world.drones, usize::MAX, |drone| drone.code == *code)?;
                next.drones.push(Some(new));
            }
            Self::DeleteDrone(at) => {
                next.end_scopes(&[Scope::On(Row::Drone(*at))], policy, is_administrator)?;
                next.drones[*at] = None;
            }
            Self::Crew { operation: "drones.unassign", drone, user } => {
                let drone = next.drones[*drone].as_mut().unwrap();
                if !drone.crew.contains(user) || !sees(Row::User(*user)) {
                    return Err("RESOURCE_NOT_FOUND");
                }
                drone.crew.remove(user);
                if drone.operator == Some(*user) {
                    (drone.operator, drone.version) = (None, drone.version + 1);
                }
            }
            Self::Crew { operation, drone, user } => {
                named(Row::User(*user))?;
                let drone = next.drones[*drone].as_mut().unwrap();
                world.same_region(drone, *user)?;
                if drone.operator == Some(*user) {
                    return Err("DUPLICATE_RESOURCE");
                }
                if let Some(operator) = drone.operator.filter(|_| *operation == "drones.reassign") {
                    drone.crew.remove(&operator);
                }
                drone.crew.insert(*user);
                (drone.operator, drone.version) = (Some(*user), drone.version + 1);
            }
            Self::Role { .. } | Self::GrantAdmin(_) if !is_administrator => return Err("FORBIDDEN"),
            Self::Role { gives, held } => {
                if held.scope.row().is_some_and(|row| !world.is_there(row)) {
                    return Err("VALIDATION_ERROR");
                }
                match (gives, world.held.contains(held)) {
                    (true, true) => return Err("DUPLICATE_RESOURCE"),
                    (false, false) => return Err("RESOURCE_NOT_FOUND"),
                    (true, false) => next.held.push(*held),
                    (false, true) => next.held.retain(|one| one != held),
                }
            }
            // The callers of a sequence stay what they are.
            Self::GrantAdmin(_) => return Err("left out"),
        }
        Ok(next)
    }
}

impl World {
    /// A user is taken from the drones that it may not fly any more.
    fn leave(&mut self, user: usize, leaves: impl Fn(&Drone) -> bool) {
        for drone in self.drones.iter_mut().flatten().filter(|drone| leaves(drone)) {
            drone.crew.remove(&user);
            if drone.operator == Some(user) {
                (drone.operator, drone.version) = (None, drone.version + 1);
            }
        }
    }

    /// Roles end with the row that they are held on; where they deny something, for administrators alone.
    fn end_scopes(&mut self, scopes: &[Scope], policy: &Policy, is_administrator: bool) -> Result<(), &'static str> {
        let denies = |held: &Held| policy.roles[held.role].iter().any(|grant| grant.is_deny);
        if !is_administrator && self.held.iter().any(|held| scopes.contains(&held.scope) && denies(held)) {
            return Err("FORBIDDEN");
        }
        self.held.retain(|held| !scopes.contains(&held.scope));
        Ok(())
    }

    fn free<R>(&self, rows: &[Option<R>], own: usize, is_taken: impl Fn(&R) -> bool) -> Result<(), &'static str> {
        let mut others = rows.iter().enumerate().filter(|(at, _)| *at != own);
        if others.any(|(_, row)| row.as_ref().is_some_and(&is_taken)) { Err("DUPLICATE_RESOURCE") } else { Ok(()) }
    }

    fn same_region(&self, drone: &Drone, user: usize) -> Result<(), &'static str> {
        let region = self.users[user].as_ref().and_then(|user| user.region);
        if drone.region.is_none() || drone.region == region { Ok(()) } else { Err("VALIDATION_ERROR") }
    }
}
