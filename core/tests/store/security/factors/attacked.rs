//! What an attack on second factors found.

use rolekeep::{
    SecondFactor,
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    factors::ResetFactorsOf,
    internals::credential::Challenge,
    passwords::{ForgotPassword, ResetPassword, SetTemporaryPassword},
    roles::{AssignRole, UpdateRole},
    sessions::{Login, Refresh, StepUp},
    sign_in::{ChoosePassword, Enrol, StartEnrol},
    verification::ConfirmVerification,
};

use super::*;
use crate::{
    cheap,
    security::kit::{Interposed, all},
};

const NEW: &str = "another horse battery staple";

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Ada's address is proved.
async fn verified(stage: &Stage, me: &Caller) {
    me.verification().send().await.unwrap();
    let proof = stage.mails.take("verification", ADA).await.token.unwrap();
    me.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
}

/// Ada types her password on a device that is known, or nobody knows.
async fn login_on(stage: &Stage, password: &str, device: Option<&Secret>) -> SignInResult {
    let mut login = Login::new("ada", password);
    login.device_token = device.cloned();
    stage.nobody().sessions().login(login).await.unwrap()
}

async fn wrong_codes(stage: &Stage, password: &str, device: Option<&Secret>, app: &App, count: usize) -> Vec<Reason> {
    let mut answers = Vec::new();
    for _ in 0..count {
        let challenge = login_on(stage, password, device).await.challenge.unwrap();
        answers.push(reason(stage.prove(&challenge, &app.wrong()).await));
    }
    answers
}

/// A second factor has 20 tries a day. Who reads the mail alone gets as many more codes with each reset.
#[tokio::test]
async fn aut_12_a_reset_by_mail_gives_no_more_guesses_at_the_second_factor() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    verified(&stage, &me).await;
    let (app, _, _) = stage.enrolled().await;
    let (mut told, mut present) = (0, PASSWORD.to_owned());
    for round in 0..5 {
        stage.clock.pass(61);
        stage.nobody().passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
        let token = stage.mails.take("password_reset", ADA).await.token.unwrap();
        present = format!("{NEW} {round}");
        let device = stage.nobody().passwords().reset(ResetPassword::new(token, present.as_str())).await.unwrap();
        for device in [None, Some(&device.device_token)] {
            let answers = wrong_codes(&stage, &present, device, &app, 6).await;
            told += answers.iter().filter(|answer| **answer == Reason::InvalidCredentials).count();
        }
    }
    drop(present);
    assert!(told <= 12, "{told} codes were looked at within six minutes; each lane has five, and one more after three");
}

