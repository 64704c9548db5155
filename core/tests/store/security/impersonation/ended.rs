//! What ends it: whatever ends the session of who acts or its right to, and whatever ends the sessions of the user; also when it
//! happens while one is made, or while somebody acts.

use rolekeep::{
    factors::{AddFactor, RemoveFactor},
    passwords::{ChangePassword, ExpirePasswords, ForgotPassword, ResetPassword, SetPassword, SetTemporaryPassword},
    policy::ImportPolicy,
    roles::{AssignRole, UnassignRole},
    sessions::{Refresh, RevokeAllSessions, RevokeEveryone, RevokeSession, StepUp},
    users::{ActivateUser, BanUser, DeactivateUser, DeleteUser, LiftUser, SuspendUser, UpdateUser},
};

use super::*;
use crate::{authenticator, cheap};

/// Who it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// As whom somebody acts.
    Ada,
    /// Who acts.
    Mia,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Changed(Whom),
    Reset(Whom),
    Set(Whom),
    SetTemporary(Whom),
    Expired(Whom),
    EmailChanged(Whom),
    FactorAdded(Whom),
    Off(Whom),
    Suspended(Whom),
    Banned(Whom),
    Deleted(Whom),
    LoggedOutEverywhere(Whom),
    RevokedOthers(Whom),
    LoggedOut(Whom),
    OtherLoggedOut(Whom),
    Reused(Whom),
    RoleGiven(Whom),
    /// The one in which somebody acts.
    Revoked,
    LoggedOutOfIt,
    SteppedUp,
    RoleTaken,
    PolicyEdited,
    /// The condition of her role does not hold any more of the user.
    Renamed,
    EverybodyOut,
}

use Event::*;
use Whom::*;

/// Whether it ends by each.
const ALL: [(Event, bool); 41] = [
    (Changed(Ada), true),
    (Changed(Mia), true),
    (Reset(Ada), true),
    (Reset(Mia), true),
    (Set(Ada), true),
    (Set(Mia), true),
    (SetTemporary(Ada), true),
    (SetTemporary(Mia), true),
    (Expired(Ada), false),
    (Expired(Mia), false),
    (EmailChanged(Ada), true),
    (EmailChanged(Mia), true),
    (FactorAdded(Ada), true),
    (FactorAdded(Mia), true),
    (Off(Ada), true),
    (Off(Mia), true),
    (Suspended(Ada), true),
    (Suspended(Mia), true),
    (Banned(Ada), true),
    (Banned(Mia), true),
    (Deleted(Ada), true),
    (Deleted(Mia), true),
    (LoggedOutEverywhere(Ada), true),
    (LoggedOutEverywhere(Mia), true),
    (RevokedOthers(Ada), true),
    // Her own goes on.
    (RevokedOthers(Mia), false),
    (LoggedOut(Ada), false),
    (LoggedOut(Mia), true),
    (OtherLoggedOut(Ada), false),
    (OtherLoggedOut(Mia), false),
    (Reused(Ada), false),
    (Reused(Mia), true),
    (RoleGiven(Ada), false),
    (RoleGiven(Mia), false),
    (Revoked, true),
    (LoggedOutOfIt, true),
    (SteppedUp, true),
    (RoleTaken, true),
    (PolicyEdited, true),
    (Renamed, true),
    (EverybodyOut, true),
];

/// Ada and Mia, signed in, each in two sessions.
struct Ready {
    stage: Arc<Stage>,
    /// Those of Mia's session that acts, or is about to.
    mias: Tokens,
    mia: Caller,
    ada: Caller,
    others: [Caller; 2],
}

async fn ready() -> Arc<Ready> {
    let stage = Arc::new(Stage::of(&["helper"]).await);
    let mias = stage.tokens("mia").await;
    let mia = stage.by(&mias.access_token).await.unwrap();
    let (ada, others) = (stage.signed_in("ada").await, [stage.signed_in("ada").await, stage.signed_in("mia").await]);
    Arc::new(Ready { stage, mias, mia, ada, others })
}

impl Ready {
    fn id(&self, whom: Whom) -> UserId {
        if whom == Ada { self.stage.ada } else { self.stage.mia }
    }

