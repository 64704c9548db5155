//! Second factors that somebody has to have.

use rolekeep::{
    SecondFactor,
    factors::RemoveFactor,
    passwords::{ChangePassword, SetPassword},
    roles::{AssignRole, UnassignRole, UpdateRole},
    sessions::StepUp,
    sign_in::{ChoosePassword, Enrol, StartEnrol},
    users::{ListUsers, UserView},
};

use super::*;

use crate::cheap;

/// Eight characters, and none of the common ones.
const SHORT: &str = "qz7!vkpw";

const STRONG: &str = r#"
[types.note.attributes]
owner = "id?"

[permissions]
"note:read" = ""
"note:write" = ""
"note:purge" = ""

[roles.reader]
allow = ["note:read"]

[roles.guardian]
second_factor = true
allow = ["note:write", "user:list", "user:read"]
deny = ["note:purge"]

[roles.senior]
inherits = ["guardian", "reader"]
allow = ["note:purge"]

[roles.recent]
allow = [{ permission = "note:write", when = "has principal.authenticated_at and now < principal.authenticated_at + 60s" }]

[roles.careful]
allow = [{ permission = "note:purge", when = "has principal.factors and principal.factors contains 'totp'" }]

[roles.admin]
second_factor = true
allow = ["admin:all"]
"#;

async fn strong() -> Stage {
    Stage::with(Policy::from_toml(STRONG).unwrap(), cheap::config()).await
}

async fn assign(stage: &Stage, role: &str) {
    stage.um.system().roles().assign(AssignRole::new(stage.ada, role)).await.unwrap();
}

/// Takes the steps of a sign-in that owes a second factor.
async fn enrol(stage: &Stage, owed: SignInResult) -> (App, SignInResult) {
    assert_eq!(owed.step, SignInStep::Enrol);
    let challenge = owed.challenge.unwrap();
    let setup = stage.nobody().sign_in().enrol_start(StartEnrol::new(challenge.clone())).await.unwrap();
    let again = stage.nobody().sign_in().enrol_start(StartEnrol::new(challenge.clone())).await.unwrap();
    assert_eq!((&setup.secret, &setup.challenge), (&again.secret, &again.challenge), "a lost answer comes again");
    let app = App::new(&setup.secret, &stage.clock);
    let wrong = stage.nobody().sign_in().enrol(Enrol::new(challenge.clone(), app.wrong())).await;
    assert_eq!(reason(wrong), Reason::InvalidInput);
    let answer = stage.nobody().sign_in().enrol(Enrol::new(challenge, app.code())).await.unwrap();
    stage.clock.pass(60);
    (app, answer)
}

#[tokio::test]
async fn aut_10_where_all_have_to_have_one_the_next_sign_in_adds_it() {
    let config = cheap::config().second_factor(SecondFactor::Required);
    let stage = Stage::with(super::policy(), config).await;
    let owed = stage.login().await;
    let unstarted = Enrol::new(owed.challenge.clone().unwrap(), "123456");
    assert_eq!(reason(stage.nobody().sign_in().enrol(unstarted).await), Reason::InvalidToken);
    let (app, done) = enrol(&stage, owed).await;
    assert_eq!(done.recovery_codes.len(), 10);
    let me = stage.with_tokens(&done.done().unwrap()).await;
    let listed = me.factors().list().await.unwrap();
    assert!(listed.are_required);
    let last = me.factors().remove(RemoveFactor::new(listed.factors[0].id)).await;
    assert_eq!(reason(last), Reason::SecondFactorRequired);
    stage.signed_in_by(&app.code()).await.unwrap();
}

#[tokio::test]
async fn aut_10_where_there_are_none_nobody_adds_one() {
    let stage = Stage::with(super::policy(), cheap::config().second_factor(SecondFactor::Off)).await;
    let me = stage.ada().await;
    assert_eq!(reason(me.factors().add_start().await), Reason::NotOffered);
    assert_eq!(reason(me.factors().recovery_codes().await), Reason::NotOffered);
}

/// V2.3.1: a role that needs one allows nothing before; its denies count all the same.
#[tokio::test]
async fn aut_10_a_role_that_needs_a_second_factor_allows_nothing_without() {
    let stage = strong().await;
    let me = stage.ada().await;
    assign(&stage, "reader").await;
    assign(&stage, "senior").await;
    assert!(me.can("note:read", None).unwrap());
    for permission in ["note:write", "note:purge", "user:list"] {
        assert!(!me.can(permission, None).unwrap(), "{permission}");
        assert!(!me.explain(permission, None).unwrap().allowed);
    }
    assert_eq!(reason(me.users().list(ListUsers::new()).await), Reason::Denied);
    let (_, done) = enrol(&stage, stage.login().await).await;
    let me = stage.with_tokens(&done.done().unwrap()).await;
    assert!(me.can("note:read", None).unwrap() && me.can("note:write", None).unwrap());
    assert!(!me.can("note:purge", None).unwrap(), "its deny");
    assert!(me.users().list(ListUsers::new()).await.is_ok());
    let role = me.roles().mine().await.unwrap();
    assert_eq!(role.len(), 2);
}