/// V6.1.1: who signed in before there was a second factor has a device token, which outlives all. By the password, it uses up
/// the tries of the devices of the account's owner.
#[tokio::test]
async fn v6_1_1_a_device_of_before_the_second_factor_does_not_shut_out_the_others() {
    let stage = Stage::open().await;
    let thief = stage.login().await.device_token.unwrap();
    let (app, _, _) = stage.enrolled().await;
    let challenge = stage.login().await.challenge.unwrap();
    let own = stage.prove(&challenge, &app.code()).await.unwrap().device_token.unwrap();
    stage.clock.pass(60);
    assert_eq!(wrong_codes(&stage, PASSWORD, Some(&thief), &app, 5).await, [Reason::InvalidCredentials; 5]);
    let challenge = login_on(&stage, PASSWORD, Some(&own)).await.challenge.unwrap();
    let answer = stage.prove(&challenge, &app.code()).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// A device with which ten passwords in a row were wrong is known no more: neither where codes count.
#[tokio::test]
async fn aut_12_a_device_that_is_known_no_more_is_not_known_to_the_second_factor() {
    let stage = Stage::open().await;
    let thief = stage.login().await.device_token.unwrap();
    let (app, _, _) = stage.enrolled().await;
    for _ in 0..10 {
        stage.clock.pass(15 * 60);
        let mut login = Login::new("ada", "not the password at all");
        login.device_token = Some(thief.clone());
        assert_eq!(reason(stage.nobody().sessions().login(login).await), Reason::InvalidCredentials);
    }
    stage.clock.pass(15 * 60);
    let id_of = |challenges: Vec<Challenge>| challenges.into_iter().max_by_key(|one| one.created_at).unwrap();
    login_on(&stage, PASSWORD, Some(&thief)).await;
    let challenge = id_of(all(&*stage.storage).await);
    drop(app);
    assert_eq!(challenge.is_known_device, Some(false), "its tries count for strangers");
}

/// E5, "factors, codes, identities: made since: x": whoever had a session and made new recovery codes does not keep them.
#[tokio::test]
async fn sec_6_recovery_codes_that_a_thief_made_end_with_what_the_owner_undoes() {
    let stage = Stage::open().await;
    let (_, thief, _) = stage.enrolled().await;
    verified(&stage, &thief).await;
    thief.email().change(ChangeEmail::new("eve@example.org")).await.unwrap();
    let token = stage.mails.take("email_change", "eve@example.org").await.token.unwrap();
    let thief = stage.with_tokens(&thief.email().confirm(ConfirmEmail::new(token)).await.unwrap()).await;
    let stolen = thief.factors().recovery_codes().await.unwrap().codes;
    let undo = stage.mails.take("email_changed", ADA).await.token.unwrap();
    stage.nobody().email().revert(RevertEmail::new(undo)).await.unwrap();
    let reset = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.nobody().passwords().reset(ResetPassword::new(reset, NEW)).await.unwrap();
    // The thief sees the new password typed, as the one before.
    let owed = login_on(&stage, NEW, None).await;
    assert_eq!(owed.step, SignInStep::Factor);
    let answer = stage.prove(&owed.challenge.unwrap(), &stolen[0]).await;
    assert!(answer.is_err(), "the thief's code lets in");
}

/// What came later is told by the epoch, and not by clocks: that of the thief's moment was ahead.
#[tokio::test]
async fn sec_6_a_factor_that_a_thief_added_is_undone_though_the_clock_was_set_back() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    verified(&stage, &me).await;
    stage.clock.pass(HOUR);
    let me = stage.ada().await;
    me.email().change(ChangeEmail::new("eve@example.org")).await.unwrap();
    let token = stage.mails.take("email_change", "eve@example.org").await.token.unwrap();
    let thief = stage.with_tokens(&me.email().confirm(ConfirmEmail::new(token)).await.unwrap()).await;
    let undo = stage.mails.take("email_changed", ADA).await.token.unwrap();
    stage.clock.put_back(HOUR / 2);
    let thief = stage.with_tokens(&thief.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap()).await;
    stage.added(&thief).await;
    stage.nobody().email().revert(RevertEmail::new(undo)).await.unwrap();
    let reset = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.nobody().passwords().reset(ResetPassword::new(reset, NEW)).await.unwrap();
    assert_eq!(login_on(&stage, NEW, None).await.step, SignInStep::Done, "the owner is shut out by the thief's app");
}

/// Fresh is what was proved within five minutes, and not when the last step was taken.
#[tokio::test]
async fn v7_5_1_a_sign_in_is_as_fresh_as_its_oldest_proof() {
    let stage = Stage::open().await;
    let (app, _, _) = stage.enrolled().await;
    let given = stage.um.system().passwords().set_temporary(SetTemporaryPassword::new(stage.ada)).await.unwrap();
    let owed = login_on(&stage, given.password.expose(), None).await;
    stage.clock.pass(590);
    let owed = stage.prove(&owed.challenge.unwrap(), &app.code()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Password);
    stage.clock.pass(590);
    let choose = ChoosePassword::new(owed.challenge.unwrap(), NEW);
    let tokens = stage.nobody().sign_in().password(choose).await.unwrap().done().unwrap();
    let me = stage.with_tokens(&tokens).await;
    assert_eq!(reason(me.factors().add_start().await), Reason::StepUpRequired, "the app was asked ten minutes ago");
}

