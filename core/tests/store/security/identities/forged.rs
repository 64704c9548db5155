//! Tokens that no issuer made for this application, and key sets that are none (SEC-4).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use rolekeep::{IssuerKind, Reason, RequestContext, Secret, TrustedIssuer, UserManagement, sign_in::SignInByToken};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

use crate::cheap;

const PROJECT: &str = "https://abc.supabase.co/auth/v1";
const SHARED: &str = "a key that the project and the application share";

fn encoded(part: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part)
}

/// A token of a project of Supabase, by the key that is shared with it.
fn of_project(key: &str, claims: &Value) -> Secret {
    let signed = format!("{}.{}", encoded(r#"{"alg":"HS256","typ":"JWT"}"#), encoded(claims.to_string()));
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", encoded(mac)).into()
}

/// Why tokens were refused, as the log has it, the oldest first.
async fn reasons(um: &UserManagement) -> Vec<String> {
    let log = um.system().audit().list(ListAudit::new().limit(100)).await.unwrap().items;
    let failed = log.into_iter().filter(|entry| entry.action == "sign_in.external_failed");
    let mut reasons: Vec<String> = failed.map(|entry| entry.detail.unwrap()).collect();
    reasons.reverse();
    reasons
}

#[tokio::test]
async fn sec_4_forged_tokens_of_other_issuers_are_refused() {
    let mut stage = Stage::open().await;
    let config = cheap::config().trusted_issuers([stage.issuer.trusted()]).sign_in_tries(0);
    let (um, _) = Interposed::open_as(policy(), |builder| builder.config(config)).await;
    um.system().users().create(CreateUser::external(ISSUER, SUBJECT).username("ada")).await.unwrap();
    stage.um = um;
    let now = stage.now();
    let good = stage.token(json!({}));
    let claims = |further: Value| {
        let mut all = json!({"iss": ISSUER, "sub": SUBJECT, "aud": "app", "iat": now, "exp": now + 3600});
        all.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        all.to_string()
    };
    const HEADER: &str = r#"{"alg":"EdDSA","kid":"one"}"#;
    let parts: Vec<&str> = good.expose().split('.').collect();
    let signed = |header: &str, further: Value| stage.issuer.sign(header, &claims(further)).expose().to_owned();
    let es256 = SigningKey::from_slice(&[5; 32]).unwrap();
    let by_es256 = |header: &str| {
        let message = format!("{}.{}", encoded(header), encoded(claims(json!({}))));
        let signature: Signature = es256.sign(message.as_bytes());
        format!("{message}.{}", encoded(signature.to_bytes()))
    };
    let public = stage.issuer.jwk().to_string();
    let mac = |key: &[u8]| {
        let message = format!("{}.{}", encoded(r#"{"alg":"HS256","kid":"one"}"#), encoded(claims(json!({}))));
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&message).finalize().into_bytes();
        format!("{message}.{}", encoded(mac))
    };
    let other = Issuer::new(ISSUER, 8);
    let own_key = json!({"alg": "EdDSA", "kid": "one", "jwk": other.jwk()}).to_string();
    let twice = claims(json!({})).replace('{', &format!("{{\"sub\":\"{SUBJECT}\","));
    let forged: Vec<(String, &str)> = vec![
        (String::new(), "base64url"),
        ("x".repeat(9_000), "base64url"),
        (parts[..2].join("."), "base64url"),
        (format!("{}.{}", good.expose(), parts[2]), "base64url"),
        (format!("{}=", good.expose()), "base64url"),
        (format!("{}.{}.", parts[0], parts[1]), "signature"),
        (format!("{}.{}.{}", parts[0], parts[1], encoded([0; 64])), "signature"),
        (format!("{}.{}.", encoded(r#"{"alg":"none"}"#), parts[1]), "another algorithm"),
        (format!("{}.{}.", encoded(r#"{"alg":"NONE","kid":"one"}"#), parts[1]), "another algorithm"),
        (mac(public.as_bytes()), "another algorithm"),
        (mac(&BASE64_URL_SAFE_NO_PAD.decode(stage.issuer.jwk()["x"].as_str().unwrap()).unwrap()), "another algorithm"),
        (by_es256(r#"{"alg":"ES256","kid":"one"}"#), "another algorithm"),
        (by_es256(HEADER), "signature"),
        (signed(r#"{"alg":"EdDSA","kid":"two"}"#, json!({})), "names no key"),
        (signed(r#"{"kid":"one"}"#, json!({})), "header"),
        (signed(r#"{"alg":"EdDSA","kid":"one","crit":["exp"]}"#, json!({})), "critical"),
        (signed(r#"{"alg":"EdDSA","kid":"one","typ":"logout+jwt"}"#, json!({})), "another type"),
        (signed(r#"{"alg":"EdDSA","kid":1}"#, json!({})), "header"),
        (signed(r#"{"alg":"EdDSA","alg":"EdDSA","kid":"one"}"#, json!({})), "twice"),
        (other.sign(&own_key, &claims(json!({}))).expose().to_owned(), "signature"),
        (stage.issuer.sign(HEADER, &twice).expose().to_owned(), "twice"),
        (stage.issuer.sign(HEADER, "[]").expose().to_owned(), "JSON"),
        (signed(HEADER, json!({"iss": "https://evil.example"})), "none of those"),
        (signed(HEADER, json!({"iss": format!("{ISSUER}/")})), "none of those"),
        (signed(HEADER, json!({"aud": "other"})), "somebody else"),
        (signed(HEADER, json!({"aud": []})), "somebody else"),
        (signed(HEADER, json!({"aud": null})), "somebody else"),
        (signed(HEADER, json!({"aud": ["app", 1]})), "another type"),
        (signed(HEADER, json!({"exp": now - 61})), "expired"),
        (signed(HEADER, json!({"exp": null})), "lacks a claim"),
        (signed(HEADER, json!({"exp": "9999999999"})), "another type"),
        (signed(HEADER, json!({"exp": 1e300})), "another type"),
        (signed(HEADER, json!({"iat": null})), "lacks a claim"),
        (signed(HEADER, json!({"iat": now + 120})), "later than now"),
        (signed(HEADER, json!({"nbf": now + 120})), "later than now"),
        (signed(HEADER, json!({"sub": null})), "lacks a claim"),
        (signed(HEADER, json!({"sub": 5})), "another type"),
        (signed(HEADER, json!({"sub": "x".repeat(256)})), "lacks a claim"),
        (signed(HEADER, json!({"rolekeep": true})), "one of ours"),
    ];
    let expected: Vec<&str> = forged.iter().map(|(_, why)| *why).collect();
    for (token, why) in &forged {
        let refused = stage.sign_in(&token.as_str().into()).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidCredentials, "{why}: {token}");
    }
    let found = reasons(&stage.um).await;
    assert_eq!(found.len(), expected.len());
    for (at, why) in expected.iter().enumerate() {
        assert!(found[at].contains(why), "{why}: {}", found[at]);
    }
    // What differs from none of these but in being right is let in; several audiences, and a key that is not named, too.
    for good in [
        good.expose().to_owned(),
        signed(r#"{"alg":"EdDSA"}"#, json!({"aud": ["x", "app"]})),
        signed(r#"{"alg":"EdDSA","kid":"one","typ":"application/at+JWT","jku":"https://evil.example"}"#, json!({})),
        signed(HEADER, json!({"exp": (now + 50) as f64 + 0.5, "nbf": now + 30})),
    ] {
        assert!(stage.sign_in(&good.as_str().into()).await.is_ok(), "{good}");
    }
}

/// Tokens of Supabase count for people who signed in there, and for nobody else.
#[tokio::test]
async fn aut_7_tokens_of_supabase_are_of_people_who_signed_in() {
    let issuer = TrustedIssuer::new(PROJECT).audiences(["authenticated"]).secret(SHARED).kind(IssuerKind::Supabase);
    let (um, _) = Interposed::open_as(policy(), |builder| {
        builder.config(cheap::config().trusted_issuers([issuer]).sign_in_tries(0))
    })
    .await;
    let id = "0f6a3a4e-3a3c-4d8e-9f61-0c5c8bb1a3b0";
    let ada = um.system().users().create(CreateUser::external(PROJECT, id).username("ada")).await.unwrap();
    let now = jiff::Timestamp::now().as_second();
    let claims = |further: Value| {
        let mut all = json!({
            "iss": PROJECT, "sub": id, "aud": "authenticated", "iat": now, "exp": now + 3600, "role": "authenticated",
            "email": "somebody@example.org", "user_metadata": {"role": "admin", "region_id": 1}, "is_anonymous": false,
            "amr": [{"method": "password", "timestamp": now - 20}], "session_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        });
        all.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        all
    };
    let sign_in = async |token: Secret| {
        let anybody = um.anonymous(RequestContext::default());
        anybody.sign_in().external(SignInByToken::new(token)).await
    };
    for (further, why) in [
        (json!({"role": "service_role"}), "nobody who signed in"),
        (json!({"role": "anon"}), "nobody who signed in"),
        (json!({"is_anonymous": true}), "nobody who signed in"),
        (json!({"is_anonymous": "false"}), "nobody who signed in"),
        (json!({"aud": "anon"}), "somebody else"),
        (json!({"rolekeep": {}}), "one of ours"),
        (json!({"sub": "0f6a3a4e-3a3c-4d8e-9f61-0c5c8bb1a3b1"}), "no account"),
    ] {
        assert_eq!(reason(sign_in(of_project(SHARED, &claims(further))).await), Reason::InvalidCredentials);
        assert!(reasons(&um).await.last().unwrap().contains(why), "{why}");
    }
    let wrong = of_project("a key that nobody shares with this application", &claims(json!({})));
    assert_eq!(reason(sign_in(wrong).await), Reason::InvalidCredentials);
    let tokens = sign_in(of_project(SHARED, &claims(json!({})))).await.unwrap().done().unwrap();
    // Of all that it says the subject alone is believed.
    assert_eq!((tokens.user.id, tokens.user.email), (ada.id, None));
    let me = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    assert!(me.roles().mine().await.unwrap().iter().all(|held| held.role != "admin"));
}

#[tokio::test]
async fn aut_17_issuers_are_checked_when_a_store_is_opened() {
    let issuer = Issuer::new(ISSUER, 7);
    let wrong = |trusted: Vec<TrustedIssuer>| {
        let error = cheap::config().trusted_issuers(trusted).check().unwrap_err();
        assert_eq!(error.reason(), Reason::ConfigInvalid);
        error.fields().iter().map(|field| format!("{}: {}", field.field, field.message)).collect::<Vec<_>>().join("; ")
    };
    let keys = |keys: Value| issuer.trusted().jwks(json!({"keys": keys}).to_string());
    let private = {
        let mut key = issuer.jwk();
        key["d"] = json!("AAAA");
        key
    };
    let of_use = |of: &str| {
        let mut key = issuer.jwk();
        key["use"] = json!(of);
        key
    };
    for (trusted, expected) in [
        (vec![issuer.trusted(), issuer.trusted()], "trusted_issuers[1].issuer: must not be another issuer's"),
        (
            vec![TrustedIssuer::new("rolekeep").audiences(["app"]).secret(SHARED)],
            "trusted_issuers[0].issuer: must not be",
        ),
        (
            vec![TrustedIssuer::new("two words").audiences(["app"]).secret(SHARED)],
            "trusted_issuers[0].issuer: may hold",
        ),
        (vec![TrustedIssuer::new(ISSUER).secret(SHARED)], "trusted_issuers[0].audiences"),
        (
            vec![TrustedIssuer::new(ISSUER).audiences(["app"])],
            "trusted_issuers[0].jwks_url: give `jwks_url`, `jwks` or `secret`",
        ),
        (vec![issuer.trusted().secret(SHARED)], "trusted_issuers[0].jwks_url: give `jwks_url`, `jwks` or `secret`"),
        (
            vec![TrustedIssuer::new(ISSUER).audiences(["app"]).secret("short")],
            "trusted_issuers[0].secret: must have at least 32",
        ),
        (vec![issuer.trusted().jwks("[]")], "trusted_issuers[0].jwks: is no JSON Web Key Set"),
        (vec![keys(json!([]))], "has no key"),
        (vec![keys(json!([{"kty": "oct", "kid": "one"}]))], "has no key"),
        (vec![keys(json!([of_use("enc")]))], "has no key"),
        (vec![keys(json!([private]))], "has a private key"),
        (vec![keys(json!(vec![issuer.jwk(); 101]))], "has more than 100 keys"),
    ] {
        assert!(wrong(trusted).contains(expected), "{expected}");
    }
    assert!(
        cheap::config().trusted_issuers([keys(json!([{"kty": "oct"}, of_use("enc"), issuer.jwk()]))]).check().is_ok()
    );
    let many = (0..51).map(|at| TrustedIssuer::new(format!("issuer{at}")).audiences(["app"]).secret(SHARED));
    assert!(wrong(many.collect()).contains("at most 50"));
}

/// By a token with `act` (RFC 8693, 4.1) somebody else acts as its subject, as by those that are made here to act as another user.
#[tokio::test]
async fn aut_17_a_token_by_which_another_acts_signs_nobody_in() {
    let stage = Stage::open().await;
    for act in [json!({"sub": "support"}), json!(7)] {
        let acting = stage.token(json!({"act": act}));
        assert_eq!(reason(stage.sign_in(&acting).await), Reason::InvalidCredentials);
        assert_eq!(why_refused(&stage.um).await, "somebody else acts by it as its subject");
    }
}
