//! What an attack on passkeys found.

use rolekeep::{
    SecondFactor,
    audit::ListAudit,
    email::RevertEmail,
    factors::{RemoveFactor, ResetFactorsOf},
    internals::credential::Challenge,
    passwords::{ForgotPassword, ResetPassword, SetTemporaryPassword},
    roles::AssignRole,
    sessions::{Login, RevokeAllSessions, StepUp, StepUpByPasskey},
    sign_in::{EnrolPasskey, StartEnrolPasskey},
    users::{DeleteUser, LiftUser, SuspendUser},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    cheap,
    security::kit::{Interposed, all},
};

const NEW: &str = "another horse battery staple";

impl Stage {
    async fn audited(&self, action: &str) -> usize {
        let page = self.um.system().audit().list(ListAudit::new().action(action).limit(100_u32)).await.unwrap();
        page.items.len()
    }

    /// The credential ids of Ada's passkeys that are suspended.
    async fn suspended(&self, me: &Caller) -> Vec<String> {
        let factors = me.factors().list().await.unwrap().factors;
        factors.into_iter().filter(|factor| factor.is_suspended).filter_map(|factor| factor.credential_id).collect()
    }

    async fn assign(&self, role: &str) {
        self.um.system().roles().assign(AssignRole::new(self.ada, role)).await.unwrap();
    }

    /// Ada's password is void; she is signed in by her passkey, beside which she has these.
    async fn without_password(&self, own: &mut SecurityKey, more: &mut [&mut SecurityKey]) -> Caller {
        self.prove_address(&self.ada().await).await;
        let (mut me, _) = self.with_passkey(own).await;
        self.mails.take("factor_added", ADA).await;
        for key in more {
            (me, _) = self.add_passkey(&me, key).await;
            self.mails.take("factor_added", ADA).await;
        }
        self.add_passkey(&me, &mut SecurityKey::new(99)).await;
        let mailed = self.mails.take("factor_added", ADA).await;
        self.nobody().email().revert(RevertEmail::new(mailed.token.unwrap())).await.unwrap();
        self.with_tokens(&self.sign_in_by(own).await.unwrap().done().unwrap()).await
    }
}

/// "Undoing" by the owner's mail voids the password and leaves what came since to an administrator, where the user has a role. An
/// app that stays is asked beside a password that nobody knows any more; a passkey that stays signs in by itself: the thief is the
/// only one who gets in.
#[tokio::test]
async fn aut_9_what_the_owner_of_a_role_undoes_does_not_let_the_thief_in_any_more() {
    let stage = stage().await;
    stage.prove_address(&stage.ada().await).await;
    stage.assign("moderator").await;
    // With a session, or the password, of an account without a second factor.
    let mut of_thief = SecurityKey::new(1);
    stage.with_passkey(&mut of_thief).await;
    let mailed = stage.mails.take("factor_added", ADA).await;
    stage.nobody().email().revert(RevertEmail::new(mailed.token.unwrap())).await.unwrap();
    let answer = stage.sign_in_by(&mut of_thief).await.map(|answer| answer.step.as_str());
    assert_eq!(answer.map_err(|error| error.reason()), Err(Reason::InvalidCredentials), "the thief is in");
}

/// E6 for an account with a role: factors stay and are asked. The passkey of who registered the address before its owner came is
/// not asked for: it signs in by itself, with the owner's password replaced.
#[tokio::test]
async fn aut_9_whoever_registered_an_address_first_is_out_once_its_owner_proves_it() {
    let stage = stage().await;
    let mut of_stranger = SecurityKey::new(1);
    stage.with_passkey(&mut of_stranger).await;
    // Who takes the account for Ada's gives it what Ada is to have.
    stage.assign("moderator").await;
    stage.nobody().passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
    let token = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.nobody().passwords().reset(ResetPassword::new(token, NEW)).await.unwrap();
    let answer = stage.sign_in_by(&mut of_stranger).await.map(|answer| answer.step.as_str());
    assert_eq!(answer.map_err(|error| error.reason()), Err(Reason::InvalidCredentials), "the stranger is in");
}

