//! Browsers, who hold their sessions in cookies, and other clients: what each is given, and what other pages cannot do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails panics")]

#[allow(dead_code, reason = "it does more for others")]
mod catcher;
#[path = "../../../core/tests/common/security_key.rs"]
#[allow(dead_code, reason = "it does more for others")]
mod security_key;
mod service;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum_service::{
    Document, Service,
    mail::{Languages, Mailer},
    rate_limit::{REQUESTS, SIGN_INS},
};
use catcher::Catcher;
use rolekeep::{Config, Policy, UserManagement, environment::TokioEnvironment, users::CreateUser};
use security_key::SecurityKey;
use serde_json::{Value as Json, json};
use service::{Answer, Later, ask, origin, serve};

/// A page of ours.
const OWN: &[(&str, &str)] = &[("sec-fetch-site", "same-origin")];
const ACCESS: &str = "__Host-access";
const REFRESH: &str = "__Host-refresh";
const DEVICE: &str = "__Host-device";

struct World {
    base: String,
    catcher: Catcher,
    seconds: Arc<AtomicU64>,
}

impl World {
    async fn start() -> Self {
        let (catcher, smtp) = Catcher::start().await;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let config = Config::new().requests_per_minute(REQUESTS.quota).mail_sign_in(true);
        let config = config.passkey_domain("example.org").hashing_memory_kib(7168).hashing_iterations(5);
        let languages = Languages::default();
        let mailer = Mailer::new(&smtp, "documents@example.com", languages.clone()).unwrap();
        let seconds = Arc::<AtomicU64>::default();
        let environment = Later { real: TokioEnvironment::current().unwrap(), seconds: seconds.clone() };
        let policy = Policy::from_toml(include_str!("../policy.toml")).unwrap();
        let config = config.link_url(format!("{base}/account"));
        let builder = UserManagement::builder().policy(policy).config(config).environment(environment);
        let um = builder.notifier(mailer).open().await.unwrap();
        let new = CreateUser::new("ada@example.org").password("correct horse battery ada").roles(["author"]);
        let owner_id = um.system().users().create(new).await.unwrap().id;
        // Whose address nobody has proved and who has a role does not sign in by mail.
        um.system().users().create(CreateUser::new("pat@example.org")).await.unwrap();
        let document = Document { owner_id, is_published: false, text: "…".to_owned() };
        let documents = Arc::new(Mutex::new([(1, document)].into()));
        serve(listener, Service { um, documents, languages, origin: origin(&base) });
        Self { base, catcher, seconds }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&'static str, &str)], body: Json) -> Answer {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        ask(format!("{}{path}", self.base), method, None, Some(body), &headers).await
    }

    async fn post(&self, path: &str, body: Json) -> Answer {
        self.ask("POST", path, &[], body).await
    }
}

fn login() -> Json {
    json!({"identifier": "ada@example.org", "password": "correct horse battery ada"})
}

/// A browser that is at one of our pages.
struct Browser<'w> {
    world: &'w World,
    cookies: BTreeMap<String, String>,
}

impl<'w> Browser<'w> {
    fn new(world: &'w World) -> Self {
        Self { world, cookies: BTreeMap::new() }
    }

    async fn signed_in(world: &'w World) -> Self {
        let mut browser = Self::new(world);
        let answer = browser.post("/session/login", login()).await;
        assert_eq!((answer.status, answer.body["step"].as_str()), (200, Some("done")), "{}", answer.body);
        browser
    }

    fn cookie(&self) -> String {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, text)| format!("{name}={text}")).collect();
        pairs.join("; ")
    }

    async fn ask(&mut self, method: &str, path: &str, headers: &[(&'static str, &str)], body: Json) -> Answer {
        let cookie = self.cookie();
        let answer = self.world.ask(method, path, &[headers, &[("cookie", &cookie)]].concat(), body).await;
        for (name, text, rules) in given(&answer) {
            if rules.contains("Max-Age=0") {
                self.cookies.remove(&name);
            } else {
                self.cookies.insert(name, text);
            }
        }
        answer
    }

    async fn post(&mut self, path: &str, body: Json) -> Answer {
        self.ask("POST", path, OWN, body).await
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], Json::Null).await
    }
}

