//! Attacks on other issuers' tokens that were tried: each test says what holds once it is mended.

use rolekeep::{
    Policy, TrustedIssuer,
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    factors::FactorSetup,
    roles::AssignRole,
    sessions::Tokens,
    sign_in::{ChoosePassword, Enrol, ProveFactor, StartEnrol},
    verification::ConfirmVerification,
};

use super::*;
use crate::{cheap, mails::Mails};

const DAY: u64 = 24 * 3600;
const GUARDED: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.guardian]
second_factor = true
allow = ["user:list"]

[roles.recent]
allow = [{ permission = "user:list", when = "has principal.authenticated_at and now < principal.authenticated_at + 3600s" }]
"#;

impl Stage {
    /// The same with a policy, settings, and mails.
    pub(super) async fn with(policy: &str, config: impl FnOnce(Config) -> Config, mails: Option<&Mails>) -> Self {
        let (clock, issuer) = (Ahead::new(), Issuer::new(ISSUER, 7));
        let config = config(cheap::config().trusted_issuers([issuer.trusted()]));
        let policy = Policy::from_toml(policy).unwrap();
        let (um, storage) = Interposed::open_as(policy, |builder| {
            let builder = builder.config(config).environment(clock.clone());
            match mails {
                Some(mails) => builder.notifier(mails.clone()),
                None => builder,
            }
        })
        .await;
        let ada = CreateUser::external(ISSUER, SUBJECT).username("ada");
        let ada = um.system().users().create(ada).await.unwrap().id;
        Self { um, storage, clock, issuer, ada }
    }

    fn code(&self, setup: &FactorSetup) -> String {
        authenticator::code(setup.secret.expose(), self.now() / 30)
    }

    /// Adds an authenticator app; the account's sessions end by it.
    async fn add_app(&self, me: &Caller) -> FactorSetup {
        let setup = me.factors().add_start().await.unwrap();
        me.factors().add(AddFactor::new(setup.challenge.clone(), self.code(&setup))).await.unwrap();
        self.clock.pass(60);
        setup
    }

    async fn factor(&self, owed: &SignInResult, setup: &FactorSetup) -> Result<SignInResult> {
        let step = ProveFactor::new(owed.challenge.clone().unwrap(), self.code(setup));
        self.um.anonymous(RequestContext::default()).sign_in().factor(step).await
    }

    async fn with_tokens(&self, tokens: &Tokens) -> Caller {
        self.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap()
    }
}

/// The thief has the user's account at the issuer, and the phone or a code. He begins a sign-in, the user unlinks what he came by, and
/// he goes on: the challenge says that it was proved by what the account does not stand for any more.
#[tokio::test]
async fn aut_17_a_sign_in_that_is_under_way_ends_with_the_identity_that_began_it() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    let linked = link(&stage, &bob, "google|1").await.unwrap();
    let setup = stage.add_app(&bob).await;
    let owed = stage.um.login("bob", PASSWORD, RequestContext::default()).await.unwrap();
    let bob = stage.by(stage.factor(&owed, &setup).await.unwrap()).await;
    stage.clock.pass(60);
    let thief = stage.sign_in(&stage.issuer.token("google|1", stage.now(), json!({}))).await.unwrap();
    assert_eq!(thief.step, SignInStep::Factor);
    bob.identities().unlink(UnlinkIdentity::new(linked.id)).await.unwrap();
    let session = stage.factor(&thief, &setup).await;
    assert_eq!(session.map(|answer| answer.step).map_err(|error| error.reason()), Err(Reason::InvalidToken));
}