/// "A mailbox alone brings no authority", and mail is no second factor. The owner changes over to a new passkey and removes the one
/// before; for a week the mail that tells of the new one takes it away, and the account, which had a second factor all the time, has
/// none.
#[tokio::test]
async fn aut_9_a_mailbox_alone_does_not_get_past_a_second_factor_that_was_replaced() {
    let stage = stage().await;
    stage.prove_address(&stage.ada().await).await;
    let [mut old, mut new] = [SecurityKey::new(1), SecurityKey::new(2)];
    let (_, added) = stage.with_passkey(&mut old).await;
    stage.mails.take("factor_added", ADA).await;
    // What undoes the first has expired long since.
    stage.clock.pass(30 * 24 * 3600);
    let me = stage.with_tokens(&stage.sign_in_by(&mut old).await.unwrap().done().unwrap()).await;
    let (me, _) = stage.add_passkey(&me, &mut new).await;
    me.factors().remove(RemoveFactor::new(added.factor.id)).await.unwrap();
    // Who reads the mail, and knows nothing else.
    let mailed = stage.mails.take("factor_added", ADA).await;
    stage.nobody().email().revert(RevertEmail::new(mailed.token.unwrap())).await.unwrap();
    let token = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.nobody().passwords().reset(ResetPassword::new(token, NEW)).await.unwrap();
    let answer = stage.nobody().sessions().login(Login::new("ada", NEW)).await.unwrap();
    assert_eq!(answer.step, SignInStep::Factor);
    // It has nothing to prove it by. An administrator helps: whoever it is, is known there.
    stage.um.system().factors().reset_of(ResetFactorsOf::new(stage.ada)).await.unwrap();
    let answer = stage.nobody().sessions().login(Login::new("ada", NEW)).await.unwrap();
    assert_eq!(answer.step, SignInStep::Done);
}

/// A security key without a PIN, and the answer is sent before the password is typed: the error says that the password is
/// required, so the page asks for it and sends the same again. The counter was used up by the first.
#[tokio::test]
async fn aut_14_who_is_asked_for_the_password_as_well_sends_the_same_answer_with_it() {
    let stage = stage().await;
    let mut key = SecurityKey { is_verified: false, ..SecurityKey::new(1) };
    let (me, _) = stage.with_passkey(&mut key).await;
    let asked = me.sessions().step_up_passkey_start().await.unwrap();
    stage.clock.pass(1);
    let step_up = StepUpByPasskey::new(asked.challenge, key.get(&asked.options));
    let error = me.sessions().step_up_passkey(step_up.clone()).await.unwrap_err();
    assert_eq!(error.fields()[0].message, "is required: the passkey did not verify who is there");
    let answer = me.sessions().step_up_passkey(step_up.password(PASSWORD)).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// The same between two instances whose clocks differ by five seconds, or beside a step of one clock: the owner is taken for a copy
/// of herself, and her only passkey is suspended for good.
#[tokio::test]
async fn aut_14_an_answer_that_is_sent_again_suspends_nothing_however_clocks_differ() {
    let stage = stage().await;
    let mut key = SecurityKey { is_verified: false, ..SecurityKey::new(1) };
    let (me, _) = stage.with_passkey(&mut key).await;
    stage.clock.pass(60);
    let asked = me.sessions().step_up_passkey_start().await.unwrap();
    stage.clock.put_back(5);
    stage.clock.pass(3);
    let step_up = StepUpByPasskey::new(asked.challenge, key.get(&asked.options));
    me.sessions().step_up_passkey(step_up.clone()).await.unwrap_err();
    let tokens = me.sessions().step_up_passkey(step_up.password(PASSWORD)).await.unwrap();
    let me = stage.with_tokens(&tokens).await;
    assert_eq!(stage.suspended(&me).await, Vec::<String>::new());
}

/// Two tabs that overtake each other, asked by instances whose clocks differ by less than the leeway.
#[tokio::test]
async fn aut_14_two_tabs_suspend_nothing_however_clocks_differ() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    let (me, _) = stage.with_passkey(&mut key).await;
    stage.clock.pass(60);
    let first = stage.ask().await;
    stage.clock.put_back(10);
    let second = stage.ask().await;
    let (earlier, later) = (key.get(&first.options), key.get(&second.options));
    stage.clock.pass(3);
    stage.answer(&second.challenge, &later).await.unwrap();
    stage.answer(&first.challenge, &earlier).await.unwrap_err();
    assert_eq!(stage.suspended(&me).await, Vec::<String>::new());
}

