//! Mail for real: the service on a socket, its mails received by SMTP, and their links used by HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails panics")]

mod catcher;
mod service;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum_service::{
    Service,
    mail::{Language, Languages, Mailer, parse},
};
use catcher::Catcher;
use rolekeep::{
    Config, Policy, Registration, RequestContext, UserManagement,
    audit::ListAudit,
    environment::TokioEnvironment,
    passwords::ForgotPassword,
    users::{CreateUser, UpdateUser},
};
use serde_json::{Value as Json, json};
use service::{Answer, Later, ask, origin, serve};

const NEW_PASSWORD: &str = "a horse that nobody expects";

struct World {
    um: UserManagement,
    base: String,
    catcher: Catcher,
    seconds: Arc<AtomicU64>,
}

impl World {
    async fn start() -> Self {
        let (catcher, smtp) = Catcher::start().await;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let config = Config::new().trusted_proxies(["127.0.0.1"]).denied_networks(["203.0.113.0/24"]);
        let config = config.access_token_seconds(900).hashing_memory_kib(7168).hashing_iterations(5);
        let config = config.link_url(format!("{base}/account")).registration(Registration::Verified);
        let languages = Languages::default();
        let mailer = Mailer::new(&smtp, "Documents <documents@example.com>", languages.clone()).unwrap();
        let seconds = Arc::<AtomicU64>::default();
        let environment = Later { real: TokioEnvironment::current().unwrap(), seconds: seconds.clone() };
        let policy = Policy::from_toml(include_str!("../policy.toml")).unwrap();
        let builder = UserManagement::builder().policy(policy).config(config).environment(environment);
        let um = builder.notifier(mailer).open().await.unwrap();
        for name in ["ada", "eve", "lin", "pat", "root"] {
            let new = CreateUser::new(format!("{name}@example.org")).password(password(name));
            um.system().users().create(new).await.unwrap();
        }
        serve(listener, Service { um: um.clone(), documents: Arc::default(), languages, origin: origin(&base) });
        Self { um, base, catcher, seconds }
    }

    async fn post(&self, path: &str, token: Option<&str>, body: Json) -> Answer {
        ask(format!("{}{path}", self.base), "POST", token, Some(body), &[]).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/login", None, json!({"identifier": email, "password": password})).await
    }

