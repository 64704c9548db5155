//! What ends second factors, and what does not.

use rolekeep::{
    FactorId,
    email::RevertEmail,
    factors::{RemoveFactor, ResetFactorsOf},
    internals::factor::FormerFactor,
    passwords::{ForgotPassword, ResetPassword, SetTemporaryPassword},
    sessions::StepUp,
    users::{DeleteUser, PurgeUser},
};

use uuid::Uuid;

use super::*;
use crate::{
    cheap,
    security::kit::{all, signed_in},
};

const NEW: &str = "another horse battery staple";

#[tokio::test]
async fn aut_10_removing_the_last_one_takes_its_recovery_codes_along() {
    let stage = Stage::open().await;
    let (app, me, added) = stage.enrolled().await;
    let other = stage.with_tokens(&stage.signed_in_by(&app.code()).await.unwrap()).await;
    let owed = stage.login().await.challenge.unwrap();
    assert_eq!(reason(me.factors().remove(RemoveFactor::new(FactorId(Uuid::from_u128(7)))).await), Reason::NotFound);
    let tokens = me.factors().remove(RemoveFactor::new(added.factor.id)).await.unwrap();
    stage.mails.take("factor_removed", ADA).await;
    let me = stage.with_tokens(&tokens).await;
    let left = me.factors().list().await.unwrap();
    assert!(left.factors.is_empty() && left.recovery_codes_left == 0 && !left.are_required);
    assert_eq!(reason(other.users().me().await), Reason::SessionEnded);
    for code in [&app.code_at(1), &added.recovery_codes[0]] {
        assert_eq!(reason(stage.prove(&owed, code).await), Reason::InvalidToken);
    }
    assert_eq!(stage.login().await.step, SignInStep::Done);
    let rows: Vec<rolekeep::internals::factor::Factor> = all(&*stage.storage).await;
    let states: Vec<rolekeep::internals::factor::FactorState> = all(&*stage.storage).await;
    assert!(rows.is_empty() && states.is_empty());
}

#[tokio::test]
async fn aut_10_there_are_at_most_three_apps() {
    let stage = Stage::open().await;
    let (_, mut me, first) = stage.enrolled().await;
    let late = me.factors().add_start().await.unwrap();
    for _ in 0..2 {
        let added = stage.added(&me).await.1;
        me = stage.with_tokens(&added.tokens).await;
    }
    assert_eq!(reason(me.factors().add_start().await), Reason::LimitReached);
    let app = App::new(&late.secret, &stage.clock);
    // It was of another epoch, too.
    assert!(me.factors().add(AddFactor::new(late.challenge, app.code())).await.is_err());
    let me = stage.with_tokens(&me.factors().remove(RemoveFactor::new(first.factor.id)).await.unwrap()).await;
    assert_eq!(me.factors().list().await.unwrap().factors.len(), 2);
    assert_eq!(stage.login().await.step, SignInStep::Factor);
}

/// What is somebody else's is not there.
#[tokio::test]
async fn v8_2_2_nobody_removes_the_factor_of_another() {
    let stage = Stage::open().await;
    let (_, _, added) = stage.enrolled().await;
    let (mia, _) = signed_in(&stage.um, "mia", &[]).await;
    assert_eq!(reason(mia.factors().remove(RemoveFactor::new(added.factor.id)).await), Reason::NotFound);
    assert!(mia.factors().list().await.unwrap().factors.is_empty());
    assert_eq!(stage.login().await.step, SignInStep::Factor);
}

/// V6.4.3, E2, E3: neither a link nor an administrator's password gets past a second factor.
#[tokio::test]
async fn v6_4_3_a_reset_does_not_bypass_the_second_factor() {
    let stage = Stage::open().await;
    let (app, me, _) = stage.enrolled().await;
    stage.prove_address(&me).await;
    stage.nobody().passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
    let token = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.nobody().passwords().reset(ResetPassword::new(token, NEW)).await.unwrap();
    let owed = stage.um.login("ada", NEW, RequestContext::default()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Factor);
    stage.prove(&owed.challenge.unwrap(), &app.code()).await.unwrap().done().unwrap();
    let given = stage.um.system().passwords().set_temporary(SetTemporaryPassword::new(stage.ada)).await.unwrap();
    let owed = stage.um.login("ada", given.password.expose(), RequestContext::default()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Factor, "first the factor, then the password");
    let owed = stage.prove(&owed.challenge.unwrap(), &app.code_at(1)).await.unwrap();
    assert_eq!(owed.step, SignInStep::Password);
}

