//! The scenario, step by step, through the public API.

use rolekeep::{
    Caller, Code, Error, Page, Reason, RequestContext, Result, UserManagement,
    drones::{AssignDrone, CreateDrone, DroneView, ListDrones, ReassignDrone},
    permissions::ExplainPermission,
    regions::{ListRegions, RegionView},
    setup::{Seed, SeedResult},
    users::{FindUser, ListUsers, SuspendUser, UserView},
};

use crate::{
    passwords::Passwords,
    report::{Account, Refusal, RegionSight, Report, Restart, Sight, Suspension},
};

/// The accounts in the order of the table.
const ACCOUNTS: [&str; 5] =
    ["main@flyos.mil", "east@flyos.mil", "west@flyos.mil", "operator1@flyos.mil", "operator2@flyos.mil"];

/// Tells the whole story on an open store.
pub async fn tell(um: &UserManagement, seed: &str, passwords: &Passwords) -> Result<Report> {
    let setup = apply_seed(um, seed, passwords).await?;
    let mut accounts = Vec::new();
    for email in ACCOUNTS {
        accounts.push(account(um, email, passwords).await?);
    }
    let main = sign_in(um, "main@flyos.mil", passwords).await?;
    let operator2 = user(um, "operator2").await?;
    match main.drones().reassign(ReassignDrone::new("drone-005", operator2.id)).await {
        // On a file that went through this before.
        Err(error) if error.reason() == Reason::AlreadyAssigned => {}
        other => drop(other?),
    }
    let mut reassigned = Vec::new();
    for name in ["operator1", "operator2"] {
        reassigned.push(sight(um, name).await?);
    }
    let suspended = suspend(um, &main, passwords).await?;
    let audit = main.audit().verify(rolekeep::audit::VerifyAudit::new()).await?.into();
    Ok(Report { setup, accounts, reassigned, suspended, audit, generated_passwords: None, after_restart: None })
}

/// What a new process finds on the same file.
pub async fn after_restart(um: &UserManagement, seed: &str, passwords: &Passwords) -> Result<Restart> {
    let created = apply_seed(um, seed, passwords).await?;
    let main = sign_in(um, "main@flyos.mil", passwords).await?;
    let operator2 = sign_in(um, "operator2@flyos.mil", passwords).await?;
    Ok(Restart {
        users: main.users().list(ListUsers::new()).await?.total.unwrap_or_default(),
        regions: main.regions().list(ListRegions::new()).await?.total.unwrap_or_default(),
        drones: main.drones().list(ListDrones::new()).await?.total.unwrap_or_default(),
        created: created.users_created + created.regions_created + created.drones_created,
        operator1_login: code(&sign_in(um, "operator1@flyos.mil", passwords).await),
        operator2_drones: drone_codes(operator2.drones().list(ListDrones::new()).await?),
        audit: main.audit().verify(rolekeep::audit::VerifyAudit::new()).await?.into(),
    })
}

async fn apply_seed(um: &UserManagement, seed: &str, passwords: &Passwords) -> Result<SeedResult> {
    let invalid = |problem| Error::new(Reason::InvalidJson, format!("the seed is not valid JSON: {problem}"));
    let seed: Seed = serde_json::from_str::<serde_json::Value>(seed).map_err(invalid)?.try_into()?;
    let passwords = passwords.iter().map(|(email, password)| (email.to_owned(), password));
    um.system().setup().seed(seed.passwords(passwords)).await
}

async fn sign_in(um: &UserManagement, email: &str, passwords: &Passwords) -> Result<Caller> {
    let request = RequestContext::from_ip("127.0.0.1").user_agent("flyos example");
    let login = um.login(email, passwords.get(email), request.clone()).await?.done()?;
    um.authenticate(login.access_token.expose(), request).await
}

async fn account(um: &UserManagement, email: &str, passwords: &Passwords) -> Result<Account> {
    let name = email.split('@').next().unwrap_or_default();
    let me = match sign_in(um, email, passwords).await {
        Ok(me) => me,
        Err(error) if error.code() == Code::Unauthorized => return Ok(locked_out(email, &error)),
        Err(error) => return Err(error),
    };
    let users = match me.users().list(ListUsers::new().limit(100)).await {
        Ok(page) => Some(sorted(page.items.into_iter().filter_map(|user| user.username))),
        Err(error) if error.code() == Code::Forbidden => None,
        Err(error) => return Err(error),
    };
    let regions = me.regions().list(ListRegions::new()).await?;
    Ok(Account {
        email: email.to_owned(),
        login: "ok".to_owned(),
        roles: me.roles().mine().await?.into_iter().map(|held| held.role).collect(),
        users,
        regions: region_sights(regions),
        drones: drone_codes(me.drones().list(ListDrones::new()).await?),
        refused: refusals(um, &me, name).await?,
    })
}

