//! First steps of a store: the data it starts with (FLT-6).

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{
    Access, Operation,
    drones::{self, NewDrone},
    plan::Plan,
    regions,
    services::Services,
    users::{self, CreateUser, NewUser},
};
use crate::model::{
    check::{Checks, Invalid},
    decode::{FieldCode, FieldError},
    drone::{DroneModel, DroneStatus},
    error::{Error, Result},
    id::{DroneId, RegionId, UserId},
    region::{Region, RegionStatus},
    secret::Secret,
    text,
    time::Time,
    user::UserStatus,
};

/// Creates the given regions, users and drones, those that are not there yet, in one commit.
///
/// Ids are fixed by the seed, so that it may be applied at every start. Only the host may.
/// Passwords are given beside the seed, by e-mail, and never stored in it.
#[derive(Clone, Debug, Input, Describe)]
pub struct Seed {
    /// Regions.
    pub regions: Vec<SeedRegion>,
    /// Users.
    pub users: Vec<SeedUser>,
    /// Drones.
    pub drones: Vec<SeedDrone>,
    /// Passwords of users by their e-mail; a user without one cannot sign in yet.
    pub passwords: BTreeMap<String, Secret>,
}

/// A region to start with.
#[derive(Clone, Debug, Input, Describe)]
pub struct SeedRegion {
    /// Its id, the same on every site.
    pub id: RegionId,
    /// Its short name.
    pub code: String,
    /// The name shown.
    pub name: String,
    /// What it covers.
    pub area: Option<String>,
    /// Who commands it.
    pub commander_name: Option<String>,
}

/// A user to start with.
#[derive(Clone, Debug, Input, Describe)]
pub struct SeedUser {
    /// Its id, the same on every site.
    pub id: UserId,
    /// Its address.
    pub email: String,
    /// Its username.
    pub username: Option<String>,
    /// Its whole name.
    pub full_name: Option<String>,
    /// Its region, by code.
    pub region: Option<String>,
    /// Its roles.
    pub roles: Vec<String>,
}

/// A drone to start with.
#[derive(Clone, Debug, Input, Describe)]
pub struct SeedDrone {
    /// Its id, the same on every site.
    pub id: DroneId,
    /// Its name.
    pub code: String,
    /// What it is.
    pub model: DroneModel,
    /// What it is doing.
    pub status: DroneStatus,
    /// Its region, by code.
    pub region: Option<String>,
    /// Its operator, by e-mail.
    pub operator: Option<String>,
}

/// What a seed created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct SeedResult {
    /// Regions that were not there.
    pub regions_created: i64,
    /// Users that were not there.
    pub users_created: i64,
    /// Drones that were not there.
    pub drones_created: i64,
}

/// A seed whose fields are valid.
pub struct ValidSeed {
    regions: Vec<Region>,
    users: Vec<(CreateUser, UserId)>,
    drones: Vec<SeedDrone>,
}

#[portable_async]
impl Operation for Seed {
    type Target = ();
    type Valid = ValidSeed;
    type Output = SeedResult;

    const ACCESS: Access = Access::System;

    async fn validate(self, services: &Services, now: Time) -> Result<ValidSeed> {
        let mut errors: Vec<FieldError> = Vec::new();
        let mut regions = Vec::new();
        for (at, region) in self.regions.into_iter().enumerate() {
            let mut checks = Checks::default();
            let code = checks.field("code", text::code(&region.code)).unwrap_or_default();
            let name = checks.field("name", text::name(&region.name, 100)).unwrap_or_default();
            let area = checks.optional("area", region.area.as_deref(), |area| text::name(area, 255));
            let commander = region.commander_name.as_deref();
            let commander_name = checks.optional("commander_name", commander, |name| text::name(name, 255));
            collect(&mut errors, &format!("regions[{at}]"), checks.finish());
            regions.push(Region {
                id: region.id,
                code,
                name,
                area,
                commander_name,
                status: RegionStatus::Active,
                created_at: now,
                updated_at: now,
                version: 0,
            });
        }
        let mut users = Vec::new();
        for (at, user) in self.users.into_iter().enumerate() {
            let password = self.passwords.get(&user.email).cloned();
            let new = CreateUser {
                username: user.username,
                password,
                full_name: user.full_name,
                region: user.region,
                roles: user.roles,
                ..CreateUser::new(user.email)
            };
            collect(&mut errors, &format!("users[{at}]"), new.check(services, now).map(|_| ()));
            users.push((new, user.id));
        }
        for (at, drone) in self.drones.iter().enumerate() {
            let mut checks = Checks::default();
            checks.field("code", text::code(&drone.code));
            if drone.operator.as_ref().is_some_and(|operator| !users.iter().any(|(user, _)| user.email == *operator)) {
                checks.error("operator", Invalid::new(FieldCode::NotFound, "the seed has no such user"));
            }
            collect(&mut errors, &format!("drones[{at}]"), checks.finish());
        }
        if self.passwords.keys().any(|email| !users.iter().any(|(user, _)| user.email == *email)) {
            // Else a slip of the pen would leave an account without its password.
            let message = "a password is given for an e-mail that no user of the seed has";
            errors.push(FieldError {
                field: "passwords".to_owned(),
                code: FieldCode::NotFound,
                message: message.to_owned(),
            });
        }
        if errors.is_empty() { Ok(ValidSeed { regions, users, drones: self.drones }) } else { Err(errors.into()) }
    }

    async fn plan(seed: &ValidSeed, (): (), plan: &mut Plan<'_>) -> Result<SeedResult> {
        let mut result = SeedResult { regions_created: 0, users_created: 0, drones_created: 0 };
        for region in &seed.regions {
            if plan.reads().get::<Region>(&(region.id,)).await?.is_none() {
                regions::insert(region, plan).await?;
                result.regions_created += 1;
            }
        }
        for (new, id) in &seed.users {
            if plan.reads().get::<crate::model::user::User>(&(*id,)).await?.is_some() {
                continue;
            }
            let fields = new.check(plan.services, plan.now)?;
            let password_hash = match new.password.clone() {
                Some(password) => Some(plan.services.hasher.hash(password).await?),
                None => None,
            };
            let region = new.region.clone();
            let roles = new.roles.clone();
            let new = NewUser { id: Some(*id), fields, password_hash, region, roles, status: UserStatus::Active };
            users::insert(&new, plan).await?;
            result.users_created += 1;
        }
        for drone in &seed.drones {
            if plan.reads().get::<crate::model::drone::Drone>(&(drone.id,)).await?.is_some() {
                continue;
            }
            let operator = drone.operator.as_ref();
            let operator_id = operator.and_then(|email| seed.users.iter().find(|(user, _)| user.email == *email));
            let new = NewDrone {
                id: drone.id,
                code: drone.code.clone(),
                model: drone.model,
                status: drone.status,
                region: drone.region.clone(),
                operator_id: operator_id.map(|(_, id)| *id),
            };
            drones::insert(&new, plan).await?;
            result.drones_created += 1;
        }
        Ok(result)
    }
}

/// Field errors of a part, under the part's name.
fn collect(errors: &mut Vec<FieldError>, part: &str, result: Result<()>) {
    let Err(error) = result else { return };
    let under = |field: &FieldError| FieldError { field: format!("{part}.{}", field.field), ..field.clone() };
    match error.fields() {
        [] => errors.push(FieldError {
            field: part.to_owned(),
            code: FieldCode::InvalidFormat,
            message: Error::message(&error).to_owned(),
        }),
        fields => errors.extend(fields.iter().map(under)),
    }
}
