//! A passkey beside the password.

use rolekeep::{
    SecondFactor,
    email::RevertEmail,
    factors::{RemoveFactor, ResetFactorsOf},
    sessions::{StepUp, StepUpByPasskey},
    sign_in::{EnrolPasskey, StartEnrolPasskey},
};
use serde_json::{Value, json};

use super::*;

impl Stage {
    async fn ask_second(&self, challenge: &Secret) -> PasskeyOptions {
        let start = StartSignInByPasskey::new().challenge(challenge.clone());
        self.nobody().sign_in().passkey_start(start).await.unwrap()
    }

    async fn step_up(&self, me: &Caller, key: &mut SecurityKey, password: Option<&str>) -> Result<Tokens> {
        let asked = me.sessions().step_up_passkey_start().await.unwrap();
        self.clock.pass(1);
        let mut input = StepUpByPasskey::new(asked.challenge, key.get(&asked.options));
        input.password = password.map(Secret::from);
        me.sessions().step_up_passkey(input).await
    }
}

/// One that cannot verify who is there counts beside the password, and nowhere else.
#[tokio::test]
async fn aut_14_a_security_key_without_a_pin_is_a_second_factor() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    key.is_verified = false;
    let (me, _) = stage.with_passkey(&mut key).await;
    me.factors().recovery_codes().await.unwrap();
    assert_eq!(reason(stage.sign_in_by(&mut key).await), Reason::InvalidCredentials);
    let owed = stage.login().await;
    assert_eq!(owed.step, SignInStep::Factor);
    assert_eq!(owed.offers.iter().map(|proof| proof.as_str()).collect::<Vec<_>>(), ["passkey", "recovery_code"]);
    let challenge = owed.challenge.unwrap();
    let asked = stage.ask_second(&challenge).await;
    assert_eq!(asked.challenge.expose(), challenge.expose());
    let options: Value = serde_json::from_str(&asked.options).unwrap();
    assert_eq!(
        (&options["allowCredentials"][0]["id"], &options["userVerification"]),
        (&json!(key.id()), &json!("preferred"))
    );
    let response = key.get(&asked.options);
    let tokens = stage.answer(&challenge, &response).await.unwrap().done().unwrap();
    let again = stage.answer(&challenge, &response).await.unwrap().done().unwrap();
    assert_eq!(tokens.session_id, again.session_id);
    let me = stage.with_tokens(&tokens).await;
    stage.clock.pass(301);
    assert_eq!(reason(me.factors().recovery_codes().await), Reason::StepUpRequired);
    let alone = stage.step_up(&me, &mut key, None).await.unwrap_err();
    assert_eq!((alone.reason(), alone.fields()[0].field.as_str()), (Reason::InvalidInput, "password"));
    let wrong = stage.step_up(&me, &mut key, Some("not the password at all")).await.unwrap_err();
    assert_eq!(wrong.fields()[0].field.as_str(), "password");
    let me = stage.with_tokens(&stage.step_up(&me, &mut key, Some(PASSWORD)).await.unwrap()).await;
    me.factors().recovery_codes().await.unwrap();
}

#[tokio::test]
async fn aut_14_the_second_factor_is_a_passkey_of_the_account() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    let challenge = stage.login().await.challenge.unwrap();
    let asked = stage.ask_second(&challenge).await;
    // Bob's is good for Bob.
    let bob = CreateUser::new("bob@example.org").username("bob").password(PASSWORD);
    stage.um.system().users().create(bob).await.unwrap();
    let tokens = stage.um.login("bob", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let mut of_bob = SecurityKey::new(2);
    stage.add_passkey(&stage.with_tokens(&tokens).await, &mut of_bob).await;
    let options = asked.options.replace(&key.id(), &of_bob.id());
    assert_eq!(reason(stage.answer(&challenge, &of_bob.get(&options)).await), Reason::InvalidCredentials);
    stage.sign_in_by(&mut of_bob).await.unwrap();
    // Five wrong answers void the challenge.
    for _ in 1..5 {
        assert_eq!(reason(stage.answer(&challenge, "{}").await), Reason::InvalidCredentials);
    }
    assert_eq!(reason(stage.answer(&challenge, &key.get(&asked.options)).await), Reason::InvalidToken);
    // Nor does the first proof's challenge take one of the second, and the other way around.
    let first = stage.ask().await;
    let start = StartSignInByPasskey::new().challenge(first.challenge);
    assert_eq!(reason(stage.nobody().sign_in().passkey_start(start).await), Reason::InvalidToken);
}

