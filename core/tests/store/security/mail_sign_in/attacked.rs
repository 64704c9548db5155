//! What an attack on signing in by mail found.

use rolekeep::{
    factors::AddFactor,
    internals::credential::Challenge,
    passwords::SetTemporaryPassword,
    sessions::{Login, StepUp},
};

use super::*;
use crate::{cheap, mails::Answer, security::kit::all};

const GUARDIAN: &str =
    "[permissions]\n\"note:write\" = \"\"\n[roles.guardian]\nsecond_factor = true\nallow = [\"note:write\"]";

fn from(address: &str) -> RequestContext {
    RequestContext::from_ip(address)
}

impl Stage {
    async fn add_app(&self, me: &Caller) -> String {
        let setup = me.factors().add_start().await.unwrap();
        let now = rolekeep::environment::Environment::now(&self.clock).as_second() / 30;
        let code = authenticator::code(setup.secret.expose(), now);
        me.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
        setup.secret.expose().to_owned()
    }

    async fn with_password(&self) -> Caller {
        let done = self.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
        self.with_tokens(done).await
    }
}

/// What comes of a sign-in while Ada is given the role: by a code, whether or not her address was proved before, or by her password.
async fn given_a_role_meanwhile(is_proved: bool, by_mail: bool) -> Result<SignInStep> {
    let (clock, mails) = (Ahead::new(), Mails::default());
    let keep = (clock.clone(), mails.clone());
    let choose = move |builder: rolekeep::Builder| builder.config(config()).environment(keep.0).notifier(keep.1);
    let (um, storage) = Interposed::open_as(Policy::from_toml(GUARDIAN).unwrap(), choose).await;
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
    let stage = Stage { um, clock, mails, ada };
    if is_proved {
        stage.signed_in().await;
    }
    let (challenge, mail) = stage.asked().await;
    // All is given out and settled.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let system = stage.um.system();
    storage.before_next_read_of("guards", async move {
        system.roles().assign(AssignRole::new(ada, "guardian")).await.unwrap();
    });
    let answer = match by_mail {
        true => stage.answer(&challenge, &mail.code.unwrap()).await,
        false => stage.um.login("ada", PASSWORD, RequestContext::default()).await,
    };
    assert!(storage.has_acted());
    answer.map(|answer| answer.step)
}

/// The role is asked for again "in the same commit" (decision 025): but the roles are read before the guard that stands for them, and
/// not again after it.
#[tokio::test]
async fn aut_16_a_role_that_needs_a_second_factor_and_a_code_at_once() {
    assert_eq!(given_a_role_meanwhile(false, false).await.unwrap(), SignInStep::Enrol, "as for a password");
    let answers = [given_a_role_meanwhile(true, true).await, given_a_role_meanwhile(false, true).await];
    let refused = |answer: &Result<_>| answer.as_ref().is_err_and(|error| error.reason() == Reason::InvalidCredentials);
    assert!(answers.iter().all(refused), "{answers:?}");
}

/// V6.1.1: a stranger's asking neither ends nor starves a link; of codes it does.
#[tokio::test]
async fn v6_1_1_a_stranger_who_asks_keeps_nobody_from_a_code() {
    let stage = Stage::open().await;
    let ask = async |address: &str| {
        stage.um.anonymous(from(address)).sign_in().mail_start(StartSignInByMail::new("ada")).await
    };
    ask("203.0.113.1").await.unwrap();
    let ada = ask("198.51.100.7").await;
    assert!(ada.is_ok(), "{:?}", ada.err());
    // Nor by five in an hour.
    for _ in 0..5 {
        stage.clock.pass(61);
        let _ = ask("203.0.113.1").await;
    }
    stage.clock.pass(61);
    let ada = ask("198.51.100.7").await;
    assert!(ada.is_ok(), "{:?}", ada.err());
}

/// Where level 2 is owed the mail carries no code; it does where the notice is given once more.
#[tokio::test]
async fn aut_16_a_notice_that_comes_again_is_asked_about_again() {
    let stage = Stage::with(Policy::from_toml(GUARDIAN).unwrap(), config()).await;
    stage.mails.answer([Answer::Says(rolekeep::notices::Delivery::RetryAfter(Duration::from_secs(5)))]);
    stage.asked().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "guardian")).await.unwrap();
    stage.clock.pass(10);
    // Wakes who gives out.
    stage.ask("nobody").await.unwrap();
    for _ in 0..200 {
        if stage.mails.left() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.mails.take("sign_in_by_other_ways", ADA).await;
}

