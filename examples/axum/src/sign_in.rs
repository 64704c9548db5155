//! Signing in, in steps: by password, passkey or mail, then what else is owed; second factors; proving again who one is. Take
//! this file along with `session.rs`; nothing in it is about documents.
//!
//! All routes are there twice: under `/session` for browsers, which get cookies, and without it for other clients, which get
//! the tokens.

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::post,
};
use rolekeep::{
    Error, Reason, RequestContext, UserManagement,
    factors::{AddFactor, AddPasskey, FactorSetup, PasskeyOptions, RemoveFactor},
    sessions::{Login, Refresh, StepUp, StepUpByPasskey},
    sign_in::{
        ChoosePassword, Enrol, EnrolPasskey, MailChallenge, ProveFactor, SignInByMail, SignInByPasskey, StartEnrol,
        StartEnrolPasskey, StartSignInByMail, StartSignInByPasskey,
    },
};

use crate::{
    guard::{Anonymous, Failure, SignedIn},
    session::{self, By, Given, for_own_pages},
};

/// The routes.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S>
where
    UserManagement: FromRef<S>,
{
    both::<S>().nest("/session", both::<S>().layer(from_fn(for_own_pages)))
}

fn both<S: Clone + Send + Sync + 'static>() -> Router<S>
where
    UserManagement: FromRef<S>,
{
    Router::new()
        .route("/login", post(login))
        .route("/sign-in/passkey/start", post(passkey_start))
        .route("/sign-in/passkey", post(passkey))
        .route("/sign-in/mail/start", post(mail_start))
        .route("/sign-in/mail", post(mail))
        .route("/sign-in/factor", post(factor))
        .route("/sign-in/password", post(password))
        .route("/sign-in/enrol/start", post(enrol_start))
        .route("/sign-in/enrol", post(enrol))
        .route("/sign-in/enrol-passkey/start", post(enrol_passkey_start))
        .route("/sign-in/enrol-passkey", post(enrol_passkey))
        .route("/refresh", post(refresh))
        .route("/step-up", post(step_up))
        .route("/step-up/passkey/start", post(step_up_passkey_start))
        .route("/step-up/passkey", post(step_up_passkey))
        .route("/factors/add/start", post(add_start))
        .route("/factors/add", post(add))
        .route("/factors/add-passkey/start", post(add_passkey_start))
        .route("/factors/add-passkey", post(add_passkey))
        .route("/factors/remove", post(remove))
        .route("/logout", post(logout))
}

type Answer = Result<Response, Failure>;

/// The answer's `step` says what is needed next, with a challenge for its route; `done` comes with the tokens.
async fn login(by: By, somebody: Anonymous, headers: HeaderMap, Given(mut input): Given<Login>) -> Answer {
    input.device_token = by.device_token(&headers, input.device_token);
    by.answer(somebody.sessions().login(input).await?)
}

async fn passkey_start(
    somebody: Anonymous,
    Given(input): Given<StartSignInByPasskey>,
) -> Result<Json<PasskeyOptions>, Failure> {
    Ok(Json(somebody.sign_in().passkey_start(input).await?))
}

async fn passkey(by: By, somebody: Anonymous, headers: HeaderMap, Given(mut input): Given<SignInByPasskey>) -> Answer {
    input.device_token = by.device_token(&headers, input.device_token);
    by.answer(somebody.sign_in().passkey(input).await?)
}

/// The same answer, whoever has that name or nobody. The challenge stays with who asked.
async fn mail_start(
    by: By,
    somebody: Anonymous,
    headers: HeaderMap,
    Given(mut input): Given<StartSignInByMail>,
) -> Result<Json<MailChallenge>, Failure> {
    input.device_token = by.device_token(&headers, input.device_token);
    Ok(Json(somebody.sign_in().mail_start(input).await?))
}

async fn mail(by: By, somebody: Anonymous, headers: HeaderMap, Given(mut input): Given<SignInByMail>) -> Answer {
    input.device_token = by.device_token(&headers, input.device_token);
    by.answer(somebody.sign_in().mail(input).await?)
}

async fn factor(by: By, somebody: Anonymous, Given(input): Given<ProveFactor>) -> Answer {
    by.answer(somebody.sign_in().factor(input).await?)
}

