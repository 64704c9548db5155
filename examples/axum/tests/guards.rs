//! The service for real: a socket, tokens, and somebody who asks by HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails panics")]
#![allow(clippy::disallowed_methods, reason = "a host has a clock of its own")]

mod service;

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::Request,
};
use axum_service::{Document, Service, guard::SignedIn, mail::Languages};
use rolekeep::{
    Config, Policy, Time, UserId, UserManagement, audit::ListAudit, roles::AssignRole, sessions::RevokeAllSessions,
    users::CreateUser,
};
use serde_json::{Value as Json, json};
use service::Answer;
use tokio::time::Instant;

/// How long an access token is good for here.
const TOKEN_SECONDS: i64 = 15;

struct World {
    um: UserManagement,
    base: String,
    ada: UserId,
}

impl World {
    async fn start() -> Self {
        let config = Config::new().access_token_seconds(TOKEN_SECONDS).trusted_proxies(["127.0.0.1", "10.0.0.0/8"]);
        let config = config.hashing_memory_kib(7168).hashing_iterations(5);
        let policy = Policy::from_toml(include_str!("../policy.toml")).unwrap();
        let um = UserManagement::builder().policy(policy).config(config).open().await.unwrap();
        let mut users = Vec::new();
        for (name, role) in
            [("ada", Some("author")), ("lin", Some("librarian")), ("root", Some("admin")), ("eve", None)]
        {
            let new = CreateUser::new(format!("{name}@example.org")).password(password(name));
            users.push(um.system().users().create(new.roles(role)).await.unwrap().id);
        }
        let document = |owner: UserId, is_published| Document { owner_id: owner, is_published, text: "…".to_owned() };
        let documents = [(1, document(users[0], false)), (2, document(users[1], false)), (3, document(users[1], true))];
        let documents = std::sync::Arc::new(std::sync::Mutex::new(documents.into()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let origin = service::origin(&base);
        let service = Service { um: um.clone(), documents, languages: Languages::default(), origin };
        service::serve(listener, service);
        Self { um, base, ada: users[0] }
    }

    async fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<Json>) -> Answer {
        service::ask(format!("{}{path}", self.base), method, token, body, &[]).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, Some(token), None).await
    }

