//! Tokens for a Supabase project: what they say, who gets one, and that they let nobody in here.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, SigningKey, Verifier};
use rolekeep::{
    Caller, Code, Config, Policy, Reason, RequestContext, Secret, TrustedIssuer, UserManagement,
    api_keys::CreateApiKey,
    environment::Environment,
    identities::LinkIdentity,
    regions::CreateRegion,
    roles::AssignRole,
    sessions::{Impersonate, ListSessions},
    sign_in::SignInByToken,
    users::{CreateUser, UpdateUser},
    verification::ConfirmVerification,
};
use serde_json::{Value, json};

use super::kit::{Ahead, PASSWORD};
use crate::{cheap, mails::Mails, shared_token::shared_token};

const PROJECT: &str = "https://project.supabase.co/auth/v1";
const SECRET: &str = "a secret that the project shares with us";

fn policy() -> Policy {
    Policy::from_toml(
        r#"
        permissions = ["document:read"]
        [roles.reader]
        allow = ["document:read"]
        [roles.writer]
        allow = ["document:read"]
        [roles.careful]
        allow = ["document:read"]
        second_factor = true
        [roles.admin]
        allow = ["admin:all"]
        "#,
    )
    .unwrap()
}

fn settings() -> Config {
    cheap::config().supabase_issuer(PROJECT).supabase_secret(SECRET)
}

async fn open(config: Config, clock: &Ahead) -> UserManagement {
    cheap::builder().config(config).policy(policy()).environment(clock.clone()).open().await.unwrap()
}

async fn by(um: &UserManagement, token: &Secret) -> rolekeep::Result<Caller> {
    um.authenticate(token.expose(), RequestContext::default()).await
}

async fn signed_in(um: &UserManagement, name: &str) -> Caller {
    let tokens = um.login(name, PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    by(um, &tokens.access_token).await.unwrap()
}

fn part(token: &Secret, at: usize) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(token.expose().split('.').nth(at).unwrap()).unwrap()
}

fn read(token: &Secret, at: usize) -> Value {
    serde_json::from_slice(&part(token, at)).unwrap()
}

async fn claims(me: &Caller) -> Value {
    read(&me.sessions().supabase_token().await.unwrap().access_token, 1)
}

#[tokio::test]
async fn aut_7_a_token_says_what_supabase_would() {
    let clock = Ahead::new();
    let um = open(settings(), &clock).await;
    let host = um.system();
    let north = host.regions().create(CreateRegion::new("North", "N")).await.unwrap().id;
    let ada = CreateUser::new("ada@example.org").username("ada").full_name("Ada Lovelace").password(PASSWORD);
    let ada = host.users().create(ada.region(north.to_string()).roles(["reader"])).await.unwrap().id;
    let scope = format!("region:{north}");
    host.roles().assign(AssignRole::new(ada, "writer").scope(scope.clone())).await.unwrap();
    let over = clock.now().plus_seconds(60);
    host.roles().assign(AssignRole::new(ada, "admin").valid_until(over)).await.unwrap();
    clock.pass(120);

    let me = signed_in(&um, "ada").await;
    host.roles().assign(AssignRole::new(ada, "careful")).await.unwrap();
    let answer = me.sessions().supabase_token().await.unwrap();
    let token = &answer.access_token;
    let now = clock.now().as_second();
    assert_eq!(read(token, 0), json!({"alg": "HS256", "typ": "JWT"}));
    // What another maker of tokens gets by the secret over the same claims.
    let said = read(token, 1);
    let [iat, exp] = ["iat", "exp"].map(|name| said[name].as_i64().unwrap());
    assert!((now - 5..=now).contains(&iat) && exp == iat + 300);
    assert_eq!(answer.expires_at, rolekeep::Time::from_second(exp).unwrap());
    let session = me.sessions().list(ListSessions::new()).await.unwrap().items[0].id;
    let mut rest = said.clone();
    for name in ["iat", "exp", "jti"] {
        assert!(rest.as_object_mut().unwrap().remove(name).is_some());
    }
    assert_eq!(rest["amr"][0]["timestamp"].as_i64().map(|at| (now - 5..=now).contains(&at)), Some(true));
    rest["amr"][0]["timestamp"] = json!(0);
    assert_eq!(
        rest,
        json!({
            "iss": PROJECT, "sub": ada, "aud": "authenticated", "role": "authenticated",
            "email": "", "phone": "", "aal": "aal1", "amr": [{"method": "password", "timestamp": 0}],
            "session_id": session, "is_anonymous": false, "rolekeep": ada,
            "app_metadata": {
                "provider": "rolekeep", "roles": ["reader"],
                "scoped_roles": [{"role": "writer", "scope": scope}], "region_id": north,
            },
            "user_metadata": {"username": "ada", "full_name": "Ada Lovelace", "region_id": north},
        }),
        "neither an address that nobody proved, nor a role that needs a second factor, nor one whose time is over"
    );
    let signed = token.expose().rsplit_once('.').unwrap().0;
    assert_eq!(part(token, 2), hmac(SECRET, signed));
}

