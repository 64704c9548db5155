//! Signing in by a code or link that is mailed (AUT-16): who gets one, what it is good for and until when, and what is said to
//! whom.

mod attacked;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use rolekeep::{
    Caller, Config, Policy, Reason, RequestContext, Result, SecondFactor, Secret, UserId, UserManagement,
    audit::ListAudit,
    factors::AddFactor,
    notices::Notice,
    passwords::ChangePassword,
    roles::AssignRole,
    sign_in::{MailChallenge, SignInByMail, SignInResult, SignInStep, StartSignInByMail},
    storage::MemoryStorage,
    users::{CreateUser, ExternalIdentity, SuspendUser, UpdateUser},
};

use super::kit::{Ahead, Interposed, PASSWORD, policy};
use crate::{authenticator, cheap, mails::Mails};

const ADA: &str = "ada@example.org";

fn config() -> Config {
    cheap::config().mail_sign_in(true).signing_key("k".repeat(32))
}

/// A store with Ada in it, which mails.
struct Stage {
    um: UserManagement,
    clock: Ahead,
    mails: Mails,
    ada: UserId,
}

impl Stage {
    async fn open() -> Self {
        Self::with(policy(), config()).await
    }

    async fn with(policy: Policy, config: Config) -> Self {
        let (clock, mails) = (Ahead::new(), Mails::default());
        let builder = cheap::builder().storage(Arc::new(MemoryStorage::new())).policy(policy);
        let builder = builder.environment(clock.clone()).config(config).notifier(mails.clone());
        let um = builder.open().await.unwrap();
        let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
        Self { um, clock, mails, ada }
    }

    fn nobody(&self) -> Caller {
        self.um.anonymous(RequestContext::default())
    }

    async fn ask(&self, name: &str) -> Result<MailChallenge> {
        self.nobody().sign_in().mail_start(StartSignInByMail::new(name)).await
    }

    /// Ada asks, and is mailed a code.
    async fn asked(&self) -> (Secret, Notice) {
        // Not twice in a minute.
        self.clock.pass(61);
        let asked = self.ask("ada").await.unwrap();
        (asked.challenge, self.mails.take("sign_in_code", ADA).await)
    }

    async fn answer(&self, challenge: &Secret, code: &Secret) -> Result<SignInResult> {
        self.nobody().sign_in().mail(SignInByMail::new(challenge.clone(), code.clone())).await
    }

    async fn with_tokens(&self, signed_in: SignInResult) -> Caller {
        let tokens = signed_in.done().unwrap();
        self.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap()
    }

    /// Ada signs in by mail.
    async fn signed_in(&self) -> Caller {
        let (challenge, mail) = self.asked().await;
        self.with_tokens(self.answer(&challenge, &mail.code.unwrap()).await.unwrap()).await
    }
}

fn reason<T>(answer: Result<T>) -> Reason {
    answer.err().expect("it is refused").reason()
}

/// One that it is not.
fn other(code: &Secret) -> Secret {
    let wrong = if code.expose() == "12345678" { "87654321" } else { "12345678" };
    wrong.into()
}

#[tokio::test]
async fn aut_16_a_code_that_is_mailed_signs_in_where_it_was_asked_for() {
    let stage = Stage::open().await;
    let (challenge, mail) = stage.asked().await;
    let (code, token) = (mail.code.unwrap(), mail.token.unwrap());
    assert!(challenge.expose().starts_with("rkx_"));
    assert!(code.expose().len() == 8 && code.expose().bytes().all(|digit| digit.is_ascii_digit()));
    assert_eq!(token.expose(), format!("rkm_{}", code.expose()));
    let shown = format!("{} {}", &code.expose()[..4], &code.expose()[4..]);
    assert!(mail.text.expose().contains(&shown), "{}", mail.text.expose());
    // Neither the code without the challenge nor that of who else asked.
    stage.clock.pass(61);
    let of_other = stage.ask("ada").await.unwrap().challenge;
    stage.mails.take("sign_in_code", ADA).await;
    assert_eq!(reason(stage.answer(&of_other, &code).await), Reason::InvalidCredentials);
    assert_eq!(reason(stage.answer(&"rkx_AAAA".into(), &code).await), Reason::InvalidToken);
    let done = stage.answer(&challenge, &shown.into()).await.unwrap();
    assert_eq!(done.step, SignInStep::Done);
    let me = stage.with_tokens(done).await;
    assert!(me.users().me().await.unwrap().email_verified);
    // Or by the link, with what stands behind its `#`.
    let (challenge, mail) = stage.asked().await;
    stage.with_tokens(stage.answer(&challenge, &mail.token.unwrap()).await.unwrap()).await;
    let listed = stage.um.system().audit().list(ListAudit::new().action("sessions.login")).await.unwrap();
    assert_eq!(listed.items.len(), 2);
}