/// A copy that comes before its owner is let in, and its owner is not: of a refresh token that is used twice the session ends, as
/// nobody can tell who is who. Here the thief's goes on, and the owner is mailed that nobody was let in.
#[tokio::test]
async fn sec_6_a_copy_that_came_first_does_not_keep_its_session() {
    let stage = stage().await;
    let mut own = SecurityKey::new(1);
    stage.with_passkey(&mut own).await;
    let mut copy = own.clone();
    let thief = stage.with_tokens(&stage.sign_in_by(&mut copy).await.unwrap().done().unwrap()).await;
    stage.clock.pass(61);
    assert_eq!(reason(stage.sign_in_by(&mut own).await), Reason::InvalidCredentials);
    let told = stage.mails.take("passkey_suspended", ADA).await;
    let goes_on = thief.factors().recovery_codes().await;
    assert!(goes_on.is_err(), "the thief has ten recovery codes; the owner was told: {}", told.text.expose());
}

/// An address has five failures in fifteen minutes, by any first proof. Whoever likes asks for one
/// challenge and has an entry of the audit log, and a commit, for each answer of two letters; by a credential id they are about
/// whomever he likes.
#[tokio::test]
async fn aut_12_nobody_writes_the_audit_log_without_bound_by_answers_that_are_wrong() {
    let stage = stage().await;
    let nobody = stage.um.anonymous(RequestContext::from_ip("203.0.113.7"));
    let challenge = stage.ask().await.challenge;
    for _ in 0..100 {
        nobody.sign_in().passkey(SignInByPasskey::new(challenge.clone(), "{}")).await.unwrap_err();
    }
    let written = stage.audited("sign_in.passkey_failed").await;
    assert!(written <= 6, "{written} entries of one address within a moment; by passwords it has five");
}

/// Nor who has a session, whose wrong passwords end it after ten.
#[tokio::test]
async fn aut_12_no_session_writes_the_audit_log_without_bound_by_answers_that_are_wrong() {
    let stage = stage().await;
    let (me, _) = stage.with_passkey(&mut SecurityKey::new(1)).await;
    let challenge = me.sessions().step_up_passkey_start().await.unwrap().challenge;
    for _ in 0..100 {
        me.sessions().step_up_passkey(StepUpByPasskey::new(challenge.clone(), "{}")).await.unwrap_err();
    }
    let written = stage.audited("sessions.step_up_failed").await;
    assert!(written <= 20, "{written} entries of one session within a moment");
}

/// "An account has so many challenges at most: who begins another voids the oldest."
#[tokio::test]
async fn aut_12_no_session_makes_challenges_without_bound() {
    let stage = stage().await;
    let me = stage.ada().await;
    for _ in 0..150 {
        me.factors().add_passkey_start().await.unwrap();
    }
    let challenges = all::<Challenge>(&*stage.storage).await.len();
    assert!(challenges <= 101, "{challenges} rows");
}

/// E1 to E13, "no two at once remove the last way in": one alone does not, either. A security key without a PIN lets nobody in by
/// itself.
#[tokio::test]
async fn aut_14_a_key_that_signs_nobody_in_is_no_other_way_in() {
    let stage = stage().await;
    let (mut own, mut plain) = (SecurityKey::new(1), SecurityKey { is_verified: false, ..SecurityKey::new(2) });
    let me = stage.without_password(&mut own, &mut [&mut plain]).await;
    assert_eq!(reason(stage.sign_in_by(&mut plain).await), Reason::InvalidCredentials);
    let factors = me.factors().list().await.unwrap().factors;
    let id = factors.iter().find(|one| one.credential_id == Some(own.id())).unwrap().id;
    let removed = me.factors().remove(RemoveFactor::new(id)).await;
    assert_eq!(removed.map(drop).map_err(|error| error.reason()), Err(Reason::LastWayIn));
}

