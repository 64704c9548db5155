//! What is done by mail: forgotten passwords, proving and changing addresses, invitations and registration; and the page that
//! links in mails open. Take this file and its folder along; nothing in it is about documents.

use axum::{
    Json, Router,
    extract::FromRef,
    http::{HeaderName, header},
    response::Response,
    routing::{get, post},
};
use rolekeep::{
    UserManagement,
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    invitations::{AcceptInvitation, AcceptedInvitation, CreateInvitation, InvitationView},
    passwords::{ForgotPassword, PasswordReset, ResetPassword},
    users::{ConfirmRegistration, ConfirmedRegistration, RegisterUser, RegisteredUser},
    verification::{ConfirmVerification, Confirmation},
};
use serde::Deserialize;

use crate::{
    guard::{Anonymous, Failure, SignedIn},
    session::By,
};

/// The routes.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S>
where
    UserManagement: FromRef<S>,
{
    Router::new()
        .route("/forgot", post(forgot))
        .route("/reset", post(reset))
        .route("/verification", post(send_verification))
        .route("/verification/confirm", post(confirm_verification))
        .route("/email", post(change_email))
        .route("/email/confirm", post(confirm_email))
        .route("/email/revert", post(revert_email))
        .route("/invitation", post(invite))
        .route("/invitation/accept", post(accept_invitation))
        .route("/register", post(register))
        .route("/register/confirm", post(confirm_registration))
        .route("/account", get(async || asset("text/html; charset=utf-8", include_str!("page.html"))))
        .route("/account.js", get(async || asset("text/javascript; charset=utf-8", include_str!("page.js"))))
}

#[derive(Deserialize)]
struct Forgot {
    identifier: String,
    /// That of the last sign-in on this device.
    device_token: Option<String>,
}

#[derive(Deserialize)]
struct Reset {
    token: String,
    new_password: String,
}

#[derive(Deserialize)]
struct Verification {
    token: String,
    /// Of whoever is not signed in.
    password: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    email: String,
}

#[derive(Deserialize)]
struct Accept {
    token: String,
    /// Of whoever is not signed in to an account with the address.
    new_password: Option<String>,
}

#[derive(Deserialize)]
struct Register {
    email: String,
    password: String,
}

#[derive(Deserialize)]
struct Begin {
    token: String,
    password: String,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// The same answer, whoever has that name or nobody.
async fn forgot(somebody: Anonymous, Json(given): Json<Forgot>) -> Result<Json<()>, Failure> {
    let mut forgot = ForgotPassword::new(given.identifier);
    forgot.device_token = given.device_token.map(Into::into);
    Ok(Json(somebody.passwords().forgot(forgot).await?))
}

async fn reset(somebody: Anonymous, Json(given): Json<Reset>) -> Result<Json<PasswordReset>, Failure> {
    Ok(Json(somebody.passwords().reset(ResetPassword::new(given.token, given.new_password)).await?))
}

async fn send_verification(me: SignedIn) -> Result<Json<()>, Failure> {
    Ok(Json(me.verification().send().await?))
}

async fn confirm_verification(
    me: Option<SignedIn>,
    Anonymous(somebody): Anonymous,
    Json(given): Json<Verification>,
) -> Result<Json<Confirmation>, Failure> {
    let mut confirm = ConfirmVerification::new(given.token);
    confirm.password = given.password.map(Into::into);
    Ok(Json(me.map_or(somebody, |SignedIn(me)| me).verification().confirm(confirm).await?))
}

/// 401 `step_up_required` for whoever signed in more than five minutes ago.
async fn change_email(me: SignedIn, Json(given): Json<Email>) -> Result<Json<()>, Failure> {
    Ok(Json(me.email().change(ChangeEmail::new(given.email)).await?))
}

/// All sessions end; the answer is the tokens of a new one.
async fn confirm_email(by: By, me: SignedIn, Json(given): Json<Token>) -> Result<Response, Failure> {
    by.answer(me.email().confirm(ConfirmEmail::new(given.token)).await?)
}

async fn revert_email(somebody: Anonymous, Json(given): Json<Token>) -> Result<Json<()>, Failure> {
    Ok(Json(somebody.email().revert(RevertEmail::new(given.token)).await?))
}

/// Of whoever has `user:invite`; the same answer, whether or not somebody has that address.
async fn invite(me: SignedIn, Json(given): Json<Email>) -> Result<Json<InvitationView>, Failure> {
    Ok(Json(me.invitations().create(CreateInvitation::new(given.email)).await?))
}

/// 401 `not_signed_in` for whoever has an account with the address and is not signed in to it.
async fn accept_invitation(
    me: Option<SignedIn>,
    Anonymous(somebody): Anonymous,
    Json(given): Json<Accept>,
) -> Result<Json<AcceptedInvitation>, Failure> {
    let mut accept = AcceptInvitation::new(given.token);
    accept.password = given.new_password.map(Into::into);
    Ok(Json(me.map_or(somebody, |SignedIn(me)| me).invitations().accept(accept).await?))
}

/// The same answer, whether or not somebody has that address.
async fn register(somebody: Anonymous, Json(given): Json<Register>) -> Result<Json<RegisteredUser>, Failure> {
    Ok(Json(somebody.users().register(RegisterUser::new(given.email, given.password)).await?))
}

async fn confirm_registration(
    somebody: Anonymous,
    Json(given): Json<Begin>,
) -> Result<Json<ConfirmedRegistration>, Failure> {
    Ok(Json(somebody.users().confirm_registration(ConfirmRegistration::new(given.token, given.password)).await?))
}

/// A part of the page: nothing but its own script runs in it, nobody frames it or keeps it, and no address leaves it.
fn asset(kind: &'static str, text: &'static str) -> ([(HeaderName, &'static str); 5], &'static str) {
    let policy = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}
