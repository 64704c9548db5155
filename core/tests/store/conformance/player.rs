//! Plays one scenario on a store of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future;
use rolekeep::{
    Builder, Caller, Config, Error, ImportId, RequestContext, Resource, Time, UserManagement,
    environment::{Environment, TokioEnvironment},
    ffi,
    internals::decode,
    rules::{Context, Scope},
    sessions::Login,
    storage::{SqliteOptions, SqliteStorage},
    users::ExternalIdentity,
};
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

#[cfg(feature = "postgres")]
use super::backend::schema_of;
use super::{
    backend::Backend,
    costs::{Counted, Tally},
    matching::difference,
    planted::Watched,
    scenario::{Scenario, Step, Store},
    typed,
};
use crate::{
    authenticator, encryption::secrets, mails::Mails, security_key::SecurityKey, seeded::SeededWorld, shared_token,
};

pub enum Outcome {
    Passed,
    Failed(String),
    /// Says nothing here: memory does not outlive its store.
    Skipped,
}

/// Plays a scenario to its end or first failure.
pub async fn play(scenario: &Scenario, backend: Backend) -> Outcome {
    play_watched(scenario, backend, None).await
}

/// The same, and tells of all that is said.
pub async fn play_watched(scenario: &Scenario, backend: Backend, watched: Option<Watched>) -> Outcome {
    if matches!(backend, Backend::Memory) && scenario.steps.iter().any(|step| step.reopen.is_some()) {
        return Outcome::Skipped;
    }
    let mut player = match Player::new(&scenario.store, backend).await {
        Ok(player) => Player { watched, ..player },
        Err(error) => return Outcome::Failed(format!("its store does not open: {error:?}")),
    };
    for (index, step) in scenario.steps.iter().enumerate() {
        if let Err(why) = player.step(step).await {
            return Outcome::Failed(format!("step {} ({}): {why}", index + 1, told(step)));
        }
    }
    if let Some(watched) = &player.watched {
        watched.given(&Json::Object(player.store.settings.clone()));
        watched.log(&player.um).await;
    }
    let others = player.others.values().map(|(um, _)| um);
    for um in others.chain([&player.um]) {
        if let Err(error) = um.close().await {
            return Outcome::Failed(format!("its store does not close: {error:?}"));
        }
    }
    if let (Backend::Encrypted(seen), Some(folder)) = (&player.backend, &player.folder) {
        let options = SqliteOptions::new(folder.path().join("store.db"));
        let secrets = secrets(&SqliteStorage::open(options).await.unwrap()).await;
        if let Some((column, _)) = secrets.iter().find(|(_, value)| !value.starts_with("e1.")) {
            return Outcome::Failed(format!("what {column} holds is not encrypted"));
        }
        seen.lock().unwrap().extend(secrets.into_iter().map(|(column, _)| column));
    }
    Outcome::Passed
}

struct Player {
    um: UserManagement,
    store: Store,
    mails: Mails,
    callers: BTreeMap<String, Caller>,
    saved: BTreeMap<String, Json>,
    passkeys: Mutex<BTreeMap<String, SecurityKey>>,
    backend: Backend,
    is_counted: bool,
    watched: Option<Watched>,
    /// The file's folder, gone with the player.
    folder: Option<TempDir>,
    /// The name of the store that steps go to, and the others with their folders.
    here: String,
    others: BTreeMap<String, (UserManagement, Option<TempDir>)>,
}

