//! What the rules refused is in the audit log, where the host wants that (AUD-1): apart from the operation, and bounded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    AuditDenials, Caller, Code, Reason, RequestContext, UserManagement,
    audit::{AuditView, ListAudit},
    drones::{AssignDrone, CreateDrone, DroneModel},
    email::{ConfirmEmail, RevertEmail},
    passwords::ResetPassword,
    sessions::{ListSessionsOf, Refresh, StepUp},
    sign_in::ProveFactor,
    users::{GetUser, SetStatuses, StatusAction, UpdateUser},
};

use super::kit::{Ahead, Interposed, PASSWORD, caller, policy, signed_in, user};

use crate::cheap;

async fn store(denials: AuditDenials, clock: &Ahead) -> UserManagement {
    interposed(denials, clock).await.0
}

async fn interposed(denials: AuditDenials, clock: &Ahead) -> (UserManagement, Arc<Interposed>) {
    let config = cheap::config().audit_denials(denials);
    let open = |builder: rolekeep::Builder| builder.config(config).environment(clock.clone());
    Interposed::open_as(policy(), open).await
}

/// The entries about refusals, newest first, once there are so many.
async fn told(um: &UserManagement, count: usize) -> Vec<AuditView> {
    let mut left = 2_000;
    loop {
        let list = ListAudit::new().action("access.denied").limit(100_u32);
        let found = um.system().audit().list(list).await.unwrap().items;
        if found.len() >= count || left == 0 {
            assert_eq!(found.len(), count, "{found:?}");
            return found;
        }
        left -= 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn rename(me: &Caller, id: rolekeep::UserId) -> Reason {
    me.users().update(UpdateUser::new(id).first_name("X")).await.unwrap_err().reason()
}

#[tokio::test]
async fn aud_1_refusals_are_told_if_the_host_wants_it() {
    for (wanted, is_write_told, is_read_told) in
        [(AuditDenials::Off, false, false), (AuditDenials::Writes, true, false), (AuditDenials::All, true, true)]
    {
        let um = store(wanted, &Ahead::new()).await;
        let victim = user(&um, "victim", &[]).await.id;
        let (clerk, id) = caller(&um, "clerk", &["clerk"]).await;
        let (gardener, gardener_id) = caller(&um, "gardener", &["gardener"]).await;
        let gardener = gardener.with_request(RequestContext::from_ip("192.0.2.7").user_agent("App/1"));
        assert_eq!(rename(&gardener, victim).await, Reason::Denied);
        // Hidden: it hears that there is no such user.
        let hidden = clerk.users().get(GetUser::new(victim)).await.unwrap_err();
        assert_eq!(hidden.reason(), Reason::NotFound);
        // Nothing is there, and nothing was refused.
        let nobody = rolekeep::UserId(uuid::Uuid::from_u128(1));
        assert_eq!(clerk.users().get(GetUser::new(nobody)).await.unwrap_err().reason(), Reason::NotFound);
        settle().await;
        let entries = told(&um, usize::from(is_write_told) + usize::from(is_read_told)).await;
        let find = |actor: &str| entries.iter().find(|entry| entry.actor == actor);
        assert_eq!(
            (find(&gardener_id.to_string()).is_some(), find(&id.to_string()).is_some()),
            (is_write_told, is_read_told)
        );
        if let Some(entry) = find(&gardener_id.to_string()) {
            assert_eq!(entry.detail.as_deref(), Some("users.update: denied"));
            // Refused before anything was looked at: of what is not said.
            assert_eq!((entry.ip.as_deref(), entry.user_agent.as_deref()), (Some("192.0.2.7"), Some("App/1")));
        }
        if let Some(entry) = find(&id.to_string()) {
            assert_eq!(entry.detail.as_deref(), Some("users.get: not_found"));
            assert_eq!(
                (entry.target_type.as_deref(), entry.target_id.as_deref()),
                (Some("user"), Some(&*victim.to_string()))
            );
        }
        assert!(um.system().audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap().is_whole);
    }
}

/// What an operation finds out in its own steps is hidden as well.
#[tokio::test]
async fn aud_1_what_an_operation_hides_is_told() {
    let um = store(AuditDenials::All, &Ahead::new()).await;
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    for (count, is_there) in [(1, true), (1, false)] {
        let id = if is_there { victim } else { rolekeep::UserId(uuid::Uuid::from_u128(1)) };
        let hidden = clerk.sessions().list_of(ListSessionsOf::new(id)).await.unwrap_err();
        assert_eq!(hidden.reason(), Reason::NotFound);
        settle().await;
        assert_eq!(told(&um, count).await[0].detail.as_deref(), Some("sessions.list_of: not_found"));
    }
}

/// Of many things those that are refused are told as each alone is, and as seldom: whoever asks for a thousand fills no log.
#[tokio::test]
async fn aud_1_what_is_refused_of_many_is_told() {
    for (wanted, count) in [(AuditDenials::Off, 0), (AuditDenials::Writes, 1)] {
        let clock = Ahead::new();
        let um = store(wanted, &clock).await;
        let (moderator, asker) = caller(&um, "moderator", &["moderator"]).await;
        let ada = user(&um, "ada", &[]).await.id;
        let admins = [user(&um, "root", &["admin"]).await.id, user(&um, "toor", &["admin"]).await.id];
        let nobody = rolekeep::UserId(uuid::Uuid::from_u128(1));
        let ban = || SetStatuses::new(StatusAction::Ban).ids([admins[0], ada, nobody, admins[1]]);
        let result = moderator.users().set_status_many(ban()).await.unwrap();
        assert_eq!((result.done, result.failed), (1, 3));
        settle().await;
        let entries = told(&um, count).await;
        if let Some(entry) = entries.first() {
            assert_eq!(entry.detail.as_deref(), Some("users.set_status_many: denied"));
            assert_eq!(
                (entry.actor.as_str(), entry.target_id.as_deref()),
                (&*asker.to_string(), Some(&*admins[0].to_string()))
            );
        }
        clock.pass(61);
        moderator.users().set_status_many(ban()).await.unwrap();
        settle().await;
        let entries = told(&um, 2 * count).await;
        if let Some(entry) = entries.first() {
            assert!(entry.detail.as_deref().unwrap().contains("1 more of these"), "{entry:?}");
        }
    }
}

/// Nor does the log of refusals overlook what an input refers to.
#[tokio::test]
async fn aud_1_a_reference_to_what_is_hidden_is_told() {
    let um = store(AuditDenials::All, &Ahead::new()).await;
    let victim = user(&um, "victim", &[]).await.id;
    um.system().drones().create(CreateDrone::new("d1", DroneModel::Mq5)).await.unwrap();
    let (spotter, _) = caller(&um, "spotter", &["spotter"]).await;
    let nobody = rolekeep::UserId(uuid::Uuid::from_u128(1));
    for (count, whom) in [(0, nobody), (1, victim)] {
        let hidden = spotter.drones().assign(AssignDrone::new("d1", whom)).await.unwrap_err();
        assert_eq!(hidden.reason(), Reason::InvalidInput);
        settle().await;
        told(&um, count).await;
    }
}

/// Also where the host says nothing.
#[tokio::test]
async fn v16_3_2_refusals_are_told_by_default() {
    let um = super::kit::store(policy()).await;
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    assert_eq!(clerk.users().get(GetUser::new(victim)).await.unwrap_err().reason(), Reason::NotFound);
    settle().await;
    assert_eq!(told(&um, 1).await[0].detail.as_deref(), Some("users.get: not_found"));
}

/// What is not so much as looked at is told as well, whatever the host wants to hear of refusals.
#[tokio::test]
async fn v16_3_1_a_token_or_link_that_is_not_good_is_told() {
    let clock = Ahead::new();
    let um = store(AuditDenials::Off, &clock).await;
    let (me, id) = signed_in(&um, "mia", &[]).await;
    let nobody = um.anonymous(RequestContext::from_ip("192.0.2.7").user_agent("App/1"));
    let tokens = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    me.sessions().revoke_others().await.unwrap();
    let sign_in = |challenge: &str| ProveFactor::new(challenge, "123456");
    let tries = [
        ("sessions.refresh: invalid_token", nobody.sessions().refresh(Refresh::new("rkr_none")).await.err()),
        ("sign_in.factor: invalid_token", nobody.sign_in().factor(sign_in("rkx_none")).await.err()),
        (
            "passwords.reset: invalid_token",
            nobody.passwords().reset(ResetPassword::new("rkp_none", PASSWORD)).await.err(),
        ),
        ("email.revert: invalid_token", nobody.email().revert(RevertEmail::new("rku_none")).await.err()),
        ("authenticate: invalid_token", um.authenticate("none", RequestContext::from_ip("192.0.2.7")).await.err()),
    ];
    settle().await;
    let entries = told(&um, tries.len()).await;
    for (detail, error) in tries {
        assert_eq!(error.map(|error| error.code()), Some(Code::Unauthorized), "{detail}");
        let entry = entries.iter().find(|entry| entry.detail.as_deref() == Some(detail)).expect(detail);
        assert_eq!((entry.actor.as_str(), entry.ip.as_deref()), ("anonymous", Some("192.0.2.7")));
    }
    // A session that has ended, and a link that its user tries.
    let from = um.anonymous(RequestContext::from_ip("192.0.2.8"));
    assert!(from.sessions().refresh(Refresh::new(tokens.refresh_token)).await.is_err());
    assert!(me.email().confirm(ConfirmEmail::new("rke_none")).await.is_err());
    settle().await;
    let entries = told(&um, 7).await;
    let find = |detail: &str| entries.iter().find(|entry| entry.detail.as_deref() == Some(detail)).expect(detail);
    assert_eq!(find("sessions.refresh: session_ended").actor, "anonymous");
    assert_eq!(find("email.confirm: invalid_token").actor, id.to_string());
    // What an entry of its own tells of is told once, and what is no try of anything is none.
    assert!(um.login("mia", "wrong horse battery staple", RequestContext::default()).await.is_err());
    assert!(nobody.users().me().await.is_err());
    clock.pass(3600);
    assert!(um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.is_err());
    settle().await;
    told(&um, 7).await;
}

#[tokio::test]
async fn v16_3_1_a_try_that_a_limit_refuses_is_told() {
    let um = store(AuditDenials::Off, &Ahead::new()).await;
    let (me, id) = signed_in(&um, "mia", &[]).await;
    let from = || RequestContext::from_ip("192.0.2.7");
    let mut reasons = Vec::new();
    for _ in 0..8 {
        reasons.push(um.login("mia", "wrong horse battery staple", from()).await.err().map(|error| error.reason()));
    }
    assert_eq!(reasons[7], Some(Reason::RateLimited));
    for _ in 0..8 {
        assert!(me.sessions().step_up(StepUp::new("wrong horse battery staple")).await.is_err());
    }
    settle().await;
    let entries = told(&um, 2).await;
    let find = |detail: &str| entries.iter().find(|entry| entry.detail.as_deref() == Some(detail)).expect(detail);
    assert_eq!(find("sessions.login: rate_limited").ip.as_deref(), Some("192.0.2.7"));
    assert_eq!(find("sessions.step_up: rate_limited").actor, id.to_string());
}

/// Strangers fill no disk, and crowd out nothing that is told of users.
#[tokio::test]
async fn v16_3_1_strangers_are_told_a_few_times() {
    let clock = Ahead::new();
    let um = store(AuditDenials::All, &clock).await;
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    for at in 0..200 {
        for _ in 0..3 {
            let from = um.anonymous(RequestContext::from_ip(format!("192.0.2.{at}")));
            assert!(from.sessions().refresh(Refresh::new("rkr_none")).await.is_err());
        }
    }
    settle().await;
    told(&um, 50).await;
    assert_eq!(rename(&clerk, victim).await, Reason::Denied);
    settle().await;
    let entries = told(&um, 51).await;
    assert_eq!(entries[0].detail.as_deref(), Some("users.update: denied"));
    // One network is one stranger.
    clock.pass(600);
    for at in 0..20 {
        let from = um.anonymous(RequestContext::from_ip(format!("2001:db8::{at}")));
        assert!(from.sessions().refresh(Refresh::new("rkr_none")).await.is_err());
    }
    settle().await;
    told(&um, 52).await;
}

#[tokio::test]
async fn aud_1_asking_in_vain_fills_no_disk() {
    let clock = Ahead::new();
    let um = store(AuditDenials::Writes, &clock).await;
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    for _ in 0..500 {
        assert_eq!(rename(&clerk, victim).await, Reason::Denied);
    }
    settle().await;
    told(&um, 1).await;
    clock.pass(61);
    rename(&clerk, victim).await;
    let entries = told(&um, 2).await;
    assert_eq!(entries[0].detail.as_deref(), Some("users.update: denied; 499 more of these since the last entry"));

    // Many callers: fifty at once, then one a second; the others are counted.
    clock.pass(600);
    let mut callers = Vec::new();
    for at in 0..60 {
        callers.push(caller(&um, &format!("clerk{at}"), &["clerk"]).await.0);
    }
    for caller in &callers {
        rename(caller, victim).await;
    }
    settle().await;
    let before = told(&um, 52).await;
    assert!(before.iter().all(|entry| !entry.detail.as_ref().unwrap().contains("further")));
    clock.pass(2);
    rename(&callers[59], victim).await;
    let after = told(&um, 53).await;
    assert_eq!(after[0].detail.as_deref(), Some("users.update: denied; further entries, only counted: 10"));
}

#[tokio::test]
async fn aud_1_what_was_only_counted_is_told_at_the_end() {
    let clock = Ahead::new();
    let config = cheap::config().audit_denials(AuditDenials::All);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let open = || cheap::builder().sqlite(&file).policy(policy()).environment(clock.clone());
    let um = open().config(config).open().await.unwrap();
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    for _ in 0..4 {
        rename(&clerk, victim).await;
    }
    told(&um, 1).await;
    um.close().await.unwrap();
    let again = open().open().await.unwrap();
    let entries = told(&again, 2).await;
    assert_eq!(entries[0].detail.as_deref(), Some("further entries, only counted: 3"));
}

/// Whatever becomes of the entry, the answer is the same, and it does not wait.
#[tokio::test]
async fn aud_1_an_entry_that_cannot_be_written_changes_no_answer() {
    let (um, storage) = interposed(AuditDenials::Writes, &Ahead::new()).await;
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    // The commit never ends.
    storage.before_next_commit(std::future::pending());
    assert_eq!(rename(&clerk, victim).await, Reason::Denied);
    settle().await;
    assert!(storage.has_acted());
    told(&um, 0).await;
}

#[tokio::test]
async fn aud_1_an_entry_that_was_not_written_is_counted() {
    let clock = Ahead::new();
    let (um, storage) = interposed(AuditDenials::Writes, &clock).await;
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    storage.fail_next_commit();
    for _ in 0..5 {
        rename(&clerk, victim).await;
        settle().await;
    }
    told(&um, 0).await;
    clock.pass(61);
    // It speaks for four more, and is lost as well.
    storage.fail_next_commit();
    rename(&clerk, victim).await;
    settle().await;
    told(&um, 0).await;
    clock.pass(61);
    rename(&clerk, victim).await;
    let entries = told(&um, 1).await;
    assert_eq!(entries[0].detail.as_deref(), Some("users.update: denied; further entries, only counted: 6"));
}

#[tokio::test]
async fn aud_1_a_store_is_closed_after_what_is_told() {
    let (um, storage) = interposed(AuditDenials::Writes, &Ahead::new()).await;
    let victim = user(&um, "victim", &[]).await.id;
    let (clerk, _) = caller(&um, "clerk", &["clerk"]).await;
    let is_written = Arc::new(AtomicBool::new(false));
    let written = is_written.clone();
    storage.before_next_commit(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        written.store(true, Ordering::SeqCst);
    });
    rename(&clerk, victim).await;
    um.close().await.unwrap();
    assert!(is_written.load(Ordering::SeqCst));
}

#[tokio::test]
async fn aud_1_requests_from_networks_that_are_not_answered_are_told() {
    for (wanted, count) in [(AuditDenials::Off, 0), (AuditDenials::Writes, 1), (AuditDenials::All, 3)] {
        let config = cheap::config().audit_denials(wanted).denied_networks(["203.0.113.0/24"]);
        let um = cheap::builder().config(config).policy(policy()).open().await.unwrap();
        let (me, id) = signed_in(&um, "gardener", &["gardener"]).await;
        let login = um.login("gardener", PASSWORD, Default::default()).await.unwrap().done().unwrap();
        let away = RequestContext::from_ip("203.0.113.9");
        let came = um.authenticate(login.access_token.expose(), away.clone()).await;
        assert_eq!(came.err().map(|error| error.reason()), Some(Reason::AddressDenied));
        let me = me.with_request(away);
        assert_eq!(rename(&me, id).await, Reason::AddressDenied);
        assert_eq!(me.users().me().await.unwrap_err().reason(), Reason::AddressDenied);
        settle().await;
        let entries = told(&um, count).await;
        assert!(entries.iter().all(|entry| entry.actor == id.to_string()), "{entries:?}");
    }
}