/// Nor does one that is suspended.
#[tokio::test]
async fn aut_14_a_suspended_passkey_is_no_other_way_in() {
    let stage = stage().await;
    let (mut own, mut other) = (SecurityKey::new(1), SecurityKey::new(2));
    let me = stage.without_password(&mut own, &mut [&mut other]).await;
    let mut copy = other.clone();
    stage.sign_in_by(&mut other).await.unwrap();
    stage.clock.pass(61);
    assert_eq!(reason(stage.sign_in_by(&mut copy).await), Reason::InvalidCredentials);
    assert_eq!(reason(me.users().me().await), Reason::SessionEnded);
    let me = stage.with_tokens(&stage.sign_in_by(&mut own).await.unwrap().done().unwrap()).await;
    assert_eq!(stage.suspended(&me).await, [other.id()]);
    let factors = me.factors().list().await.unwrap().factors;
    let id = factors.iter().find(|one| one.credential_id == Some(own.id())).unwrap().id;
    let removed = me.factors().remove(RemoveFactor::new(id)).await;
    assert_eq!(removed.map(drop).map_err(|error| error.reason()), Err(Reason::LastWayIn));
}

/// Nor does a password that somebody else set and that has run out.
#[tokio::test]
async fn aut_14_a_password_that_has_run_out_is_no_other_way_in() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    let given = stage.um.system().passwords().set_temporary(SetTemporaryPassword::new(stage.ada)).await.unwrap();
    stage.clock.pass(73 * 3600);
    let me = stage.with_tokens(&stage.sign_in_by(&mut key).await.unwrap().done().unwrap()).await;
    let login = stage.nobody().sessions().login(Login::new("ada", given.password)).await;
    assert_eq!(reason(login), Reason::InvalidCredentials);
    let id = me.factors().list().await.unwrap().factors[0].id;
    let removed = me.factors().remove(RemoveFactor::new(id)).await;
    assert_eq!(removed.map(drop).map_err(|error| error.reason()), Err(Reason::LastWayIn));
}

/// An administrator by passkeys alone, who resets the factors of himself.
#[tokio::test]
async fn aut_14_nobody_resets_his_own_last_way_in() {
    let stage = stage().await;
    stage.assign("admin").await;
    let mut own = SecurityKey::new(1);
    let me = stage.without_password(&mut own, &mut []).await;
    let reset = me.factors().reset_of(ResetFactorsOf::new(stage.ada)).await;
    assert_eq!(reset.map_err(|error| error.reason()), Err(Reason::LastWayIn));
}

/// Known devices, passkeys and reset go on where a name is locked, and unlock it.
#[tokio::test]
async fn v6_1_1_a_passkey_unlocks_a_name() {
    let stage = Stage::with(policy(), config().lock_after_failures(5_u32)).await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    for _ in 0..5 {
        let wrong = Login::new("ada", "not the password at all");
        assert_eq!(reason(stage.nobody().sessions().login(wrong).await), Reason::InvalidCredentials);
        stage.clock.pass(180);
    }
    let login = async || stage.nobody().sessions().login(Login::new("ada", PASSWORD)).await;
    assert_eq!(reason(login().await), Reason::InvalidCredentials, "the name is locked");
    stage.clock.pass(180);
    stage.sign_in_by(&mut key).await.unwrap().done().unwrap();
    let answer = login().await.map(|answer| answer.step.as_str());
    assert_eq!(answer.map_err(|error| error.reason()), Ok("factor"));
}

