//! Registration (USR-2, SEC-1, SEC-10): what is told, what an account begins with, and who begins it.

use std::time::Duration;

use rolekeep::{
    Caller, Config, Error, NamesAfterPurge, Policy, Reason, Registration, RequestContext, Result, Secret,
    UserManagement,
    internals::{credential::Credential, notice::PendingNotice, registration::PendingRegistration, user::User},
    storage::{FeedPart, Storage},
    users::{
        ConfirmRegistration, ConfirmedRegistration, CreateUser, DeactivateUser, DeleteUser, PurgeUser, RegisterUser,
        RegisteredUser,
    },
};

use super::kit::{Ahead, Interposed, PASSWORD, all, is_let_in};
use crate::{cheap, mails::Mails};

const ADA: &str = "ada@example.org";
const OTHER: &str = "another horse battery staple";
const DAY: u64 = 24 * 3600;
const POLICY: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.user]
default = true
"#;

struct Stage {
    um: UserManagement,
    storage: std::sync::Arc<Interposed>,
    clock: Ahead,
    mails: Mails,
}

impl Stage {
    async fn open(registration: Registration) -> Self {
        Self::with(POLICY, registration).await
    }

    async fn with(policy: &str, registration: Registration) -> Self {
        Self::configured(policy, cheap::config().registration(registration)).await
    }

    async fn configured(policy: &str, config: Config) -> Self {
        let (clock, mails) = (Ahead::new(), Mails::default());
        let (um, storage) = Interposed::open_as(Policy::from_toml(policy).unwrap(), |builder| {
            builder.config(config).environment(clock.clone()).notifier(mails.clone())
        })
        .await;
        Self { um, storage, clock, mails }
    }

    /// Somebody at an address of its own.
    fn somebody(&self, at: u8) -> Caller {
        self.um.anonymous(RequestContext::from_ip(format!("192.0.2.{at}")))
    }

    async fn register(&self, at: u8, new: RegisterUser) -> Result<RegisteredUser> {
        self.somebody(at).users().register(new).await
    }

    async fn confirm(&self, token: &Secret, password: &str) -> Result<ConfirmedRegistration> {
        let confirm = ConfirmRegistration::new(token.clone(), password);
        self.somebody(200).users().confirm_registration(confirm).await
    }

    /// What is mailed to who registers.
    async fn token(&self, email: &str) -> Secret {
        let token = self.mails.take("registration", email).await.token.unwrap();
        self.is_quiet().await;
        token
    }