impl Player {
    async fn new(store: &Store, backend: Backend) -> Result<Self, Error> {
        let folder = folder_of(&backend);
        let mails = Mails::default();
        let um = open(store, &mails, &backend, folder.as_ref()).await?;
        match store.seed.as_deref() {
            None => {}
            Some("flyos") => {
                um.system().setup().seed(flyos()).await?;
            }
            Some(other) => panic!("there is no seed {other}"),
        }
        Ok(Self {
            um,
            store: store.clone(),
            mails,
            callers: BTreeMap::new(),
            saved: BTreeMap::new(),
            passkeys: Mutex::default(),
            backend,
            is_counted: true,
            watched: None,
            folder,
            here: String::new(),
            others: BTreeMap::new(),
        })
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let result = match &step.together {
            Some(steps) => {
                // Who is overtaken does some of it again, which is not what an operation costs.
                self.is_counted = false;
                let outcomes = future::join_all(steps.iter().map(|step| self.act(step))).await;
                self.is_counted = true;
                Ok((
                    outcomes.into_iter().map(|outcome| told_outcome(outcome.map(|(answer, _)| answer))).collect(),
                    None,
                ))
            }
            None if step.reopen.is_some() => self.reopen().await.map(|()| (Json::Null, None)),
            None if step.switch.is_some() => {
                self.switch(step.switch.as_deref().unwrap_or_default()).await.map(|()| (Json::Null, None))
            }
            None => self.act(step).await,
        };
        let answer = match (result, &step.error) {
            (Ok((answer, caller)), None) => {
                if let (Some(name), Some(caller)) = (&step.name, caller) {
                    self.callers.insert(name.clone(), caller);
                }
                answer
            }
            (Ok((answer, _)), Some(wanted)) => return Err(format!("expected the error {wanted}, got {answer}")),
            (Err(error), None) => return Err(format!("failed: {error:?}")),
            (Err(error), Some(wanted)) => {
                if let Some(watched) = &self.watched {
                    watched.failed(&told(step), &error);
                }
                return match difference(&unordered_lists(self.filled(wanted)), &serde_json::to_value(&error).unwrap()) {
                    Some(difference) => Err(format!("another error: {difference}; it is {error:?}")),
                    None => Ok(()),
                };
            }
        };
        for (name, path) in &step.save {
            let part = path.split('.').filter(|key| !key.is_empty()).try_fold(&answer, |part, key| match part {
                Json::Array(list) => list.get(key.parse::<usize>().ok()?),
                part => part.get(key),
            });
            let part = part.ok_or_else(|| format!("there is no {path} to save in {answer}"))?;
            self.saved.insert(name.clone(), part.clone());
        }
        let difference = step.expect.as_ref().and_then(|wanted| difference(&self.filled(wanted), &answer));
        difference.map_or(Ok(()), Err)
    }

    /// Does what a step says; the answer, and the caller it made.
    async fn act(&self, step: &Step) -> Result<(Json, Option<Caller>), Error> {
        let request = request(step.request.as_ref());
        if let Some(operation) = &step.call {
            let caller = self.caller(step);
            return self.call(&caller, operation, step).await.map(|answer| (answer, None));
        }
        if let Some(login_input) = &step.login {
            let input: Login =
                decode::decode(self.filled(login_input)).expect("a login has an identifier and a password");
            let caller = self.um.anonymous(request.clone());
            let login = async { caller.sessions().login(input).await };
            let answer = match self.tally() {
                Some(tally) => tally.count("sessions.login", login).await?,
                None => login.await?,
            };
            if let Some(watched) = &self.watched {
                watched.given(&self.filled(login_input));
                watched.answered(&serde_json::to_value(&answer).unwrap());
                watched.printed("sessions.login", format!("{answer:?}"));
            }
            let tokens = answer.done()?;
            let caller = self.um.authenticate(tokens.access_token.expose(), request).await?;
            return Ok((serde_json::to_value(tokens).unwrap(), Some(caller)));
        }
        if let Some(token) = &step.authenticate {
            let caller = self.um.authenticate(self.filled(token).as_str().expect("a token"), request).await?;
            return Ok((Json::Null, Some(caller)));
        }
        if let Some(id) = &step.act_as {
            let id = self.filled(id).as_str().and_then(|id| id.parse().ok()).expect("an id");
            return Ok((Json::Null, Some(self.um.acting_as(id).await?)));
        }
        if let Some(identity) = &step.act_as_identity {
            let identity: ExternalIdentity = decode::decode(self.filled(identity)).expect("an issuer and a subject");
            return Ok((Json::Null, Some(self.um.acting_as_identity(&identity.issuer, &identity.subject).await?)));
        }
        if let Some(begin) = &step.import {
            return self.import(begin, step).await.map(|answer| (answer, None));
        }
        if let Some(settings) = &step.open {
            let opened = builder(self.filled(settings))?.open().await?;
            opened.close().await?;
            return Ok((Json::Null, None));
        }
        if let Some(kind) = &step.mail {
            let notice = self.mails.take(kind, step.to.as_ref().expect("a mail goes `to` somebody")).await;
            if let Some(watched) = &self.watched {
                watched.answered(&json!(notice));
                watched.printed("a notice", format!("{notice:?}"));
            }
            return Ok((json!(notice), None));
        }
        if let Some(seconds) = step.wait {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            return Ok((Json::Null, None));
        }
        let answer = match self.consult(step).await {
            Some(answer) => answer?,
            None => self.ask(step)?,
        };
        Ok((answer, None))
    }