    fn caller(&self, whom: Whom) -> &Caller {
        if whom == Ada { &self.ada } else { &self.mia }
    }

    async fn happens(&self, event: Event, made: Option<(&Impersonation, &Caller)>) {
        let (um, nobody) = (&self.stage.um, self.stage.um.anonymous(RequestContext::default()));
        let system = um.system();
        let name = |whom| if whom == Ada { "ada" } else { "mia" };
        match event {
            Changed(whom) => {
                let change = ChangePassword::new(PASSWORD, NEW);
                drop(self.caller(whom).passwords().change(change).await.unwrap());
            }
            Reset(whom) => {
                nobody.passwords().forgot(ForgotPassword::new(name(whom))).await.unwrap();
                let address = format!("{}@example.org", name(whom));
                let token = self.stage.mails.take("password_reset", &address).await.token.unwrap();
                drop(nobody.passwords().reset(ResetPassword::new(token, NEW)).await.unwrap());
            }
            Set(whom) => {
                let set = SetPassword::new(self.id(whom), NEW).is_temporary(false);
                system.passwords().set(set).await.unwrap();
            }
            SetTemporary(whom) => {
                drop(system.passwords().set_temporary(SetTemporaryPassword::new(self.id(whom))).await.unwrap());
            }
            Expired(whom) => {
                system.passwords().expire(ExpirePasswords::new().user_ids([self.id(whom)])).await.unwrap();
            }
            EmailChanged(whom) => {
                let change = UpdateUser::new(self.id(whom)).email(format!("other-{}@example.org", name(whom)));
                drop(system.users().update(change).await.unwrap());
            }
            FactorAdded(whom) => {
                let me = &self.others[usize::from(whom == Mia)];
                let setup = me.factors().add_start().await.unwrap();
                let code = authenticator::code(setup.secret.expose(), self.stage.clock.now().as_second() / 30);
                drop(me.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap());
            }
            Off(whom) => drop(system.users().deactivate(DeactivateUser::new(self.id(whom))).await.unwrap()),
            Suspended(whom) => drop(system.users().suspend(SuspendUser::new(self.id(whom))).await.unwrap()),
            Banned(whom) => drop(system.users().ban(BanUser::new(self.id(whom))).await.unwrap()),
            Deleted(whom) => system.users().delete(DeleteUser::new(self.id(whom))).await.unwrap(),
            LoggedOutEverywhere(whom) => {
                let all = RevokeAllSessions::new().user_id(self.id(whom));
                system.sessions().revoke_all(all).await.unwrap();
            }
            RevokedOthers(whom) => self.caller(whom).sessions().revoke_others().await.unwrap(),
            LoggedOut(whom) => self.caller(whom).sessions().logout().await.unwrap(),
            OtherLoggedOut(whom) => self.others[usize::from(whom == Mia)].sessions().logout().await.unwrap(),
            Reused(whom) => {
                let token = match whom {
                    Ada => self.stage.tokens("ada").await.refresh_token,
                    Mia => self.mias.refresh_token.clone(),
                };
                let refresh = async || nobody.sessions().refresh(Refresh::new(token.clone())).await;
                refresh().await.unwrap();
                self.stage.clock.pass(31);
                assert_eq!(reason(refresh().await), Reason::InvalidToken);
            }
            RoleGiven(whom) => drop(system.roles().assign(AssignRole::new(self.id(whom), "treasurer")).await.unwrap()),
            Revoked => {
                if let Some((made, _)) = made {
                    system.sessions().revoke(RevokeSession::new(made.session_id)).await.unwrap();
                }
            }
            LoggedOutOfIt => {
                if let Some((_, acting)) = made {
                    acting.sessions().logout().await.unwrap();
                }
            }
            SteppedUp => drop(self.mia.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap()),
            RoleTaken => system.roles().unassign(UnassignRole::new(self.stage.mia, "helper")).await.unwrap(),
            PolicyEdited => {
                let text = POLICY.replace(r#"== \"ada\""#, r#"== \"eve\""#);
                drop(system.policy().import(ImportPolicy::new(text)).await.unwrap());
            }
            Renamed => {
                let other = UpdateUser::new(self.stage.ada).username("adele".to_owned());
                drop(system.users().update(other).await.unwrap());
            }
            EverybodyOut => system.sessions().revoke_everyone(RevokeEveryone::new()).await.unwrap(),
        }
    }

    /// Where an account was switched off, it is on again.
    async fn back_again(&self, event: Event) {
        let users = self.stage.um.system();
        match event {
            Off(whom) => drop(users.users().activate(ActivateUser::new(self.id(whom))).await.unwrap()),
            Suspended(whom) | Banned(whom) => {
                drop(users.users().lift(LiftUser::new(self.id(whom))).await.unwrap());
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn sec_6_it_ends_with_what_it_rests_on() {
    for (event, ends) in ALL {
        let ready = ready().await;
        let (made, acting) = ready.stage.as_ada(&ready.mia).await;
        assert!(ready.stage.is_on(&acting, &made).await, "{event:?}, before");
        ready.happens(event, Some((&made, &acting))).await;
        assert_eq!(!ready.stage.is_on(&acting, &made).await, ends, "{event:?}");
        ready.back_again(event).await;
        assert_eq!(!ready.stage.is_on(&acting, &made).await, ends, "{event:?}, afterwards");
    }
}

/// It happens after it was decided that it may be made, and before it is.
#[tokio::test]
async fn sec_16_none_is_made_on_what_was_so_before() {
    for (event, ends) in ALL {
        if matches!(event, Revoked | LoggedOutOfIt) {
            continue;
        }
        let ready = ready().await;
        let rival = ready.clone();
        ready.stage.storage.before_next_commit(async move { rival.happens(event, None).await });
        let made = ready.stage.impersonate(&ready.mia).await;
        assert!(ready.stage.storage.has_acted(), "{event:?}");
        ready.back_again(event).await;
        let is_good = match &made {
            Ok(made) => ready.stage.by(&made.access_token).await.is_ok(),
            Err(_) => false,
        };
        // After what is over for the user alone one may act as it anew; more than the default roles are out of Mia's reach.
        let may_be = matches!(
            event,
            Changed(Ada) | Reset(Ada) | Set(Ada) | SetTemporary(Ada) | EmailChanged(Ada) | FactorAdded(Ada)
        ) || matches!(event, LoggedOutEverywhere(Ada) | RevokedOthers(Ada));
        let is_out_of_reach = event == RoleGiven(Ada);
        assert_eq!(is_good, may_be || !ends && !is_out_of_reach, "{event:?}: {:?}", made.err());
    }
}

/// It is made while what ends it is planned.
#[tokio::test]
async fn sec_16_none_that_is_made_meanwhile_outlives_what_ends_it() {
    for (event, ends) in ALL {
        // The first commit of these is not the one that ends anything.
        if !ends || matches!(event, Revoked | LoggedOutOfIt | Reset(_) | Reused(_)) {
            continue;
        }
        let ready = ready().await;
        let (rival, kept) = (ready.clone(), Arc::new(std::sync::Mutex::new(None)));
        let made = kept.clone();
        ready.stage.storage.before_next_commit(async move {
            let answer = rival.stage.impersonate(&rival.mia).await.unwrap();
            *made.lock().unwrap() = Some(answer);
        });
        ready.happens(event, None).await;
        assert!(ready.stage.storage.has_acted(), "{event:?}");
        ready.back_again(event).await;
        let made = kept.lock().unwrap().take().unwrap();
        let acting = ready.stage.by(&made.access_token).await;
        assert!(acting.is_err(), "{event:?} leaves one that was made meanwhile");
    }
}

/// Whoever acts as another while that ends does not write.
#[tokio::test]
async fn sec_6_what_is_under_way_is_not_done() {
    for (event, ends) in ALL {
        if event == LoggedOutOfIt {
            continue;
        }
        let ready = ready().await;
        let eve = ready.stage.um.system().users().create(CreateUser::new("eve@example.org")).await.unwrap().id;
        let (made, acting) = ready.stage.as_ada(&ready.mia).await;
        for user in [ready.stage.mia, ready.stage.ada] {
            ready.stage.give(user, "clerk").await;
        }
        let (rival, by) = (ready.clone(), (made.clone(), acting.clone()));
        ready.stage.storage.before_next_commit(async move { rival.happens(event, Some((&by.0, &by.1))).await });
        let renamed = acting.users().update(UpdateUser::new(eve).full_name("Eve".to_owned())).await;
        assert!(ready.stage.storage.has_acted(), "{event:?}");
        assert_eq!(renamed.is_err(), ends, "{event:?}: {renamed:?}");
        assert!(!ends || reason(renamed) == Reason::SessionEnded, "{event:?}");
    }
}

/// A role that is held for a time.
#[tokio::test]
async fn sec_6_it_ends_when_the_time_of_the_right_is_over() {
    let stage = Stage::of(&[]).await;
    let until = stage.clock.now().as_second() + 600;
    let role = AssignRole::new(stage.mia, "support").valid_until(rolekeep::Time::from_second(until).unwrap());
    stage.um.system().roles().assign(role).await.unwrap();
    let me = stage.signed_in("mia").await;
    let (made, acting) = stage.as_ada(&me).await;
    stage.clock.pass(590);
    assert!(stage.is_on(&acting, &made).await);
    stage.clock.pass(20);
    assert!(!stage.is_on(&acting, &made).await);
    assert!(me.users().me().await.is_ok());
}

/// What one does as another user is no use of one's own session.
#[tokio::test]
async fn sec_6_it_ends_with_the_idle_session_that_it_was_made_in() {
    let stage = Stage::open().await;
    let config = cheap::config().idle_seconds(900).signing_key("k".repeat(32));
    let builder = cheap::builder().storage(stage.storage.clone()).environment(stage.clock.clone());
    let um = builder.config(config).open().await.unwrap();
    let login = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
    let made = stage.impersonate(&me).await.unwrap();
    let acting = um.authenticate(made.access_token.expose(), RequestContext::default()).await.unwrap();
    stage.clock.pass(600);
    assert!(acting.users().me().await.is_ok() && acting.can("document:read", None).is_ok());
    stage.clock.pass(400);
    assert_eq!(reason(acting.users().me().await), Reason::SessionEnded);
    assert_eq!(reason(acting.can("document:read", None)), Reason::SessionEnded);
}

/// On another instance within a second, and at once by whoever asks for an operation.
#[tokio::test]
async fn sec_6_another_instance_hears_of_it() {
    for event in [LoggedOut(Mia), RoleTaken, Renamed, Off(Ada), Off(Mia), Revoked, PolicyEdited, EverybodyOut] {
        let ready = ready().await;
        ready.stage.storage.share();
        let config = cheap::config().signing_key("k".repeat(32));
        let builder = cheap::builder().storage(ready.stage.storage.clone()).environment(ready.stage.clock.clone());
        let other = builder.config(config).open().await.unwrap();
        let (made, by) = ready.stage.as_ada(&ready.mia).await;
        let acting = other.authenticate(made.access_token.expose(), RequestContext::default()).await.unwrap();
        assert_eq!(acting.can("document:read", None), Ok(true), "{event:?}");
        ready.happens(event, Some((&made, &by))).await;
        other.refresh().await.unwrap();
        assert_eq!(reason(acting.can("document:read", None)), Reason::SessionEnded, "{event:?}");
        assert_eq!(reason(acting.users().me().await), Reason::SessionEnded, "{event:?}");
    }
}

/// A factor that goes is told of in the table of keys; here it ends the sessions beside.
#[tokio::test]
async fn sec_6_it_ends_when_a_factor_of_the_user_is_removed() {
    let ready = ready().await;
    let setup = ready.ada.factors().add_start().await.unwrap();
    let code = authenticator::code(setup.secret.expose(), ready.stage.clock.now().as_second() / 30);
    let added = ready.ada.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    let ada = ready.stage.by(&added.tokens.access_token).await.unwrap();
    let (made, acting) = ready.stage.as_ada(&ready.mia).await;
    let factor = ada.factors().list().await.unwrap().factors[0].id;
    ada.factors().remove(RemoveFactor::new(factor)).await.unwrap();
    assert!(!ready.stage.is_on(&acting, &made).await);
}