/// The same where a second factor is owed and there is none: the thief adds his own, and everybody else's sessions end.
#[tokio::test]
async fn aut_17_nobody_enrols_by_an_identity_that_was_unlinked() {
    let stage = Stage::with(GUARDED, |config| config, None).await;
    let bob = stage.with_password("bob").await;
    let me = bob.users().me().await.unwrap();
    let linked = link(&stage, &bob, "google|1").await.unwrap();
    stage.um.system().roles().assign(AssignRole::new(me.id, "guardian")).await.unwrap();
    let thief = stage.sign_in(&stage.issuer.token("google|1", stage.now(), json!({}))).await.unwrap();
    assert_eq!(thief.step, SignInStep::Enrol);
    bob.identities().unlink(UnlinkIdentity::new(linked.id)).await.unwrap();
    let anybody = stage.um.anonymous(RequestContext::default());
    let challenge = thief.challenge.unwrap();
    let Ok(setup) = anybody.sign_in().enrol_start(StartEnrol::new(challenge)).await else { return };
    let code = stage.code(&setup);
    let enrolled = anybody.sign_in().enrol(Enrol::new(setup.challenge, code)).await;
    assert_eq!(enrolled.map(|answer| answer.step).map_err(|error| error.reason()), Err(Reason::InvalidToken));
}

/// An account that was made for an identity has no row of credentials; the steps of a sign-in ask for one.
#[tokio::test]
async fn aut_17_an_account_without_a_password_enrols_a_second_factor() {
    let stage = Stage::with(GUARDED, |config| config, None).await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "guardian")).await.unwrap();
    let owed = stage.sign_in(&stage.token(json!({}))).await.unwrap();
    assert_eq!(owed.step, SignInStep::Enrol);
    let anybody = stage.um.anonymous(RequestContext::default());
    let setup = anybody.sign_in().enrol_start(StartEnrol::new(owed.challenge.unwrap())).await.unwrap();
    let code = stage.code(&setup);
    assert!(anybody.sign_in().enrol(Enrol::new(setup.challenge, code)).await.unwrap().done().is_ok());
}

/// A temporary password that is over lets nobody in; who signs in by something else does not rest on it.
#[tokio::test]
async fn aut_17_a_temporary_password_that_is_over_stops_no_sign_in_by_a_token() {
    let stage = Stage::open().await;
    let (root, _) = super::super::kit::signed_in(&stage.um, "root", &["admin"]).await;
    let new = CreateUser::new("bob@example.org").username("bob").password(PASSWORD);
    let new = new.identity(rolekeep::users::ExternalIdentity::new(ISSUER, "google|1"));
    root.users().create(new).await.unwrap();
    let token = async || stage.issuer.token("google|1", stage.now(), json!({"jti": Uuid::now_v7()}));
    let bob = stage.by(stage.sign_in(&token().await).await.unwrap()).await;
    let setup = stage.add_app(&bob).await;
    let owed = stage.sign_in(&token().await).await.unwrap();
    assert!(stage.factor(&owed, &setup).await.is_ok(), "before it is over");
    stage.clock.pass(4 * DAY);
    let owed = stage.sign_in(&token().await).await.unwrap();
    assert_eq!(owed.step, SignInStep::Factor);
    assert_eq!(stage.factor(&owed, &setup).await.err().map(|error| error.reason()), None);
}

/// A token that does not say when its subject proved who it is makes nothing fresh: neither by a clock that is set back a little, nor on
/// an instance whose clock is behind.
#[tokio::test]
async fn aut_17_a_token_without_a_time_of_proof_is_never_fresh() {
    let stage = Stage::open().await;
    stage.clock.pass(DAY);
    let me = stage.by(stage.sign_in(&stage.token(json!({"auth_time": null}))).await.unwrap()).await;
    assert_eq!(reason(me.identities().link_start().await), Reason::StepUpRequired);
    stage.clock.put_back(2);
    assert_eq!(me.identities().link_start().await.err().map(|error| error.reason()), Some(Reason::StepUpRequired));
}

/// A policy asks for a proof of the last hour; the issuer said nothing of when it had one.
#[tokio::test]
async fn aut_17_conditions_are_told_no_time_of_proof_that_no_issuer_named() {
    let stage = Stage::with(GUARDED, |config| config, None).await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "recent")).await.unwrap();
    let of_long_ago = stage.token(json!({"auth_time": stage.now() - 4000}));
    let me = stage.by(stage.sign_in(&of_long_ago).await.unwrap()).await;
    assert!(!me.can("user:list", None).unwrap());
    let silent = stage.token(json!({"auth_time": null}));
    let me = stage.by(stage.sign_in(&silent).await.unwrap()).await;
    assert!(!me.can("user:list", None).unwrap());
}