    /// Feeds an import with a text in pieces; how it ended.
    async fn import(&self, begin: &Json, step: &Step) -> Result<Json, Error> {
        let caller = self.caller(step);
        let mut import = match &step.resume {
            Some(id) => {
                let id: ImportId = self.filled(id).as_str().and_then(|id| id.parse().ok()).expect("an id");
                caller.resume_import(id).await?
            }
            None => {
                caller.import_users(decode::decode(self.filled(begin)).expect("what an import begins with")).await?
            }
        };
        let text = step.text.as_ref().expect("an import has a text");
        for piece in text.as_bytes().chunks(step.pieces.unwrap_or(text.len()).max(1)) {
            import.push(piece).await?;
        }
        Ok(serde_json::to_value(import.finish().await?.import).unwrap())
    }

    async fn call(&self, caller: &Caller, operation: &str, step: &Step) -> Result<Json, Error> {
        match self.tally() {
            Some(tally) => {
                // Whatever rights have to be read are in memory by then, where requests are not counted.
                if !self.store.settings.contains_key("requests_per_minute") {
                    let _ = caller.permissions().mine().await;
                }
                tally.count(operation, self.call_once(caller, operation, step)).await
            }
            None => self.call_once(caller, operation, step).await,
        }
    }

    /// Where calls are counted, as they are unless several run together.
    fn tally(&self) -> Option<&Tally> {
        self.backend.tally().filter(|_| self.is_counted)
    }

    async fn call_once(&self, caller: &Caller, operation: &str, step: &Step) -> Result<Json, Error> {
        let with = step.with.as_ref().map_or_else(|| json!({}), |with| self.filled(with));
        if let Some(watched) = &self.watched {
            watched.given(&with);
        }
        if step.raw || step.text.is_some() {
            let input = step.text.clone().unwrap_or_else(|| with.to_string());
            let answer = ffi::call(caller, operation, &input).await?;
            return Ok(serde_json::from_str(&answer).expect("`ffi` answers JSON"));
        }
        let answer = typed::call(caller, operation, with).await;
        let answer = answer.unwrap_or_else(|| panic!("there is no method {operation}; mark it as `raw`"))?;
        if let Some(watched) = &self.watched {
            watched.answered(&answer.json);
            watched.printed(operation, answer.printed);
        }
        Ok(answer.json)
    }

    /// The questions to a caller.
    fn ask(&self, step: &Step) -> Result<Json, Error> {
        let resource = step.resource.as_ref().map(|resource| self.resource(resource));
        let resource = resource.as_ref();
        let caller = self.caller(step);
        let scope = step.scope.as_ref().map(|scope| self.filled(scope).as_str().unwrap().parse::<Scope>().unwrap());
        let scope = scope.as_ref();
        match step {
            Step { can: Some(permission), .. } => caller.can(permission, resource).map(Json::from),
            Step { require: Some(permission), .. } => caller.require(permission, resource).map(|()| Json::Null),
            Step { explain: Some(permission), .. } => caller.explain(permission, resource).map(|why| json!(why)),
            Step { can_somewhere: Some(permission), .. } => caller.can_somewhere(permission).map(Json::from),
            Step { can_many: Some(checks), .. } => {
                let resources: Vec<_> =
                    checks.iter().map(|one| one.resource.as_ref().map(|it| self.resource(it))).collect();
                let checks = checks.iter().zip(&resources);
                let checks: Vec<_> = checks.map(|(one, resource)| (&*one.permission, resource.as_ref())).collect();
                caller.can_many(&checks).map(Json::from)
            }
            Step { has_role: Some(role), .. } => caller.has_role(role, scope).map(Json::from),
            Step { require_role: Some(role), .. } => caller.require_role(role, scope).map(|()| Json::Null),
            Step { is_administrator: Some(_), .. } => caller.is_administrator().map(Json::from),
            Step { require_admin: Some(_), .. } => caller.require_admin().map(|()| Json::Null),
            _ => panic!("a step says nothing to do: {step:?}"),
        }
    }

