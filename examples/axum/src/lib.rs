//! A service on axum: users sign in, by cookies or bearer tokens, and read, change and throw away documents as far as they may.

pub mod account;
pub mod end;
pub mod guard;
pub mod mail;
pub mod rate_limit;
pub mod session;
pub mod sign_in;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Json, Router,
    extract::{FromRef, Path, State},
    middleware::from_fn_with_state,
    routing::{delete, get, put},
};
use guard::{Administrator, Allowed, Failure, SignedIn};
use mail::{Language, Languages};
use rate_limit::{REQUESTS, SIGN_INS};
use rolekeep::{
    Error, Page, Resource, UserId, UserManagement,
    users::{ListUsers, UserView},
};
use serde::{Deserialize, Serialize};

permissions! {
    /// See which documents there are.
    ListDocuments = "document:list";
}

/// A document of this service; it is kept in memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Who wrote it.
    pub owner_id: UserId,
    /// Whether readers may see it.
    pub is_published: bool,
    /// What it says.
    pub text: String,
}

impl Document {
    /// What the policy reads of it.
    fn resource(&self) -> Resource<'static> {
        Resource::of("document").with("owner_id", self.owner_id).with("is_published", self.is_published)
    }
}

/// What handlers share.
#[derive(Clone)]
pub struct Service {
    /// Users, and what they may do.
    pub um: UserManagement,
    /// By number.
    pub documents: Arc<Mutex<BTreeMap<u32, Document>>>,
    /// In which language each user gets mail.
    pub languages: Languages,
    /// Where our pages are.
    pub origin: session::Origin,
}

impl FromRef<Service> for UserManagement {
    fn from_ref(service: &Service) -> Self {
        service.um.clone()
    }
}

impl Service {
    fn find(&self, number: u32) -> Result<Document, Error> {
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.get(&number).cloned().ok_or_else(|| Error::not_found("document"))
    }
}

/// The routes.
pub fn app(service: Service) -> Router {
    // What is behind this layer needs no guard of its own.
    let cleaning = Router::new()
        .route("/documents/{number}", delete(throw_away))
        .route_layer(from_fn_with_state((service.um.clone(), "document:delete"), guard::require));
    Router::new()
        .route("/me", get(me))
        .route("/me/language", put(read_mail_in))
        .route("/greeting", get(greeting))
        .route("/documents", get(list))
        .route("/documents/{number}", get(read).put(change))
        .route("/users", get(users))
        .merge(cleaning)
        .layer(from_fn_with_state(REQUESTS, rate_limit::tell))
        .merge(sign_in::routes().layer(from_fn_with_state(SIGN_INS, rate_limit::tell)))
        .merge(account::routes())
        .layer(Extension(service.origin.clone()))
        .with_state(service)
}

async fn me(me: SignedIn) -> Result<Json<UserView>, Failure> {
    Ok(Json(me.users().me().await?))
}

async fn read_mail_in(
    me: SignedIn,
    State(service): State<Service>,
    Json(language): Json<Language>,
) -> Result<Json<()>, Failure> {
    let user = me.users().me().await?.id;
    service.languages.lock().unwrap_or_else(PoisonError::into_inner).insert(user, language);
    Ok(Json(()))
}

async fn greeting(me: Option<SignedIn>) -> Result<String, Failure> {
    match me {
        Some(me) => Ok(format!("Hello {}", me.users().me().await?.email.unwrap_or_default())),
        None => Ok("Hello".to_owned()),
    }
}

/// Only those that the caller may read.
async fn list(me: Allowed<ListDocuments>, State(service): State<Service>) -> Result<Json<Vec<Document>>, Failure> {
    let all = service.documents.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut readable = Vec::new();
    for document in all.into_values() {
        if me.can("document:read", &document.resource())? {
            readable.push(document);
        }
    }
    Ok(Json(readable))
}

async fn read(
    me: SignedIn,
    State(service): State<Service>,
    Path(number): Path<u32>,
) -> Result<Json<Document>, Failure> {
    let document = service.find(number)?;
    me.require("document:read", &document.resource())?;
    Ok(Json(document))
}

async fn change(
    me: SignedIn,
    State(service): State<Service>,
    Path(number): Path<u32>,
    Json(text): Json<String>,
) -> Result<Json<Document>, Failure> {
    let mut document = service.find(number)?;
    me.require("document:edit", &document.resource())?;
    document.text = text;
    service.documents.lock().unwrap_or_else(PoisonError::into_inner).insert(number, document.clone());
    Ok(Json(document))
}

async fn throw_away(State(service): State<Service>, Path(number): Path<u32>) -> Result<Json<Document>, Failure> {
    let gone = service.documents.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    Ok(Json(gone.ok_or_else(|| Error::not_found("document"))?))
}

async fn users(me: Administrator) -> Result<Json<Page<UserView>>, Failure> {
    Ok(Json(me.users().list(ListUsers::new()).await?))
}