/// "The same challenge and answer are answered the same again": a registration is signed by nobody, so that whoever has the
/// challenge alone makes one of any key that names the credential id, which is no secret, and has the tokens.
#[tokio::test]
async fn aut_14_the_answer_of_another_key_is_not_the_same_answer() {
    let stage = Stage::with(policy(), config().second_factor(SecondFactor::Required)).await;
    let challenge = stage.login().await.challenge.unwrap();
    let start = StartEnrolPasskey::new(challenge.clone());
    let asked = stage.nobody().sign_in().enrol_passkey_start(start).await.unwrap();
    let mut key = SecurityKey::new(1);
    let enrol = async |response: &str| {
        let input = EnrolPasskey::new(challenge.clone(), response);
        stage.nobody().sign_in().enrol_passkey(input).await.map(|done| done.step.as_str())
    };
    assert_eq!(enrol(&key.create(&asked.options)).await.unwrap(), "done");
    let mut forged = SecurityKey { id: key.id.clone(), ..SecurityKey::new(2) };
    let answer = enrol(&forged.create(&asked.options)).await;
    assert_eq!(answer.map_err(|error| error.reason()), Err(Reason::InvalidToken));
}

/// One error for whatever is wrong, also for an account that goes away while its passkey is looked at.
#[tokio::test]
async fn sec_1_an_account_that_is_deleted_meanwhile_is_told_as_any_other() {
    let (clock, key_of_store) = (Ahead::new(), "k".repeat(32));
    let open =
        |builder: rolekeep::Builder| builder.config(config().signing_key(key_of_store)).environment(clock.clone());
    let (um, storage) = Interposed::open_as(policy(), open).await;
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
    let tokens = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let mut key = SecurityKey::new(1);
    let asked = me.factors().add_passkey_start().await.unwrap();
    let response = key.create(&asked.options);
    me.factors().add_passkey(AddPasskey::new(asked.challenge, response)).await.unwrap();
    let nobody = um.anonymous(RequestContext::default());
    let asked = nobody.sign_in().passkey_start(StartSignInByPasskey::new()).await.unwrap();
    clock.pass(1);
    let response = key.get(&asked.options);
    let system = um.system();
    storage.before_next_read_of("users", async move { system.users().delete(DeleteUser::new(ada)).await.unwrap() });
    let answer = nobody.sign_in().passkey(SignInByPasskey::new(asked.challenge, response)).await;
    assert!(storage.has_acted());
    assert_eq!(reason(answer), Reason::InvalidCredentials);
}

/// `passkey_domain` was taken out of the configuration: what nobody can use any more is not what a sign-in offers.
#[tokio::test]
async fn aut_14_a_sign_in_offers_no_passkeys_where_there_are_none() {
    let stage = stage().await;
    stage.with_passkey(&mut SecurityKey::new(1)).await;
    let builder = cheap::builder().storage(stage.storage.clone()).policy(policy());
    let config = cheap::config().signing_key("k".repeat(32));
    let um = builder.environment(stage.clock.clone()).config(config).open().await.unwrap();
    let owed = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Factor);
    let start = StartSignInByPasskey::new().challenge(owed.challenge.unwrap());
    let asked = um.anonymous(RequestContext::default()).sign_in().passkey_start(start).await;
    assert_eq!(reason(asked), Reason::NotOffered);
    assert_eq!(owed.offers.iter().map(|proof| proof.as_str()).collect::<Vec<_>>(), ["recovery_code"]);
}

/// The same of `second_factor: off`, which asks for no domain to be set: an app is asked for still, and a passkey is, too, but nobody
/// can answer by one.
#[tokio::test]
async fn aut_14_nobody_is_asked_for_what_nobody_can_answer_with() {
    let stage = stage().await;
    stage.with_passkey(&mut SecurityKey::new(1)).await;
    let builder = cheap::builder().storage(stage.storage.clone()).policy(policy());
    let off = cheap::config().signing_key("k".repeat(32)).second_factor(SecondFactor::Off);
    let um = builder.environment(stage.clock.clone()).config(off).open().await.unwrap();
    let owed = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
    let offers: Vec<_> = owed.offers.iter().map(|proof| proof.as_str()).collect();
    assert!(!offers.contains(&"passkey"), "{} is owed, {offers:?} are offered", owed.step);
}