/// The cookies of an answer: name, text and the rest.
fn given(answer: &Answer) -> Vec<(String, String, String)> {
    let all = answer.headers.get_all("set-cookie").iter();
    all.map(|cookie| {
        let (pair, rules) = cookie.to_str().unwrap().split_once("; ").unwrap();
        let (name, text) = pair.split_once('=').unwrap();
        (name.to_owned(), text.to_owned(), rules.to_owned())
    })
    .collect()
}

fn refusal(answer: &Answer) -> (u16, &str, Option<&str>) {
    let reason = answer.body["reason"].as_str().unwrap_or_else(|| panic!("{} {}", answer.status, answer.body));
    (answer.status, reason, answer.header("www-authenticate"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_cookies_and_no_tokens() {
    let world = World::start().await;
    let mut browser = Browser::new(&world);
    let answer = browser.post("/session/login", login()).await;
    assert_eq!((answer.body["step"].as_str(), answer.header("cache-control")), (Some("done"), Some("no-store")));
    assert_eq!(answer.body["tokens"]["user"]["email"], "ada@example.org");
    for (name, text) in &browser.cookies {
        assert!(text.len() > 20 && !answer.body.to_string().contains(text), "{name} in {}", answer.body);
    }
    let rules: Vec<_> = given(&answer).into_iter().map(|(name, _, rules)| (name, rules)).collect();
    let days = |days: u32| format!("Max-Age={}", days * 86_400);
    let rule = |name: &str, same: &str, kept| (name.to_owned(), format!("Path=/; Secure; HttpOnly; {same}; {kept}"));
    let wanted = [(DEVICE, "SameSite=Strict", 180), (ACCESS, "SameSite=Lax", 7), (REFRESH, "SameSite=Strict", 7)];
    assert_eq!(rules, wanted.map(|(name, same, kept)| rule(name, same, days(kept))));
    assert_eq!(browser.get("/me").await.body["email"], "ada@example.org");
    assert_eq!(browser.ask("PUT", "/documents/1", OWN, json!("better")).await.body["text"], "better");

    // The access token is over; the refresh token makes both anew.
    let before = browser.cookies.clone();
    world.seconds.fetch_add(3600, Ordering::Relaxed);
    let over = browser.get("/me").await;
    assert_eq!(refusal(&over), (401, "token_expired", Some(r#"Bearer error="invalid_token""#)));
    assert_eq!(browser.post("/session/refresh", Json::Null).await.status, 200);
    assert!(browser.cookies[ACCESS] != before[ACCESS] && browser.cookies[REFRESH] != before[REFRESH]);
    assert_eq!(browser.get("/me").await.status, 200);

    // Its end: nothing is left but that the device is known.
    let session = browser.cookies.clone();
    let end = browser.post("/session/logout", Json::Null).await;
    assert_eq!((end.status, end.header("clear-site-data")), (204, Some(r#""cache", "storage""#)));
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [DEVICE]);
    assert_eq!(refusal(&browser.get("/me").await), (401, "not_signed_in", Some("Bearer")));
    browser.cookies = session;
    assert_eq!(refusal(&browser.get("/me").await).1, "session_ended");

    // One whose access token is over ends, too.
    let mut browser = Browser::signed_in(&world).await;
    let left = browser.cookies.clone();
    world.seconds.fetch_add(3600, Ordering::Relaxed);
    assert_eq!(browser.post("/session/logout", Json::Null).await.status, 204);
    browser.cookies = left;
    assert_eq!(browser.post("/session/refresh", Json::Null).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_clients_get_tokens_and_no_cookies() {
    let world = World::start().await;
    let answer = world.post("/login", login()).await;
    assert_eq!(given(&answer), []);
    let token = |answer: &Answer, name: &str| {
        answer.body[name].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
    };
    let tokens = Answer { body: answer.body["tokens"].clone(), ..answer };
    let refreshed = world.post("/refresh", json!({"refresh_token": token(&tokens, "refresh_token")})).await;
    let bearer = format!("Bearer {}", token(&refreshed, "access_token"));
    // Nobody's page makes a browser send it, so that it is not asked where it comes from.
    let elsewhere =
        [("authorization", bearer.as_str()), ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    assert_eq!(world.ask("PUT", "/documents/1", &elsewhere, json!("better")).await.status, 200);
    let browser = Browser::signed_in(&world).await;
    let both = [("authorization", bearer.as_str()), ("cookie", &browser.cookie()), OWN[0]];
    assert_eq!(refusal(&world.ask("GET", "/me", &both, Json::Null).await), (400, "invalid_input", None));
    assert_eq!(world.ask("POST", "/logout", &[elsewhere[0]], Json::Null).await.status, 204);
    assert_eq!(refusal(&world.ask("GET", "/me", &[elsewhere[0]], Json::Null).await).1, "session_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_change_nothing() {
    let world = World::start().await;
    let mut browser = Browser::signed_in(&world).await;
    let ours = world.base.clone();
    let longer = format!("{ours}.evil.example");
    let refused: &[&[(&str, &str)]] = &[
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ("origin", &ours)],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", &longer)],
        &[("referer", &ours)],
    ];
    for headers in refused {
        for (method, path, body) in [
            ("PUT", "/documents/1", json!("mine now")),
            ("DELETE", "/documents/1", Json::Null),
            ("POST", "/email", json!({"email": "eve@example.org"})),
            ("POST", "/step-up", json!({"password": "correct horse battery ada"})),
            ("POST", "/session/login", login()),
            ("POST", "/session/refresh", Json::Null),
            ("POST", "/session/logout", Json::Null),
        ] {
            let answer = browser.ask(method, path, headers, body).await;
            assert_eq!(refusal(&answer), (403, "denied", None), "{method} {path} {headers:?}");
            assert_eq!(given(&answer), []);
        }
        // What is only read is not theirs to see: they get no answer without CORS.
        assert_eq!(browser.ask("GET", "/documents/1", headers, Json::Null).await.body["text"], "…");
    }
    for headers in [OWN, &[("origin", ours.as_str())], &[OWN[0], ("origin", "null")]] {
        assert_eq!(browser.ask("PUT", "/documents/1", headers, json!("…")).await.status, 200, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_fresh_proof_says_so() {
    let world = World::start().await;
    let mut browser = Browser::signed_in(&world).await;
    world.seconds.fetch_add(400, Ordering::Relaxed);
    let email = json!({"email": "lovelace@example.org"});
    let stale = browser.post("/email", email.clone()).await;
    let challenge = r#"Bearer error="insufficient_user_authentication", max_age=300"#;
    assert_eq!(refusal(&stale), (401, "step_up_required", Some(challenge)));
    let wrong = browser.post("/step-up", json!({"password": "a wrong one"})).await;
    assert_eq!((wrong.status, &wrong.body["fields"][0]["field"]), (400, &json!("password")));
    let before = browser.cookies.clone();
    let proved = browser.post("/step-up", json!({"password": "correct horse battery ada"})).await;
    assert!(proved.status == 200 && proved.body["access_token"].is_null(), "{}", proved.body);
    assert_ne!(browser.cookies[ACCESS], before[ACCESS]);
    assert_eq!(browser.post("/email", email).await.status, 200);
    // Not allowed is another thing.
    let denied = browser.ask("DELETE", "/documents/1", OWN, Json::Null).await;
    assert_eq!(refusal(&denied), (403, "denied", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_the_limit() {
    let world = World::start().await;
    let policy = r#""failed-sign-ins";q=5;w=900"#;
    assert_eq!((SIGN_INS.quota, SIGN_INS.seconds), (Config::new().sign_in_tries, 900));
    let wrong = json!({"identifier": "eve@example.org", "password": "a wrong one"});
    for _ in 0..SIGN_INS.quota {
        let answer = world.post("/login", wrong.clone()).await;
        assert_eq!(refusal(&answer), (401, "invalid_credentials", Some("Bearer")));
        assert_eq!((answer.header("ratelimit-policy"), answer.header("ratelimit")), (Some(policy), None));
    }
    let answer = world.post("/login", wrong).await;
    assert_eq!((refusal(&answer), answer.header("ratelimit-policy")), ((429, "rate_limited", None), Some(policy)));
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    assert_eq!(answer.header("ratelimit"), Some(format!(r#""failed-sign-ins";r=0;t={wait}"#).as_str()));

    // A known device has tries of its own.
    world.seconds.fetch_add(1000, Ordering::Relaxed);
    let mut browser = Browser::signed_in(&world).await;
    for _ in 0..SIGN_INS.quota {
        world.post("/login", json!({"identifier": "ada@example.org", "password": "a wrong one"})).await;
    }
    assert_eq!(world.post("/login", login()).await.status, 429);
    assert_eq!(browser.post("/session/login", login()).await.status, 200);

    // Some are allowed again meanwhile, on a slow machine more.
    for asked in 0..5 * REQUESTS.quota {
        let answer = browser.get("/me").await;
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""requests";q=100;w=60"#));
        if answer.status == 429 {
            let wait = answer.header("retry-after").unwrap();
            assert_eq!(answer.header("ratelimit"), Some(format!(r#""requests";r=0;t={wait}"#).as_str()));
            return;
        }
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None), "{asked}");
    }
    panic!("nothing was too much");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_a_second_factor_or_all_there_is_to_it() {
    let world = World::start().await;
    let mut browser = Browser::signed_in(&world).await;
    let mut key = SecurityKey::new(1);
    let text = |body: &Json, name: &str| body[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    let start = browser.post("/factors/add-passkey/start", Json::Null).await.body;
    let response = key.create(&text(&start, "options"));
    let before = browser.cookies.clone();
    let added =
        browser.post("/factors/add-passkey", json!({"challenge": start["challenge"], "response": response})).await;
    assert_eq!((added.status, &added.body["tokens"]["access_token"]), (200, &Json::Null), "{}", added.body);
    assert_ne!(browser.cookies[ACCESS], before[ACCESS], "the session goes on by other tokens");
    assert_eq!(browser.get("/me").await.status, 200);

    // By password, then the passkey.
    let first = browser.post("/session/login", login()).await;
    assert_eq!((first.body["step"].as_str(), given(&first).len()), (Some("factor"), 0), "{}", first.body);
    let start =
        browser.post("/session/sign-in/passkey/start", json!({"challenge": first.body["challenge"]})).await.body;
    let answer = json!({"challenge": start["challenge"], "response": key.get(&text(&start, "options"))});
    assert_eq!(browser.post("/session/sign-in/passkey", answer).await.body["step"], "done");
    // By password, then a recovery code.
    let first = world.post("/login", login()).await;
    let answer = json!({"challenge": first.body["challenge"], "code": added.body["recovery_codes"][0]});
    assert_eq!(world.post("/sign-in/factor", answer).await.body["step"], "done");
    // By the passkey alone.
    let mut other = Browser::new(&world);
    let start = other.post("/session/sign-in/passkey/start", json!({})).await.body;
    let answer = json!({"challenge": start["challenge"], "response": key.get(&text(&start, "options"))});
    assert_eq!(other.post("/session/sign-in/passkey", answer).await.body["step"], "done");
    assert_eq!(other.get("/me").await.body["email"], "ada@example.org");
    // Who is there is proved again by it, too.
    world.seconds.fetch_add(400, Ordering::Relaxed);
    assert_eq!(refusal(&other.post("/factors/add/start", Json::Null).await).1, "step_up_required");
    let start = other.post("/step-up/passkey/start", Json::Null).await.body;
    let answer = json!({"challenge": start["challenge"], "response": key.get(&text(&start, "options"))});
    assert_eq!(other.post("/step-up/passkey", answer).await.status, 200);
    assert_eq!(other.post("/factors/add/start", Json::Null).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailed_code_signs_in() {
    let world = World::start().await;
    let mut browser = Browser::new(&world);
    let asked = json!({"identifier": "pat@example.org"});
    let start = browser.post("/session/sign-in/mail/start", asked).await.body;
    let mail = world.catcher.mail("pat@example.org", "Your code to sign in").await.text();
    let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = mail.lines().map(str::trim).find(is_code).unwrap_or_else(|| panic!("{mail}"));
    let answer = browser.post("/session/sign-in/mail", json!({"challenge": start["challenge"], "code": code})).await;
    assert_eq!(answer.body["step"], "done", "{}", answer.body);
    assert_eq!(browser.get("/me").await.body["email"], "pat@example.org");
}