    async fn login(&self, name: &str) -> String {
        let given = json!({"identifier": format!("{name}@example.org"), "password": password(name)});
        let answer = self.ask("POST", "/login", None, Some(given)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["tokens"]["access_token"].as_str().unwrap().to_owned()
    }
}

fn password(name: &str) -> String {
    format!("correct horse battery {name}")
}

fn assert_refused(answer: &Answer, status: u16, code: &str, reason: &str) {
    assert_eq!((answer.status, &answer.body["code"], &answer.body["reason"]), (status, &json!(code), &json!(reason)));
    let challenge = if reason == "not_signed_in" { "Bearer" } else { r#"Bearer error="invalid_token""# };
    assert_eq!(answer.header("www-authenticate"), (status == 401).then_some(challenge), "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let title = ureq::http::StatusCode::from_u16(status).unwrap().canonical_reason();
    assert_eq!((answer.body["title"].as_str(), &answer.body["status"]), (title, &json!(status)));
    assert!(answer.body["detail"].as_str().is_some_and(|text| text.len() > 5), "{}", answer.body);
    assert!(answer.body["fields"].is_array());
}

#[tokio::test(flavor = "multi_thread")]
async fn let_in_who_may() {
    let world = World::start().await;
    let (ada, lin, root) = (world.login("ada").await, world.login("lin").await, world.login("root").await);
    assert_eq!(world.get("/me", &ada).await.body["email"], "ada@example.org");
    assert_eq!(world.get("/greeting", &ada).await.body, json!("Hello ada@example.org"));
    assert_eq!(world.ask("GET", "/greeting", None, None).await.body, json!("Hello"));
    let list = world.get("/documents", &ada).await;
    assert_eq!((list.status, list.body.as_array().unwrap().len()), (200, 2), "her own and the published one");
    assert_eq!(world.get("/documents/1", &ada).await.status, 200);
    assert_eq!(world.get("/documents/3", &ada).await.status, 200);
    let changed = world.ask("PUT", "/documents/1", Some(&ada), Some(json!("better"))).await;
    assert_eq!((changed.status, changed.body["text"].as_str()), (200, Some("better")));
    assert_eq!(world.ask("DELETE", "/documents/3", Some(&lin), None).await.status, 200);
    assert_eq!(world.get("/users", &root).await.body["total"], 4);
    assert_eq!(world.get("/documents/2", &root).await.status, 200);
    // The scheme's name is of any case (RFC 9110, 11.1).
    assert_eq!(world.get("/me", &format!("bearer {ada}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_out_who_may_not() {
    let world = World::start().await;
    let (ada, lin, eve) = (world.login("ada").await, world.login("lin").await, world.login("eve").await);
    for (method, path) in
        [("GET", "/me"), ("GET", "/documents"), ("GET", "/documents/1"), ("DELETE", "/documents/1"), ("GET", "/users")]
    {
        assert_refused(&world.ask(method, path, None, None).await, 401, "UNAUTHORIZED", "not_signed_in");
        let basic = world.ask(method, path, Some("Basic YTpi"), None).await;
        assert_refused(&basic, 401, "UNAUTHORIZED", "not_signed_in");
        assert_refused(&world.ask(method, path, Some("x.y.z"), None).await, 401, "UNAUTHORIZED", "invalid_token");
        // Somebody else's signature.
        let forged = format!("{}A", &ada[..ada.len() - 1]);
        let forged = if forged == ada { format!("{}B", &ada[..ada.len() - 1]) } else { forged };
        assert_refused(&world.ask(method, path, Some(&forged), None).await, 401, "UNAUTHORIZED", "invalid_token");
    }
    assert_refused(&world.get("/greeting", "x.y.z").await, 401, "UNAUTHORIZED", "invalid_token");
    assert_refused(&world.get("/documents", &eve).await, 403, "FORBIDDEN", "denied");
    assert_refused(&world.get("/documents/2", &ada).await, 403, "FORBIDDEN", "denied");
    let theirs = world.ask("PUT", "/documents/3", Some(&ada), Some(json!("mine now"))).await;
    assert_refused(&theirs, 403, "FORBIDDEN", "denied");
    assert_refused(&world.ask("DELETE", "/documents/1", Some(&ada), None).await, 403, "FORBIDDEN", "denied");
    assert_refused(&world.get("/users", &lin).await, 403, "FORBIDDEN", "denied");
    assert_refused(&world.get("/documents/9", &ada).await, 404, "RESOURCE_NOT_FOUND", "not_found");
    assert_refused(
        &world.ask("DELETE", "/documents/9", Some(&lin), None).await,
        404,
        "RESOURCE_NOT_FOUND",
        "not_found",
    );
    // Nothing was touched by all of this.
    assert_eq!(world.get("/documents/1", &ada).await.body["text"], "…");
}

#[tokio::test(flavor = "multi_thread")]
async fn end_with_the_token_the_window_and_the_session() {
    let world = World::start().await;
    let token = world.login("ada").await;
    let expires = Instant::now() + Duration::from_secs(TOKEN_SECONDS.unsigned_abs());
    assert_refused(&world.ask("DELETE", "/documents/2", Some(&token), None).await, 403, "FORBIDDEN", "denied");
    let window = Duration::from_secs(4);
    let until = Time::now().checked_add(window).unwrap();
    let ends = Instant::now() + window;
    world.um.system().roles().assign(AssignRole::new(world.ada, "librarian").valid_until(until)).await.unwrap();
    assert_eq!(world.ask("DELETE", "/documents/2", Some(&token), None).await.status, 200);
    tokio::time::sleep_until(ends + Duration::from_millis(100)).await;
    assert_refused(&world.ask("DELETE", "/documents/3", Some(&token), None).await, 403, "FORBIDDEN", "denied");
    assert_eq!(world.get("/documents/1", &token).await.status, 200, "what she holds for ever stays");
    tokio::time::sleep_until(expires + Duration::from_millis(100)).await;
    for path in ["/me", "/documents", "/documents/1", "/users", "/greeting"] {
        assert_refused(&world.get(path, &token).await, 401, "UNAUTHORIZED", "token_expired");
    }
    let fresh = world.login("ada").await;
    assert_eq!(world.get("/documents/1", &fresh).await.status, 200);
    world.um.system().sessions().revoke_all(RevokeAllSessions::new().user_id(world.ada)).await.unwrap();
    assert_refused(&world.get("/documents/1", &fresh).await, 401, "UNAUTHORIZED", "session_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_address_is_the_one_that_it_tells() {
    let world = World::start().await;
    for (peer, forwarded, kept) in [
        ("127.0.0.1:4000", &["198.51.100.66, 198.51.100.7", "10.0.0.9"][..], "198.51.100.7"),
        ("127.0.0.1:4000", &["198.51.100.7, unknown"], "127.0.0.1"),
        ("[::ffff:127.0.0.1]:4000", &[], "127.0.0.1"),
        ("203.0.113.9:4000", &["198.51.100.7"], "203.0.113.9"),
    ] {
        let token = world.login("lin").await;
        let mut request = Request::builder().header("authorization", format!("Bearer {token}"));
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        let me = <SignedIn as FromRequestParts<_>>::from_request_parts(&mut parts, &world.um).await.unwrap();
        me.sessions().logout().await.unwrap();
        let logged = world.um.system().audit().list(ListAudit::new().action("sessions.logout")).await.unwrap();
        assert_eq!(logged.items[0].ip.as_deref(), Some(kept));
    }
}
