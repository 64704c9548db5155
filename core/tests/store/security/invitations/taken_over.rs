//! An account that has the address already: its owner's, or of somebody who registered it.

use rolekeep::{
    api_keys::CreateApiKey, factors::AddFactor, users::ExternalIdentity, verification::ConfirmVerification,
};

use super::*;
use crate::{authenticator, security::kit::is_let_in};

/// Whatever was set before anybody proved the address is void.
#[tokio::test]
async fn aut_9_what_somebody_else_registered_is_void() {
    let stage = Stage::open().await;
    let identity = ExternalIdentity::new("https://login.example.org", "thief");
    let thief = CreateUser::new(ADA).username("thief").password(PASSWORD).identity(identity);
    let id = stage.um.system().users().create(thief).await.unwrap().id;
    let thief = stage.signed_in("thief", PASSWORD).await;
    let key = thief.api_keys().create(CreateApiKey::new("mine")).await.unwrap().key;
    let setup = thief.factors().add_start().await.unwrap();
    let now = rolekeep::environment::Environment::now(&stage.clock).as_second() / 30;
    let code = authenticator::code(setup.secret.expose(), now);
    let added = thief.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    let thief = stage.um.authenticate(added.tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let program = stage.um.authenticate(key.expose(), RequestContext::default()).await.unwrap();
    let (_, token) = stage.invite(ADA, &["helper"]).await;
    let user = stage.accept(&token).await.unwrap().user;
    assert_eq!(
        (user.id, user.username.as_deref(), user.email_verified, user.identities.len()),
        (id, Some("ada"), true, 0)
    );
    assert_eq!(reason(thief.users().me().await), Some(Reason::SessionEnded));
    assert_eq!(reason(program.users().me().await), Some(Reason::InvalidToken));
    assert!(!is_let_in(&stage.um, "thief", NEW).await && !is_let_in(&stage.um, "ada", PASSWORD).await);
    assert!(is_let_in(&stage.um, "ada", NEW).await, "no factor is asked for");
    assert!(stage.um.acting_as_identity("https://login.example.org", "thief").await.is_err());
    assert_eq!(stage.roles(id).await, ["helper global", "user global"]);
    // The name that it had is free.
    stage.um.system().users().create(CreateUser::new("eve@example.org").username("thief")).await.unwrap();
    stage.mails.take("password_changed", ADA).await;
}

/// Where there was authority before, second factors stay and are asked for, as after a reset.
#[tokio::test]
async fn aut_9_a_mistyped_address_inherits_no_authority() {
    let stage = Stage::open().await;
    let cleo = CreateUser::new(ADA).username("cleo").password(PASSWORD).roles(["helper"]);
    stage.um.system().users().create(cleo).await.unwrap();
    let cleo = stage.signed_in("cleo", PASSWORD).await;
    let setup = cleo.factors().add_start().await.unwrap();
    let now = rolekeep::environment::Environment::now(&stage.clock).as_second() / 30;
    let code = authenticator::code(setup.secret.expose(), now);
    cleo.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    let (_, token) = stage.invite(ADA, &[]).await;
    stage.accept(&token).await.unwrap();
    let login = stage.um.login("ada", NEW, RequestContext::default()).await.unwrap();
    assert_eq!(login.step, rolekeep::sign_in::SignInStep::Factor);
}

/// Who signs in at another issuer, or has proved the address, is signed in to the account; the token alone changes nothing there.
#[tokio::test]
async fn aut_9_nobody_takes_the_account_of_who_has_proved_the_address() {
    let stage = Stage::open().await;
    let system = stage.um.system();
    let elsewhere = CreateUser::external("https://login.example.org", "ada").email(ADA);
    let ada = system.users().create(elsewhere).await.unwrap().id;
    let eve =
        system.users().create(CreateUser::new("eve@example.org").username("eve").password(PASSWORD)).await.unwrap().id;
    let me = stage.signed_in("eve", PASSWORD).await;
    me.verification().send().await.unwrap();
    let proof = stage.mails.take("verification", "eve@example.org").await.token.unwrap();
    me.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    for (email, id) in [(ADA, ada), ("eve@example.org", eve)] {
        let (_, token) = stage.invite(email, &["helper"]).await;
        let before = system.users().get(GetUser::new(id)).await.unwrap();
        assert_eq!(reason(stage.accept(&token).await), Some(Reason::NotSignedIn));
        assert_eq!(reason(stage.me.invitations().accept(accepting(&token)).await), Some(Reason::NotSignedIn));
        assert_eq!(system.users().get(GetUser::new(id)).await.unwrap(), before);
        let owner = stage.um.acting_as(id).await.unwrap();
        let user = owner.invitations().accept(AcceptInvitation::new(token.clone())).await.unwrap().user;
        assert!(user.id == id && user.email_verified);
        assert_eq!(stage.roles(id).await, ["helper global", "user global"]);
        void(owner.invitations().accept(AcceptInvitation::new(token)).await);
    }
    me.users().me().await.unwrap();
}

/// Who is signed in to an account whose address nobody has proved proves it by the token, and loses nothing.
#[tokio::test]
async fn aut_9_a_session_and_the_token_prove_an_address() {
    let stage = Stage::open().await;
    stage.um.system().users().create(CreateUser::new(ADA).username("cleo").password(PASSWORD)).await.unwrap();
    let cleo = stage.signed_in("cleo", PASSWORD).await;
    let (_, token) = stage.invite(ADA, &["helper"]).await;
    assert_eq!(reason(cleo.invitations().accept(accepting(&token)).await), Some(Reason::InvalidInput));
    let user = cleo.invitations().accept(AcceptInvitation::new(token)).await.unwrap().user;
    assert!(user.email_verified && user.username.as_deref() == Some("cleo"));
    assert!(cleo.has_role("helper", None).unwrap());
    assert!(is_let_in(&stage.um, "cleo", PASSWORD).await);
}

/// An address that an account had before, and may take back, is nobody else's.
#[tokio::test]
async fn aut_9_an_address_that_may_be_taken_back_makes_no_account() {
    use rolekeep::email::{ChangeEmail, ConfirmEmail};
    let stage = Stage::open().await;
    stage.um.system().users().create(CreateUser::new(ADA).username("cleo").password(PASSWORD)).await.unwrap();
    let cleo = stage.signed_in("cleo", PASSWORD).await;
    cleo.verification().send().await.unwrap();
    let proof = stage.mails.take("verification", ADA).await.token.unwrap();
    cleo.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    cleo.email().change(ChangeEmail::new("cleo@example.org")).await.unwrap();
    let change = stage.mails.take("email_change", "cleo@example.org").await.token.unwrap();
    cleo.email().confirm(ConfirmEmail::new(change)).await.unwrap();
    let (_, token) = stage.invite(ADA, &[]).await;
    void(stage.accept(&token).await);
    assert_eq!(stage.accounts(ADA).await, 0);
}