/// `IdentityChallenge::challenge` is good once.
#[tokio::test]
async fn aut_17_a_challenge_links_one_identity() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    let start = bob.identities().link_start().await.unwrap();
    let with = |subject: &str| stage.issuer.token(subject, stage.now(), json!({"nonce": start.nonce}));
    bob.identities().link(LinkIdentity::new(start.challenge.clone(), with("google|1"))).await.unwrap();
    let second = bob.identities().link(LinkIdentity::new(start.challenge.clone(), with("google|2"))).await;
    assert_eq!(second.map_err(|error| error.reason()), Err(Reason::InvalidToken));
}

/// Linking asks for a fresh proof; a challenge carries that of its start for ten minutes more.
#[tokio::test]
async fn aut_17_linking_asks_for_a_fresh_proof() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    stage.clock.pass(299);
    let start = bob.identities().link_start().await.unwrap();
    stage.clock.pass(500);
    let token = stage.issuer.token("google|1", stage.now(), json!({"nonce": start.nonce}));
    let late = bob.identities().link(LinkIdentity::new(start.challenge, token)).await;
    assert_eq!(late.map_err(|error| error.reason()), Err(Reason::StepUpRequired));
}

/// Whoever unlinks the last identity that signs in is locked out, if the other one is of an issuer that is not trusted any more.
#[tokio::test]
async fn aut_17_an_identity_of_an_issuer_that_is_not_trusted_is_no_way_in() {
    let stage = Stage::open().await;
    let other = Issuer::new("https://old.example.org", 9);
    let trusting = |issuers: Vec<TrustedIssuer>| {
        let builder = cheap::builder().storage(stage.storage.clone()).policy(policy());
        builder.config(cheap::config().trusted_issuers(issuers)).environment(stage.clock.clone()).open()
    };
    let both = trusting(vec![stage.issuer.trusted(), other.trusted()]).await.unwrap();
    let anybody = both.anonymous(RequestContext::default());
    let tokens = anybody.sign_in().external(SignInByToken::new(stage.token(json!({})))).await.unwrap().done().unwrap();
    let me = both.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let start = me.identities().link_start().await.unwrap();
    let token = other.token("ada", stage.now(), json!({"nonce": start.nonce}));
    me.identities().link(LinkIdentity::new(start.challenge, token)).await.unwrap();
    let one = trusting(vec![stage.issuer.trusted()]).await.unwrap();
    let me = one.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let only = me.identities().list().await.unwrap().into_iter().find(|known| known.issuer == ISSUER).unwrap();
    let unlinked = me.identities().unlink(UnlinkIdentity::new(only.id)).await;
    assert_eq!(unlinked.map_err(|error| error.reason()), Err(Reason::LastWayIn));
}

/// A thief with a session makes the address his own and links his identity, on another instance whose clock is behind or after a step of
/// the clock. The owner undoes the change, and all that came since; the thief signs in again.
#[tokio::test]
async fn aut_17_what_was_linked_after_a_change_is_unlinked_with_it_whatever_the_clocks_say() {
    const OWNERS: &str = "bob@example.org";
    const THIEFS: &str = "thief@example.net";
    let mails = Mails::default();
    let stage = Stage::with(GUARDED, |config| config, Some(&mails)).await;
    stage.clock.pass(DAY);
    let bob = stage.with_password("bob").await;
    bob.verification().send().await.unwrap();
    let proof = mails.take("verification", OWNERS).await.token.unwrap();
    let anybody = stage.um.anonymous(RequestContext::default());
    let mut confirm = ConfirmVerification::new(proof);
    confirm.password = Some(PASSWORD.into());
    anybody.verification().confirm(confirm).await.unwrap();
    let bob = stage.by(stage.um.login("bob", PASSWORD, RequestContext::default()).await.unwrap()).await;
    bob.email().change(ChangeEmail::new(THIEFS)).await.unwrap();
    let token = mails.take("email_change", THIEFS).await.token.unwrap();
    let tokens = bob.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    let undo = mails.take("email_changed", OWNERS).await.token.unwrap();
    stage.clock.put_back(2);
    let thief = stage.with_tokens(&tokens).await;
    link(&stage, &thief, "thief").await.unwrap();
    stage.clock.pass(60);
    anybody.email().revert(RevertEmail::new(undo)).await.unwrap();
    stage.clock.pass(60);
    let again = stage.sign_in(&stage.issuer.token("thief", stage.now(), json!({"jti": "2"}))).await;
    assert_eq!(again.map(|answer| answer.step).map_err(|error| error.reason()), Err(Reason::InvalidCredentials));
}

