//! What becomes of keys when something happens to their account, also when a key is made meanwhile.

use rolekeep::{
    api_keys::ApiKeyEnd,
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    factors::{RemoveFactor, ResetFactorsOf},
    passwords::{ChangePassword, ExpirePasswords, ForgotPassword, ResetPassword, SetPassword, SetTemporaryPassword},
    roles::AssignRole,
    sessions::{Refresh, RevokeAllSessions, RevokeEveryone},
    sign_in::{SignInByMail, StartSignInByMail},
    users::{ActivateUser, BanUser, DeactivateUser, DeleteUser, LiftUser, SuspendUser, UpdateUser},
    verification::ConfirmVerification,
};

use super::*;
use crate::{
    cheap,
    security::kit::{all, signed_in},
};

/// What happens to Ada's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Changed,
    ChangedWithKeys,
    Reset,
    Set,
    SetTemporary,
    EmailChanged,
    EmailChangedByAnother,
    EmailReverted,
    FirstProved,
    FactorAdded,
    FactorRemoved,
    FactorsReset,
    Off,
    Suspended,
    Banned,
    Deleted,
    LoggedOutEverywhere,
    LoggedOutWithKeys,
    EverybodyOut,
    EverybodyOutWithKeys,
    LoggedOut,
    Reused,
    RoleGiven,
    Expired,
}

impl Event {
    const ALL: [(Self, bool); 24] = [
        (Self::Changed, false),
        (Self::ChangedWithKeys, true),
        (Self::Reset, true),
        (Self::Set, true),
        (Self::SetTemporary, true),
        (Self::EmailChanged, false),
        (Self::EmailChangedByAnother, false),
        (Self::EmailReverted, true),
        (Self::FirstProved, true),
        (Self::FactorAdded, false),
        (Self::FactorRemoved, false),
        (Self::FactorsReset, true),
        (Self::Off, false),
        (Self::Suspended, false),
        (Self::Banned, true),
        (Self::Deleted, true),
        (Self::LoggedOutEverywhere, false),
        (Self::LoggedOutWithKeys, true),
        (Self::EverybodyOut, false),
        (Self::EverybodyOutWithKeys, true),
        (Self::LoggedOut, false),
        (Self::Reused, false),
        (Self::RoleGiven, false),
        (Self::Expired, false),
    ];
}

/// What an event needs that is done before there is a key.
struct Ready {
    stage: Arc<Stage>,
    me: Caller,
    token: Option<Secret>,
    /// A sign-in by mail: its challenge.
    challenge: Option<Secret>,
}

async fn ready(event: Event) -> Ready {
    let stage = Arc::new(Stage::with(&[], cheap::config().mail_sign_in(true)).await);
    let mut me = stage.ada().await;
    if !matches!(event, Event::FirstProved) {
        me.verification().send().await.unwrap();
        let proof = stage.mails.take("verification", ADA).await.token.unwrap();
        me.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    }
    let nobody = stage.um.anonymous(RequestContext::default());
    let (mut token, mut challenge) = (None, None);
    match event {
        Event::Reset => {
            nobody.passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
            token = stage.mails.take("password_reset", ADA).await.token;
        }
        Event::EmailChanged | Event::EmailReverted => {
            me.email().change(ChangeEmail::new("new@example.org")).await.unwrap();
            token = stage.mails.take("email_change", "new@example.org").await.token;
        }
        Event::FirstProved => {
            challenge = Some(nobody.sign_in().mail_start(StartSignInByMail::new("ada")).await.unwrap().challenge);
            token = stage.mails.take("sign_in_code", ADA).await.code;
        }
        Event::FactorRemoved | Event::FactorsReset => me = stage.ada_by_two().await,
        _ => {}
    }
    if event == Event::EmailReverted {
        me = stage.with_tokens(&me.email().confirm(ConfirmEmail::new(token.unwrap())).await.unwrap()).await;
        token = stage.mails.take("email_changed", ADA).await.token;
    }
    Ready { stage, me, token, challenge }
}

