//! Who may call what by the preset `flyos`: each operation, called by each kind of caller in a store of its own. `docs/access.md`
//! is that as data; the laws here hold whatever it says (SEC-9).

use std::{collections::BTreeMap, sync::Arc};

use rolekeep::{
    Builder, Caller, Code, Error, Reason, Registration, RequestContext, UserId, UserManagement,
    api_keys::CreateApiKey,
    consumers::ClaimConsumer,
    email::{ChangeEmail, ConfirmEmail},
    environment::Environment,
    factors::FactorSetup,
    ffi,
    internals::notice::PendingNotice,
    passwords::{ForgotPassword, SetTemporaryPassword},
    regions::CreateRegion,
    sign_in::StartSignInByMail,
    storage::{MemoryStorage, Storage},
    users::{CreateUser, RegisterUser, SuspendUser},
    verification::ConfirmVerification,
};
use serde_json::{Value, json};

use super::{
    super::kit::{Ahead, PASSWORD, all},
    AREAS_FOR_KEYS, FOR_KEYS, IN_PERSON_THERE, OWN, PUBLIC, Preset, SYSTEM, World, about_nothing, is_listed, page,
};
use crate::{authenticator, cheap, mails::Mails};

const NEW_PASSWORD: &str = "another horse battery";
const BCRYPT: &str = "$2b$05$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36";
const FLYOS: Preset = Preset { name: "flyos", admin: "MAIN_HQ", role: "OPERATOR" };

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Anonymous,
    Suspended,
    OtherUser,
    OtherRegion,
    Oneself,
    Operator,
    Regional,
    RegionalElsewhere,
    Administrator,
    Key,
    Host,
}

/// Everybody, with the heading of the column, and who that is.
pub const EVERYBODY: [(Who, &str, &str); 11] = [
    (Who::Anonymous, "anonymous", "nobody who is signed in"),
    (Who::Suspended, "suspended", "an administrator who was suspended after it signed in"),
    (Who::OtherUser, "other user", "a user of the same region, without a role"),
    (Who::OtherRegion, "other region", "a user of another region, without a role"),
    (Who::Oneself, "self", "the user whom the input is about, an `OPERATOR`"),
    (Who::Operator, "operator", "another `OPERATOR` of the same region"),
    (Who::Regional, "regional", "a `REGIONAL_HQ` of the same region"),
    (Who::RegionalElsewhere, "regional elsewhere", "a `REGIONAL_HQ` of another region"),
    (Who::Administrator, "administrator", "a `MAIN_HQ`"),
    (Who::Key, "key", "an API key of that administrator, for all that keys may"),
    (Who::Host, "host", "the application itself, by `system()`"),
];

/// One operation's answers, in the order of [`EVERYBODY`].
pub type Row = [String; EVERYBODY.len()];

/// Who has an account, beside those of the [`World`]: its name, its role, its region.
const ACCOUNTS: [(Who, &str, Option<&str>, Option<&str>); 7] = [
    (Who::Suspended, "former", Some("MAIN_HQ"), None),
    (Who::OtherUser, "neighbour", None, Some("east")),
    (Who::OtherRegion, "stranger", None, Some("north")),
    (Who::Operator, "operator", Some("OPERATOR"), Some("east")),
    (Who::Regional, "regional", Some("REGIONAL_HQ"), Some("east")),
    (Who::RegionalElsewhere, "elsewhere", Some("REGIONAL_HQ"), Some("north")),
    (Who::Administrator, "root", Some("MAIN_HQ"), None),
];

/// A store with all of them in it, which is copied for each question.
struct Scene {
    world: World,
    clock: Ahead,
    /// What each signs in by.
    tokens: Vec<(Who, String)>,
    suspended: UserId,
    /// Inputs with what was mailed or begun, which can be used once.
    begun: BTreeMap<&'static str, Value>,
}