/// A token that comes again later was stolen, or kept: nobody hears of it, and it is told otherwise than the rest.
#[tokio::test]
async fn aut_17_a_token_that_comes_again_is_told_to_the_log_and_nobody_else() {
    let stage = Stage::open().await;
    let token = stage.token(json!({}));
    stage.sign_in(&token).await.unwrap();
    stage.clock.pass(60);
    let again = stage.sign_in(&token).await.unwrap_err();
    let log = stage.um.system().audit().list(ListAudit::new().limit(100)).await.unwrap().items;
    assert!(log.iter().any(|entry| entry.action == "sign_in.external_failed"), "somebody used a token again");
    let forged = stage.sign_in(&"no token".into()).await.unwrap_err();
    assert_eq!((again.reason(), again.message()), (forged.reason(), forged.message()));
}

/// The number of identities is counted in the plan, and nothing that the commit checks moves with it.
#[tokio::test]
async fn sec_16_two_who_link_the_twentieth_link_one() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    for at in 0..19 {
        link(&stage, &bob, &format!("google|{at}")).await.unwrap();
    }
    let start = bob.identities().link_start().await.unwrap();
    let token = stage.issuer.token("late", stage.now(), json!({"nonce": start.nonce}));
    let other = stage.by(stage.um.login("bob", PASSWORD, RequestContext::default()).await.unwrap()).await;
    let start_of_other = other.identities().link_start().await.unwrap();
    let of_other = stage.issuer.token("early", stage.now(), json!({"nonce": start_of_other.nonce}));
    stage.storage.before_next_commit(async move {
        other.identities().link(LinkIdentity::new(start_of_other.challenge, of_other)).await.unwrap();
    });
    let late = bob.identities().link(LinkIdentity::new(start.challenge, token)).await;
    assert!(stage.storage.has_acted());
    assert_eq!(late.map_err(|error| error.reason()), Err(Reason::LimitReached));
    assert_eq!(bob.identities().list().await.unwrap().len(), 20);
}

/// An administrator of users makes an account for somebody else's subject before that one comes, with a password that he knows. The
/// subject signs in, is asked for no other password, and works in an account that the administrator gets into for three days, and for
/// ever once he chose one of his own.
#[tokio::test]
async fn aut_17_who_made_an_account_for_a_subject_is_not_let_in_after_that_one_was() {
    let policy = format!("{GUARDED}\n[roles.clerk]\nallow = [\"user:create\"]\n");
    let stage = Stage::with(&policy, |config| config, None).await;
    let (clerk, _) = super::super::kit::signed_in(&stage.um, "clerk", &["clerk"]).await;
    let new = CreateUser::new("bob@example.org").username("bob").password(PASSWORD);
    let new = new.identity(rolekeep::users::ExternalIdentity::new(ISSUER, "google|1"));
    clerk.users().create(new).await.unwrap();
    let bob = stage.sign_in(&stage.issuer.token("google|1", stage.now(), json!({}))).await.unwrap();
    assert_eq!(bob.step, SignInStep::Done);
    let thief = stage.um.login("bob", PASSWORD, RequestContext::default()).await;
    assert_eq!(thief.map(|answer| answer.step).map_err(|error| error.reason()), Err(Reason::InvalidCredentials));
}

