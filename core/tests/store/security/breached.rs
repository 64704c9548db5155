//! Passwords that are known from breaches (NIST SP 800-63B-4, 3.1.1.2; ASVS 5.0.0, 6.2.12): the application's list is asked about
//! every password that somebody chooses, and what it cannot say is no yes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Caller, Error, FieldCode, Policy, Reason, Registration, RequestContext, Result, Secret, Time, UserManagement,
    environment::{Environment, Task, TokioEnvironment, Work},
    internals::{credential::Credential, user::User},
    invitations::{AcceptInvitation, CreateInvitation},
    passwords::{
        BreachedPasswords, ChangePassword, ExpirePasswords, ForgotPassword, ResetPassword, SetPassword,
        SetTemporaryPassword,
    },
    sessions::Login,
    setup::{Seed, SeedUser},
    sign_in::ChoosePassword,
    users::{CreateUser, GetUser, RegisterUser},
};

use super::kit::{Interposed, PASSWORD, all, is_let_in, policy};
use crate::{cheap, mails::Mails};

const LEAKED: &str = "a phrase that leaked";
const GOOD: &str = "a phrase that did not leak";

/// A list with one password, and what becomes of the next question.
#[derive(Clone, Default)]
struct List {
    asked: Arc<Mutex<Vec<String>>>,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fails,
    Panics,
    Hangs,
}

#[async_trait]
impl BreachedPasswords for List {
    async fn contain(&self, password: &Secret) -> Result<bool> {
        self.asked.lock().unwrap().push(password.expose().to_owned());
        let trouble = *self.trouble.lock().unwrap();
        match trouble {
            None => Ok(password.expose() == LEAKED),
            Some(Trouble::Fails) => Err(Error::new(Reason::StorageUnavailable, "there is no list today")),
            Some(Trouble::Panics) => panic!("the list panics"),
            Some(Trouble::Hangs) => std::future::pending().await,
        }
    }
}

impl List {
    /// What it was asked since this was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// A store with a list that mails, and Ada, an administrator, signed in.
struct Stage {
    um: UserManagement,
    storage: Arc<Interposed>,
    list: List,
    mails: Mails,
    ada: Caller,
}

/// The ways in which somebody comes by a password of its own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Create,
    Change,
    Reset,
    Choose,
    Accept,
    Register,
    Set,
    Seed,
}

const WAYS: [Way; 8] =
    [Way::Create, Way::Change, Way::Reset, Way::Choose, Way::Accept, Way::Register, Way::Set, Way::Seed];

impl Stage {
    async fn open() -> Self {
        Self::with(Registration::Open).await
    }

    async fn with(registration: Registration) -> Self {
        let (list, mails) = (List::default(), Mails::default());
        let (um, storage) = Interposed::open_as(policy(), |builder| {
            builder
                .config(cheap::config().registration(registration))
                .notifier(mails.clone())
                .breached_passwords(list.clone())
        })
        .await;
        let ada = CreateUser::new("ada@example.org").username("ada").password(PASSWORD).roles(["admin"]);
        um.system().users().create(ada).await.unwrap();
        let login = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
        let ada = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
        list.asked();
        Self { um, storage, list, mails, ada }
    }

    fn anybody(&self) -> Caller {
        self.um.anonymous(RequestContext::default())
    }

    /// All that a way needs before a password is chosen by it, for an account of its own: what then chooses one.
    async fn prepare(&self, way: Way) -> Prepared<'_> {
        let email = format!("{way:?}@example.org").to_lowercase();
        let name = format!("{way:?}").to_lowercase();
        let system = self.um.system();
        let mut prepared = Prepared { stage: self, way, email: email.clone(), secret: None, caller: None };
        if matches!(way, Way::Change | Way::Reset | Way::Choose | Way::Set) {
            let user = CreateUser::new(&email).username(&name).password(PASSWORD);
            let user = system.users().create(user).await.unwrap();
            if way == Way::Choose {
                system.passwords().expire(ExpirePasswords::new().user_ids([user.id])).await.unwrap();
            }
        }
        let request = RequestContext::default();
        match way {
            Way::Change => {
                let login = self.um.login(&name, PASSWORD, request.clone()).await.unwrap().done().unwrap();
                let caller = self.um.authenticate(login.access_token.expose(), request).await.unwrap();
                prepared.caller = Some(caller);
            }
            Way::Reset => {
                self.anybody().passwords().forgot(ForgotPassword::new(&email)).await.unwrap();
                prepared.secret = self.mails.take("password_reset", &email).await.token;
            }
            Way::Choose => {
                let owes = self.anybody().sessions().login(Login::new(&name, PASSWORD)).await.unwrap();
                prepared.secret = owes.challenge;
            }
            Way::Accept => {
                self.ada.invitations().create(CreateInvitation::new(&email)).await.unwrap();
                prepared.secret = self.mails.take("invitation", &email).await.token;
            }
            Way::Create | Way::Register | Way::Set | Way::Seed => {}
        }
        while !all::<rolekeep::internals::notice::PendingNotice>(&*self.storage).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.list.asked();
        prepared
    }

    async fn rows(&self) -> (Vec<User>, Vec<Credential>) {
        (all(&*self.storage).await, all(&*self.storage).await)
    }
}