impl Scene {
    async fn new() -> Self {
        let clock = Ahead::standing_still();
        let world = World::of(&FLYOS, builder(&clock)).await;
        let um = &world.um;
        um.system().regions().create(CreateRegion::new("north", "North")).await.unwrap();
        let mut tokens = vec![(Who::Oneself, signed_in(um, "victim").await)];
        for (who, name, role, region) in ACCOUNTS {
            let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD).roles(role);
            let new = region.into_iter().fold(new, CreateUser::region);
            um.system().users().create(new).await.unwrap();
            tokens.push((who, signed_in(um, name).await));
        }
        let root = by(um, &tokens, Who::Administrator).await;
        let key = root.api_keys().create(CreateApiKey::new("Everything")).await.unwrap().key;
        tokens.push((Who::Key, key.expose().to_owned()));
        let suspended = by(um, &tokens, Who::Suspended).await.users().me().await.unwrap().id;
        let begun = begun(&world, &clock, &by(um, &tokens, Who::Oneself).await).await;
        while !all::<PendingNotice>(&*world.storage).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        Self { world, clock, tokens, suspended, begun }
    }

    fn input(&self, operation: &str) -> Value {
        self.begun.get(operation).cloned().unwrap_or_else(|| self.world.input(operation))
    }

    /// A copy of the store, and somebody who asks there.
    async fn copy(&self, who: Who) -> (UserManagement, Arc<MemoryStorage>, Caller) {
        let storage = Arc::new(self.world.storage.fork().unwrap());
        let builder = builder(&self.clock).storage(storage.clone()).policy(FLYOS.policy());
        let um = builder.notifier(Mails::default()).open().await.unwrap();
        let caller = match who {
            Who::Anonymous => um.anonymous(RequestContext::default()),
            Who::Host => um.system(),
            _ => by(&um, &self.tokens, who).await,
        };
        if who == Who::Suspended {
            um.system().users().suspend(SuspendUser::new(self.suspended)).await.unwrap();
        }
        (um, storage, caller)
    }

    /// What somebody is answered, and whether that is as the laws of one answer have it.
    async fn ask(&self, who: Who, operation: &str, broken: &mut Vec<String>) -> String {
        let (_um, storage, caller) = self.copy(who).await;
        let before = storage.position().await.unwrap();
        let answer = ffi::call(&caller, operation, &self.input(operation).to_string()).await;
        let is_written = storage.position().await.unwrap() != before;
        let only_reads = matches!(who, Who::Operator | Who::Regional | Who::RegionalElsewhere);
        if is_written && !is_listed(operation) && (answer.is_err() || only_reads) {
            broken.push(format!("{operation} as {who:?} writes"));
        }
        // Who may read the victim is told that it is there; to all others it is as if it were not.
        let may_read = matches!(who, Who::Oneself | Who::Regional | Who::Administrator | Who::Key | Who::Host);
        let is_of_others = !is_listed(operation) || OF_OTHERS.contains(&operation);
        if !may_read && is_of_others && cell(&answer) != "ok" {
            let absent = about_nothing(self.input(operation)).to_string();
            let absent = ffi::call(&caller, operation, &absent).await;
            if said(&absent) != said(&answer) {
                broken.push(format!("{operation} as {who:?} tells what exists: {answer:?}, {absent:?}"));
            }
        }
        cell(&answer)
    }

    async fn row(&self, operation: &str, broken: &mut Vec<String>) -> Row {
        let mut row = Row::default();
        for (at, (who, ..)) in EVERYBODY.into_iter().enumerate() {
            row[at] = self.ask(who, operation, broken).await;
        }
        row
    }
}

/// As much as possible is switched on, so that few answers are that something is not offered; and no time passes.
fn builder(clock: &Ahead) -> Builder {
    let config = cheap::config().registration(Registration::Verified).mail_sign_in(true);
    let config = config.passkey_domain("example.org");
    cheap::builder().config(config).environment(clock.clone())
}