/// The same challenge and proof within 30 s get the same answer again. It has the recovery codes.
#[tokio::test]
async fn aut_10_who_did_not_get_the_answer_to_the_first_app_asks_again() {
    let stage = Stage::with(policy(), cheap::config().second_factor(SecondFactor::Required)).await;
    let challenge = stage.login().await.challenge.unwrap();
    let setup = stage.nobody().sign_in().enrol_start(StartEnrol::new(challenge.clone())).await.unwrap();
    let app = App::new(&setup.secret, &stage.clock);
    let enrol = async || stage.nobody().sign_in().enrol(Enrol::new(challenge.clone(), app.code())).await;
    let first = enrol().await.unwrap().done().unwrap();
    let again = enrol().await.map(|again| again.done().unwrap().session_id).map_err(|error| error.reason());
    assert_eq!(again.ok(), Some(first.session_id));
}

/// The documentation of `sign_in.factor`: the same challenge and code answer the same again. Another sign-in of the account
/// meanwhile is no reason not to.
#[tokio::test]
async fn aut_10_who_did_not_get_the_answer_asks_again_whoever_else_signs_in() {
    let stage = Stage::open().await;
    let (app, _, _) = stage.enrolled().await;
    let (one, other) = (stage.login().await.challenge.unwrap(), stage.login().await.challenge.unwrap());
    let code = app.code();
    let first = stage.prove(&one, &code).await.unwrap().done().unwrap();
    stage.prove(&other, &app.code_at(1)).await.unwrap().done().unwrap();
    let again = stage.prove(&one, &code).await.map(|again| again.done().unwrap().session_id);
    assert_eq!(again.map_err(|error| error.reason()).ok(), Some(first.session_id));
}

/// Five wrong codes void a challenge also where nothing is limited; and one that was used.
#[tokio::test]
async fn aut_12_guesses_at_a_used_code_have_an_end_where_nothing_is_limited() {
    let stage = Stage::with(policy(), cheap::config().sign_in_tries(0)).await;
    let (app, _, _) = stage.enrolled().await;
    let challenge = stage.login().await.challenge.unwrap();
    let code = app.code();
    stage.prove(&challenge, &code).await.unwrap();
    for _ in 0..100 {
        assert_eq!(reason(stage.prove(&challenge, &app.wrong()).await), Reason::InvalidToken);
    }
    assert!(stage.prove(&challenge, &code).await.is_err(), "a hundred codes were guessed at, and the next lets in");
}

/// For thirty seconds, and not for as long as a clock was set back.
#[tokio::test]
async fn v6_5_1_a_used_challenge_answers_no_longer_because_the_clock_was_set_back() {
    let stage = Stage::open().await;
    let (app, _, _) = stage.enrolled().await;
    stage.clock.pass(HOUR);
    let challenge = stage.login().await.challenge.unwrap();
    let code = app.code();
    stage.prove(&challenge, &code).await.unwrap();
    stage.clock.put_back(HOUR);
    stage.clock.pass(HOUR / 2);
    assert_eq!(reason(stage.prove(&challenge, &code).await), Reason::InvalidToken, "half an hour after");
}

/// A clock that was a year ahead for a moment, in which somebody signed in: the app works again once it is right.
#[tokio::test]
async fn aut_10_an_app_counts_again_once_a_clock_that_was_ahead_is_right() {
    let stage = Stage::open().await;
    let (app, _, _) = stage.enrolled().await;
    stage.clock.pass(365 * DAY);
    stage.signed_in_by(&app.code()).await.unwrap();
    stage.clock.put_back(365 * DAY);
    stage.clock.pass(DAY);
    // One is refused, so that none is taken twice.
    assert_eq!(reason(stage.signed_in_by(&app.code()).await), Reason::InvalidCredentials);
    stage.clock.pass(60);
    let answer = stage.signed_in_by(&app.code()).await;
    assert!(answer.is_ok(), "no code of the app is good for a year: {:?}", answer.err());
}