/// The same where the application has turned it off meanwhile: a code is mailed that nothing takes.
#[tokio::test]
async fn aut_16_a_store_that_does_not_offer_it_mails_no_code() {
    let (clock, mails, storage) = (Ahead::new(), Mails::default(), Arc::new(MemoryStorage::new()));
    let open = async |config: Config| {
        let builder = cheap::builder().storage(storage.clone()).policy(policy());
        builder.environment(clock.clone()).config(config).notifier(mails.clone()).open().await.unwrap()
    };
    let um = open(config()).await;
    um.system().users().create(CreateUser::new(ADA)).await.unwrap();
    mails.answer([Answer::Says(rolekeep::notices::Delivery::RetryAfter(Duration::from_secs(5)))]);
    um.anonymous(RequestContext::default()).sign_in().mail_start(StartSignInByMail::new(ADA)).await.unwrap();
    mails.take("sign_in_code", ADA).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(um);
    tokio::time::sleep(Duration::from_millis(100)).await;
    clock.pass(10);
    let _um = open(config().mail_sign_in(false)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(mails.left(), 0, "a code was mailed");
}

/// `sessions.login` says that a device is known no more after ten failures in a row; `sign_in.mail` says that it is.
#[tokio::test]
async fn aut_12_a_device_with_which_too_many_failed_is_not_known_to_mail_either() {
    let stage = Stage::open().await;
    stage.signed_in().await;
    let (challenge, mail) = stage.asked().await;
    let token = stage.answer(&challenge, &mail.code.unwrap()).await.unwrap().device_token.unwrap();
    stage.mails.take("new_device", ADA).await;
    for _ in 0..10 {
        let mut login = Login::new("ada", "wrong");
        login.device_token = Some(token.clone());
        assert_eq!(reason(stage.nobody().sessions().login(login).await), Reason::InvalidCredentials);
        stage.clock.pass(900);
    }
    stage.clock.pass(3600);
    let (challenge, mail) = stage.asked().await;
    let mut step = SignInByMail::new(challenge, mail.code.unwrap());
    step.device_token = Some(token);
    stage.nobody().sign_in().mail(step).await.unwrap().done().unwrap();
    for _ in 0..100 {
        if stage.mails.left() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stage.mails.left(), 1, "nobody was told of the device");
}

/// What somebody types into the field of the name may be a password: the challenge keeps a pseudonym of it, as the limits do (decision
/// 021).
#[tokio::test]
async fn sec_13_what_was_typed_is_not_kept() {
    let storage = Arc::new(MemoryStorage::new());
    let (clock, mails) = (Ahead::new(), Mails::default());
    let builder = cheap::builder().storage(storage.clone()).policy(policy());
    let um = builder.environment(clock.clone()).config(config()).notifier(mails.clone()).open().await.unwrap();
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada")).await.unwrap().id;
    let stage = Stage { um, clock, mails, ada };
    stage.signed_in().await;
    stage.ask("correct horse battery staple").await.unwrap();
    let kept: Vec<_> = all::<Challenge>(&*storage).await.into_iter().filter_map(|one| one.identifier).collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|kept| kept.len() == 22 && !kept.contains(' ')), "{kept:?}");
}

/// Where nobody had proved the address, second factors of before are void: who registers somebody's address with an app of his own
/// does not keep that one from signing in by mail.
#[tokio::test]
async fn sec_6_a_second_factor_of_before_the_address_was_proved_does_not_keep_its_owner_out() {
    let stage = Stage::open().await;
    let thief = stage.with_password().await;
    stage.add_app(&thief).await;
    stage.clock.pass(61);
    let (challenge, mail) = stage.asked().await;
    let me = stage.with_tokens(stage.answer(&challenge, &mail.code.unwrap()).await.unwrap()).await;
    assert_eq!(reason(thief.users().me().await), Reason::SessionEnded);
    assert_eq!(me.factors().list().await.unwrap().factors.len(), 0);
}

/// The same where a second factor is demanded of who has neither that nor a password.
#[tokio::test]
async fn aut_16_who_has_no_other_way_is_told_of_one_that_there_is() {
    let stage = Stage::with(policy(), config().second_factor(SecondFactor::Required)).await;
    stage.um.system().users().create(CreateUser::new("bob@example.org")).await.unwrap();
    stage.ask("bob@example.org").await.unwrap();
    let mail = stage.mails.take("sign_in_by_other_ways", "bob@example.org").await;
    assert!(mail.text.expose().contains("or never chose it, ask for a link"), "{}", mail.text.expose());
}

/// A reset of the password tells of itself; the first sign-in by mail makes it void without a word.
#[tokio::test]
async fn v6_3_7_who_loses_a_password_by_signing_in_is_told() {
    let stage = Stage::open().await;
    stage.signed_in().await;
    assert!(stage.um.login("ada", PASSWORD, RequestContext::default()).await.is_err(), "it is void");
    for _ in 0..100 {
        if stage.mails.left() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stage.mails.left(), 1, "nobody was told that the password is void");
}