/// Signs in by the password that all have.
async fn signed_in(um: &UserManagement, name: &str) -> String {
    let login = um.login(name, PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    login.access_token.expose().to_owned()
}

async fn by(um: &UserManagement, tokens: &[(Who, String)], who: Who) -> Caller {
    let (_, token) = tokens.iter().find(|(of, _)| *of == who).unwrap();
    um.authenticate(token, RequestContext::default()).await.unwrap()
}

/// Begins what takes two steps: the second of each is then called by everybody.
async fn begun(world: &World, clock: &Ahead, victim: &Caller) -> BTreeMap<&'static str, Value> {
    let (um, mails) = (&world.um, &world.mails);
    let mailed = async |kind: &str, to: &str| mails.take(kind, to).await.token.unwrap().expose().to_owned();
    let anybody = um.anonymous(RequestContext::default());
    let mover = CreateUser::new("mover@example.org").username("mover").password(PASSWORD);
    let mover_id = um.system().users().create(mover).await.unwrap().id;
    let mover = um.authenticate(&signed_in(um, "mover").await, RequestContext::default()).await.unwrap();

    anybody.passwords().forgot(ForgotPassword::new("victim")).await.unwrap();
    victim.verification().send().await.unwrap();
    victim.email().change(ChangeEmail::new("moved@example.org")).await.unwrap();
    // Only who had a proved address can take it back.
    mover.verification().send().await.unwrap();
    let proof = mailed("verification", "mover@example.org").await;
    mover.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    mover.email().change(ChangeEmail::new("mover@example.com")).await.unwrap();
    let token = mailed("email_change", "mover@example.com").await;
    mover.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    let revert = mailed("email_changed", "mover@example.org").await;
    let given = um.system().passwords().set_temporary(SetTemporaryPassword::new(mover_id)).await.unwrap().password;
    let owed = um.login("mover", given.expose(), RequestContext::default()).await.unwrap().challenge.unwrap();
    anybody.users().register(RegisterUser::new("hugo@example.org", PASSWORD)).await.unwrap();
    let by_mail = anybody.sign_in().mail_start(StartSignInByMail::new("neighbour")).await.unwrap().challenge;
    let code_by_mail = mails.take("sign_in_code", "neighbour@example.org").await.code.unwrap();
    let of_bcrypt = CreateUser::new("bcrypt@example.org").password_hash(BCRYPT);
    um.system().users().create(of_bcrypt).await.unwrap();
    let signing_key = um.system().signing_keys().list().await.unwrap().remove(0).id;
    // Most of this is mailed once a minute.
    clock.pass(61);
    let FactorSetup { challenge, secret, .. } = victim.factors().add_start().await.unwrap();
    let code = authenticator::code(secret.expose(), clock.now().as_second() / 30);

    let consumers = um.system();
    let leased = consumers.consumers().claim(ClaimConsumer::new("mails")).await.unwrap();
    consumers.consumers().claim(ClaimConsumer::new("old")).await.unwrap();
    let token = async |kind: &str, to: &str| json!({ "token": mailed(kind, to).await });
    let with = |mut input: Value, key: &str, value: &str| {
        input[key] = value.into();
        input
    };
    let registration = token("registration", "hugo@example.org").await;
    let reset = token("password_reset", "victim@example.org").await;
    let invitation = token("invitation", "invited@example.org").await;
    BTreeMap::from([
        ("users.register", json!({"email": "new@example.org", "password": PASSWORD})),
        ("users.confirm_registration", with(registration, "password", PASSWORD)),
        // By a role only who may read the roles of others finds them.
        ("users.list", json!({"search": "victim"})),
        ("users.overviews", json!({"search": "victim"})),
        ("passwords.forgot", json!({"identifier": "victim"})),
        ("passwords.reset", with(reset, "new_password", NEW_PASSWORD)),
        ("consumers.claim", json!({"name": "new"})),
        ("consumers.acknowledge", json!({"name": "mails", "lease": leased.lease, "position": leased.position})),
        ("consumers.release", json!({"name": "mails", "lease": leased.lease})),
        ("consumers.delete", json!({"name": "old"})),
        ("passwords.retire", json!({"cost": "bcrypt$c=5"})),
        ("signing_keys.revoke", json!({ "id": signing_key })),
        ("verification.confirm", token("verification", "victim@example.org").await),
        ("email.confirm", token("email_change", "moved@example.org").await),
        ("email.revert", json!({ "token": revert })),
        ("invitations.accept", with(with(invitation, "username", "invited"), "password", PASSWORD)),
        ("factors.add", json!({ "challenge": challenge.expose(), "code": code })),
        ("sign_in.password", json!({ "challenge": owed.expose(), "new_password": NEW_PASSWORD })),
        ("sign_in.mail", json!({ "challenge": by_mail.expose(), "code": code_by_mail.expose() })),
        ("sign_in.mail_start", json!({"identifier": "victim"})),
        ("sign_in.passkey_start", json!({})),
        ("validate.account", json!({"username": "somebody"})),
        ("validate.preferences", json!({"language": "en"})),
    ])
}