struct Prepared<'s> {
    stage: &'s Stage,
    way: Way,
    email: String,
    secret: Option<Secret>,
    caller: Option<Caller>,
}

impl Prepared<'_> {
    async fn choose(&self, password: &str) -> Result<()> {
        let (system, anybody) = (self.stage.um.system(), self.stage.anybody());
        let secret = || self.secret.clone().unwrap();
        match self.way {
            Way::Create => system.users().create(CreateUser::new(&self.email).password(password)).await.map(drop),
            Way::Change => {
                let change = ChangePassword::new(PASSWORD, password);
                self.caller.as_ref().unwrap().passwords().change(change).await.map(drop)
            }
            Way::Reset => anybody.passwords().reset(ResetPassword::new(secret(), password)).await.map(drop),
            Way::Choose => anybody.sign_in().password(ChoosePassword::new(secret(), password)).await.map(drop),
            Way::Accept => {
                anybody.invitations().accept(AcceptInvitation::new(secret()).password(password)).await.map(drop)
            }
            Way::Register => anybody.users().register(RegisterUser::new(&self.email, password)).await.map(drop),
            Way::Set => {
                let user = system.users().find(rolekeep::users::FindUser::new().email(&self.email)).await.unwrap();
                system.passwords().set(SetPassword::new(user.id, password).is_temporary(false)).await
            }
            Way::Seed => {
                let id = rolekeep::UserId(uuid::Uuid::from_u128(7));
                let passwords = BTreeMap::from([(self.email.clone(), Secret::from(password))]);
                let seed = Seed::new().users([SeedUser::new(id, &self.email)]).passwords(passwords);
                system.setup().seed(seed).await.map(drop)
            }
        }
    }
}

#[tokio::test]
async fn v6_2_12_no_way_leads_to_a_password_that_leaked() {
    let stage = Stage::open().await;
    for way in WAYS {
        let prepared = stage.prepare(way).await;
        let before = stage.rows().await;
        let refused = prepared.choose(LEAKED).await.unwrap_err();
        let told: Vec<_> = refused.fields().iter().map(|field| (&*field.field, field.code)).collect();
        let field = match way {
            Way::Change | Way::Reset | Way::Choose => "new_password",
            Way::Seed => "users[0].password",
            _ => "password",
        };
        assert_eq!(told, [(field, FieldCode::BreachedPassword)], "{way:?}");
        assert_eq!(stage.list.asked(), [LEAKED], "{way:?}");
        assert!(stage.rows().await == before, "{way:?}");
        prepared.choose(GOOD).await.unwrap();
        assert_eq!(stage.list.asked(), [GOOD], "{way:?}");
        assert!(is_let_in(&stage.um, &prepared.email, GOOD).await, "{way:?}");
        assert_eq!(stage.list.asked(), [""; 0], "{way:?}: a sign-in asks nobody");
    }
}

#[tokio::test]
async fn v6_2_12_a_list_that_fails_says_no_yes() {
    let stage = Stage::open().await;
    for way in WAYS {
        let prepared = stage.prepare(way).await;
        let before = stage.rows().await;
        for trouble in [Trouble::Fails, Trouble::Panics] {
            *stage.list.trouble.lock().unwrap() = Some(trouble);
            let refused = prepared.choose(GOOD).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::BreachedPasswordsUnavailable, "{way:?} {trouble:?}");
            assert_eq!(std::error::Error::source(&refused).is_some(), matches!(trouble, Trouble::Fails));
            assert!(stage.rows().await == before, "{way:?} {trouble:?}");
        }
        *stage.list.trouble.lock().unwrap() = None;
        prepared.choose(GOOD).await.unwrap();
        assert!(is_let_in(&stage.um, &prepared.email, GOOD).await, "{way:?}");
    }
}

/// A link is good for a few tries, which are those of its owner; a list that does not answer uses none of them up.
#[tokio::test]
async fn v6_2_12_a_list_that_fails_uses_no_tries_up() {
    let stage = Stage::open().await;
    let prepared = stage.prepare(Way::Reset).await;
    *stage.list.trouble.lock().unwrap() = Some(Trouble::Fails);
    for _ in 0..40 {
        let refused = prepared.choose(GOOD).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::BreachedPasswordsUnavailable);
    }
    *stage.list.trouble.lock().unwrap() = None;
    prepared.choose(GOOD).await.unwrap();
}