/// The thief has a token of a while ago. The user unlinks the identity, puts things right at the issuer, and links it again: the old token
/// counts again, as neither moves the epoch that tokens of before are measured by.
#[tokio::test]
async fn aut_17_a_token_of_before_its_subject_was_linked_signs_nobody_in() {
    let stage = Stage::open().await;
    let bob = stage.with_password("bob").await;
    let linked = link(&stage, &bob, "google|1").await.unwrap();
    let stolen = stage.issuer.token("google|1", stage.now(), json!({}));
    stage.clock.pass(60);
    bob.identities().unlink(UnlinkIdentity::new(linked.id)).await.unwrap();
    stage.clock.pass(60);
    link(&stage, &bob, "google|1").await.unwrap();
    let thief = stage.sign_in(&stolen).await;
    assert_eq!(thief.map(|answer| answer.step).map_err(|error| error.reason()), Err(Reason::InvalidCredentials));
}

/// All was ended by a clock that was a year ahead: tokens of later sign in once it is right.
#[tokio::test]
async fn aut_17_tokens_sign_in_again_once_a_clock_that_was_ahead_is_right() {
    let stage = Stage::open().await;
    stage.clock.pass(365 * DAY);
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    stage.um.system().users().lift(LiftUser::new(stage.ada)).await.unwrap();
    stage.clock.put_back(365 * DAY);
    let before = stage.token(json!({ "jti": "one" }));
    stage.clock.pass(2);
    // One is refused: nobody knows which of the two was first.
    assert_eq!(reason(stage.sign_in(&before).await), Reason::InvalidCredentials);
    stage.clock.pass(10);
    assert_eq!(reason(stage.sign_in(&before).await), Reason::InvalidCredentials);
    let answer = stage.sign_in(&stage.token(json!({ "jti": "two" }))).await;
    assert!(answer.is_ok(), "no token signs in for a year: {:?}", answer.err());
}

/// Held: what is handed out for one purpose is good for no other.
#[tokio::test]
async fn sec_4_no_text_passes_for_another() {
    let stage = Stage::with(GUARDED, |config| config.sign_in_tries(0), None).await;
    let foreign = stage.token(json!({"jti": "unused"}));
    let done = stage.sign_in(&stage.token(json!({}))).await.unwrap();
    let device = done.device_token.clone().unwrap();
    let tokens = done.done().unwrap();
    let me = stage.with_tokens(&tokens).await;
    let started = me.identities().link_start().await.unwrap();
    let setup = me.factors().add_start().await.unwrap();
    let texts = [
        ("access", tokens.access_token.clone()),
        ("refresh", tokens.refresh_token.clone()),
        ("device", device),
        ("identity", started.challenge.clone()),
        ("factor", setup.challenge.clone()),
        ("foreign", foreign),
    ];
    let anybody = stage.um.anonymous(RequestContext::default());
    for (kind, text) in &texts {
        let of = |purpose: &str| *kind == purpose;
        let login = stage.um.authenticate(text.expose(), RequestContext::default()).await;
        assert_eq!(login.is_ok(), of("access"), "authenticate {kind}");
        let inspected = anybody.sessions().inspect(rolekeep::sessions::InspectToken::new(text.clone())).await.unwrap();
        assert_eq!(inspected.active, of("access"), "inspect {kind}");
        if !of("refresh") {
            let refreshed = anybody.sessions().refresh(rolekeep::sessions::Refresh::new(text.clone())).await;
            assert_eq!(reason(refreshed), Reason::InvalidToken, "refresh {kind}");
        }
        if !of("foreign") {
            assert!(stage.sign_in(text).await.is_err(), "external {kind}");
            assert!(me.sessions().step_up_external(StepUpExternal::new(text.clone())).await.is_err(), "step up {kind}");
            let link = LinkIdentity::new(started.challenge.clone(), text.clone());
            assert!(me.identities().link(link).await.is_err(), "link {kind}");
        }
        if !of("identity") {
            let other = stage.issuer.token("google|1", stage.now(), json!({"nonce": started.nonce}));
            let link = LinkIdentity::new(text.clone(), other);
            assert_eq!(reason(me.identities().link(link).await), Reason::InvalidToken, "challenge {kind}");
        }
        if !of("factor") {
            let add = AddFactor::new(text.clone(), stage.code(&setup));
            assert_eq!(reason(me.factors().add(add).await), Reason::InvalidToken, "factor {kind}");
        }
        let step = ProveFactor::new(text.clone(), "000000");
        assert_eq!(reason(anybody.sign_in().factor(step).await), Reason::InvalidToken, "sign in {kind}");
        assert!(anybody.email().revert(RevertEmail::new(text.clone())).await.is_err(), "revert {kind}");
        assert!(
            anybody.verification().confirm(ConfirmVerification::new(text.clone())).await.is_err(),
            "confirm {kind}"
        );
    }
    // Nor one subject for another, whatever its case.
    let shouted = stage.issuer.token(&SUBJECT.to_uppercase(), stage.now(), json!({}));
    assert_eq!(reason(stage.sign_in(&shouted).await), Reason::InvalidCredentials);
}