/// An answer as the page shows it.
fn cell(answer: &Result<String, Error>) -> String {
    let refused = match answer {
        Ok(answer) if is_empty_page(answer) => return "none".into(),
        Ok(_) => return "ok".into(),
        Err(refused) => refused,
    };
    match refused.reason() {
        Reason::NotSignedIn | Reason::SessionEnded => "sign in".into(),
        reason => match reason.code() {
            Code::Forbidden => "-".into(),
            Code::NotFound => "?".into(),
            _ => reason.as_str().to_lowercase(),
        },
    }
}

fn is_empty_page(answer: &str) -> bool {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let items = answer.get("items").and_then(Value::as_array);
    answer.get("next_cursor").is_some() && items.is_some_and(Vec::is_empty)
}

/// What somebody learns of a refusal.
fn said(answer: &Result<String, Error>) -> (String, String) {
    (cell(answer), answer.as_ref().err().map(|error| error.message().to_owned()).unwrap_or_default())
}

fn is_let(cell: &str) -> bool {
    matches!(cell, "ok" | "none")
}

/// What only a user can do: the host is none.
const OF_USERS: [&str; 1] = ["sessions.impersonate"];
/// What a user hears of its own and of what it may read, and the host of all.
const OF_THE_HOST_TOO: [&str; 1] = ["events.read"];
/// By default these are about whoever asks; the row is about somebody.
const OF_OTHERS: [&str; 1] = ["profiles.get"];
/// What was begun by somebody is ended by nobody else, an administrator neither.
const BEGUN: [&str; 2] = ["email.confirm", "factors.add"];

/// What holds of every row: a page that says otherwise is not written.
fn broken_laws(operation: &str, row: &Row) -> Vec<String> {
    let of = |who: Who| row[EVERYBODY.iter().position(|(of, ..)| *of == who).unwrap()].as_str();
    let (is_public, is_hosts) = (PUBLIC.contains(&operation), SYSTEM.contains(&operation));
    let is_own = OWN.contains(&operation) && !OF_OTHERS.contains(&operation);
    let area = operation.split('.').next().unwrap();
    let is_for_keys = AREAS_FOR_KEYS.contains(&area) || FOR_KEYS.contains(&operation);
    let is_for_keys = is_for_keys && !IN_PERSON_THERE.contains(&operation);
    let mut broken = Vec::new();
    let mut law = |holds: bool, law: &str| {
        if !holds {
            broken.push(format!("{operation}: {law}"));
        }
    };
    let turned_away = if is_hosts { "-" } else { "sign in" };
    law(is_public || of(Who::Anonymous) == turned_away, "without signing in there is what is public alone");
    law(!is_public || !matches!(of(Who::Anonymous), "sign in" | "-" | "?"), "what is public is for anybody");
    law(of(Who::Suspended) == "sign in", "whose session has ended is answered that alone");
    for who in [Who::OtherUser, Who::OtherRegion] {
        law(!is_let(of(who)) || is_public || is_own, "without a role there are one's own things alone");
    }
    law(of(Who::OtherUser) == of(Who::OtherRegion), "a region gives no right by itself");
    for (who, name, _) in EVERYBODY.into_iter().filter(|(who, ..)| *who != Who::Host) {
        let may_too = is_let(of(Who::Administrator)) || BEGUN.contains(&operation);
        law(!is_let(of(who)) || may_too, &format!("{name} may, and the administrator may not"));
        law(!is_hosts || !is_let(of(who)), &format!("what is the host's own is done by {name}"));
    }
    let is_own = is_own && !OF_THE_HOST_TOO.contains(&operation);
    let is_of_users = is_own || OF_USERS.contains(&operation);
    law(is_public || is_let(of(Who::Host)) != is_of_users, "the host may all but what is a user's own");
    law(!is_let(of(Who::Key)) || is_public || is_for_keys, "what is done in person is done by no key");
    broken
}

#[tokio::test]
async fn sec_9_everybody_may_what_the_page_says() {
    let scene = Scene::new().await;
    let (mut rows, mut broken) = (BTreeMap::new(), Vec::new());
    for operation in ffi::OPERATIONS {
        let row = scene.row(operation, &mut broken).await;
        broken.extend(broken_laws(operation, &row));
        rows.insert(*operation, row);
    }
    assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), page::differences(&rows).join("\n"));
    page::compare(&rows);
}
