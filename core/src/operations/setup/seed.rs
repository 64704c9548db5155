//! Regions, users and drones that a store starts with.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use crate::model::{
    check::{Checks, Invalid},
    decode::FieldCode,
    drone::{Drone, DroneModel, DroneStatus},
    error::Result,
    id::{DroneId, RegionId, UserId},
    input::Limits,
    region::{Region, RegionStatus},
    registry::{Claim, Guard},
    secret::Secret,
    text,
    time::Time,
    user::{User, UserStatus},
};
use crate::operations::{
    Access, Operation,
    drones::{self, NewDrone},
    fleet::create::{Room, require_room},
    passwords::NewPassword,
    plan::Plan,
    regions,
    services::Services,
    users::{self, CreateUser, ExternalIdentity, Made, NewUser, Past},
};

/// Creates the given regions, users and drones that do not exist yet, in one commit.
///
/// The seed fixes their ids, so that it may be applied at every start. Only the application itself may call it, with `system`. Passwords
/// are given by e-mail address, apart from the users, so that a seed file contains none.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Seed {
    /// Regions.
    pub regions: Vec<SeedRegion>,
    /// Users.
    pub users: Vec<SeedUser>,
    /// Drones.
    pub drones: Vec<SeedDrone>,
    /// Passwords by the user's e-mail address; a user without one cannot sign in yet.
    pub passwords: BTreeMap<String, Secret>,
}

/// A region of a seed.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SeedRegion {
    /// Its id.
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

/// A user of a seed.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SeedUser {
    /// Its id.
    pub id: UserId,
    /// The e-mail address. Required unless `identity` is given.
    #[input(positional)]
    pub email: Option<String>,
    /// The username.
    pub username: Option<String>,
    /// The full name.
    pub full_name: Option<String>,
    /// Its region, by code.
    pub region: Option<String>,
    /// Names of its roles, in addition to the default roles, which every account gets.
    pub roles: Vec<String>,
    /// The identity at another issuer that the user stands for.
    pub identity: Option<ExternalIdentity>,
}

impl SeedUser {
    /// Starts a `SeedUser` without an e-mail address, for a user who signs in at another issuer; the rest has setters.
    pub fn external(id: impl Into<UserId>, issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { email: None, ..Self::new(id, "") }.identity(ExternalIdentity::new(issuer, subject))
    }
}

/// A drone of a seed.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct SeedDrone {
    /// Its id.
    pub id: DroneId,
    /// Its code.
    pub code: String,
    /// Its model.
    pub model: DroneModel,
    /// Its status.
    pub status: DroneStatus,
    /// Its region, by code.
    pub region: Option<String>,
    /// Its operator, by e-mail.
    pub operator: Option<String>,
}

/// How much a seed created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct SeedResult {
    /// The number of new regions.
    pub regions_created: i64,
    /// The number of new users.
    pub users_created: i64,
    /// The number of new drones.
    pub drones_created: i64,
}

/// A user whose fields are valid.
struct SeededUser {
    new: CreateUser,
    id: UserId,
    password: Option<NewPassword>,
}

/// A seed whose fields are valid.
pub struct ValidSeed {
    regions: Vec<Region>,
    users: Vec<SeededUser>,
    /// The users by e-mail.
    ids: BTreeMap<String, UserId>,
    drones: Vec<SeedDrone>,
}

#[boxed_async]
impl Operation for Seed {
    type Target = ();
    type Valid = ValidSeed;

    const ACCESS: Access = Access::System;
    const LIMITS: Limits = Limits::ROWS;

    async fn validate(self, services: &Services, now: Time) -> Result<ValidSeed> {
        let mut checks = Checks::default();
        let mut regions = Vec::new();
        for (at, region) in self.regions.into_iter().enumerate() {
            checks.part(&format!("regions[{at}]"));
            let code = checks.field("code", text::code(&region.code)).unwrap_or_default();
            let name = checks.field("name", text::name(&region.name, 100)).unwrap_or_default();
            let area = checks.optional("area", region.area.as_deref(), |area| text::name(area, 255));
            let commander = region.commander_name.as_deref();
            let commander_name = checks.optional("commander_name", commander, |name| text::name(name, 255));
            regions.push(Region {
                id: region.id,
                code,
                name,
                area,
                commander_name,
                status: RegionStatus::Active,
                attributes: None,
                created_at: now,
                updated_at: now,
                version: 0,
            });
        }
        let mut users = Vec::new();
        let mut ids = BTreeMap::new();
        for (at, user) in self.users.into_iter().enumerate() {
            checks.part(&format!("users[{at}]"));
            if let Some(email) = &user.email {
                ids.entry(email.clone()).or_insert(user.id);
            }
            let password = user.email.as_ref().and_then(|email| self.passwords.get(email));
            let new = CreateUser {
                password: password.cloned(),
                email: user.email,
                username: user.username,
                full_name: user.full_name,
                region: user.region,
                roles: user.roles,
                identity: user.identity,
                ..CreateUser::new("")
            };
            new.check(&mut checks, services, now)?;
            users::check_roles(&mut checks, &services.rules(), &new.roles);
            let password = new.password.clone().map(NewPassword::new);
            users.push(SeededUser { new, id: user.id, password });
        }
        for (at, drone) in self.drones.iter().enumerate() {
            checks.part(&format!("drones[{at}]"));
            checks.field("code", text::code(&drone.code));
            if drone.operator.as_ref().is_some_and(|operator| !ids.contains_key(operator)) {
                checks.error("operator", Invalid::new(FieldCode::NotFound, "the seed has no such user"));
            }
        }
        checks.whole();
        if self.passwords.keys().any(|email| !ids.contains_key(email)) {
            // Else a slip of the pen would leave an account without its password.
            let message = "a password is given for an e-mail that no user of the seed has";
            checks.error("passwords", Invalid::new(FieldCode::NotFound, message));
        }
        checks.finish()?;
        Ok(ValidSeed { regions, users, ids, drones: self.drones })
    }