#[tokio::test]
async fn v6_5_5_a_code_is_good_for_ten_minutes() {
    let stage = Stage::open().await;
    let (challenge, mail) = stage.asked().await;
    stage.clock.pass(600);
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::InvalidToken);
}

/// V6.5.1: who did not get the answer gets it again, nobody else anything.
#[tokio::test]
async fn v6_5_1_a_code_counts_once() {
    let stage = Stage::open().await;
    let (challenge, mail) = stage.asked().await;
    let code = mail.code.unwrap();
    let first = stage.answer(&challenge, &code).await.unwrap().done().unwrap();
    let again = stage.answer(&challenge, &code).await.unwrap().done().unwrap();
    assert_eq!(first.session_id, again.session_id);
    assert_eq!(reason(stage.answer(&challenge, &other(&code)).await), Reason::InvalidToken);
    stage.clock.pass(31);
    assert_eq!(reason(stage.answer(&challenge, &code).await), Reason::InvalidToken);
}

#[tokio::test]
async fn v6_5_1_a_code_that_comes_many_times_at_once_begins_one_session() {
    let stage = Stage::open().await;
    for _ in 0..10 {
        let (challenge, mail) = stage.asked().await;
        let code = mail.code.unwrap();
        let answers = join_all((0..8).map(|_| stage.answer(&challenge, &code))).await;
        let sessions: std::collections::BTreeSet<_> =
            answers.into_iter().map(|answer| answer.unwrap().done().unwrap().session_id).collect();
        assert_eq!(sessions.len(), 1);
        stage.clock.pass(3600);
    }
}

/// V6.6.3: five wrong codes void a challenge, and another challenge gives no tries back.
#[tokio::test]
async fn v6_6_3_codes_are_not_guessed() {
    let stage = Stage::open().await;
    let (challenge, mail) = stage.asked().await;
    let code = mail.code.unwrap();
    for _ in 0..5 {
        assert_eq!(reason(stage.answer(&challenge, &other(&code)).await), Reason::InvalidCredentials);
    }
    assert_eq!(reason(stage.answer(&challenge, &code).await), Reason::RateLimited);
    let (challenge, mail) = stage.asked().await;
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::RateLimited);
    stage.clock.pass(900);
    // The name has room again; the challenge is void.
    let (challenge, mail) = stage.asked().await;
    let code = mail.code.unwrap();
    for seconds in [0, 0, 0, 0, 180] {
        assert_eq!(reason(stage.answer(&challenge, &other(&code)).await), Reason::InvalidCredentials);
        stage.clock.pass(seconds);
    }
    assert_eq!(reason(stage.answer(&challenge, &code).await), Reason::InvalidToken);
}

/// SEC-1: the same answers and the same work, whether or not there is such an account.
#[tokio::test]
async fn sec_1_nobody_learns_by_mail_sign_in_who_has_an_account() {
    let mails = Mails::default();
    let keep = mails.clone();
    let choose = move |builder: rolekeep::Builder| builder.config(config()).notifier(keep);
    let (um, storage) = Interposed::open_as(policy(), choose).await;
    um.system().users().create(CreateUser::new(ADA).password(PASSWORD)).await.unwrap();
    let nobody = um.anonymous(RequestContext::default());
    let quiet = async || {
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if storage.calls() == 0 {
                return;
            }
        }
        panic!("the store does not come to rest");
    };
    let mut seen = Vec::new();
    for name in [ADA, "eve@example.org"] {
        let asked = nobody.sign_in().mail_start(StartSignInByMail::new(name)).await.unwrap();
        if name == ADA {
            mails.take("sign_in_code", ADA).await;
        }
        quiet().await;
        let mut calls = Vec::new();
        for code in ["12345678", "", "rkm_12345678"] {
            let answer = nobody.sign_in().mail(SignInByMail::new(asked.challenge.clone(), code)).await;
            calls.push((reason(answer), storage.calls()));
        }
        seen.push(calls);
        quiet().await;
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].iter().all(|(reason, _)| *reason == Reason::InvalidCredentials));
}

/// NIST SP 800-63B-4, 3.1.3.1: a mailbox lets nobody in where there is, or has to be, a second factor.
#[tokio::test]
async fn aut_16_a_second_factor_is_not_got_around_by_mail() {
    let stage = Stage::open().await;
    // One that was mailed before is void.
    let (challenge, mail) = stage.asked().await;
    let me = stage.signed_in().await;
    let setup = me.factors().add_start().await.unwrap();
    let now = rolekeep::environment::Environment::now(&stage.clock).as_second() / 30;
    let code = authenticator::code(setup.secret.expose(), now);
    me.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::InvalidCredentials);
    stage.clock.pass(61);
    let asked = stage.ask(ADA).await.unwrap();
    let mail = stage.mails.take("sign_in_by_other_ways", ADA).await;
    assert!(mail.code.is_none() && mail.token.is_none() && mail.link.is_none());
    assert_eq!(reason(stage.answer(&asked.challenge, &"12345678".into()).await), Reason::InvalidCredentials);

    let stage = Stage::with(policy(), config().second_factor(SecondFactor::Required)).await;
    stage.ask("ada").await.unwrap();
    stage.mails.take("sign_in_by_other_ways", ADA).await;
}