#[tokio::test]
async fn sec_6_a_passkey_proves_again_who_one_is() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    let (me, _) = stage.with_passkey(&mut key).await;
    stage.clock.pass(301);
    let asked = me.sessions().step_up_passkey_start().await.unwrap();
    let response = key.get(&asked.options);
    let step_up = StepUpByPasskey::new(asked.challenge.clone(), response);
    // Of this session alone.
    let other = stage.with_tokens(&stage.sign_in_by(&mut key).await.unwrap().done().unwrap()).await;
    assert_eq!(reason(other.sessions().step_up_passkey(step_up).await), Reason::InvalidToken);
    let tokens = stage.step_up(&me, &mut key, None).await.unwrap();
    assert_eq!(reason(me.users().me().await), Reason::SessionEnded, "it goes on in a new session");
    let me = stage.with_tokens(&tokens).await;
    me.factors().recovery_codes().await.unwrap();
    // A challenge is good once, and no sign-in takes it.
    let asked = me.sessions().step_up_passkey_start().await.unwrap();
    stage.clock.pass(1);
    let response = key.get(&asked.options);
    assert_eq!(reason(stage.answer(&asked.challenge, &response).await), Reason::InvalidToken);
    let step_up = StepUpByPasskey::new(asked.challenge.clone(), response);
    let sessions = me.sessions();
    let twice = [sessions.step_up_passkey(step_up.clone()), sessions.step_up_passkey(step_up.clone())];
    let [one, two] = futures_util::future::join_all(twice).await.try_into().ok().unwrap();
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    // The password alone makes nothing fresh.
    let me = stage.with_tokens(&one.or(two).unwrap()).await;
    assert_eq!(reason(me.sessions().step_up(StepUp::new(PASSWORD)).await), Reason::InvalidInput);
}

#[tokio::test]
async fn aut_14_a_passkey_is_added_where_a_second_factor_is_demanded() {
    let stage = Stage::with(policy(), config().second_factor(SecondFactor::Required)).await;
    let owed = stage.login().await;
    assert_eq!(owed.step, SignInStep::Enrol);
    let challenge = owed.challenge.unwrap();
    let start = async || stage.nobody().sign_in().enrol_passkey_start(StartEnrolPasskey::new(challenge.clone())).await;
    let asked = start().await.unwrap();
    assert_eq!(start().await.unwrap().options, asked.options, "asked again it is the same");
    let mut key = SecurityKey::new(1);
    let enrol = async |response: &str| {
        let input = EnrolPasskey::new(challenge.clone(), response).name("Laptop");
        stage.nobody().sign_in().enrol_passkey(input).await
    };
    let wrong = enrol("{}").await.unwrap_err();
    assert_eq!((wrong.reason(), wrong.fields()[0].field.as_str()), (Reason::InvalidInput, "response"));
    let response = key.create(&asked.options);
    let done = enrol(&response).await.unwrap();
    assert_eq!((done.step, done.recovery_codes.len()), (SignInStep::Done, 10));
    let again = enrol(&response).await.unwrap();
    assert_eq!(again.tokens.unwrap().session_id, done.tokens.as_ref().unwrap().session_id);
    assert_eq!(reason(enrol(&SecurityKey::new(2).create(&asked.options)).await), Reason::InvalidToken);
    let me = stage.with_tokens(&done.tokens.unwrap()).await;
    let factors = me.factors().list().await.unwrap();
    assert_eq!((factors.factors[0].name.as_deref(), factors.are_required), (Some("Laptop"), true));
    assert_eq!(
        reason(me.factors().remove(RemoveFactor::new(factors.factors[0].id)).await),
        Reason::SecondFactorRequired
    );
    stage.clock.pass(1);
    stage.sign_in_by(&mut key).await.unwrap();
}