fn locked_out(email: &str, error: &Error) -> Account {
    Account {
        email: email.to_owned(),
        login: error.code().to_string(),
        roles: Vec::new(),
        users: None,
        regions: Vec::new(),
        drones: Vec::new(),
        refused: Vec::new(),
    }
}

/// Tries what the table says is refused, and lets the host explain.
async fn refusals(um: &UserManagement, me: &Caller, name: &str) -> Result<Vec<Refusal>> {
    let own = me.users().me().await?;
    let explain = async |permission: &str, resource: Option<&str>| -> Result<Option<String>> {
        let mut asked = ExplainPermission::new(own.id, permission);
        asked.resource = resource.map(str::to_owned);
        let explanation = um.system().permissions().explain(asked).await?;
        Ok((!explanation.allowed).then_some(explanation.text))
    };
    let drone = |code: &'static str| async move { me.drones().get(code).await.map(drop) };
    let mut refused = Vec::new();
    match name {
        "main" => {
            let result = me.users().suspend(SuspendUser::new(own.id)).await.map(drop);
            refused.push(refusal("suspend itself", "CONFLICT", result, None));
            let operator2 = user(um, "operator2").await?;
            let result = me.drones().assign(AssignDrone::new("drone-001", operator2.id)).await.map(drop);
            refused.push(refusal("assign drone-001 to operator2", "VALIDATION_ERROR", result, None));
        }
        "east" => {
            let model = rolekeep::drones::DroneModel::Mq5;
            let result = me.drones().create(CreateDrone::new("drone-006", model)).await.map(drop);
            refused.push(refusal("create a drone", "FORBIDDEN", result, explain("drone:create", None).await?));
        }
        "west" => {
            let why = explain("drone:read", Some("drone-001")).await?;
            refused.push(refusal("get drone-001", "RESOURCE_NOT_FOUND", drone("drone-001").await, why));
        }
        "operator1" => {
            let result = me.users().list(ListUsers::new()).await.map(drop);
            refused.push(refusal("list users", "FORBIDDEN", result, explain("user:list", None).await?));
        }
        _ => {
            let result = me.users().list(ListUsers::new()).await.map(drop);
            refused.push(refusal("list users", "FORBIDDEN", result, explain("user:list", None).await?));
            let why = explain("drone:read", Some("drone-003")).await?;
            refused.push(refusal("get drone-003", "RESOURCE_NOT_FOUND", drone("drone-003").await, why));
        }
    }
    Ok(refused)
}

fn refusal(tried: &str, expected: &'static str, result: Result<()>, explanation: Option<String>) -> Refusal {
    let message = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    Refusal { tried: tried.to_owned(), expected, code: code(&result), message, explanation }
}

/// Main suspends operator1, who is refused at once.
async fn suspend(um: &UserManagement, main: &Caller, passwords: &Passwords) -> Result<Suspension> {
    let operator1 = user(um, "operator1").await?;
    // Signed in before; on a file that went through this before it cannot be.
    let signed_in = sign_in(um, "operator1@flyos.mil", passwords).await;
    main.users().suspend(SuspendUser::new(operator1.id).reason("lost its badge")).await?;
    let next_call = match signed_in {
        Ok(me) => code(&me.drones().list(ListDrones::new()).await),
        Err(error) => error.code().to_string(),
    };
    let east = sign_in(um, "east@flyos.mil", passwords).await?;
    let listed = east.users().list(ListUsers::new()).await?.items.into_iter().find(|user| user.id == operator1.id);
    Ok(Suspension {
        next_call,
        login: code(&sign_in(um, "operator1@flyos.mil", passwords).await),
        listed_by_east: listed.map_or("not listed".to_owned(), |user| user.status.to_string()),
    })
}

/// What an operator sees now, asked as the host: the user itself may be locked out.
async fn sight(um: &UserManagement, username: &str) -> Result<Sight> {
    let user = user(um, username).await?;
    let all = um.system().drones().list(ListDrones::new().limit(100)).await?;
    let assigned = |drone: &DroneView| drone.assigned_users.iter().any(|assigned| assigned.id == user.id);
    let codes = all.items.into_iter().filter(assigned).map(|drone| drone.code);
    Ok(Sight { username: username.to_owned(), drones: sorted(codes) })
}

async fn user(um: &UserManagement, username: &str) -> Result<UserView> {
    um.system().users().find(FindUser::new().username(username)).await
}

fn region_sights(page: Page<RegionView>) -> Vec<RegionSight> {
    let sight =
        |region: RegionView| RegionSight { code: region.code, users: region.user_count, drones: region.drone_count };
    let mut sights: Vec<_> = page.items.into_iter().map(sight).collect();
    sights.sort_by(|a, b| a.code.cmp(&b.code));
    sights
}

fn drone_codes(page: Page<DroneView>) -> Vec<String> {
    sorted(page.items.into_iter().map(|drone| drone.code))
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn code<T>(result: &Result<T>) -> String {
    result.as_ref().err().map_or("ok".to_owned(), |error| error.code().to_string())
}