    async fn plan(seed: &ValidSeed, (): (), plan: &mut Plan<'_>) -> Result<SeedResult> {
        read_ahead(seed, plan).await?;
        let mut result = SeedResult { regions_created: 0, users_created: 0, drones_created: 0 };
        for region in &seed.regions {
            if plan.reads().get::<Region>(&(region.id,)).await?.is_none() {
                regions::insert(region, plan).await?;
                result.regions_created += 1;
            }
        }
        for (at, SeededUser { new: seeded, id, password }) in seed.users.iter().enumerate() {
            if plan.reads().get::<User>(&(*id,)).await?.is_some() {
                continue;
            }
            let mut checks = Checks::default();
            let fields = seeded.check(&mut checks, plan.services, plan.now)?;
            users::check_roles(&mut checks, plan.rules(), &seeded.roles);
            checks.finish()?;
            let password_hash = match password {
                Some(password) => Some(password.hash(plan.services, &format!("users[{at}].password"), true).await?),
                None => None,
            };
            let region = seeded.region.clone();
            let roles = seeded.roles.clone();
            let identity = seeded.identity.clone();
            let status = UserStatus::Active;
            let is_imported = false;
            let (id, made) = (Some(*id), Made::ByCaller);
            let new = NewUser {
                id,
                fields,
                password_hash,
                is_imported,
                region,
                roles,
                status,
                identity,
                made,
                past: Past::default(),
            };
            users::insert(&new, plan).await?;
            result.users_created += 1;
        }
        let mut more: BTreeMap<UserId, usize> = BTreeMap::new();
        for drone in &seed.drones {
            if let Some(operator) = seed.operator_of(drone)
                && plan.reads().get::<Drone>(&(drone.id,)).await?.is_none()
            {
                *more.entry(operator).or_default() += 1;
            }
        }
        require_room(plan, &more).await?;
        for drone in &seed.drones {
            if plan.reads().get::<Drone>(&(drone.id,)).await?.is_some() {
                continue;
            }
            let operator_id = seed.operator_of(drone);
            let new = NewDrone {
                id: drone.id,
                code: drone.code.clone(),
                model: drone.model,
                status: drone.status,
                region: drone.region.clone(),
                operator_id,
                attributes: BTreeMap::new(),
            };
            drones::insert(&new, Room::Asked, plan).await?;
            result.drones_created += 1;
        }
        Ok(result)
    }
}

impl ValidSeed {
    /// Who is to fly a drone.
    fn operator_of(&self, drone: &SeedDrone) -> Option<UserId> {
        drone.operator.as_ref().and_then(|email| self.ids.get(email)).copied()
    }
}

/// Reads in a few calls what the rows of a seed need one by one.
async fn read_ahead(seed: &ValidSeed, plan: &Plan<'_>) -> Result<()> {
    plan.read_ahead::<Region>(seed.regions.iter().map(|region| (region.id,)).collect()).await?;
    plan.read_ahead::<User>(seed.users.iter().map(|user| (user.id,)).collect()).await?;
    plan.read_ahead::<Drone>(seed.drones.iter().map(|drone| (drone.id,)).collect()).await?;
    let identities: Vec<String> =
        seed.users.iter().filter_map(|user| user.new.identity.as_ref().map(ExternalIdentity::name)).collect();
    let regions = seed.regions.iter().map(|region| ("region", Some(&*region.code)));
    let drones = seed.drones.iter().map(|drone| ("drone", Some(&*drone.code)));
    let users = seed
        .users
        .iter()
        .flat_map(|user| [("email", user.new.email.as_deref()), ("username", user.new.username.as_deref())]);
    let identities = identities.iter().map(|name| (Claim::IDENTITY, Some(&**name)));
    plan.look_up(&regions.chain(drones).chain(users).chain(identities).collect::<Vec<_>>()).await?;
    plan.read_ahead::<Guard>(seed.users.iter().map(|user| (Guard::of_user(user.id),)).collect()).await
}