/// Who registers may be anybody: the list is asked no more often than somebody may register.
#[tokio::test]
async fn v6_2_12_a_stranger_asks_the_list_a_few_times() {
    for registration in [Registration::Verified, Registration::Open] {
        let stage = Stage::with(registration).await;
        let register = async |at: usize, email: &str, password: &str| {
            let somebody = stage.um.anonymous(RequestContext::from_ip(format!("192.0.2.{at}")));
            somebody.users().register(RegisterUser::new(email, password)).await
        };
        for at in 0..10 {
            let refused = register(1, &format!("eve{at}@example.org"), LEAKED).await.unwrap_err();
            assert_eq!(refused.fields()[0].code, FieldCode::BreachedPassword, "{at}");
        }
        assert_eq!(stage.list.asked().len(), 10);
        let refused = register(1, "eve@example.org", LEAKED).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::RateLimited, "{registration:?}");
        assert_eq!(stage.list.asked(), [""; 0]);
        // Of its own address nobody waits: nothing was mailed.
        register(2, "bob@example.org", LEAKED).await.unwrap_err();
        register(2, "bob@example.org", GOOD).await.unwrap();
    }
}

/// Nor does who is invited.
#[tokio::test]
async fn v6_2_12_who_is_invited_asks_the_list_a_few_times() {
    let stage = Stage::open().await;
    let prepared = stage.prepare(Way::Accept).await;
    for _ in 0..5 {
        assert_eq!(prepared.choose(LEAKED).await.unwrap_err().fields()[0].code, FieldCode::BreachedPassword);
    }
    assert_eq!(stage.list.asked().len(), 5);
    assert_eq!(prepared.choose(LEAKED).await.unwrap_err().reason(), Reason::RateLimited);
    assert_eq!(stage.list.asked(), [""; 0]);
}

/// A world in which five seconds are over at once.
struct Hasty(TokioEnvironment);

impl Environment for Hasty {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<()> {
        self.0.random(buffer)
    }

    fn spawn(&self, task: Task) {
        self.0.spawn(task);
    }

    fn spawn_blocking(&self, work: Work) {
        self.0.spawn_blocking(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        if millis == 5_000 { Box::pin(std::future::ready(())) } else { self.0.sleep(millis) }
    }
}

#[tokio::test]
async fn v6_2_12_a_list_that_hangs_is_waited_for_five_seconds() {
    let list = List::default();
    let world = Hasty(TokioEnvironment::current().unwrap());
    let um = cheap::builder().environment(world).breached_passwords(list.clone()).open().await.unwrap();
    let create = || async { um.system().users().create(CreateUser::new("ada@example.org").password(GOOD)).await };
    *list.trouble.lock().unwrap() = Some(Trouble::Hangs);
    assert_eq!(create().await.unwrap_err().reason(), Reason::BreachedPasswordsUnavailable);
    *list.trouble.lock().unwrap() = None;
    create().await.unwrap();
}

#[tokio::test]
async fn v6_2_12_the_list_is_asked_for_what_may_be_chosen_alone() {
    let stage = Stage::open().await;
    let system = stage.um.system();
    for unfit in ["too short", "aaaaaaaaaaaaaaaaaaaa", "ada@example.org 2026"] {
        let refused = system.users().create(CreateUser::new("ada@example.org").password(unfit)).await.unwrap_err();
        assert_ne!(refused.fields()[0].code, FieldCode::BreachedPassword, "{unfit}");
    }
    // Of somebody whose present password is wrong it asks nobody: that would be a way to ask at all.
    let wrong = ChangePassword::new("not the password at all", LEAKED);
    assert_eq!(stage.ada.passwords().change(wrong).await.unwrap_err().fields()[0].field, "current_password");
    let token = Secret::from("rkp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    stage.anybody().passwords().reset(ResetPassword::new(token, LEAKED)).await.unwrap_err();
    let bob = system.users().create(CreateUser::new("bob@example.org")).await.unwrap();
    system.passwords().set_temporary(SetTemporaryPassword::new(bob.id)).await.unwrap();
    assert_eq!(stage.list.asked(), [""; 0]);
    // As it is hashed: in NFC.
    let typed = CreateUser::new("cleo@example.org").password("cafe\u{301} at the corner");
    system.users().create(typed).await.unwrap();
    assert_eq!(stage.list.asked(), ["caf\u{e9} at the corner"]);
}

/// Others may wait for a plan that was made in vain a few times, so it is not asked again.
#[tokio::test]
async fn v6_2_12_the_list_is_asked_once_however_often_it_is_planned() {
    let stage = Stage::open().await;
    for way in WAYS {
        let prepared = stage.prepare(way).await;
        // Whatever was planned was planned by another policy.
        let rival = stage.um.clone();
        stage.storage.before_next_commit(async move {
            let role = rolekeep::roles::CreateRole::new(format!("{way:?}").to_lowercase());
            rival.system().roles().create(role).await.unwrap();
        });
        prepared.choose(GOOD).await.unwrap();
        assert!(stage.storage.has_acted(), "{way:?}");
        assert_eq!(stage.list.asked(), [GOOD], "{way:?}");
    }
}

#[tokio::test]
async fn v6_2_12_without_a_list_nobody_is_asked() {
    let um = cheap::builder().policy(Policy::preset("standard").unwrap()).open().await.unwrap();
    let ada = um.system().users().create(CreateUser::new("ada@example.org").password(LEAKED)).await.unwrap();
    assert!(um.system().users().get(GetUser::new(ada.id)).await.is_ok());
}