fn hmac(secret: &str, signed: &str) -> Vec<u8> {
    use hmac::{Hmac, KeyInit, Mac};
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.chain_update(signed).finalize().into_bytes().to_vec()
}

#[tokio::test]
async fn aut_7_whom_the_project_knows_is_whom_it_names() {
    let clock = Ahead::new();
    let trusted = TrustedIssuer::new(PROJECT).audiences(["authenticated"]).secret(SECRET);
    let um = open(settings().trusted_issuers([trusted.kind(rolekeep::IssuerKind::Supabase)]), &clock).await;
    um.system()
        .users()
        .create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD).roles(["reader"]))
        .await
        .unwrap();
    let me = signed_in(&um, "ada").await;
    let before = claims(&me).await;
    assert_eq!((&before["sub"], &before["user_metadata"]["role"]), (&before["rolekeep"], &json!("reader")));

    let asked = me.identities().link_start().await.unwrap();
    let theirs = json!({
        "iss": PROJECT, "sub": "0b9f8f5e", "aud": "authenticated", "role": "authenticated",
        "iat": 0, "exp": 3600, "nonce": asked.nonce, "auth_time": 0,
    });
    me.identities().link(LinkIdentity::new(asked.challenge, shared_token(theirs, SECRET))).await.unwrap();
    let me = signed_in(&um, "ada").await;
    let token = me.sessions().supabase_token().await.unwrap().access_token;
    assert_eq!(read(&token, 1)["sub"], json!("0b9f8f5e"));
    // By the same key, for the same audience and of a subject that is known; and yet it comes from here.
    assert_eq!(by(&um, &token).await.err().unwrap().reason(), Reason::InvalidToken);
    let nobody = um.anonymous(RequestContext::default());
    let refused = nobody.sign_in().external(SignInByToken::new(token)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InvalidCredentials);
}

#[tokio::test]
async fn aut_7_it_is_for_who_is_there_in_person() {
    let clock = Ahead::new();
    let um = open(settings(), &clock).await;
    let host = um.system();
    let mut ids = Vec::new();
    for (name, role) in [("ada", "reader"), ("root", "admin")] {
        let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD).roles([role]);
        ids.push(host.users().create(new).await.unwrap().id);
    }
    let code = |asked: rolekeep::Result<_>| asked.map(|_: rolekeep::sessions::SupabaseToken| ()).unwrap_err().code();
    assert_eq!(code(host.sessions().supabase_token().await), Code::Unauthorized);
    assert_eq!(code(um.acting_as(ids[0]).await.unwrap().sessions().supabase_token().await), Code::Unauthorized);
    let root = signed_in(&um, "root").await;
    let acting = root.sessions().impersonate(Impersonate::new(ids[0], "to see")).await.unwrap();
    let acting = by(&um, &acting.access_token).await.unwrap();
    assert_eq!(code(acting.sessions().supabase_token().await), Code::Forbidden);
    let key = signed_in(&um, "ada").await.api_keys().create(CreateApiKey::new("a program")).await.unwrap().key;
    assert_eq!(code(by(&um, &key).await.unwrap().sessions().supabase_token().await), Code::Forbidden);

    let none = open(cheap::config(), &clock).await;
    none.system().users().create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD)).await.unwrap();
    let refused = signed_in(&none, "ada").await.sessions().supabase_token().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotOffered);
}