/// N 4.1: a seed is kept as long as its factor, and in one place.
#[tokio::test]
async fn n_4_1_a_challenge_that_was_used_keeps_no_seed() {
    let stage = Stage::open().await;
    let (_, me, added) = stage.enrolled().await;
    me.factors().remove(rolekeep::factors::RemoveFactor::new(added.factor.id)).await.unwrap();
    let kept: Vec<Challenge> = all(&*stage.storage).await;
    assert!(kept.iter().all(|challenge| challenge.seed.is_none()), "{}", kept.len());
}

/// The last one of an account that has to have one is not removed by its user, by whatever operation.
#[tokio::test]
async fn aut_10_nobody_resets_the_factors_that_one_has_to_have_oneself() {
    let helper = "\n[roles.helper]\nsecond_factor = true\nallow = [\"user:read\", \"user:reset_factors\"]\n";
    let policy = Policy::from_toml(&format!("{}{helper}", crate::security::kit::POLICY)).unwrap();
    let stage = Stage::with(policy, cheap::config()).await;
    let (app, ..) = stage.enrolled().await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "helper")).await.unwrap();
    let me = stage.ada_by(&app.code()).await;
    assert!(me.factors().list().await.unwrap().are_required);
    assert_eq!(reason(me.factors().reset_of(ResetFactorsOf::new(stage.ada)).await), Reason::SecondFactorRequired);
}

/// Where everybody has to have a second factor from now on, a session by the password alone does not go on for ever.
#[tokio::test]
async fn aut_10_a_session_by_one_factor_does_not_outlive_that_two_are_required() {
    let stage = Stage::open().await;
    let mut tokens = stage.login().await.done().unwrap();
    let open = async |required: bool| {
        let config = cheap::config().signing_key("k".repeat(32));
        let config = if required { config.second_factor(SecondFactor::Required) } else { config };
        let builder = cheap::builder().storage(stage.storage.clone()).policy(policy());
        builder.environment(stage.clock.clone()).config(config).open().await.unwrap()
    };
    let um = open(true).await;
    let authenticate = async |tokens: &Tokens| um.authenticate(tokens.access_token.expose(), Default::default()).await;
    for _ in 0..60 {
        stage.clock.pass(DAY);
        let nobody = um.anonymous(RequestContext::default());
        tokens = match nobody.sessions().refresh(Refresh::new(tokens.refresh_token.clone())).await {
            Ok(tokens) => tokens,
            Err(_) => return,
        };
        let me = authenticate(&tokens).await.unwrap();
        tokens = match me.sessions().step_up(StepUp::new(PASSWORD)).await {
            Ok(tokens) => tokens,
            Err(_) => return,
        };
    }
    let me = authenticate(&tokens).await.unwrap();
    assert!(me.users().me().await.is_err(), "sixty days later the password alone is enough still");
}

/// Of a role that is given while its user signs in the sign-in knows, or it is planned anew.
#[tokio::test]
async fn sec_16_a_role_that_is_assigned_meanwhile_is_owed_its_factor() {
    let strong = "\n[roles.guardian]\nsecond_factor = true\nallow = [\"user:read\"]\n";
    let policy = Policy::from_toml(&format!("{}{strong}", crate::security::kit::POLICY)).unwrap();
    let (um, storage) = Interposed::open(policy).await;
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
    let rival = um.clone();
    storage.before_next_read_of("guards", async move {
        rival.system().roles().assign(AssignRole::new(ada, "guardian")).await.unwrap();
    });
    let answer = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
    assert!(storage.has_acted());
    assert_eq!(answer.step, SignInStep::Enrol);
}

/// The same of a role that begins to need one.
#[tokio::test]
async fn sec_16_a_role_that_begins_to_need_a_factor_meanwhile_is_owed_it() {
    let policy = policy();
    let (um, storage) = Interposed::open(policy).await;
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
    um.system().roles().assign(AssignRole::new(ada, "moderator")).await.unwrap();
    let rival = um.clone();
    storage.before_next_commit(async move {
        rival.system().roles().update(UpdateRole::new("moderator").needs_second_factor(true)).await.unwrap();
    });
    let answer = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
    assert!(storage.has_acted());
    assert_eq!(answer.step, SignInStep::Enrol);
}