/// `verification::void_others`: "a mistyped address inherits no authority". By mail it does: with a sign-in, and no word of an
/// administrator.
#[tokio::test]
async fn sec_10_a_mistyped_address_inherits_no_authority_by_mail() {
    let stage = Stage::open().await;
    let new = CreateUser::new("boss@exmaple.org").username("boss").password(PASSWORD).roles(["admin"]);
    stage.um.system().users().create(new).await.unwrap();
    stage.ask("boss@exmaple.org").await.unwrap();
    assert!(stage.mails.take("sign_in_by_other_ways", "boss@exmaple.org").await.code.is_none());
}

/// An instance that has mailed nothing itself takes no code, either, which another one has mailed.
#[tokio::test]
async fn aut_16_an_instance_takes_codes_that_others_mailed() {
    let (clock, mails, storage) = (Ahead::new(), Mails::default(), Arc::new(MemoryStorage::new()));
    let builder = || {
        let builder = cheap::builder().storage(storage.clone()).policy(policy());
        builder.environment(clock.clone()).config(config())
    };
    let um = builder().notifier(mails.clone()).open().await.unwrap();
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada")).await.unwrap().id;
    let stage = Stage { um, clock: clock.clone(), mails: mails.clone(), ada };
    let (challenge, mail) = stage.asked().await;
    let other = builder().notifier(Mails::default()).open().await.unwrap();
    let step = SignInByMail::new(challenge, mail.code.unwrap());
    let answer = other.anonymous(RequestContext::default()).sign_in().mail(step).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// A clock that was ahead when it was asked, and is set back: a code of ten minutes is good for hours.
#[tokio::test]
async fn v6_5_5_a_clock_that_is_set_back_lengthens_no_code() {
    let stage = Stage::open().await;
    stage.clock.pass(7200);
    let (challenge, mail) = stage.asked().await;
    stage.clock.put_back(7200);
    // By any clock but the wrong one it is an hour later.
    stage.clock.pass(3600);
    assert_eq!(reason(stage.answer(&challenge, &mail.code.unwrap()).await), Reason::InvalidToken);
}

/// V6.1.1: `passwords.reset` says "whoever has the mail is not kept out by those who guess"; whoever has the code is.
#[tokio::test]
async fn v6_1_1_who_has_the_code_is_not_kept_out_by_those_who_guess_passwords() {
    let stage = Stage::open().await;
    let (challenge, mail) = stage.asked().await;
    let thief = stage.um.anonymous(from("203.0.113.1"));
    for _ in 0..5 {
        assert_eq!(reason(thief.sessions().login(Login::new("ada", "wrong")).await), Reason::InvalidCredentials);
    }
    let step = SignInByMail::new(challenge, mail.code.unwrap());
    let answer = stage.um.anonymous(from("198.51.100.7")).sign_in().mail(step).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// The audit log says what an account has lost by the first proof of its address.
#[tokio::test]
async fn sec_6_the_log_tells_that_a_password_is_void() {
    let stage = Stage::open().await;
    stage.signed_in().await;
    let listed = stage.um.system().audit().list(ListAudit::new()).await.unwrap();
    let told: Vec<_> = listed.items.iter().map(|entry| (entry.action.clone(), format!("{entry:?}"))).collect();
    assert!(told.iter().any(|(action, what)| action.contains("password") || what.contains("password")), "{told:#?}");
}

/// Held: however many are guessed at once on however many challenges, five are told that they are wrong.
#[tokio::test]
async fn sec_16_guesses_at_once_have_five_places() {
    let stage = Stage::open().await;
    let mut challenges = Vec::new();
    for _ in 0..3 {
        let (challenge, mail) = stage.asked().await;
        challenges.push((challenge, other(&mail.code.unwrap())));
    }
    let guesses = (0..8).flat_map(|_| &challenges).map(|(challenge, code)| stage.answer(challenge, code));
    let answers = join_all(guesses).await.into_iter().map(reason);
    let told = answers.filter(|reason| *reason == Reason::InvalidCredentials).count();
    assert!(told <= 5, "{told}");
}

/// Held: what an account is does not show in the answers to a wrong code, nor in the calls that they take.
#[tokio::test]
async fn sec_1_an_account_of_any_kind_is_answered_alike() {
    let (clock, mails) = (Ahead::new(), Mails::default());
    let keep = (clock.clone(), mails.clone());
    let choose = move |builder: rolekeep::Builder| builder.config(config()).environment(keep.0).notifier(keep.1);
    let (um, storage) = Interposed::open_as(Policy::from_toml(GUARDIAN).unwrap(), choose).await;
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
    let stage = Stage { um, clock, mails, ada };
    let system = stage.um.system();
    let identity = ExternalIdentity::new("https://issuer.example", "7");
    system.users().create(CreateUser::new("eva@example.org").identity(identity)).await.unwrap();
    let bob = system.users().create(CreateUser::new("bob@example.org")).await.unwrap().id;
    system.users().suspend(SuspendUser::new(bob)).await.unwrap();
    system.users().create(CreateUser::new("guard@example.org").roles(["guardian"])).await.unwrap();
    let me = stage.with_password().await;
    stage.add_app(&me).await;
    let mut seen = Vec::new();
    for name in ["eva@example.org", "bob@example.org", "guard@example.org", "ada", ADA, "nobody", "no@example.org"] {
        stage.clock.pass(3600);
        let asked = stage.ask(name).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        storage.calls();
        let mut calls = Vec::new();
        for _ in 0..6 {
            let answer = reason(stage.answer(&asked.challenge, &"12345678".into()).await);
            calls.push((answer, storage.calls()));
        }
        seen.push((name, calls));
    }
    assert!(seen.iter().all(|(_, calls)| *calls == seen[0].1), "{seen:#?}");
}

/// Held: a code is of the account whose address it was mailed to, whoever has the name by now.
#[tokio::test]
async fn sec_6_a_name_that_changes_hands_lets_nobody_else_in() {
    let stage = Stage::open().await;
    let system = stage.um.system();
    let eve = system.users().create(CreateUser::new("eve@example.org").username("eve")).await.unwrap().id;
    let asked = stage.ask("eve").await.unwrap();
    let code = stage.mails.take("sign_in_code", "eve@example.org").await.code.unwrap();
    system.users().update(UpdateUser::new(eve).username("mallory")).await.unwrap();
    system.users().update(UpdateUser::new(stage.ada).username("eve")).await.unwrap();
    let me = stage.with_tokens(stage.answer(&asked.challenge, &code).await.unwrap()).await;
    assert_eq!(me.users().me().await.unwrap().id, eve);
}

/// Held: what happens between the plan and its commit is asked about again.
#[tokio::test]
async fn sec_16_what_comes_before_the_commit_ends_the_code() {
    for what in ["suspend", "password", "role", "address", "delete"] {
        for is_proved in [true, false] {
            let (clock, mails) = (Ahead::new(), Mails::default());
            let keep = (clock.clone(), mails.clone());
            let choose =
                move |builder: rolekeep::Builder| builder.config(config()).environment(keep.0).notifier(keep.1);
            let (um, storage) = Interposed::open_as(Policy::from_toml(GUARDIAN).unwrap(), choose).await;
            let ada = um.system().users().create(CreateUser::new(ADA).username("ada")).await.unwrap().id;
            let stage = Stage { um, clock, mails, ada };
            if is_proved {
                stage.signed_in().await;
            }
            let (challenge, mail) = stage.asked().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            let system = stage.um.system();
            storage.before_next_commit(async move {
                let users = system.users();
                match what {
                    "suspend" => drop(users.suspend(SuspendUser::new(ada)).await.unwrap()),
                    "password" => {
                        let set = rolekeep::passwords::SetPassword::new(ada, PASSWORD).is_temporary(false);
                        system.passwords().set(set).await.unwrap();
                    }
                    "role" => drop(system.roles().assign(AssignRole::new(ada, "guardian")).await.unwrap()),
                    "address" => drop(users.update(UpdateUser::new(ada).email("new@example.org")).await.unwrap()),
                    _ => users.delete(rolekeep::users::DeleteUser::new(ada)).await.unwrap(),
                }
            });
            let answer = stage.answer(&challenge, &mail.code.unwrap()).await;
            assert!(storage.has_acted());
            assert_eq!(
                answer.err().map(|error| error.reason()),
                Some(Reason::InvalidCredentials),
                "{what} {is_proved}"
            );
        }
    }
}

/// It lets nobody in, and is no proof to who is signed in by something else, either.
#[tokio::test]
async fn v6_4_1_a_temporary_password_that_has_run_out_proves_nothing() {
    const NEW: &str = "another horse battery staple";
    let stage = Stage::open().await;
    stage.signed_in().await;
    let set = SetTemporaryPassword::new(stage.ada);
    let given = stage.um.system().passwords().set_temporary(set).await.unwrap().password;
    stage.clock.pass(71 * 3600);
    let me = stage.signed_in().await;
    let tokens = me.sessions().step_up(StepUp::new(given.clone())).await.unwrap();
    let me = stage.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let refused = me.passwords().change(ChangePassword::new("what it is not, at all", NEW)).await.unwrap_err();
    stage.clock.pass(2 * 3600);
    let me = stage.signed_in().await;
    for answer in [
        me.sessions().step_up(StepUp::new(given.clone())).await,
        me.passwords().change(ChangePassword::new(given.clone(), NEW)).await,
    ] {
        let error = answer.unwrap_err();
        assert_eq!((error.reason(), error.fields()[0].code), (refused.reason(), refused.fields()[0].code));
    }
}