#[tokio::test]
async fn aut_7_an_address_that_was_proved_is_named_and_too_many_roles_are_not_cut() {
    let clock = Ahead::new();
    let mails = Mails::default();
    let builder = cheap::builder().config(settings()).policy(policy()).environment(clock.clone());
    let um = builder.notifier(mails.clone()).open().await.unwrap();
    let host = um.system();
    let ada = CreateUser::new("ada@example.org").username("ada").password(PASSWORD);
    let ada = host.users().create(ada).await.unwrap().id;
    let me = signed_in(&um, "ada").await;
    assert_eq!(claims(&me).await["email"], json!(""));
    me.verification().send().await.unwrap();
    let proof = mails.take("verification", "ada@example.org").await.token.unwrap();
    me.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    assert_eq!(claims(&signed_in(&um, "ada").await).await["email"], json!("ada@example.org"));
    host.users().update(UpdateUser::new(ada).email("lovelace@example.org")).await.unwrap();
    assert_eq!(claims(&signed_in(&um, "ada").await).await["email"], json!(""));
    for at in 0..51 {
        let region = host.regions().create(CreateRegion::new(format!("R{at}"), "A region")).await.unwrap().id;
        host.roles().assign(AssignRole::new(ada, "reader").scope(format!("region:{region}"))).await.unwrap();
    }
    let refused = signed_in(&um, "ada").await.sessions().supabase_token().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::LimitReached);
}

/// A private key of EdDSA as JSON, with further members in place of these.
fn jwk(further: Value) -> String {
    let key = SigningKey::from_bytes(&[7; 32]);
    let x = BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes());
    let d = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    let mut jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "a \"key\"", "x": x, "d": d, "key_ops": ["sign", "verify"]});
    jwk.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    jwk.to_string()
}