/// N 3.2.2, `Factor::is_suspended`: a hundred in a row. The app that is used every day forgets them, and so does the one that
/// is kept for when it is lost.
#[tokio::test]
async fn n_3_2_2_an_app_that_is_seldom_used_is_not_suspended_by_what_others_mistype() {
    let stage = Stage::with(policy(), cheap::config().sign_in_tries(0)).await;
    let (_, me, _) = stage.enrolled().await;
    let (app, added) = stage.added(&me).await;
    let mut tokens = added.tokens;
    for _ in 0..100 {
        stage.clock.pass(30);
        let challenge = stage.login().await.challenge.unwrap();
        assert_eq!(reason(stage.prove(&challenge, &app.wrong()).await), Reason::InvalidCredentials);
        tokens = stage.prove(&challenge, &app.code()).await.unwrap().done().unwrap();
    }
    let factors = stage.with_tokens(&tokens).await.factors().list().await.unwrap().factors;
    assert!(factors.iter().all(|factor| !factor.is_suspended), "never were two in a row");
}

/// A role that needs a second factor allows nothing before, and so not what it inherits: it may be `admin:all`.
#[tokio::test]
async fn sec_10_an_heir_of_the_administrator_that_needs_a_second_factor_is_none_without() {
    let boss = "\n[roles.boss]\nsecond_factor = true\ninherits = [\"admin\"]\n";
    let policy = Policy::from_toml(&format!("{}{boss}", crate::security::kit::POLICY)).unwrap();
    let stage = Stage::with(policy, cheap::config()).await;
    let me = stage.ada().await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "boss")).await.unwrap();
    let made = me.users().create(CreateUser::new("eve@example.org").username("eve").roles(["admin"])).await;
    assert_eq!(reason(made), Reason::Denied, "the password alone made another administrator");
}

/// Of a proof from the future nobody knows how old it is, neither where a condition reads it.
#[tokio::test]
async fn v7_5_1_to_conditions_a_proof_from_the_future_is_none() {
    let toml = "[permissions]\n\"note:write\" = \"\"\n[roles.recent]\nallow = [{ permission = \"note:write\", when = \"has \
                principal.authenticated_at and now < principal.authenticated_at + 60s\" }]\n";
    let stage = Stage::with(Policy::from_toml(toml).unwrap(), cheap::config()).await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "recent")).await.unwrap();
    stage.clock.pass(HOUR);
    let me = stage.ada().await;
    stage.clock.put_back(HOUR);
    stage.clock.pass(HOUR / 4);
    assert_eq!(reason(me.factors().add_start().await), Reason::StepUpRequired, "so it is where the library asks");
    assert!(!me.can("note:write", None).unwrap(), "a quarter of an hour after");
}

/// Sessions of an account are at most a hundred; who has the password alone writes no more rows than that.
#[tokio::test]
async fn sec_15_who_has_the_password_alone_leaves_no_rows_without_bound() {
    let stage = Stage::open().await;
    stage.enrolled().await;
    for _ in 0..150 {
        stage.login().await;
    }
    let open: Vec<Challenge> = all(&*stage.storage).await;
    assert!(open.len() <= 101, "{} challenges", open.len());
}

/// `SecondFactor::Off`: "nobody can add one".
#[tokio::test]
async fn aut_10_nobody_adds_a_factor_by_a_challenge_of_before_they_were_off() {
    let stage = Stage::with(policy(), cheap::config().second_factor(SecondFactor::Required)).await;
    let challenge = stage.login().await.challenge.unwrap();
    let config = cheap::config().signing_key("k".repeat(32)).second_factor(SecondFactor::Off);
    let builder = cheap::builder().storage(stage.storage.clone()).policy(policy());
    let um = builder.environment(stage.clock.clone()).config(config).open().await.unwrap();
    let nobody = um.anonymous(RequestContext::default());
    assert_eq!(reason(nobody.sign_in().enrol_start(StartEnrol::new(challenge)).await), Reason::NotOffered);
}