/// E6: who registered somebody else's address, and added an app, keeps neither.
#[tokio::test]
async fn sec_6_the_first_proof_of_an_address_ends_the_factors_of_who_had_it_before() {
    for role in [None, Some("moderator")] {
        let stage = Stage::open().await;
        stage.enrolled().await;
        if let Some(role) = role {
            let role = rolekeep::roles::AssignRole::new(stage.ada, role);
            stage.um.system().roles().assign(role).await.unwrap();
        }
        stage.nobody().passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
        let token = stage.mails.take("password_reset", ADA).await.token.unwrap();
        stage.nobody().passwords().reset(ResetPassword::new(token, NEW)).await.unwrap();
        let step = stage.um.login("ada", NEW, RequestContext::default()).await.unwrap().step;
        // A mistyped address inherits no authority.
        assert_eq!(step, if role.is_some() { SignInStep::Factor } else { SignInStep::Done });
    }
}

/// E9: whoever is helped loses all factors and sessions, and who helps could do as much before.
#[tokio::test]
async fn aut_10_an_administrator_resets_the_factors_of_who_lost_them() {
    let stage = Stage::open().await;
    let (_, me, added) = stage.enrolled().await;
    let (admin, _) = signed_in(&stage.um, "root", &["admin"]).await;
    let (clerk, _) = signed_in(&stage.um, "cleo", &["clerk"]).await;
    assert_eq!(reason(clerk.factors().reset_of(ResetFactorsOf::new(stage.ada)).await), Reason::Denied);
    assert_eq!(reason(me.factors().reset_of(ResetFactorsOf::new(stage.ada)).await), Reason::Denied);
    let owed = stage.login().await.challenge.unwrap();
    admin.factors().reset_of(ResetFactorsOf::new(stage.ada)).await.unwrap();
    stage.mails.take("factor_removed", ADA).await;
    assert_eq!(reason(me.users().me().await), Reason::SessionEnded);
    assert_eq!(reason(stage.prove(&owed, &added.recovery_codes[0]).await), Reason::InvalidToken);
    assert_eq!(stage.login().await.step, SignInStep::Done);
    stage.clock.pass(300);
    assert_eq!(reason(admin.factors().reset_of(ResetFactorsOf::new(stage.ada)).await), Reason::StepUpRequired);
}

/// "Acting as somebody is giving": who may reset the factors of users may not do so to an administrator.
#[tokio::test]
async fn sec_9_factors_of_the_stronger_are_reset_by_the_stronger() {
    let helper = "\n[roles.helper]\nallow = [\"user:read\", \"user:reset_factors\"]\n";
    let policy = Policy::from_toml(&format!("{}{helper}", crate::security::kit::POLICY)).unwrap();
    let stage = Stage::with(policy, cheap::config()).await;
    stage.enrolled().await;
    let (helper, _) = signed_in(&stage.um, "hal", &["helper"]).await;
    stage.um.system().roles().assign(rolekeep::roles::AssignRole::new(stage.ada, "moderator")).await.unwrap();
    assert_eq!(reason(helper.factors().reset_of(ResetFactorsOf::new(stage.ada)).await), Reason::Denied);
    let unassign = rolekeep::roles::UnassignRole::new(stage.ada, "moderator");
    stage.um.system().roles().unassign(unassign).await.unwrap();
    helper.factors().reset_of(ResetFactorsOf::new(stage.ada)).await.unwrap();
    assert_eq!(stage.login().await.step, SignInStep::Done);
}

/// E5: whoever had the password alone and added an app is undone by the account's owner.
#[tokio::test]
async fn sec_6_the_owner_undoes_the_first_factor_that_a_thief_added() {
    let stage = Stage::open().await;
    let me = stage.ada().await;
    stage.prove_address(&me).await;
    let (app, thief, added) = stage.enrolled().await;
    let notice = stage.mails.take("factor_added", ADA).await;
    assert!(notice.text.expose().contains("remove it"));
    let undo = notice.token.unwrap();
    stage.nobody().email().revert(RevertEmail::new(undo.clone())).await.unwrap();
    assert_eq!(reason(thief.users().me().await), Reason::SessionEnded);
    assert!(stage.um.login("ada", PASSWORD, RequestContext::default()).await.is_err(), "the password is void");
    stage.mails.take("factor_removed", ADA).await;
    let reset = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.nobody().passwords().reset(ResetPassword::new(reset, NEW)).await.unwrap();
    let tokens = stage.um.login("ada", NEW, RequestContext::default()).await.unwrap().done().unwrap();
    let me = stage.with_tokens(&tokens).await;
    let user = me.users().me().await.unwrap();
    assert_eq!((user.email.as_deref(), user.email_verified), (Some(ADA), true));
    assert_eq!(reason(stage.nobody().email().revert(RevertEmail::new(undo)).await), Reason::InvalidToken);
    // Nobody else can have the address.
    let other = CreateUser::new(ADA).username("eve").password(PASSWORD);
    assert_eq!(reason(stage.um.system().users().create(other).await), Reason::Taken);
    drop((app, added));
}