#[tokio::test]
async fn aut_16_a_role_that_needs_a_second_factor_ends_a_code_that_is_on_its_way() {
    let text = "[permissions]\n\"note:write\" = \"\"\n[roles.guardian]\nsecond_factor = true\nallow = [\"note:write\"]";
    let stage = Stage::with(Policy::from_toml(text).unwrap(), config()).await;
    let (challenge, mail) = stage.asked().await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "guardian")).await.unwrap();
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::InvalidCredentials);
    stage.clock.pass(61);
    stage.ask("ada").await.unwrap();
    stage.mails.take("sign_in_by_other_ways", ADA).await;
}

/// E6: who registered an account with somebody else's address is out once that one signs in.
#[tokio::test]
async fn sec_6_what_was_set_before_the_address_was_proved_is_void() {
    let stage = Stage::open().await;
    let tokens = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let thief = stage.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let me = stage.signed_in().await;
    assert_eq!(reason(thief.users().me().await), Reason::SessionEnded);
    assert!(stage.um.login("ada", PASSWORD, RequestContext::default()).await.is_err());
    assert!(me.users().me().await.unwrap().email_verified);
    // Once it is proved, nothing is void any more.
    stage.signed_in().await;
    assert!(me.users().me().await.is_ok());
}

#[tokio::test]
async fn aut_16_what_is_mailed_is_void_with_what_it_rests_on() {
    let stage = Stage::open().await;
    stage.signed_in().await;
    // Another address.
    let (challenge, mail) = stage.asked().await;
    let change = UpdateUser::new(stage.ada).email("new@example.org");
    stage.um.system().users().update(change).await.unwrap();
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::InvalidCredentials);
    let back = UpdateUser::new(stage.ada).email(ADA);
    stage.um.system().users().update(back).await.unwrap();
    // Another password.
    let set = rolekeep::passwords::SetPassword::new(stage.ada, PASSWORD).is_temporary(false);
    stage.um.system().passwords().set(set).await.unwrap();
    let tokens = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let me = stage.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let (challenge, mail) = stage.asked().await;
    me.passwords().change(ChangePassword::new(PASSWORD, "another horse battery staple")).await.unwrap();
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::InvalidCredentials);
    // Who may not sign in does not, and is mailed nothing.
    let (challenge, mail) = stage.asked().await;
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::InvalidCredentials);
}

#[tokio::test]
async fn aut_16_an_account_of_another_issuer_is_told_so() {
    let stage = Stage::open().await;
    let identity = ExternalIdentity::new("https://issuer.example", "7");
    let new = CreateUser::new("bob@example.org").identity(identity);
    stage.um.system().users().create(new).await.unwrap();
    stage.ask("bob@example.org").await.unwrap();
    assert!(stage.mails.take("sign_in_elsewhere", "bob@example.org").await.code.is_none());
}

#[tokio::test]
async fn aut_16_it_is_off_unless_the_host_turns_it_on() {
    let stage = Stage::with(policy(), cheap::config().signing_key("k".repeat(32))).await;
    assert_eq!(reason(stage.ask("ada").await), Reason::NotOffered);
    assert_eq!(reason(stage.answer(&"rkx_AAAA".into(), &"12345678".into()).await), Reason::NotOffered);
    let opened = cheap::builder().policy(policy()).config(config()).open().await;
    assert_eq!(reason(opened), Reason::ConfigInvalid, "without a notifier");
}

#[tokio::test]
async fn aut_12_codes_are_not_asked_for_without_bound() {
    let stage = Stage::open().await;
    stage.ask("ada").await.unwrap();
    assert_eq!(reason(stage.ask(" ADA ").await), Reason::RateLimited);
    stage.ask("eve").await.unwrap();
    assert_eq!(reason(stage.ask("eve").await), Reason::RateLimited, "nor for who is not there");
    let input = StartSignInByMail::new(" ");
    assert_eq!(reason(stage.nobody().sign_in().mail_start(input).await), Reason::InvalidInput);
}

/// A sign-in by mail is fresh, at the level of one factor.
#[tokio::test]
async fn aut_16_a_mailbox_is_one_factor() {
    let text = "[permissions]\n\"note:write\" = \"\"\n[roles.member]\ndefault = true\n\
        allow = [{ permission = \"note:write\", when = \"has principal.factors and principal.factors contains 'mail'\" }]";
    let stage = Stage::with(Policy::from_toml(text).unwrap(), config()).await;
    let me = stage.signed_in().await;
    assert!(me.can("note:write", None).unwrap());
    me.factors().add_start().await.unwrap();
    stage.clock.pass(301);
    assert_eq!(reason(me.factors().add_start().await), Reason::StepUpRequired);
}