    /// The questions about users; none: it is another step.
    async fn consult(&self, step: &Step) -> Option<Result<Json, Error>> {
        let context = step.context.as_ref().map(|context| context_of(&self.filled(context))).unwrap_or_default();
        let at_least = step.at_least.as_ref().map(|position| self.filled(position).as_str().unwrap().parse().unwrap());
        let user_checks = self.um.checks().context(context).at_least(at_least.unwrap_or_default());
        let user = |given: &Option<Json>| self.filled(given.as_ref().unwrap()).as_str().unwrap().parse().unwrap();
        let resource = step.resource.as_ref().map(|resource| self.resource(resource));
        let resource = resource.as_ref();
        Some(match step {
            Step { check_cached: Some(permission), .. } => {
                user_checks.check_cached(user(&step.user), permission, resource).map(Json::from)
            }
            Step { check: Some(permission), .. } => {
                user_checks.check(user(&step.user), permission, resource).await.map(Json::from)
            }
            Step { explain_user: Some(permission), .. } => {
                user_checks.explain(user(&step.user), permission, resource).await.map(|why| json!(why))
            }
            Step { check_many: Some(checks), .. } => {
                let resources: Vec<_> =
                    checks.iter().map(|one| one.resource.as_ref().map(|it| self.resource(it))).collect();
                let checks = checks.iter().zip(&resources);
                let checks: Vec<_> =
                    checks.map(|(one, resource)| (user(&one.user), &*one.permission, resource.as_ref())).collect();
                user_checks.check_many(&checks).await.map(Json::from)
            }
            Step { position: Some(_), .. } => Ok(self.um.position().to_string().into()),
            _ => return None,
        })
    }

