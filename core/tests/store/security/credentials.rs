//! Changes of credentials: nothing that was proved before one counts after it (SEC-6), whatever happens at the same time.

use rolekeep::{
    Caller, Code, Reason, RequestContext, UserId, UserManagement,
    passwords::{ChangePassword, ExpirePasswords, SetPassword},
    sessions::{ListSessions, Login, RevokeAllSessions, SignInStep, StepUp, Tokens},
    sign_in::ChoosePassword,
    users::DeactivateUser,
};

use super::kit::{Ahead, Interposed, PASSWORD, policy, signed_in, store_at};

const ANOTHER: &str = "another horse battery staple";
const THIRD: &str = "a third horse battery staple";

fn nobody(um: &UserManagement) -> Caller {
    um.anonymous(RequestContext::default())
}

async fn with(um: &UserManagement, tokens: &Tokens) -> Caller {
    um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap()
}

async fn sessions_of(um: &UserManagement, user: UserId) -> usize {
    um.acting_as(user).await.unwrap().sessions().list(ListSessions::new()).await.unwrap().items.len()
}

#[tokio::test]
async fn sec_6_a_sign_in_meanwhile_does_not_outlive_the_change_of_the_password() {
    for by in ["owner", "host"] {
        let (um, storage) = Interposed::open(policy()).await;
        let (me, id) = signed_in(&um, "mia", &[]).await;
        let system = um.system();
        storage.before_next_commit(async move {
            match by {
                "owner" => drop(me.passwords().change(ChangePassword::new(PASSWORD, ANOTHER)).await.unwrap()),
                _ => system.passwords().set(SetPassword::new(id, ANOTHER).is_temporary(false)).await.unwrap(),
            }
        });
        let refused = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap_err();
        assert!(storage.has_acted());
        assert_eq!(refused.reason(), Reason::InvalidCredentials, "{by}");
        assert_eq!(sessions_of(&um, id).await, usize::from(by == "owner"), "{by}");
    }
}

/// The other way round: whoever signs in, or proves again who it is, after the sessions to be ended were read.
#[tokio::test]
async fn sec_6_no_session_that_is_begun_meanwhile_outlives_the_change_of_the_password() {
    for by in ["owner", "host", "administrator", "all"] {
        for again in [false, true] {
            let (um, storage) = Interposed::open(policy()).await;
            let (me, id) = signed_in(&um, "mia", &[]).await;
            let (other, system) = (um.clone(), um.system());
            let beside = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
            let beside = with(&um, &beside).await;
            storage.before_next_commit(async move {
                let begun = match again {
                    true => beside.sessions().step_up(StepUp::new(PASSWORD)).await.map(drop),
                    false => other.login("mia", PASSWORD, RequestContext::default()).await.map(drop),
                };
                begun.unwrap();
            });
            match by {
                "owner" => drop(me.passwords().change(ChangePassword::new(PASSWORD, ANOTHER)).await.unwrap()),
                "host" => system.passwords().set(SetPassword::new(id, ANOTHER).is_temporary(false)).await.unwrap(),
                "administrator" => drop(system.users().deactivate(DeactivateUser::new(id)).await.unwrap()),
                _ => system.sessions().revoke_all(RevokeAllSessions::new().user_id(id)).await.unwrap(),
            }
            assert!(storage.has_acted());
            if by == "administrator" {
                system.users().activate(rolekeep::users::ActivateUser::new(id)).await.unwrap();
            }
            assert_eq!(sessions_of(&um, id).await, usize::from(by == "owner"), "{by} {again}");
        }
    }
}

#[tokio::test]
async fn sec_6_of_two_changes_at_once_one_counts() {
    let (um, storage) = Interposed::open(policy()).await;
    let (me, id) = signed_in(&um, "mia", &[]).await;
    let thief = with(&um, &um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap()).await;
    storage.before_next_commit(async move {
        me.passwords().change(ChangePassword::new(PASSWORD, ANOTHER)).await.unwrap();
    });
    let late = thief.passwords().change(ChangePassword::new(PASSWORD, THIRD)).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(late.code(), Code::Unauthorized);
    assert_eq!(sessions_of(&um, id).await, 1);
    assert!(um.login("mia", THIRD, RequestContext::default()).await.is_err());
    assert!(um.login("mia", ANOTHER, RequestContext::default()).await.is_ok());
}