impl Ready {
    async fn happens(&self, event: Event) {
        let (stage, ada, me) = (&self.stage, self.stage.ada, self.me.clone());
        let (system, nobody) = (stage.um.system(), stage.um.anonymous(RequestContext::default()));
        let token = || self.token.clone().unwrap();
        let all = || RevokeAllSessions::new().user_id(ada);
        let change = || ChangePassword::new(PASSWORD, NEW);
        match event {
            Event::Changed => drop(me.passwords().change(change()).await.unwrap()),
            Event::ChangedWithKeys => drop(me.passwords().change(change().revoke_keys(true)).await.unwrap()),
            Event::Reset => drop(nobody.passwords().reset(ResetPassword::new(token(), NEW)).await.unwrap()),
            Event::Set => system.passwords().set(SetPassword::new(ada, NEW).is_temporary(false)).await.unwrap(),
            Event::SetTemporary => {
                drop(system.passwords().set_temporary(SetTemporaryPassword::new(ada)).await.unwrap())
            }
            Event::EmailChanged => drop(me.email().confirm(ConfirmEmail::new(token())).await.unwrap()),
            Event::EmailChangedByAnother => {
                let other = UpdateUser::new(ada).email("other@example.org".to_owned());
                drop(system.users().update(other).await.unwrap());
            }
            Event::EmailReverted => nobody.email().revert(RevertEmail::new(token())).await.unwrap(),
            Event::FirstProved => {
                let by_mail = SignInByMail::new(self.challenge.clone().unwrap(), token());
                drop(nobody.sign_in().mail(by_mail).await.unwrap());
            }
            Event::FactorAdded => drop(stage.ada_by_two().await),
            Event::FactorRemoved => {
                let factor = me.factors().list().await.unwrap().factors[0].id;
                drop(me.factors().remove(RemoveFactor::new(factor)).await.unwrap());
            }
            Event::FactorsReset => system.factors().reset_of(ResetFactorsOf::new(ada)).await.unwrap(),
            Event::Off => drop(system.users().deactivate(DeactivateUser::new(ada)).await.unwrap()),
            Event::Suspended => drop(system.users().suspend(SuspendUser::new(ada)).await.unwrap()),
            Event::Banned => drop(system.users().ban(BanUser::new(ada)).await.unwrap()),
            Event::Deleted => system.users().delete(DeleteUser::new(ada)).await.unwrap(),
            Event::LoggedOutEverywhere => system.sessions().revoke_all(all()).await.unwrap(),
            Event::LoggedOutWithKeys => me.sessions().revoke_all(all().revoke_keys(true)).await.unwrap(),
            Event::EverybodyOut | Event::EverybodyOutWithKeys => {
                everyone(&stage.um, event == Event::EverybodyOutWithKeys).await
            }
            Event::LoggedOut => me.sessions().logout().await.unwrap(),
            Event::Reused => {
                let login = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
                let refresh = async || nobody.sessions().refresh(Refresh::new(login.refresh_token.clone())).await;
                refresh().await.unwrap();
                stage.clock.pass(31);
                assert_eq!(reason(refresh().await), Reason::InvalidToken);
            }
            Event::RoleGiven => drop(system.roles().assign(AssignRole::new(ada, "writer")).await.unwrap()),
            Event::Expired => system.passwords().expire(ExpirePasswords::new().user_ids([ada])).await.unwrap(),
        }
    }