    fn resource(&self, written: &Json) -> Resource<'static> {
        let mut attributes: BTreeMap<String, Json> = serde_json::from_value(self.filled(written)).unwrap();
        let kind = attributes.remove("type").expect("a resource names its type");
        Resource::from_json(kind.as_str().unwrap(), &attributes)
    }

    async fn reopen(&mut self) -> Result<(), Error> {
        self.um.close().await?;
        self.callers.clear();
        self.um = open(&self.store, &self.mails, &self.backend, self.folder.as_ref()).await?;
        Ok(())
    }

    /// Goes on in the store of this name, which is made if there is none.
    async fn switch(&mut self, name: &str) -> Result<(), Error> {
        let (um, folder) = match self.others.remove(name) {
            Some(known) => known,
            None => {
                let folder = folder_of(&self.backend);
                (open(&self.store, &self.mails, &self.backend, folder.as_ref()).await?, folder)
            }
        };
        let left = (std::mem::replace(&mut self.um, um), std::mem::replace(&mut self.folder, folder));
        self.others.insert(std::mem::replace(&mut self.here, name.to_owned()), left);
        Ok(())
    }

    fn caller(&self, step: &Step) -> Caller {
        let request = request(step.request.as_ref());
        match step.caller.as_deref() {
            None | Some("system") => self.um.system().with_request(request),
            Some("anonymous") => self.um.anonymous(request),
            Some(name) => {
                let caller = self.callers.get(name).unwrap_or_else(|| panic!("nobody is called {name}")).clone();
                if step.request.is_some() { caller.with_request(request) } else { caller }
            }
        }
    }

    /// What a browser answers.
    fn passkey(&self, written: &serde_json::Map<String, Json>) -> String {
        let options = |json: &Json| self.filled(json).as_str().unwrap().to_owned();
        let mut keys = self.passkeys.lock().unwrap();
        let next = keys.len() as u64;
        let key = keys.entry(written["$passkey"].to_string()).or_insert_with(|| SecurityKey::new(next));
        key.is_verified = written.get("verified").is_none_or(|is_verified| is_verified == true);
        let counter = written.get("counter").map(|counter| u32::try_from(counter.as_u64().unwrap()).unwrap());
        // It rises as it signs.
        key.counter = counter.map_or(key.counter, |counter| counter - 1);
        match (written.get("create"), written.get("get")) {
            (Some(create), None) => key.create(&options(create)),
            (None, Some(get)) => key.get(&options(get)),
            _ => panic!("a passkey is created or got: {written:?}"),
        }
    }

    /// What a scenario writes, with `$name`, `$repeat` and the like filled in.
    fn filled(&self, written: &Json) -> Json {
        match written {
            Json::String(text) => match text.strip_prefix('$') {
                Some(name) => self.saved.get(name).unwrap_or_else(|| panic!("nothing is saved as {name}")).clone(),
                None => written.clone(),
            },
            Json::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Json::Object(keys) => match (keys.get("$repeat"), keys.get("$from_now")) {
                _ if keys.contains_key("$join") => {
                    let parts = keys["$join"].as_array().unwrap().iter().map(|part| self.filled(part));
                    parts.map(|part| part.as_str().unwrap().to_owned()).collect::<String>().into()
                }
                _ if keys.contains_key("$totp") => {
                    let secret = self.filled(&keys["$totp"]);
                    let later = keys.get("step").map_or(0, |step| step.as_i64().unwrap());
                    authenticator::code(secret.as_str().unwrap(), now().as_second() / 30 + later).into()
                }
                _ if keys.contains_key("$jwt") => {
                    let (claims, secret) = (self.filled(&keys["$jwt"]), self.filled(&keys["secret"]));
                    shared_token::shared_token(claims, secret.as_str().unwrap()).into()
                }
                _ if keys.contains_key("$base64") => {
                    BASE64_STANDARD.encode(self.filled(&keys["$base64"]).as_str().unwrap()).into()
                }
                _ if keys.contains_key("$passkey") => self.passkey(keys).into(),
                (Some(repeat), _) => {
                    let (text, times): (String, usize) = serde_json::from_value(repeat.clone()).unwrap();
                    text.repeat(times).into()
                }
                (None, Some(seconds)) => from_now(seconds.as_f64().unwrap()).into(),
                (None, None) => keys.iter().map(|(key, value)| (key.clone(), self.filled(value))).collect(),
            },
            other => other.clone(),
        }
    }
}

async fn open(
    store: &Store,
    mails: &Mails,
    backend: &Backend,
    folder: Option<&TempDir>,
) -> Result<UserManagement, Error> {
    // The least that is allowed: a scenario does not wait for passwords, nor does it depend on how fast a machine is.
    let mut all = json!({"hashing_memory_kib": 8, "hashing_iterations": 1, "hashing_max_millis": 0});
    all.as_object_mut().unwrap().extend(store.settings.clone());
    if matches!(backend, Backend::Encrypted(_)) {
        all["encryption_key"] = "a key of the application's: 32 bytes and more".into();
    }
    let builder = builder(all)?;
    let builder = if store.notifier { builder.notifier(mails.clone()) } else { builder };
    let builder = match (backend, folder.map(|folder| folder.path().join("store.db"))) {
        // Which guards a row's members have hangs on their ids.
        (Backend::Counted(_), Some(file)) => {
            builder.environment(SeededWorld::new(1)).storage(Arc::new(Counted::sqlite(file).await?))
        }
        #[cfg(feature = "postgres")]
        (Backend::CountedTrips(socket, _), Some(file)) => {
            let counted = Counted::postgres(socket, schema_of(&file)).await?;
            builder.environment(SeededWorld::new(1)).storage(Arc::new(counted))
        }
        #[cfg(feature = "postgres")]
        (Backend::Postgres(url), Some(file)) => {
            let options = rolekeep::storage::PostgresOptions::new(url).schema(schema_of(&file));
            builder.postgres_with(options.readers(3).writers(2))
        }
        (Backend::Redb, Some(file)) => builder.storage(Arc::new(redb_storage::RedbStorage::open(file).await?)),
        (_, Some(file)) => builder.sqlite(file),
        (_, None) => builder.memory(),
    };
    builder.open().await
}