#[tokio::test]
async fn aut_7_a_project_that_was_given_a_key_verifies_by_its_public_part() {
    let clock = Ahead::new();
    let um = open(cheap::config().supabase_issuer(PROJECT).supabase_signing_key(jwk(json!({}))), &clock).await;
    um.system().users().create(CreateUser::new("ada@example.org").username("ada").password(PASSWORD)).await.unwrap();
    let token = signed_in(&um, "ada").await.sessions().supabase_token().await.unwrap().access_token;
    assert_eq!(read(&token, 0), json!({"alg": "EdDSA", "kid": "a \"key\"", "typ": "JWT"}));
    let signed = token.expose().rsplit_once('.').unwrap().0;
    let signature = Signature::from_slice(&part(&token, 2)).unwrap();
    SigningKey::from_bytes(&[7; 32]).verifying_key().verify(signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn aut_7_settings_that_do_not_fit_are_named() {
    let other = BASE64_URL_SAFE_NO_PAD.encode([8; 32]);
    let signed_by = |jwk: String| cheap::config().supabase_issuer(PROJECT).supabase_signing_key(jwk);
    for (field, config) in [
        ("supabase_secret", cheap::config().supabase_issuer(PROJECT)),
        ("supabase_secret", cheap::config().supabase_issuer(PROJECT).supabase_secret("short")),
        ("supabase_secret", settings().supabase_signing_key(jwk(json!({})))),
        ("supabase_issuer", cheap::config().supabase_secret(SECRET)),
        ("supabase_issuer", settings().supabase_issuer("a b")),
        ("supabase_signing_key", signed_by("{".into())),
        ("supabase_signing_key", signed_by(jwk(json!({"kid": null})))),
        ("supabase_signing_key", signed_by(jwk(json!({"d": null})))),
        ("supabase_signing_key", signed_by(jwk(json!({"d": other})))),
        ("supabase_signing_key", signed_by(jwk(json!({"use": "enc"})))),
        ("supabase_signing_key", signed_by(jwk(json!({"alg": "ES256"})))),
        ("supabase_signing_key", signed_by(jwk(json!({"key_ops": ["verify"]})))),
        ("supabase_signing_key", signed_by(jwk(json!({"kty": "RSA"})))),
    ] {
        let error = cheap::builder().config(config).open().await.err().unwrap_or_else(|| panic!("{field}"));
        let fields: Vec<_> = error.fields().iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!((error.reason(), fields), (Reason::ConfigInvalid, vec![field]));
        assert!(!format!("{error:?}").contains(SECRET));
    }
}

/// A role that is held in one region says nothing of any other.
#[tokio::test]
async fn aut_7_a_role_of_one_region_is_not_told_without_it() {
    let um = open(settings(), &Ahead::new()).await;
    let host = um.system();
    let south = host.regions().create(CreateRegion::new("South", "S")).await.unwrap().id;
    let ada = CreateUser::new("ada@example.org").username("ada").password(PASSWORD);
    let ada = host.users().create(ada).await.unwrap().id;
    host.roles().assign(AssignRole::new(ada, "writer").scope(format!("region:{south}"))).await.unwrap();
    let said = claims(&signed_in(&um, "ada").await).await;
    assert_eq!(said["app_metadata"]["roles"], json!([]));
    assert_eq!(said["app_metadata"]["scoped_roles"][0]["role"], "writer");
    assert_eq!(said["user_metadata"].get("role"), None);
}

/// A clerk makes an account for whom the project knows, and gives it a password: it is nobody to the project before that one has come.
#[tokio::test]
async fn sec_10_nobody_is_named_to_the_project_whom_a_clerk_vouches_for() {
    let clock = Ahead::new();
    let trusted = TrustedIssuer::new(PROJECT).audiences(["authenticated"]).secret(SECRET);
    let config = settings().trusted_issuers([trusted.kind(rolekeep::IssuerKind::Supabase)]);
    let policy =
        Policy::from_toml("[roles.admin]\nallow = [\"admin:all\"]\n[roles.clerk]\nallow = [\"user:create\"]").unwrap();
    let um = cheap::builder().config(config).policy(policy).environment(clock.clone()).open().await.unwrap();
    for (name, role) in [("clerk", "clerk"), ("root", "admin")] {
        let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD).roles([role]);
        um.system().users().create(new).await.unwrap();
    }
    let chosen = "another horse battery staple";
    let mut ahead = 0;
    for (maker, is_vouched_for) in [("clerk", false), ("root", true)] {
        let me = signed_in(&um, maker).await;
        let subject = format!("owner of the project, by {maker}");
        let name = format!("of_{maker}");
        let new = CreateUser::external(PROJECT, subject.clone()).username(name.clone()).password(PASSWORD);
        me.users().create(new).await.unwrap();
        let owed = um.login(&name, PASSWORD, RequestContext::default()).await.unwrap();
        let step = rolekeep::sign_in::ChoosePassword::new(owed.challenge.unwrap(), chosen);
        let nobody = um.anonymous(RequestContext::default());
        let tokens = nobody.sign_in().password(step).await.unwrap().done().unwrap();
        let inside = by(&um, &tokens.access_token).await.unwrap();
        let token = inside.sessions().supabase_token().await;
        assert_eq!(token.is_ok(), is_vouched_for, "{maker}: {token:?}");
        if let Err(refused) = token {
            assert_eq!(refused.code(), Code::Conflict);
        }
        // Its subject comes.
        clock.pass(60);
        ahead += 60;
        let theirs = json!({
            "iss": PROJECT, "sub": subject, "aud": "authenticated", "role": "authenticated", "iat": ahead, "exp": ahead + 3600,
        });
        let came = SignInByToken::new(shared_token(theirs, SECRET));
        let tokens = nobody.sign_in().external(came).await.unwrap().done().unwrap();
        let me = by(&um, &tokens.access_token).await.unwrap();
        assert_eq!(claims(&me).await["sub"], json!(subject));
    }
}