#[tokio::test]
async fn sec_6_of_two_who_choose_a_password_at_once_one_is_signed_in() {
    let (um, storage) = Interposed::open(policy()).await;
    let (_, id) = signed_in(&um, "mia", &[]).await;
    um.system().passwords().expire(ExpirePasswords::new().user_ids([id])).await.unwrap();
    let owes = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap();
    assert_eq!((owes.step, owes.tokens.is_none()), (SignInStep::Password, true));
    let challenge = owes.challenge.unwrap();
    let (rival, taken) = (nobody(&um), challenge.clone());
    storage.before_next_commit(async move {
        rival.sign_in().password(ChoosePassword::new(taken, ANOTHER)).await.unwrap().done().unwrap();
    });
    let late = nobody(&um).sign_in().password(ChoosePassword::new(challenge, THIRD)).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(late.reason(), Reason::InvalidToken);
    assert_eq!(sessions_of(&um, id).await, 1);
    assert!(um.login("mia", ANOTHER, RequestContext::default()).await.unwrap().done().is_ok());
}

#[tokio::test]
async fn sec_6_no_step_is_taken_of_who_is_switched_off_meanwhile() {
    let (um, storage) = Interposed::open(policy()).await;
    let (_, id) = signed_in(&um, "mia", &[]).await;
    um.system().passwords().expire(ExpirePasswords::new().user_ids([id])).await.unwrap();
    let challenge = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().challenge.unwrap();
    let system = um.system();
    storage.before_next_commit(async move {
        system.users().deactivate(DeactivateUser::new(id)).await.unwrap();
    });
    let late = nobody(&um).sign_in().password(ChoosePassword::new(challenge, ANOTHER)).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(late.reason(), Reason::InvalidToken);
    um.system().users().activate(id).await.unwrap();
    assert_eq!(sessions_of(&um, id).await, 0);
    assert_eq!(um.login("mia", ANOTHER, RequestContext::default()).await.unwrap_err().code(), Code::Unauthorized);
    assert_eq!(um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().step, SignInStep::Password);
}

#[tokio::test]
async fn sec_6_a_step_that_fails_leaves_the_challenge_good() {
    let (um, storage) = Interposed::open(policy()).await;
    let (_, id) = signed_in(&um, "mia", &[]).await;
    um.system().passwords().expire(ExpirePasswords::new().user_ids([id])).await.unwrap();
    let challenge = um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().challenge.unwrap();
    storage.fail_next_commit();
    let choose = async || nobody(&um).sign_in().password(ChoosePassword::new(challenge.clone(), ANOTHER)).await;
    assert_eq!(choose().await.unwrap_err().code(), Code::Unavailable);
    assert!(choose().await.unwrap().done().is_ok());
}

#[tokio::test]
async fn sec_6_a_proof_is_fresh_for_five_minutes_by_a_clock_that_may_be_set() {
    let clock = Ahead::standing_still();
    let um = store_at(&clock).await;
    let (_, other) = signed_in(&um, "other", &[]).await;
    let (me, id) = signed_in(&um, "root", &["admin"]).await;
    let reset = async |me: &Caller| me.passwords().set_temporary(other).await;
    clock.pass(299);
    reset(&me).await.unwrap();
    clock.pass(2);
    assert_eq!(reset(&me).await.unwrap_err().reason(), Reason::StepUpRequired);
    let fresh = with(&um, &me.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap()).await;
    reset(&fresh).await.unwrap();
    // A little behind is another instance's clock; far behind, nobody knows how old the proof is.
    clock.put_back(30);
    reset(&fresh).await.unwrap();
    clock.put_back(60);
    assert_eq!(reset(&fresh).await.unwrap_err().reason(), Reason::StepUpRequired);
    assert_eq!(sessions_of(&um, id).await, 1);
}

#[tokio::test]
async fn sec_6_a_challenge_lasts_ten_minutes_and_its_answer_half_of_one() {
    let clock = Ahead::standing_still();
    let um = store_at(&clock).await;
    let (_, id) = signed_in(&um, "mia", &[]).await;
    um.system().passwords().expire(ExpirePasswords::new().user_ids([id])).await.unwrap();
    let login = async || nobody(&um).sessions().login(Login::new("mia", PASSWORD)).await.unwrap().challenge.unwrap();
    let (late, good) = (login().await, login().await);
    let choose = async |challenge| nobody(&um).sign_in().password(ChoosePassword::new(challenge, ANOTHER)).await;
    clock.pass(601);
    assert_eq!(choose(late).await.unwrap_err().reason(), Reason::InvalidToken);
    assert_eq!(choose(good).await.unwrap_err().reason(), Reason::InvalidToken);
    let good = login().await;
    clock.pass(599);
    let first = choose(good.clone()).await.unwrap().done().unwrap();
    clock.pass(29);
    assert_eq!(choose(good.clone()).await.unwrap().done().unwrap().session_id, first.session_id);
    clock.pass(2);
    assert_eq!(choose(good).await.unwrap_err().reason(), Reason::InvalidToken);
}