async fn password(by: By, somebody: Anonymous, Given(input): Given<ChoosePassword>) -> Answer {
    by.answer(somebody.sign_in().password(input).await?)
}

async fn enrol_start(somebody: Anonymous, Given(input): Given<StartEnrol>) -> Result<Json<FactorSetup>, Failure> {
    Ok(Json(somebody.sign_in().enrol_start(input).await?))
}

async fn enrol(by: By, somebody: Anonymous, Given(input): Given<Enrol>) -> Answer {
    by.answer(somebody.sign_in().enrol(input).await?)
}

async fn enrol_passkey_start(
    somebody: Anonymous,
    Given(input): Given<StartEnrolPasskey>,
) -> Result<Json<PasskeyOptions>, Failure> {
    Ok(Json(somebody.sign_in().enrol_passkey_start(input).await?))
}

async fn enrol_passkey(by: By, somebody: Anonymous, Given(input): Given<EnrolPasskey>) -> Answer {
    by.answer(somebody.sign_in().enrol_passkey(input).await?)
}

/// A page asks for this when it is told `token_expired`, then asks again what it asked for. Of two tabs that do so at once both
/// get the same session.
async fn refresh(by: By, somebody: Anonymous, headers: HeaderMap, body: Option<Json<serde_json::Value>>) -> Answer {
    let input = match by {
        By::Cookies => Refresh::new(session::refresh_token(&headers).ok_or_else(not_signed_in)?),
        By::Body => Refresh::try_from(body.map(|Json(body)| body).unwrap_or_default())?,
    };
    by.answer(somebody.sessions().refresh(input).await?)
}

fn not_signed_in() -> Error {
    Error::new(Reason::NotSignedIn, "sign in first")
}

/// What was refused with `step_up_required` is allowed for five minutes after this.
async fn step_up(by: By, me: SignedIn, Given(input): Given<StepUp>) -> Answer {
    by.answer(me.sessions().step_up(input).await?)
}

async fn step_up_passkey_start(me: SignedIn) -> Result<Json<PasskeyOptions>, Failure> {
    Ok(Json(me.sessions().step_up_passkey_start().await?))
}

async fn step_up_passkey(by: By, me: SignedIn, Given(input): Given<StepUpByPasskey>) -> Answer {
    by.answer(me.sessions().step_up_passkey(input).await?)
}

async fn add_start(me: SignedIn) -> Result<Json<FactorSetup>, Failure> {
    Ok(Json(me.factors().add_start().await?))
}

/// Ends all sessions but this one, which goes on by new tokens.
async fn add(by: By, me: SignedIn, Given(input): Given<AddFactor>) -> Answer {
    by.answer(me.factors().add(input).await?)
}

async fn add_passkey_start(me: SignedIn) -> Result<Json<PasskeyOptions>, Failure> {
    Ok(Json(me.factors().add_passkey_start().await?))
}

async fn add_passkey(by: By, me: SignedIn, Given(input): Given<AddPasskey>) -> Answer {
    by.answer(me.factors().add_passkey(input).await?)
}

async fn remove(by: By, me: SignedIn, Given(input): Given<RemoveFactor>) -> Answer {
    by.answer(me.factors().remove(input).await?)
}

/// A browser forgets its session whatever became of it, and one whose access token is over ends it by the refresh token.
async fn logout(
    by: By,
    State(um): State<UserManagement>,
    Anonymous(somebody): Anonymous,
    me: Result<SignedIn, Failure>,
    headers: HeaderMap,
) -> Answer {
    match (by, me) {
        (_, Ok(me)) => me.sessions().logout().await?,
        (By::Body, Err(failure)) => return Err(failure),
        (By::Cookies, Err(_)) => {
            if let Some(token) = session::refresh_token(&headers)
                && let Ok(tokens) = somebody.sessions().refresh(Refresh::new(token)).await
            {
                let me = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await?;
                me.sessions().logout().await?;
            }
        }
    }
    let forgotten = if by == By::Cookies { session::end() } else { HeaderMap::new() };
    Ok((StatusCode::NO_CONTENT, forgotten).into_response())
}