/// Held: one subject is one account's, also of two that link it at once; and whoever is deleted meanwhile is not signed in.
#[tokio::test]
async fn sec_16_one_of_two_accounts_links_a_subject() {
    let stage = Stage::open().await;
    let (bob, eve) = (stage.with_password("bob").await, stage.with_password("eve").await);
    let [of_bob, of_eve] = [bob.identities().link_start().await.unwrap(), eve.identities().link_start().await.unwrap()];
    let token = |nonce: &str| stage.issuer.token("google|1", stage.now(), json!({"nonce": nonce}));
    let [for_bob, for_eve] = [token(&of_bob.nonce), token(&of_eve.nonce)];
    stage.storage.before_next_commit(async move {
        eve.identities().link(LinkIdentity::new(of_eve.challenge, for_eve)).await.unwrap();
    });
    assert_eq!(reason(bob.identities().link(LinkIdentity::new(of_bob.challenge, for_bob)).await), Reason::Taken);
    let (um, ada) = (stage.um.clone(), stage.ada);
    stage.storage.before_next_commit(async move {
        um.system().users().delete(rolekeep::users::DeleteUser::new(ada)).await.unwrap();
    });
    assert_eq!(reason(stage.sign_in(&stage.token(json!({}))).await), Reason::InvalidCredentials);
    assert!(stage.storage.has_acted());
}

/// Who is refused to unlink the last identity is told to choose a password by `passwords.forgot`, which chooses none for an account that
/// has an identity and no password: it mails how the account signs in.
#[tokio::test]
async fn aut_17_who_keeps_the_last_identity_is_told_what_helps() {
    let stage = Stage::open().await;
    let ada = stage.signed_in().await;
    let only = ada.identities().list().await.unwrap().remove(0);
    let kept = ada.identities().unlink(UnlinkIdentity::new(only.id)).await.unwrap_err();
    assert_eq!(kept.reason(), Reason::LastWayIn);
    assert!(!kept.message().contains("passwords.forgot"), "{}", kept.message());
}

/// An administrator makes an account for a subject, with a password that it knows, and begins a sign-in by that. Then the subject comes.
#[tokio::test]
async fn aut_17_a_sign_in_by_the_makers_password_ends_when_the_subject_comes() {
    let stage = Stage::open().await;
    let (root, _) = super::super::kit::signed_in(&stage.um, "root", &["admin"]).await;
    let new = CreateUser::external(ISSUER, "google|1").username("bob").password(PASSWORD);
    root.users().create(new).await.unwrap();
    let owed = stage.um.login("bob", PASSWORD, RequestContext::default()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Password);
    stage.clock.pass(60);
    let bob = stage.by(stage.sign_in(&stage.issuer.token("google|1", stage.now(), json!({}))).await.unwrap()).await;
    let step = ChoosePassword::new(owed.challenge.unwrap(), "another horse battery staple");
    let chosen = stage.um.anonymous(RequestContext::default()).sign_in().password(step).await;
    assert_eq!(reason(chosen), Reason::InvalidToken);
    assert!(bob.users().me().await.is_ok());
}