fn folder_of(backend: &Backend) -> Option<TempDir> {
    (!matches!(backend, Backend::Memory)).then(|| tempfile::tempdir().unwrap())
}

fn builder(settings: Json) -> Result<Builder, Error> {
    Ok(UserManagement::builder().config(Config::from_json(&settings.to_string())?))
}

/// The seed of the FlyOS example, each user with the password that the README names.
fn flyos() -> rolekeep::setup::Seed {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/flyos/seed.json");
    let mut seed: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let emails = seed["users"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap());
    let password = |email: &str| {
        let name = email.split('@').next().unwrap_or_default();
        (email.to_owned(), Json::from(format!("correct horse battery {name}")))
    };
    let passwords: Map<String, Json> = emails.map(password).collect();
    seed["passwords"] = passwords.into();
    decode::decode(seed).unwrap()
}

fn now() -> Time {
    TokioEnvironment::current().unwrap().now()
}

fn from_now(seconds: f64) -> String {
    now().checked_add(Duration::from_secs_f64(seconds)).unwrap().to_string()
}

fn request(given: Option<&Json>) -> RequestContext {
    let mut request = RequestContext::default();
    let text = |key: &str| Some(given?.get(key)?.as_str().unwrap().to_owned());
    request.ip = text("ip");
    request.user_agent = text("user_agent");
    request.request_id = text("request_id");
    request.idempotency_key = text("idempotency_key");
    request.forwarded_for = text("forwarded_for");
    request.context = given.and_then(|given| given.get("context")).map(context_of).unwrap_or_default();
    request
}

fn context_of(values: &Json) -> Context {
    Context::from_json(&serde_json::from_value(values.clone()).unwrap())
}

/// An error's fields and problems may come in any order.
fn unordered_lists(error: Json) -> Json {
    let Json::Object(keys) = error else { return error };
    let any_order = |(key, value): (String, Json)| match value {
        Json::Array(_) => (key, json!({"$unordered": value})),
        value => (key, value),
    };
    keys.into_iter().map(any_order).collect()
}

fn told_outcome(outcome: Result<Json, Error>) -> Json {
    match outcome {
        Ok(answer) => json!({"answer": answer}),
        Err(error) => json!({"error": error}),
    }
}

fn told(step: &Step) -> String {
    let caller = step.caller.as_deref().unwrap_or("system");
    let what =
        [&step.call, &step.can, &step.require, &step.explain, &step.can_somewhere, &step.has_role, &step.require_role];
    let about = [&step.check_cached, &step.check, &step.explain_user];
    if let Some(permission) = about.into_iter().flatten().next() {
        return format!("{permission} about a user");
    }
    let what = what.into_iter().flatten().next().map(String::as_str);
    match (what, &step.login) {
        (Some(what), _) => format!("{what} as {caller}"),
        (None, Some(login)) => format!("login {}", login["identifier"]),
        (None, None) if step.authenticate.is_some() => "authenticate".to_owned(),
        (None, None) if step.act_as.is_some() => "act_as".to_owned(),
        (None, None) if step.act_as_identity.is_some() => "act_as_identity".to_owned(),
        (None, None) if step.mail.is_some() => "mail".to_owned(),
        (None, None) if step.open.is_some() => "open".to_owned(),
        (None, None) if step.switch.is_some() => "switch".to_owned(),
        (None, None) if step.together.is_some() => "together".to_owned(),
        (None, None) => "a step without a name".to_owned(),
    }
}