/// One passkey, one account; and what a page does wrong is told to who adds one.
#[tokio::test]
async fn aut_14_what_is_wrong_with_a_new_passkey_is_told() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    let (me, _) = stage.with_passkey(&mut key).await;
    let asked = me.factors().add_passkey_start().await.unwrap();
    let options = asked.options.replace(&key.id(), "AAAA");
    let taken = me.factors().add_passkey(AddPasskey::new(asked.challenge.clone(), key.clone().create(&options))).await;
    assert_eq!(reason(taken), Reason::Taken);
    let mut elsewhere = SecurityKey { origin: "http://localhost:3000".to_owned(), ..SecurityKey::new(2) };
    let response = elsewhere.create(&asked.options);
    let error = me.factors().add_passkey(AddPasskey::new(asked.challenge, response)).await.unwrap_err();
    assert_eq!(error.fields()[0].message, "is not accepted: the origin is none of the relying party's");
    // It needs a proof of late.
    stage.clock.pass(301);
    assert_eq!(reason(me.factors().add_passkey_start().await), Reason::StepUpRequired);
}

#[tokio::test]
async fn aut_14_an_account_has_at_most_twenty_passkeys() {
    let stage = stage().await;
    let mut me = stage.ada().await;
    for number in 0..20 {
        (me, _) = stage.add_passkey(&me, &mut SecurityKey::new(number)).await;
    }
    assert_eq!(reason(me.factors().add_passkey_start().await), Reason::LimitReached);
    // Apps are counted apart.
    me.factors().add_start().await.unwrap();
}

/// A passkey of a thief is undone by what the owner is mailed, also where it is not the first factor; those before stay.
#[tokio::test]
async fn aut_9_the_owner_undoes_a_passkey_that_a_thief_added() {
    let stage = stage().await;
    stage.prove_address(&stage.ada().await).await;
    let [mut own, mut of_thief] = [SecurityKey::new(1), SecurityKey::new(2)];
    let (me, _) = stage.with_passkey(&mut own).await;
    stage.mails.take("factor_added", ADA).await;
    stage.add_passkey(&me, &mut of_thief).await;
    let mailed = stage.mails.take("factor_added", ADA).await;
    stage.nobody().email().revert(RevertEmail::new(mailed.token.unwrap())).await.unwrap();
    assert_eq!(reason(stage.sign_in_by(&mut of_thief).await), Reason::InvalidCredentials);
    // The password may be the thief's, and is void; what was the second factor is the only way in now.
    let me = stage.with_tokens(&stage.sign_in_by(&mut own).await.unwrap().done().unwrap()).await;
    let id = me.factors().list().await.unwrap().factors[0].id;
    assert_eq!(reason(me.factors().remove(RemoveFactor::new(id)).await), Reason::LastWayIn);
    let mut other = SecurityKey::new(3);
    let (me, _) = stage.add_passkey(&me, &mut other).await;
    me.factors().remove(RemoveFactor::new(id)).await.unwrap();
    assert_eq!(reason(stage.sign_in_by(&mut own).await), Reason::InvalidCredentials);
    assert_eq!(stage.why().await, "no such passkey");
    stage.sign_in_by(&mut other).await.unwrap();
}

#[tokio::test]
async fn aut_14_reset_factors_takes_passkeys_too() {
    let stage = stage().await;
    let mut key = SecurityKey::new(1);
    stage.with_passkey(&mut key).await;
    stage.um.system().factors().reset_of(ResetFactorsOf::new(stage.ada)).await.unwrap();
    assert_eq!(reason(stage.sign_in_by(&mut key).await), Reason::InvalidCredentials);
    assert_eq!(stage.login().await.step, SignInStep::Done);
    // It can be added again, and is found by the handle of before.
    let handle = key.handle.clone();
    stage.with_passkey(&mut key).await;
    assert_eq!(key.handle, handle);
    stage.sign_in_by(&mut key).await.unwrap();
}