/// A factor that was there before stays.
#[tokio::test]
async fn sec_6_what_was_there_before_a_change_of_address_stays() {
    let stage = Stage::open().await;
    let (app, me, _) = stage.enrolled().await;
    stage.prove_address(&me).await;
    me.email().change(rolekeep::email::ChangeEmail::new("eve@example.org")).await.unwrap();
    let token = stage.mails.take("email_change", "eve@example.org").await.token.unwrap();
    stage.clock.pass(240);
    let tokens = me.email().confirm(rolekeep::email::ConfirmEmail::new(token)).await.unwrap();
    // A link is no fresh proof of who one is.
    let me = stage.with_tokens(&tokens).await;
    assert!(me.factors().recovery_codes().await.is_err());
    let undo = stage.mails.take("email_changed", ADA).await.token.unwrap();
    stage.nobody().email().revert(RevertEmail::new(undo)).await.unwrap();
    let reset = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.nobody().passwords().reset(ResetPassword::new(reset, NEW)).await.unwrap();
    let owed = stage.um.login("ada", NEW, RequestContext::default()).await.unwrap();
    assert_eq!(owed.step, SignInStep::Factor);
    stage.prove(&owed.challenge.unwrap(), &app.code()).await.unwrap().done().unwrap();
}

#[tokio::test]
async fn aut_10_nothing_of_it_outlives_its_user() {
    let stage = Stage::open().await;
    let (_, me, first) = stage.enrolled().await;
    let (_, added) = stage.added(&me).await;
    let me = stage.with_tokens(&added.tokens).await;
    let me = stage.with_tokens(&me.factors().remove(RemoveFactor::new(first.factor.id)).await.unwrap()).await;
    assert_eq!(me.factors().list().await.unwrap().former.len(), 1);
    me.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap_err();
    stage.um.system().users().delete(DeleteUser::new(stage.ada)).await.unwrap();
    stage.um.system().users().purge(PurgeUser::new(stage.ada)).await.unwrap();
    let rows: Vec<rolekeep::internals::factor::Factor> = all(&*stage.storage).await;
    let states: Vec<rolekeep::internals::factor::FactorState> = all(&*stage.storage).await;
    let codes: Vec<rolekeep::internals::factor::RecoveryCode> = all(&*stage.storage).await;
    let former: Vec<FormerFactor> = all(&*stage.storage).await;
    assert!(rows.is_empty() && states.is_empty() && codes.is_empty() && former.is_empty());
}

/// Whoever ends them: the user, or somebody else for it.
#[tokio::test]
async fn n_4_1_those_that_ended_are_listed_without_their_secrets() {
    let stage = Stage::open().await;
    let (app, me, first) = stage.enrolled().await;
    assert!(me.factors().list().await.unwrap().former.is_empty());
    let (_, second) = stage.added(&me).await;
    let me = stage.with_tokens(&second.tokens).await;
    stage.clock.pass(60);
    let me = stage.with_tokens(&me.factors().remove(RemoveFactor::new(first.factor.id)).await.unwrap()).await;
    let former = me.factors().list().await.unwrap().former;
    let [one] = former.as_slice() else { panic!("{former:?}") };
    assert_eq!((one.id, one.kind, one.added_at), (first.factor.id, first.factor.kind, first.factor.added_at));
    assert!(one.ended_at >= one.added_at.plus_seconds(60));
    stage.clock.pass(60);
    stage.um.system().factors().reset_of(ResetFactorsOf::new(stage.ada)).await.unwrap();
    let me = stage.ada().await;
    let list = me.factors().list().await.unwrap();
    let ids: Vec<FactorId> = list.former.iter().map(|one| one.id).collect();
    assert!(list.factors.is_empty() && ids == [second.factor.id, first.factor.id], "the last one first");
    let kept: Vec<FormerFactor> = all(&*stage.storage).await;
    assert!(kept.len() == 2 && !format!("{kept:?}").contains(&app.secret));
}

/// A list of them has an end.
#[tokio::test]
async fn n_4_1_the_last_hundred_are_listed() {
    let stage = Stage::open().await;
    let (_, mut me, mut last) = stage.enrolled().await;
    for _ in 0..101 {
        let (_, added) = stage.added(&me).await;
        me = stage.with_tokens(&added.tokens).await;
        me = stage.with_tokens(&me.factors().remove(RemoveFactor::new(last.factor.id)).await.unwrap()).await;
        stage.clock.pass(1);
        last = added;
    }
    let kept: Vec<FormerFactor> = all(&*stage.storage).await;
    assert_eq!((me.factors().list().await.unwrap().former.len(), kept.len()), (100, 101));
}