    async fn token(&self, name: &str) -> String {
        let answer = self.sign_in(&format!("{name}@example.org"), &password(name)).await;
        answer.body["tokens"]["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
    }

    async fn forgot(&self, name: &str) {
        let answer = self.post("/forgot", None, json!({"identifier": format!("{name}@example.org")})).await;
        assert_eq!((answer.status, &answer.body), (200, &Json::Null));
    }

    /// What the audit log says of mails that are not sent, once it says so of this many.
    async fn failed(&self, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let list = ListAudit::new().action("notices.failed");
            let failed = self.um.system().audit().list(list).await.unwrap().items;
            if failed.len() >= count {
                return failed.into_iter().map(|entry| entry.detail.unwrap_or_default()).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the audit log says nothing of mails that are not sent");
    }
}

fn password(name: &str) -> String {
    format!("correct horse battery {name}")
}

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["reason"].as_str().unwrap_or_else(|| panic!("{}", answer.body)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_replaced_by_mail() {
    let world = World::start().await;
    world.forgot("nobody").await;
    world.forgot("ada").await;
    let again = world.post("/forgot", None, json!({"identifier": "Ada@example.org"})).await;
    assert_eq!(refusal(&again), (429, "rate_limited"));
    let wait: u64 = again.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");

    let denied = [("x-forwarded-for", "203.0.113.9".to_owned())];
    let body = json!({"identifier": "eve@example.org"});
    let denied = ask(format!("{}/forgot", world.base), "POST", None, Some(body), &denied).await;
    assert_eq!(refusal(&denied), (403, "address_denied"));

    let mail = world.catcher.mail("ada@example.org", "Choose a new password").await;
    assert!(mail.link().unwrap().starts_with(&format!("{}/account#rkp_", world.base)), "{}", mail.text());
    assert!(mail.text().contains(" UTC from 127.0.0.1"), "{}", mail.text());
    let reset = |token: String, password| json!({"token": token, "new_password": password});
    let short = world.post("/reset", None, reset(mail.token(), "short")).await;
    assert_eq!((refusal(&short), &short.body["fields"][0]["field"]), ((400, "invalid_input"), &json!("new_password")));
    let done = world.post("/reset", None, reset(mail.token(), NEW_PASSWORD)).await;
    assert!(done.status == 200 && done.body["device_token"].is_string(), "{}", done.body);
    world.catcher.mail("ada@example.org", "Your password was changed").await;
    let twice = world.post("/reset", None, reset(mail.token(), "another horse than that")).await;
    assert_eq!(refusal(&twice), (401, "invalid_token"));
    assert_eq!(refusal(&world.sign_in("ada@example.org", &password("ada")).await), (401, "invalid_credentials"));
    assert_eq!(world.sign_in("ada@example.org", NEW_PASSWORD).await.status, 200);

    world.seconds.fetch_add(wait, Ordering::Relaxed);
    world.forgot("ada").await;
    let mails = world.catcher.mails.lock().unwrap();
    assert!(mails.iter().all(|mail| !mail.data.contains("nobody")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_proved_by_its_mail_and_the_password() {
    let world = World::start().await;
    assert_eq!(refusal(&world.post("/verification", None, json!({})).await), (401, "not_signed_in"));
    let ada = world.token("ada").await;
    let german = ask(format!("{}/me/language", world.base), "PUT", Some(&ada), Some(json!("de")), &[]).await;
    assert_eq!(german.status, 200, "{}", german.body);
    let sent = world.post("/verification", Some(&ada), json!({})).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    let mail = world.catcher.mail("ada@example.org", "Ist das Ihre Adresse?").await;
    assert!(mail.text().contains("um zu bestätigen, dass"), "{}", mail.text());
    assert!(mail.token().starts_with("rkv_"));

    let confirm = async |token: Option<&str>, password: Option<&str>| {
        world.post("/verification/confirm", token, json!({"token": mail.token(), "password": password})).await
    };
    let without = confirm(None, None).await;
    assert_eq!(without.body["is_verified"], false, "{}", without.body);
    assert!(without.body["reset_token"].as_str().unwrap().starts_with("rkp_"));
    assert_eq!(refusal(&confirm(None, Some("a wrong one")).await), (401, "invalid_credentials"));
    assert_eq!(refusal(&confirm(Some("x.y.z"), None).await), (401, "invalid_token"));
    assert_eq!(confirm(Some(&ada), None).await.body["is_verified"], true);
    let me = ask(format!("{}/me", world.base), "GET", Some(&ada), None, &[]).await;
    assert_eq!(me.body["email_verified"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_has_an_account_by_the_link_and_the_password() {
    let world = World::start().await;
    let register = |email: &str| json!({"email": email, "password": NEW_PASSWORD});
    for email in ["new@example.org", "ada@example.org"] {
        let answer = world.post("/register", None, register(email)).await;
        assert!(answer.status == 200 && answer.body["user"].is_null(), "{}", answer.body);
    }
    let told = world.catcher.mail("ada@example.org", "Your address has an account already").await;
    assert!(!told.data.contains("rkg_"), "{}", told.data);
    let mail = world.catcher.mail("new@example.org", "Begin your account").await;
    assert!(mail.link().unwrap().starts_with(&format!("{}/account#rkg_", world.base)), "{}", mail.text());
    let confirm = async |password| {
        world.post("/register/confirm", None, json!({"token": mail.token(), "password": password})).await
    };
    assert_eq!(refusal(&confirm("another horse than that").await), (401, "invalid_credentials"));
    let begun = confirm(NEW_PASSWORD).await;
    assert_eq!((begun.status, &begun.body["user"]["email_verified"]), (200, &json!(true)), "{}", begun.body);
    assert_eq!(world.sign_in("new@example.org", NEW_PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_address_is_told_to_both_and_undone() {
    let world = World::start().await;
    let (ada, eve) = (world.token("ada").await, world.token("eve").await);
    let to = json!({"email": "ada@example.net"});
    assert_eq!(refusal(&world.post("/email", None, to.clone()).await), (401, "not_signed_in"));
    world.seconds.fetch_add(301, Ordering::Relaxed);
    assert_eq!(refusal(&world.post("/email", Some(&ada), to.clone()).await), (401, "step_up_required"));
    let ada = world.token("ada").await;
    // An address that was proved can undo what follows.
    assert_eq!(world.post("/verification", Some(&ada), json!({})).await.status, 200);
    let proof = json!({"token": world.catcher.mail("ada@example.org", "Is this your address?").await.token()});
    assert_eq!(world.post("/verification/confirm", Some(&ada), proof).await.status, 200);
    let asked = world.post("/email", Some(&ada), to).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let mail = world.catcher.mail("ada@example.net", "Confirm your new address").await;
    assert!(mail.token().starts_with("rke_"));

    let token = json!({"token": mail.token()});
    assert_eq!(refusal(&world.post("/email/confirm", None, token.clone()).await), (401, "not_signed_in"));
    assert_eq!(refusal(&world.post("/email/confirm", Some(&eve), token.clone()).await), (401, "invalid_token"));
    let confirmed = world.post("/email/confirm", Some(&ada), token).await;
    assert!(confirmed.status == 200 && confirmed.body["access_token"].is_string(), "{}", confirmed.body);
    let subject = "The address of your account was changed";
    let to_new = world.catcher.mail("ada@example.net", subject).await;
    assert_eq!(to_new.link(), None);
    let to_former = world.catcher.mail("ada@example.org", subject).await;
    assert!(to_former.token().starts_with("rku_"));
    assert_eq!(world.sign_in("ada@example.net", &password("ada")).await.status, 200);
    assert_eq!(world.sign_in("ada@example.org", &password("ada")).await.status, 401);

    let token = json!({"token": to_former.token()});
    assert_eq!(world.post("/email/revert", None, token.clone()).await.status, 200);
    assert_eq!(refusal(&world.post("/email/revert", None, token).await), (401, "invalid_token"));
    assert_eq!(world.sign_in("ada@example.net", &password("ada")).await.status, 401);
    let mail = world.catcher.mail("ada@example.org", "Choose a new password").await;
    let reset = json!({"token": mail.token(), "new_password": NEW_PASSWORD});
    assert_eq!(world.post("/reset", None, reset).await.status, 200);
    assert_eq!(world.sign_in("ada@example.org", NEW_PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_take_now_comes_again() {
    let world = World::start().await;
    world.catcher.answer("RCPT", "ada@example.org", ["450 4.2.1 not now"]);
    world.catcher.answer("RCPT", "eve@example.org", ["550 5.7.1 we do not relay"]);
    world.catcher.answer("RCPT", "lin@example.org", [""]);
    world.catcher.answer(".", "pat@example.org", ["451 4.3.0 the disk is full"]);
    world.catcher.answer(".", "root@example.org", ["554 5.6.0 we do not like it"]);
    for name in ["ada", "eve", "lin", "pat", "root"] {
        world.forgot(name).await;
    }
    for name in ["ada", "eve", "lin", "pat", "root"] {
        world.catcher.mail(&format!("{name}@example.org"), "Choose a new password").await;
    }
    let mails = world.catcher.mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 7, "those that were refused after `DATA` twice");
    for name in ["pat@example.org", "root@example.org"] {
        let tries: Vec<_> = mails.iter().filter(|mail| mail.to() == name).collect();
        assert_eq!((tries.len(), tries[0].is_taken, tries[1].is_taken), (2, false, true));
        assert_eq!(tries[0].data, tries[1].data, "the same mail, with the same `Message-ID`");
    }
    assert_eq!(world.failed(0).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_never_takes_is_given_up_and_logged() {
    let world = World::start().await;
    world.catcher.answer("RCPT", "ada@example.org", ["550 5.1.1 nobody here"]);
    world.catcher.answer("RCPT", "eve@example.org", ["553 no such mailbox"]);
    world.catcher.answer(".", "lin@example.org", ["552 5.2.2 the mailbox is full"]);
    for name in ["ada", "eve", "lin"] {
        world.forgot(name).await;
    }
    assert_eq!(world.failed(3).await, ["password_reset: the notifier refused it"; 3]);
    assert!(world.catcher.mails.lock().unwrap().iter().all(|mail| !mail.is_taken));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_user_chose_is_in_a_header() {
    let world = World::start().await;
    let bcc = "Bcc: mallory@evil.test";
    let odd = "o'b{link}+{x}=/?!#$%&*^`|~-_.z@example.org";
    let new = CreateUser::new(odd).password(password("odd")).display_name(format!("{bcc} <mallory@evil.test>"));
    let user =
        world.um.system().users().create(new.first_name("=?utf-8?q?mallory?=").last_name("{link}")).await.unwrap();
    for name in [format!("a\r\n{bcc}"), format!("a\n{bcc}"), format!("a\r{bcc}")] {
        let update = UpdateUser::new(user.id).display_name(name);
        assert_eq!(world.um.system().users().update(update).await.unwrap_err().http_status(), 400);
    }

    // By HTTP, and as a host might pass it that reads headers less strictly.
    let headers = [("user-agent", format!("mallory {bcc}")), ("x-forwarded-for", format!("192.0.2.1, {bcc}"))];
    let body = json!({"identifier": odd.to_uppercase(), "device_token": format!("x\r\n{bcc}")});
    let asked = ask(format!("{}/forgot", world.base), "POST", None, Some(body), &headers).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let mut raw = RequestContext::from_ip("192.0.2.1");
    raw.user_agent = Some(format!("mallory\r\n{bcc}\r\n\r\n{bcc}"));
    world.um.anonymous(raw).passwords().forgot(ForgotPassword::new("eve@example.org")).await.unwrap();

    let login = json!({"identifier": odd, "password": password("odd")});
    let headers = [("user-agent", format!("mallory\t{bcc}"))];
    let login = ask(format!("{}/login", world.base), "POST", None, Some(login), &headers).await;
    let token = login.body["tokens"]["access_token"].as_str().unwrap();
    for address in [
        format!("odd@example.net\r\n{bcc}"),
        format!("odd@example.net\n{bcc}"),
        "odd@example.net>, <mallory@evil.test".to_owned(),
        "odd@example.net, mallory@evil.test".to_owned(),
        "\"odd\r\n mallory\"@example.net".to_owned(),
        "\"odd@example.net> RCPT TO:<mallory\"@evil.test".to_owned(),
    ] {
        let asked = world.post("/email", Some(token), json!({"email": address})).await;
        assert_eq!((refusal(&asked), &asked.body["fields"][0]["field"]), ((400, "invalid_input"), &json!("email")));
    }
    let other = "{until}%0d%0aBcc:|x`$(x)@example.net".replace([':', '(', ')'], "");
    let asked = world.post("/email", Some(token), json!({"email": other})).await;
    assert_eq!(asked.status, 200, "{}", asked.body);

    let mails = [
        (odd, world.catcher.mail(odd, "Choose a new password").await),
        ("eve@example.org", world.catcher.mail("eve@example.org", "Choose a new password").await),
        (&other, world.catcher.mail(&other, "Confirm your new address").await),
    ];
    for (to, mail) in mails {
        assert_eq!(mail.envelope, ["MAIL FROM:<documents@example.com>".to_owned(), format!("RCPT TO:<{to}>")]);
        let (date, id) = (mail.header("Date"), mail.header("Message-ID"));
        assert!(date.ends_with(" +0000") && date.len() == 31, "{date}");
        let uuid = id.strip_prefix('<').and_then(|id| id.strip_suffix("@example.com>")).unwrap();
        assert!(uuid.len() == 36 && uuid.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{id}");
        let mut names: Vec<_> = mail.headers().into_iter().map(|(name, _)| name).collect();
        names.sort();
        let known = [
            "Auto-Submitted",
            "Content-Transfer-Encoding",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To",
        ];
        assert_eq!(names, known, "{}", mail.data);
        assert_eq!(mail.header("From"), "\"Documents\" <documents@example.com>");
        assert_eq!(mail.to(), to);
        assert_eq!(mail.header("Content-Type"), "text/plain; charset=\"utf-8\"");
        assert!(!mail.data.contains("mallory") && !mail.text().contains("mallory"), "{}", mail.data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_links_runs_its_own_script_alone_and_is_kept_nowhere() {
    let world = World::start().await;
    for (path, kind) in [("/account", "text/html"), ("/account.js", "text/javascript")] {
        let page = ask(format!("{}{path}", world.base), "GET", None, None, &[]).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").unwrap().starts_with(kind));
        let policy = page.header("content-security-policy").unwrap();
        let policy: Vec<_> = policy.split(';').map(str::trim).collect();
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(&rule), "{policy:?}");
        }
        assert!(!policy.concat().contains("unsafe"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let text = page.body.as_str().unwrap();
        assert!(!text.contains("://") && !text.contains("innerHTML"), "nothing of others");
        if kind == "text/html" {
            assert!(text.contains(r#"<script src="account.js" defer></script>"#));
            assert_eq!(text.matches("<script").count(), 1);
            assert!(!text.contains("style") && !text.contains(" on"));
        } else {
            let removed = text.find("history.replaceState(").unwrap();
            assert!(removed < text.find("fetch(").unwrap());
            for (begins, path) in [
                ("rkp_", "/reset"),
                ("rkv_", "/verification/confirm"),
                ("rke_", "/email/confirm"),
                ("rki_", "/invitation/accept"),
                ("rkg_", "/register/confirm"),
                ("rku_", "/email/revert"),
            ] {
                let at = text.find(&format!("{begins}: {{")).unwrap();
                let named = text[at..].find("path: \"").unwrap() + at + 7;
                assert!(text[named..].starts_with(&format!("{path}\"")), "{begins}");
            }
        }
    }
}

#[test]
fn texts_that_lack_something_are_refused_at_the_start() {
    for language in [Language::En, Language::De] {
        let good = language.texts();
        assert!(parse(good).is_ok());
        let faults = [
            ("# new_device:", "# new_devise:", "there is no text for `new_device`"),
            ("# email_changed with link:", "# email_changed too:", "there is no text for `email_changed with link`"),
            ("# new_device:", "# other: x\n# new_device:", "nothing is told by [\"other\"]"),
            ("# new_device:", "# password_changed: x\n# new_device:", "there are two texts for `password_changed`"),
            ("# new_device: ", "# new_device ", "has no subject"),
            ("# new_device: ", "# new_device: {ip} ", "something in its subject"),
            ("{link}", "", "`password_reset with link` lacks its link"),
            ("{until}", "{untill}", "`password_reset with link`: nothing stands for {untill} here"),
            ("{time}", "{link}", "nothing stands for {link} here"),
            ("{ip}", "{user_agent}", "nothing stands for {user_agent} here"),
            ("{ip}", "{ip", "a `{` that nothing closes"),
        ];
        for (text, fault, why) in faults {
            assert!(good.contains(text), "{text}");
            // `{link}` belongs in the first text, but not in the second.
            let place = if fault == "{link}" { good.find("# sign_in_elsewhere").unwrap() } else { 0 };
            let bad = format!("{}{}", &good[..place], good[place..].replacen(text, fault, 1));
            let told = parse(&bad).map(|_| ()).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}

#[tokio::test]
async fn a_server_or_a_sender_that_cannot_be_is_refused_at_the_start() {
    let make = |server, from| Mailer::new(server, from, Languages::default()).map(|_| ());
    assert!(make("smtps://user:password@mail.example.org", "Documents <documents@example.org>").is_ok());
    for (server, from) in [("mail.example.org", "a@example.org"), ("http://x", "a@example.org"), ("smtp://x", "nobody")]
    {
        assert_eq!(make(server, from).unwrap_err().reason(), rolekeep::Reason::ConfigInvalid);
    }
}