    async fn is_quiet(&self) {
        while !all::<PendingNotice>(&*self.storage).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn pending(&self) -> usize {
        all::<PendingRegistration>(&*self.storage).await.len()
    }

    async fn users(&self) -> Vec<User> {
        all(&*self.storage).await
    }
}

fn reason<T>(answer: Result<T>) -> Reason {
    answer.err().map(|error: Error| error.reason()).unwrap()
}

#[tokio::test]
async fn sec_1_an_address_that_is_taken_is_answered_as_one_that_is_free() {
    let stage = Stage::open(Registration::Verified).await;
    stage.um.system().users().create(CreateUser::new(ADA).password(PASSWORD)).await.unwrap();
    let deleted = stage.um.system().users().create(CreateUser::new("gone@example.org")).await.unwrap();
    stage.um.system().users().delete(DeleteUser::new(deleted.id)).await.unwrap();
    let off = stage.um.system().users().create(CreateUser::new("off@example.org")).await.unwrap();
    stage.um.system().users().deactivate(DeactivateUser::new(off.id)).await.unwrap();
    let mut seen = Vec::new();
    for (at, email) in [ADA, "gone@example.org", "off@example.org", "free@example.org"].into_iter().enumerate() {
        stage.is_quiet().await;
        let (before, hashed) = (stage.storage.position().await.unwrap(), stage.um.hashed());
        stage.storage.calls();
        let made = stage.register(at as u8, RegisterUser::new(email, OTHER)).await.unwrap();
        assert!(made.user.is_none() && made.confirm_until.is_some());
        let changes = stage.storage.changes(&before, FeedPart::WHOLE).await.unwrap();
        let mut tables: Vec<_> = changes.touched.iter().map(|row| row.table.clone()).collect();
        tables.sort();
        seen.push((stage.um.hashed() - hashed, tables));
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:?}");
    // Its owner is told, without a link; nobody is told of an account that is gone.
    assert_eq!(stage.mails.take("address_taken", ADA).await.token, None);
    assert_eq!(stage.mails.take("address_taken", "off@example.org").await.token, None);
    stage.mails.take("registration", "free@example.org").await;
    stage.is_quiet().await;
    assert_eq!((stage.mails.left(), stage.pending().await), (0, 4));
}

/// What somebody typed may be another mailbox, however its name compares: it is not told who has the address.
#[tokio::test]
async fn sec_1_who_has_an_address_is_told_where_that_one_reads_it() {
    let stage = Stage::open(Registration::Verified).await;
    stage.um.system().users().create(CreateUser::new(ADA).password(PASSWORD)).await.unwrap();
    for typed in ["ADA@example.org", "\u{ff41}da@example.org"] {
        stage.clock.pass(61);
        stage.register(1, RegisterUser::new(typed, OTHER)).await.unwrap();
        stage.is_quiet().await;
        stage.mails.take("address_taken", ADA).await;
        assert_eq!(stage.mails.left(), 0, "{typed}");
    }
}

#[tokio::test]
async fn sec_10_a_link_alone_begins_nothing() {
    let stage = Stage::open(Registration::Verified).await;
    // Somebody registers the address of another one, who opens the link.
    stage.register(1, RegisterUser::new(ADA, PASSWORD).username("ada")).await.unwrap();
    let token = stage.token(ADA).await;
    assert_eq!(reason(stage.confirm(&token, OTHER).await), Reason::InvalidCredentials);
    assert_eq!(stage.users().await.len(), 0);
    // The owner of the address registers it as well; its own password begins its own account.
    stage.clock.pass(61);
    stage.register(2, RegisterUser::new("ADA@example.org", OTHER)).await.unwrap();
    let own = stage.token("ADA@example.org").await;
    assert_eq!(reason(stage.confirm(&own, PASSWORD).await), Reason::InvalidCredentials);
    stage.confirm(&own, OTHER).await.unwrap();
    assert!(is_let_in(&stage.um, ADA, OTHER).await && !is_let_in(&stage.um, ADA, PASSWORD).await);
    // With the address what the other one asked for is void.
    assert_eq!(reason(stage.confirm(&token, PASSWORD).await), Reason::InvalidToken);
    assert_eq!(stage.users().await.len(), 1);
}

#[tokio::test]
async fn sec_10_an_account_begins_with_the_default_roles_and_its_password_alone() {
    let stage = Stage::open(Registration::Verified).await;
    stage.register(1, RegisterUser::new(ADA, PASSWORD).username("ada")).await.unwrap();
    let token = stage.token(ADA).await;
    let ada = stage.confirm(&token, PASSWORD).await.unwrap().user;
    assert!(ada.email_verified);
    let me = stage.um.acting_as(ada.id).await.unwrap();
    let roles = me.roles().mine().await.unwrap();
    assert_eq!(
        roles.iter().map(|one| (&*one.role, &*one.assigned_by)).collect::<Vec<_>>(),
        [("user", &*ada.id.to_string())]
    );
    let [credential] = &*all::<Credential>(&*stage.storage).await else { panic!("one account has one") };
    assert!(!credential.must_change && credential.address_proved_at.is_some());
    assert!(is_let_in(&stage.um, "ada", PASSWORD).await);
}

#[tokio::test]
async fn sec_15_a_link_ends_after_ten_wrong_passwords_or_a_day() {
    let stage = Stage::open(Registration::Verified).await;
    stage.register(1, RegisterUser::new(ADA, PASSWORD)).await.unwrap();
    let token = stage.token(ADA).await;
    let mut wrong = 0;
    while wrong < 10 {
        match reason(stage.confirm(&token, OTHER).await) {
            Reason::InvalidCredentials => wrong += 1,
            Reason::RateLimited => stage.clock.pass(15 * 60),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reason(stage.confirm(&token, PASSWORD).await), Reason::InvalidToken);
    assert_eq!(stage.pending().await, 0);
    stage.register(2, RegisterUser::new("bob@example.org", PASSWORD)).await.unwrap();
    let token = stage.token("bob@example.org").await;
    stage.clock.pass(DAY);
    assert_eq!(reason(stage.confirm(&token, PASSWORD).await), Reason::InvalidToken);
    assert_eq!(stage.users().await.len(), 0);
}

#[tokio::test]
async fn sec_16_of_two_links_to_an_address_one_begins_an_account() {
    let stage = Stage::open(Registration::Verified).await;
    stage.register(1, RegisterUser::new(ADA, PASSWORD)).await.unwrap();
    let first = stage.token(ADA).await;
    stage.clock.pass(61);
    stage.register(2, RegisterUser::new(ADA, OTHER)).await.unwrap();
    let second = stage.token(ADA).await;
    let rival = stage.um.clone();
    stage.storage.before_next_commit(async move {
        let confirm = ConfirmRegistration::new(second, OTHER);
        rival.anonymous(RequestContext::default()).users().confirm_registration(confirm).await.unwrap();
    });
    assert_eq!(reason(stage.confirm(&first, PASSWORD).await), Reason::InvalidToken);
    assert!(is_let_in(&stage.um, ADA, OTHER).await);
    assert_eq!(stage.users().await.len(), 1);
    // And of one link that is opened twice at once.
    stage.register(3, RegisterUser::new("bob@example.org", PASSWORD)).await.unwrap();
    let token = stage.token("bob@example.org").await;
    let (one, two) = tokio::join!(stage.confirm(&token, PASSWORD), stage.confirm(&token, PASSWORD));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    assert_eq!(stage.users().await.len(), 2);
}

#[tokio::test]
async fn usr_2_a_username_that_is_taken_meanwhile_is_left_out() {
    let stage = Stage::open(Registration::Verified).await;
    stage.register(1, RegisterUser::new(ADA, PASSWORD).username("ada").full_name("Ada")).await.unwrap();
    let token = stage.token(ADA).await;
    let rival = stage.um.clone();
    stage.storage.before_next_commit(async move {
        rival.system().users().create(CreateUser::new("other@example.org").username("ADA")).await.unwrap();
    });
    let ada = stage.confirm(&token, PASSWORD).await.unwrap().user;
    assert_eq!((ada.username, ada.full_name.as_deref()), (None, Some("Ada")));
}

#[tokio::test]
async fn sec_10_what_decides_about_rights_by_now_is_left_out() {
    let stage = Stage::open(Registration::Verified).await;
    stage.register(1, RegisterUser::new(ADA, PASSWORD).full_name("The Boss").last_name("Boss")).await.unwrap();
    let token = stage.token(ADA).await;
    let edited =
        format!("{POLICY}allow = [{{ permission = \"user:read\", when = \"principal.full_name == 'The Boss'\" }}]\n");
    let import = rolekeep::policy::ImportPolicy::new(edited);
    stage.um.system().policy().import(import).await.unwrap();
    let ada = stage.confirm(&token, PASSWORD).await.unwrap().user;
    assert_eq!((ada.full_name, ada.last_name.as_deref()), (None, Some("Boss")));
    let refused = stage.register(2, RegisterUser::new("eve@example.org", PASSWORD).full_name("The Boss")).await;
    assert_eq!(refused.unwrap_err().fields()[0].field, "full_name");
}

/// Where an unproved address decides about rights, whoever names it would have them.
#[tokio::test]
async fn sec_10_an_address_that_decides_about_rights_is_proved_first() {
    let reads = format!(
        "{POLICY}allow = [{{ permission = \"user:read\", when = \"principal.email == 'boss@example.org'\" }}]\n"
    );
    let stage = Stage::with(&reads, Registration::Open).await;
    let refused = stage.register(1, RegisterUser::new("boss@example.org", PASSWORD)).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "email");
    let stage = Stage::with(&reads, Registration::Verified).await;
    stage.register(1, RegisterUser::new("boss@example.org", PASSWORD)).await.unwrap();
    let token = stage.token("boss@example.org").await;
    let boss = stage.confirm(&token, PASSWORD).await.unwrap().user;
    assert!(stage.um.acting_as(boss.id).await.unwrap().can("user:read", None).unwrap());
}

#[tokio::test]
async fn usr_2_what_is_switched_off_begins_nothing() {
    let stage = Stage::open(Registration::Verified).await;
    stage.register(1, RegisterUser::new(ADA, PASSWORD)).await.unwrap();
    let token = stage.token(ADA).await;
    let off = cheap::config().registration(Registration::Off);
    let builder = UserManagement::builder().config(off).storage(stage.storage.clone()).notifier(stage.mails.clone());
    let closed = builder.environment(stage.clock.clone()).open().await.unwrap();
    let confirm = ConfirmRegistration::new(token, PASSWORD);
    let visitor = closed.anonymous(RequestContext::default());
    let refused = visitor.users().confirm_registration(confirm).await.unwrap_err();
    let asked = visitor.users().register(RegisterUser::new("eve@example.org", PASSWORD)).await.unwrap_err();
    for told in [refused, asked] {
        assert_eq!(told.reason(), Reason::NotOffered);
        assert!(told.message().contains("the setting `registration`"), "{told}");
    }
}

/// Trying names one after the other costs as many tries as registering.
#[tokio::test]
async fn sec_1_names_are_not_tried_without_end() {
    let stage = Stage::open(Registration::Open).await;
    stage.um.system().users().create(CreateUser::new(ADA).username("ada")).await.unwrap();
    let ask = |at| stage.register(at, RegisterUser::new(ADA, PASSWORD));
    let name = |at| stage.register(at, RegisterUser::new("eve@example.org", PASSWORD).username("ada"));
    for _ in 0..5 {
        assert_eq!(reason(ask(1).await), Reason::Taken);
        assert_eq!(reason(name(1).await), Reason::Taken);
    }
    let hashed = stage.um.hashed();
    assert_eq!(reason(ask(1).await), Reason::RateLimited);
    assert_eq!(reason(stage.register(1, RegisterUser::new("new@example.org", PASSWORD)).await), Reason::RateLimited);
    assert_eq!(stage.um.hashed(), hashed, "nothing is hashed for who has no room");
    stage.register(2, RegisterUser::new("new@example.org", PASSWORD)).await.unwrap();
    // All who come without an address are one.
    let nowhere = stage.um.anonymous(RequestContext::default());
    for at in 0..100 {
        nowhere.users().register(RegisterUser::new(format!("n{at}@example.org"), PASSWORD)).await.unwrap();
    }
    let one_more = nowhere.users().register(RegisterUser::new("more@example.org", PASSWORD)).await;
    assert_eq!(reason(one_more), Reason::RateLimited);
}

/// An address of who is gone for good, which nobody has again, is one that somebody has: it counts where it is told, and begins nothing.
#[tokio::test]
async fn sec_1_addresses_of_who_is_gone_are_not_tried_without_end() {
    for registration in [Registration::Open, Registration::Verified] {
        let config = cheap::config().registration(registration).names_after_purge(NamesAfterPurge::Both);
        let stage = Stage::configured(POLICY, config).await;
        let users = stage.um.system();
        let users = users.users();
        let ada = users.create(CreateUser::new(ADA)).await.unwrap().id;
        users.delete(DeleteUser::new(ada)).await.unwrap();
        users.purge(PurgeUser::new(ada)).await.unwrap();
        let hashed = stage.um.hashed();
        let ask = |at| stage.register(at, RegisterUser::new(ADA, PASSWORD));
        match registration {
            Registration::Open => {
                for _ in 0..10 {
                    assert_eq!(reason(ask(1).await), Reason::Taken);
                }
                assert_eq!(reason(ask(1).await), Reason::RateLimited);
                assert_eq!(stage.um.hashed(), hashed);
            }
            _ => {
                assert!(ask(1).await.unwrap().confirm_until.is_some());
                stage.is_quiet().await;
                assert_eq!(stage.mails.left(), 0, "there is nothing to begin");
            }
        }
        assert!(stage.users().await.is_empty());
    }
}

#[tokio::test]
async fn sec_16_two_register_one_name() {
    let stage = Stage::open(Registration::Open).await;
    let new = |email: &str| RegisterUser::new(email, PASSWORD).username("ada");
    let (one, two) = tokio::join!(stage.register(1, new(ADA)), stage.register(2, new("other@example.org")));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    assert_eq!(reason(one.and(two)), Reason::Taken);
    assert_eq!(stage.users().await.len(), 1);
}

/// Nobody was mailed, so that nobody waits for the next mail.
#[tokio::test]
async fn usr_2_who_finds_a_name_taken_chooses_another_at_once() {
    let stage = Stage::open(Registration::Verified).await;
    stage.um.system().users().create(CreateUser::new("other@example.org").username("ada")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(reason(stage.register(1, RegisterUser::new(ADA, PASSWORD).username("ada")).await), Reason::Taken);
    }
    stage.register(1, RegisterUser::new(ADA, PASSWORD).username("ada2")).await.unwrap();
    let token = stage.token(ADA).await;
    stage.confirm(&token, PASSWORD).await.unwrap();
    assert_eq!(reason(stage.register(1, RegisterUser::new(ADA, PASSWORD)).await), Reason::RateLimited);
}

/// An address is mailed now and then, whoever asks; who asks for somebody else's does not keep its owner from an account.
#[tokio::test]
async fn sec_15_strangers_keep_nobody_from_registering() {
    let stage = Stage::open(Registration::Verified).await;
    let ask = |at| stage.register(at, RegisterUser::new(ADA, OTHER));
    for at in 0..20 {
        ask(at / 5).await.unwrap();
        stage.mails.take("registration", ADA).await;
        let again = stage.register(at / 5, RegisterUser::new(ADA, OTHER)).await;
        assert_eq!(reason(again), Reason::RateLimited, "twice within a minute");
        // The owner of the address asks elsewhere, at once.
        if at == 4 {
            stage.register(100, RegisterUser::new(ADA, PASSWORD)).await.unwrap();
            let own = stage.mails.take("registration", ADA).await.token.unwrap();
            stage.is_quiet().await;
            assert_eq!(stage.mails.left(), 0);
            assert_eq!(reason(stage.confirm(&own, OTHER).await), Reason::InvalidCredentials);
        }
        stage.clock.pass(61);
    }
    let mut all = Vec::new();
    for at in 50..60 {
        all.push(stage.register(at, RegisterUser::new(ADA, OTHER)).await);
    }
    assert_eq!(reason(all.pop().unwrap()), Reason::RateLimited, "all together have four times as many");
}

/// None of them is committed yet, so that the limits have room for all.
#[tokio::test]
async fn sec_15_of_who_registers_many_at_once_few_are_hashed() {
    let stage = Stage::open(Registration::Verified).await;
    stage.storage.slow_down(20);
    let all = (0..100).map(|at| stage.register(1, RegisterUser::new(format!("eve{at}@example.org"), PASSWORD)));
    let ended = futures_util::future::join_all(all).await;
    assert_eq!(ended.iter().filter(|one| one.is_ok()).count(), 10);
    assert!(ended.into_iter().filter(Result::is_err).all(|one| reason(one) == Reason::RateLimited));
    // Twenty at a time, until ten are committed.
    assert!(stage.um.hashed() <= 30, "{}", stage.um.hashed());
}

/// What strangers guessed at a name before anybody had it was guessed at nobody.
#[tokio::test]
async fn v6_1_1_guesses_of_before_keep_nobody_from_a_new_account() {
    for registration in [Registration::Open, Registration::Verified] {
        let stage = Stage::open(registration).await;
        for at in 0..30 {
            let from = RequestContext::from_ip(format!("198.51.100.{at}"));
            assert_eq!(reason(stage.um.login(ADA, OTHER, from).await), Reason::InvalidCredentials);
            stage.clock.pass(180);
        }
        stage.register(1, RegisterUser::new(ADA, PASSWORD)).await.unwrap();
        if registration == Registration::Verified {
            let token = stage.token(ADA).await;
            stage.confirm(&token, PASSWORD).await.unwrap();
        }
        assert!(is_let_in(&stage.um, ADA, PASSWORD).await, "{registration:?}");
    }
}