    /// Where the account was switched off, it is on again.
    async fn back_again(&self, event: Event) {
        let users = self.stage.um.system();
        match event {
            Event::Off => drop(users.users().activate(ActivateUser::new(self.stage.ada)).await.unwrap()),
            Event::Suspended | Event::Banned => drop(users.users().lift(LiftUser::new(self.stage.ada)).await.unwrap()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn sec_6_keys_end_with_what_the_table_says() {
    for (event, ends) in Event::ALL {
        let ready = ready(event).await;
        let one = made(&ready.me, &["document:read"]).await.unwrap();
        let other = made_whole(&ready.me).await.unwrap();
        let held = ready.stage.by(&one.key).await.unwrap();
        let is_off = matches!(event, Event::Off | Event::Suspended);
        ready.happens(event).await;
        for key in [&one, &other] {
            assert_eq!(!ready.stage.is_good(key).await, ends || is_off, "{event:?}");
        }
        assert_eq!(held.can("document:read", None).is_err(), ends || is_off, "{event:?}, without I/O");
        ready.back_again(event).await;
        assert_eq!(!ready.stage.is_good(&one).await, ends, "{event:?}, afterwards");
        assert_eq!(held.can("document:read", None).is_err(), ends, "{event:?}, without I/O, afterwards");
    }
}

/// A key that is made while what ends all keys is planned: neither is it good afterwards, nor is one made on what was proved before.
#[tokio::test]
async fn sec_6_no_key_that_is_made_meanwhile_outlives_what_ends_all() {
    for (event, _) in Event::ALL.into_iter().filter(|(_, ends)| *ends) {
        let ready = ready(event).await;
        let other = ready.stage.ada_beside(event, &ready.me).await;
        let (key, rival) = (Arc::new(std::sync::Mutex::new(None)), other.clone());
        let kept = key.clone();
        ready.stage.storage.before_next_commit(async move {
            let made = made_whole(&rival).await;
            *kept.lock().unwrap() = Some(made.unwrap());
        });
        ready.happens(event).await;
        assert!(ready.stage.storage.has_acted());
        ready.back_again(event).await;
        let key = key.lock().unwrap().take().unwrap();
        assert!(!ready.stage.is_good(&key).await, "{event:?} leaves a key that was made meanwhile");
    }
}

impl Stage {
    /// Ada in another session, which proved as much.
    async fn ada_beside(&self, event: Event, me: &Caller) -> Caller {
        match event {
            // The sign-in asks for a code there, and one is as good as another.
            Event::FactorsReset => me.clone(),
            // Its own session has to be there still when the address moves back.
            _ => self.ada_by_name().await,
        }
    }

    async fn ada_by_name(&self) -> Caller {
        let tokens = self.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
        self.with_tokens(&tokens).await
    }
}

/// The other way round: whatever happens before the key is written.
#[tokio::test]
async fn sec_6_no_key_is_made_on_what_was_proved_before() {
    for (event, ends) in Event::ALL {
        let ready = Arc::new(ready(event).await);
        let rival = ready.clone();
        ready.stage.storage.before_next_commit(async move { rival.happens(event).await });
        let made = made_whole(&ready.me).await;
        assert!(ready.stage.storage.has_acted(), "{event:?}");
        ready.back_again(event).await;
        let is_good = match &made {
            Ok(key) => ready.stage.is_good(key).await,
            Err(_) => false,
        };
        // Of another session's end, roles and a password that is to be changed nothing follows.
        let may_be = matches!(event, Event::FactorAdded | Event::Reused | Event::RoleGiven | Event::Expired);
        assert!(!is_good || may_be && !ends, "{event:?} does not keep a key from being made");
        assert!(!matches!(event, Event::Reused | Event::RoleGiven) || is_good, "{event:?}");
    }
}

/// Ends the sessions of everybody, and perhaps all keys.
async fn everyone(um: &UserManagement, keys: bool) {
    um.system().sessions().revoke_everyone(RevokeEveryone::new().revoke_keys(keys)).await.unwrap();
}

/// They are listed as what they are, nobody ends them again, and they take no room from those of after.
#[tokio::test]
async fn sec_6_keys_that_ended_with_everybodys() {
    let stage = Stage::open(&[]).await;
    let made = made_whole(&stage.ada().await).await.unwrap();
    for _ in 1..50 {
        made_whole(&stage.ada_by_name().await).await.unwrap();
    }
    for _ in 0..2 {
        everyone(&stage.um, true).await;
        let me = stage.ada().await;
        assert!(me.api_keys().list(ListApiKeys::new()).await.unwrap().items.is_empty());
        let ended = listed(&me).await;
        assert!(ended.iter().all(|key| key.end_reason == Some(ApiKeyEnd::Revoked)));
        revoke(&me, ended[0].id).await.unwrap();
        assert_eq!(listed(&me).await, ended);
        let of_now = made_whole(&me).await.unwrap();
        assert!(stage.is_good(&of_now).await && !stage.is_good(&made).await);
        me.sessions().revoke_all(RevokeAllSessions::new().revoke_keys(true)).await.unwrap();
        let me = stage.ada().await;
        let ended = listed(&me).await;
        let by_herself: Vec<_> = ended.iter().filter(|key| key.ended_at.is_some()).map(|key| key.id).collect();
        assert_eq!(by_herself.first(), Some(&of_now.api_key.id), "those of before end no second time");
        assert!(!stage.is_good(&of_now).await);
    }
}

/// Whoever acts by a key that is ended meanwhile does not write.
#[tokio::test]
async fn sec_6_a_key_that_is_ended_meanwhile_writes_nothing() {
    for with_all in [false, true] {
        writes_nothing_by_a_key_that_ends(with_all).await;
    }
}

async fn writes_nothing_by_a_key_that_ends(with_all: bool) {
    let stage = Stage::open(&["moderator"]).await;
    let me = stage.ada().await;
    let (made, mia) = (made(&me, &["user:*"]).await.unwrap(), signed_in(&stage.um, "mia", &[]).await.1);
    let program = stage.by(&made.key).await.unwrap();
    let rival = me.clone();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let um = stage.um.clone();
    stage.storage.before_next_commit(async move {
        match with_all {
            true => everyone(&um, true).await,
            false => revoke(&rival, made.api_key.id).await.unwrap(),
        }
    });
    let renamed = program.users().update(UpdateUser::new(mia).full_name("Eve".to_owned())).await;
    assert!(stage.storage.has_acted());
    assert_eq!(reason(renamed), Reason::InvalidToken);
}

/// On another instance within a second, and at once by whoever asks for an operation.
#[tokio::test]
async fn sec_6_another_instance_hears_of_it() {
    for with_all in [false, true] {
        another_hears(with_all).await;
    }
}

async fn another_hears(with_all: bool) {
    let stage = Stage::open(&["writer"]).await;
    stage.storage.share();
    let config = cheap::config().signing_key("k".repeat(32));
    let other = cheap::builder().storage(stage.storage.clone()).config(config).open().await.unwrap();
    let me = stage.ada().await;
    let made = made(&me, &["document:read"]).await.unwrap();
    let program = other.authenticate(made.key.expose(), RequestContext::default()).await.unwrap();
    assert!(program.can("document:read", None).unwrap());
    match with_all {
        true => everyone(&stage.um, true).await,
        false => revoke(&me, made.api_key.id).await.unwrap(),
    }
    other.refresh().await.unwrap();
    assert_eq!(reason(program.can("document:read", None)), Reason::InvalidToken);
    assert_eq!(reason(other.authenticate(made.key.expose(), RequestContext::default()).await), Reason::InvalidToken);
}

/// Whoever ends the sessions of others does not end their keys by that alone.
#[tokio::test]
async fn sec_10_keys_of_others_end_by_their_own_permission() {
    let stage = Stage::open(&[]).await;
    let policy =
        Policy::from_toml("[roles.guard]\nallow = [\"user:read\", \"session:read\", \"session:revoke\"]\n").unwrap();
    let um = cheap::builder().policy(policy).open().await.unwrap();
    let (me, ada) = signed_in(&um, "ada", &[]).await;
    let made = made_whole(&me).await.unwrap();
    let (guard, _) = signed_in(&um, "guard", &["guard"]).await;
    let all = || RevokeAllSessions::new().user_id(ada);
    assert_eq!(reason(guard.sessions().revoke_all(all().revoke_keys(true)).await), Reason::Denied);
    assert!(me.users().me().await.is_ok(), "nothing is done by halves");
    guard.sessions().revoke_all(all()).await.unwrap();
    assert!(um.authenticate(made.key.expose(), RequestContext::default()).await.is_ok());
    drop(stage);
}

/// Fifty at most, however many ask at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sec_16_a_user_has_fifty_keys_at_most() {
    let stage = Arc::new(Stage::open(&[]).await);
    let me = stage.ada().await;
    for _ in 0..45 {
        made_whole(&me).await.unwrap();
    }
    stage.storage.slow_down(2);
    let tries = (0..12).map(|_| {
        let me = me.clone();
        tokio::spawn(async move {
            loop {
                match made_whole(&me).await {
                    Err(error) if error.reason() == Reason::Contention => {}
                    other => return other.map(drop).map_err(|error| error.reason()),
                }
            }
        })
    });
    let mut answers = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        answers.push(one.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(()) | Err(Reason::LimitReached))), "{answers:?}");
    assert_eq!(all::<rolekeep::internals::api_key::ApiKey>(&*stage.storage).await.len(), 50);
    // One that has ended makes room.
    revoke(&me, listed(&me).await[0].id).await.unwrap();
    made_whole(&me).await.unwrap();
    assert_eq!(reason(made_whole(&me).await), Reason::LimitReached);
}