/// A role that is assigned to somebody who is signed in, or begins to need one, is inactive at once.
#[tokio::test]
async fn v8_3_2_a_role_that_begins_to_need_one_allows_nothing_at_once() {
    let stage = strong().await;
    let me = stage.ada().await;
    assign(&stage, "reader").await;
    assert!(me.can("note:read", None).unwrap());
    let change = UpdateRole::new("reader").needs_second_factor(true);
    let role = stage.um.system().roles().update(change).await.unwrap();
    assert!(role.needs_second_factor);
    assert!(!me.can("note:read", None).unwrap());
    assert_eq!(stage.login().await.step, SignInStep::Enrol);
    stage.um.system().roles().update(UpdateRole::new("reader").needs_second_factor(false)).await.unwrap();
    assert!(me.can("note:read", None).unwrap());
    assert_eq!(stage.login().await.step, SignInStep::Done);
}

/// An administrator is none by the password alone.
#[tokio::test]
async fn aut_10_an_administrator_without_it_administers_nothing() {
    let stage = strong().await;
    let me = stage.ada().await;
    assign(&stage, "admin").await;
    assert!(!me.can("admin:all", None).unwrap());
    let one = async |me: &Caller| -> Result<UserView> {
        me.users().create(CreateUser::new("b@example.org").username("bob")).await
    };
    assert_eq!(reason(one(&me).await), Reason::Denied);
    let (_, done) = enrol(&stage, stage.login().await).await;
    one(&stage.with_tokens(&done.done().unwrap()).await).await.unwrap();
    // The application vouches for whom it acts as.
    assert!(stage.um.acting_as(stage.ada).await.unwrap().can("admin:all", None).unwrap());
}

/// `principal.authenticated_at` and `principal.factors`, in checks and in operations.
#[tokio::test]
async fn aut_10_conditions_read_when_and_by_what_it_was_proved() {
    let stage = strong().await;
    assign(&stage, "recent").await;
    assign(&stage, "careful").await;
    let me = stage.ada().await;
    assert!(me.can("note:write", None).unwrap() && !me.can("note:purge", None).unwrap());
    stage.clock.pass(60);
    assert!(!me.can("note:write", None).unwrap());
    let tokens = me.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap();
    assert!(stage.with_tokens(&tokens).await.can("note:write", None).unwrap());
    let (app, me, _) = stage.enrolled().await;
    assert!(me.can("note:purge", None).unwrap());
    let tokens = stage.signed_in_by(&app.code()).await.unwrap();
    assert!(stage.with_tokens(&tokens).await.can("note:purge", None).unwrap());
    // The application's word is no proof.
    let acting = stage.um.acting_as(stage.ada).await.unwrap();
    assert!(!acting.can("note:write", None).unwrap() && !acting.can("note:purge", None).unwrap());
}

/// NIST SP 800-63B-4, 3.1.1.2: eight characters will do beside a second factor, and no longer than that.
#[tokio::test]
async fn n_3_1_1_2_a_short_password_is_good_beside_a_second_factor_alone() {
    let stage = strong().await;
    let me = stage.ada().await;
    let short = ChangePassword::new(PASSWORD, SHORT);
    assert_eq!(reason(me.passwords().change(short.clone()).await), Reason::InvalidInput);
    assign(&stage, "guardian").await;
    let me = stage.with_tokens(&me.passwords().change(short).await.unwrap()).await;
    assert!(!me.can("note:write", None).unwrap());
    let owed = stage.um.login("ada", SHORT, RequestContext::default()).await.unwrap();
    let (app, done) = enrol(&stage, owed).await;
    done.done().unwrap();
    let login = async || stage.um.login("ada", SHORT, RequestContext::default()).await.unwrap();
    let owed = login().await;
    assert_eq!(owed.step, SignInStep::Factor);
    stage.prove(&owed.challenge.unwrap(), &app.code()).await.unwrap().done().unwrap();
    // Who has it of its own will does not have to.
    stage.um.system().roles().unassign(UnassignRole::new(stage.ada, "guardian")).await.unwrap();
    stage.clock.pass(60);
    let owed = stage.prove(&login().await.challenge.unwrap(), &app.code()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Password);
    let challenge = owed.challenge.unwrap();
    let choose = async |password: &str| {
        stage.nobody().sign_in().password(ChoosePassword::new(challenge.clone(), password)).await
    };
    assert_eq!(reason(choose(SHORT).await), Reason::InvalidInput);
    assert_eq!(reason(choose("qz7!vkpx").await), Reason::InvalidInput);
    choose("another horse battery staple").await.unwrap().done().unwrap();
}

/// The same of passwords that the application sets.
#[tokio::test]
async fn n_3_1_1_2_the_application_sets_a_short_password_where_a_second_factor_is_demanded() {
    let stage = strong().await;
    let set = SetPassword::new(stage.ada, SHORT).is_temporary(false);
    let system = stage.um.system();
    assert_eq!(reason(system.passwords().set(set.clone()).await), Reason::InvalidInput);
    assign(&stage, "guardian").await;
    system.passwords().set(set).await.unwrap();
    system.roles().unassign(UnassignRole::new(stage.ada, "guardian")).await.unwrap();
    let owed = stage.um.login("ada", SHORT, RequestContext::default()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Password);
}