/// "What a challenge is for; none passes for another": one that shows an app's QR code adds a passkey.
#[tokio::test]
async fn aut_14_a_challenge_for_an_app_adds_no_passkey() {
    let stage = stage().await;
    let me = stage.ada().await;
    let asked = me.factors().add_passkey_start().await.unwrap();
    let setup = me.factors().add_start().await.unwrap();
    let mut options: Value = serde_json::from_str(&asked.options).unwrap();
    let signed = Sha256::new().chain_update("rolekeep passkey ").chain_update(setup.challenge.expose()).finalize();
    let engine = &base64::prelude::BASE64_URL_SAFE_NO_PAD;
    options["challenge"] = json!(base64::Engine::encode(engine, signed));
    let response = SecurityKey::new(1).create(&options.to_string());
    let added = me.factors().add_passkey(AddPasskey::new(setup.challenge, response)).await;
    assert_eq!(added.map(drop).map_err(|error| error.reason()), Err(Reason::InvalidToken));
}

/// Challenges are dead in any epoch but their own. The challenge of a passkey knows none: what was
/// answered before everything was ended, and held back, signs in after it.
#[tokio::test]
async fn aut_5_an_answer_of_before_everything_was_ended_begins_no_session() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    let (me, _) = stage.with_passkey(&mut key).await;
    let asked = stage.ask().await;
    stage.clock.pass(1);
    let held_back = key.get(&asked.options);
    me.sessions().revoke_all(RevokeAllSessions::new()).await.unwrap();
    stage.clock.pass(1);
    let answer = stage.answer(&asked.challenge, &held_back).await.map(|answer| answer.step.as_str());
    assert!(answer.is_err(), "{answer:?}");
}

/// All was ended by a clock that was a year ahead: who is asked anew signs in once it is right, and what was answered before does not.
#[tokio::test]
async fn aut_14_a_passkey_signs_in_again_once_a_clock_that_was_ahead_is_right() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    stage.clock.pass(365 * 24 * 3600);
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    stage.um.system().users().lift(LiftUser::new(stage.ada)).await.unwrap();
    stage.clock.put_back(365 * 24 * 3600);
    let asked = stage.ask().await;
    let held_back = key.get(&asked.options);
    stage.clock.pass(1);
    // One is refused: nobody knows which of the two was first.
    assert_eq!(reason(stage.sign_in_by(&mut key).await), Reason::InvalidCredentials);
    let answer = stage.answer(&asked.challenge, &held_back).await.map(|answer| answer.step.as_str());
    assert!(answer.is_err(), "{answer:?}");
    stage.clock.pass(1);
    let answer = stage.sign_in_by(&mut key).await;
    assert!(answer.is_ok(), "no passkey signs in for a year: {:?}", answer.err());
}

/// Once: what was right and refused, as the account was suspended, is not right once it is lifted.
#[tokio::test]
async fn aut_14_an_answer_that_was_refused_is_used() {
    let stage = stage().await;
    let mut key = SecurityKey { counts: false, ..SecurityKey::new(1) };
    stage.with_passkey(&mut key).await;
    let asked = stage.ask().await;
    let response = key.get(&asked.options);
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    assert_eq!(reason(stage.answer(&asked.challenge, &response).await), Reason::InvalidCredentials);
    stage.um.system().users().lift(LiftUser::new(stage.ada)).await.unwrap();
    let answer = stage.answer(&asked.challenge, &response).await.map(|answer| answer.step.as_str());
    assert!(answer.is_err(), "{answer:?}");
}

/// Whoever has a passkey alone as second factor is told to type a code: the only ones that there are are recovery codes.
#[tokio::test]
async fn aut_14_who_has_no_app_is_not_asked_for_a_code() {
    let stage = stage().await;
    let (me, _) = stage.with_passkey(&mut SecurityKey::new(1)).await;
    let error = me.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap_err();
    let message = &error.fields()[0].message;
    assert!(message.contains("passkey"), "{message}");
}

/// The wrong setting is named.
#[test]
fn sec_14_the_setting_that_is_wrong_is_named() {
    let named = |config: Config| config.check().unwrap_err().fields()[0].field.clone();
    let origins = named(config().passkey_origins(["https://example.com"]));
    let name = named(config().application_name("Exa\u{7}mple"));
    assert_eq!((origins.as_str(), name.as_str()), ("passkey_origins", "application_name"));
}
