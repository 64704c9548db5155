//! What is no key of ours, keys from elsewhere, and tokens of one kind where another is wanted.

use rolekeep::{
    audit::ListAudit,
    email::{ConfirmEmail, RevertEmail},
    passwords::{ForgotPassword, ResetPassword, SetPassword},
    sessions::{InspectToken, Login, Refresh},
    sign_in::{ChoosePassword, ProveFactor},
    users::{ActivateUser, SuspendUser},
    verification::ConfirmVerification,
};

use super::*;

use crate::cheap;

const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key with another secret, and the checksum of that.
fn with_secret(key: &str, secret: &str) -> String {
    let begin = format!("{}{secret}", &key[..26]);
    let mut crc = begin.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    crc = !crc;
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.push(char::from(LETTERS[crc as usize % 62]));
        crc /= 62;
    }
    format!("{begin}{}", digits.into_iter().rev().collect::<String>())
}

#[tokio::test]
async fn sec_4_what_is_no_key_of_ours_is_refused_alike() {
    let stage = Stage::open(&["writer"]).await;
    let made = stage.key(&["document:read"]).await;
    let other = stage.key(&["document:read"]).await;
    let (key, other) = (made.key.expose(), other.key.expose());
    assert_eq!(with_secret(key, &key[26..59]), key, "the test's own checksum");
    let forged = with_secret(key, &"A".repeat(33));
    let swapped = with_secret(key, &other[26..59]);
    let nobodys = with_secret(&format!("rkk_{}", "0".repeat(61)), &key[26..59]);
    let flipped = |at: usize| {
        let letter = if &key[at..=at] == "0" { "1" } else { "0" };
        format!("{}{letter}{}", &key[..at], &key[at + 1..])
    };
    let mut all = vec![
        forged,
        swapped,
        nobodys,
        format!("{key} "),
        format!("{key}0"),
        format!("Bearer {key}"),
        key.to_lowercase(),
    ];
    all.extend((0..65).map(flipped));
    all.extend((0..65).map(|length| key[..length].to_owned()));
    all.extend(["rkk_".to_owned(), "rkk_é".repeat(13), format!("rkk_{}", "\0".repeat(61)), "rkk_".repeat(100_000)]);
    for text in all {
        let refused = stage.by(&text.as_str().into()).await.err().unwrap_or_else(|| panic!("{text} lets in"));
        assert_eq!(refused.reason(), Reason::InvalidToken);
        if text.starts_with("rkk_") {
            assert_eq!(refused.message(), "the API key is not valid (any more)");
        }
    }
    assert!(stage.is_good(&made).await);
}

/// What is no whole key costs no read, and whoever guesses at ids fills no memory with them.
#[tokio::test]
async fn sec_15_a_forged_key_costs_a_read_at_most() {
    let stage = Stage::open(&[]).await;
    let made = stage.key(&["document:read"]).await;
    let key = made.key.expose();
    stage.storage.calls();
    assert!(stage.by(&key[..64].into()).await.is_err());
    let other = if key.ends_with('0') { '1' } else { '0' };
    assert!(stage.by(&format!("{}{other}", &key[..64]).as_str().into()).await.is_err());
    assert_eq!(stage.storage.calls(), 0);
    let nobodys = with_secret(&format!("rkk_{}", "0".repeat(61)), &"A".repeat(33));
    assert!(stage.by(&nobodys.as_str().into()).await.is_err());
    assert_eq!(stage.storage.calls(), 1);
}

/// Why it is refused only the audit log says, and not a hundred times.
#[tokio::test]
async fn v16_3_the_audit_log_says_why_a_key_is_refused() {
    let stage = Stage::open(&["writer"]).await;
    let me = stage.ada().await;
    let here = CreateApiKey::new("Here").networks(["192.0.2.0/24"]);
    let here = me.api_keys().create(here).await.unwrap();
    let (ended, short) =
        (made(&me, &["document:read"]).await.unwrap(), CreateApiKey::new("Short").expires_in_seconds(60));
    let short = me.api_keys().create(short).await.unwrap();
    revoke(&me, ended.api_key.id).await.unwrap();
    stage.clock.pass(61);
    let forged = with_secret(here.key.expose(), &"A".repeat(33));
    let mut answers = Vec::new();
    for _ in 0..20 {
        for text in [here.key.expose(), ended.key.expose(), short.key.expose(), &forged] {
            answers.push(stage.um.authenticate(text, RequestContext::from_ip("198.51.100.7")).await.err().unwrap());
        }
    }
    let suspend = SuspendUser::new(stage.ada);
    stage.um.system().users().suspend(suspend).await.unwrap();
    answers.push(stage.by_from(&here.key, "192.0.2.9").await.err().unwrap());
    assert!(
        answers
            .iter()
            .all(|answer| answer.reason() == Reason::InvalidToken && answer.message() == answers[0].message())
    );
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let told = stage.um.system().audit().list(ListAudit::new().action("access.denied")).await.unwrap().items;
    let mut told: Vec<_> = told.into_iter().map(|one| (one.target_id.unwrap(), one.detail.unwrap())).collect();
    let expected = |key: &NewApiKey, why: &str| (key.api_key.id.to_string(), format!("API key: {why}"));
    let mut wanted = vec![
        expected(&here, "it is not for this address"),
        expected(&ended, "it was ended"),
        expected(&short, "it has expired"),
        expected(&here, "its secret is wrong"),
        expected(&here, "its user is not active"),
    ];
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
}

/// By the address that the host's own proxies vouch for, at each call.
#[tokio::test]
async fn aut_13_a_key_is_used_from_its_networks_alone() {
    let config = cheap::config().trusted_proxies(["10.1.0.0/16"]);
    let stage = Stage::with(&["writer"], config).await;
    let me = stage.ada().await;
    let create = |networks: &[&str]| CreateApiKey::new("Here").networks(networks.iter().copied());
    let made = me.api_keys().create(create(&["192.0.2.0/24", "2001:db8::/32"])).await.unwrap();
    for (ip, is_let_in) in [
        ("192.0.2.1", true),
        ("192.0.2.255", true),
        ("::ffff:192.0.2.1", true),
        ("2001:db8:1::1", true),
        ("192.0.3.1", false),
        ("2001:db9::1", false),
        ("127.0.0.1", false),
        ("10.1.0.1", false),
        ("somewhere", false),
        ("", false),
    ] {
        assert_eq!(stage.by_from(&made.key, ip).await.is_ok(), is_let_in, "{ip}");
    }
    assert!(stage.by(&made.key).await.is_err(), "from nobody knows where");
    let behind = |peer: &str, forwarded: &str| RequestContext::from_ip(peer).forwarded_for(forwarded);
    let from = async |request| stage.um.authenticate(made.key.expose(), request).await;
    assert!(from(behind("10.1.0.1", "203.0.113.9, 192.0.2.7")).await.is_ok());
    assert!(from(behind("10.1.0.1", "192.0.2.7, 203.0.113.9")).await.is_err(), "what the client wrote itself");
    assert!(from(behind("203.0.113.9", "192.0.2.7")).await.is_err(), "who is no proxy of ours");
    let program = from(RequestContext::from_ip("192.0.2.1")).await.unwrap();
    assert!(program.can("document:read", None).unwrap());
    let elsewhere = program.with_request(RequestContext::from_ip("198.51.100.7"));
    assert_eq!(reason(elsewhere.can("document:read", None)), Reason::InvalidToken);
    assert_eq!(reason(elsewhere.users().me().await), Reason::InvalidToken);
    assert!(program.can("document:read", None).unwrap() && program.users().me().await.is_ok());
    let own = me.api_keys().create(create(&["127.0.0.1"])).await.unwrap();
    assert!(stage.by_from(&own.key, "127.0.0.1").await.is_ok() && stage.by_from(&own.key, "127.0.0.2").await.is_err());
}

/// A private peer that forwards and that nobody named is one of many: its address is no client's.
#[tokio::test]
async fn aut_13_an_unnamed_proxy_is_no_address_of_a_client() {
    let stage = Stage::open(&[]).await;
    let create = CreateApiKey::new("Here").networks(["10.0.0.0/8"]);
    let made = stage.ada().await.api_keys().create(create).await.unwrap();
    assert!(stage.by_from(&made.key, "10.0.0.7").await.is_ok());
    let forwarded = RequestContext::from_ip("10.0.0.7").forwarded_for("203.0.113.9");
    assert!(stage.um.authenticate(made.key.expose(), forwarded).await.is_err());
}

#[tokio::test]
async fn sec_6_a_key_waits_while_its_user_is_off() {
    let stage = Stage::open(&["writer"]).await;
    let made = stage.key(&["document:read"]).await;
    let program = stage.by(&made.key).await.unwrap();
    let users = stage.um.system();
    users.users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    assert_eq!(reason(program.can("document:read", None)), Reason::InvalidToken);
    assert_eq!(reason(program.users().me().await), Reason::InvalidToken);
    assert!(!stage.is_good(&made).await);
    users.users().lift(rolekeep::users::LiftUser::new(stage.ada)).await.unwrap();
    assert!(stage.is_good(&made).await && program.can("document:read", None).unwrap());
    users.users().deactivate(rolekeep::users::DeactivateUser::new(stage.ada)).await.unwrap();
    assert!(!stage.is_good(&made).await);
    users.users().activate(ActivateUser::new(stage.ada)).await.unwrap();
    assert!(stage.is_good(&made).await);
}

/// Each consumer takes its own, and refuses all else.
#[tokio::test]
async fn sec_4_no_token_passes_for_a_key_nor_a_key_for_another() {
    let stage = Stage::open(&["writer"]).await;
    let login = stage.um.login("ada", PASSWORD, RequestContext::default()).await.unwrap();
    let device = login.device_token.clone().unwrap();
    let tokens = login.done().unwrap();
    let me = stage.with_tokens(&tokens).await;
    let made = made(&me, &["*:*"]).await.unwrap();
    let nobody = stage.um.anonymous(RequestContext::default());
    nobody.passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
    let reset = stage.mails.take("password_reset", ADA).await.token.unwrap();
    me.verification().send().await.unwrap();
    let proof = stage.mails.take("verification", ADA).await.token.unwrap();
    let mia = CreateUser::new("mia@example.org").username("mia");
    let mia = stage.um.system().users().create(mia).await.unwrap().id;
    stage.um.system().passwords().set(SetPassword::new(mia, PASSWORD)).await.unwrap();
    let owed = stage.um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().challenge.unwrap();

    for other in [&tokens.refresh_token, &device, &reset, &proof, &owed] {
        assert_eq!(reason(stage.by(other).await), Reason::InvalidToken, "{}", &other.expose()[..4]);
        let claims = format!("rkk_{}", &other.expose()[4..]);
        assert_eq!(reason(stage.by(&claims.as_str().into()).await), Reason::InvalidToken);
    }
    let key = || made.key.clone();
    let answers = [
        reason(nobody.sessions().refresh(Refresh::new(key())).await),
        reason(nobody.passwords().reset(ResetPassword::new(key(), NEW)).await),
        reason(nobody.verification().confirm(ConfirmVerification::new(key())).await),
        reason(nobody.email().revert(RevertEmail::new(key())).await),
        reason(me.email().confirm(ConfirmEmail::new(key())).await),
        reason(nobody.sign_in().factor(ProveFactor::new(key(), "123456")).await),
        reason(nobody.sign_in().password(ChoosePassword::new(key(), NEW)).await),
    ];
    assert_eq!(answers, [Reason::InvalidToken; 7]);
    let inspected = nobody.sessions().inspect(InspectToken::new(key())).await.unwrap();
    assert!(!inspected.active && inspected.user_id.is_none());
    let known = Login::new("ada", "not the password at all").device_token(key());
    assert_eq!(reason(nobody.sessions().login(known).await), Reason::InvalidCredentials);
    // With another prefix it is none of theirs.
    for prefix in ["rkr_", "rkx_", "rkp_", "rkv_", "rkd_", "rku_", "rke_", "rkm_"] {
        let text = made.key.expose().replace("rkk_", prefix);
        assert_eq!(reason(stage.by(&text.as_str().into()).await), Reason::InvalidToken);
    }
    assert!(stage.is_good(&made).await);
}

/// Requests by keys count for their user.
#[tokio::test]
async fn aut_12_keys_use_up_what_their_user_may_ask() {
    let stage = Stage::with(&["writer"], cheap::config().requests_per_minute(10)).await;
    let me = stage.ada().await;
    let (one, other) = (made(&me, &["document:read"]).await.unwrap(), made(&me, &["document:read"]).await.unwrap());
    let (one, other) = (stage.by(&one.key).await.unwrap(), stage.by(&other.key).await.unwrap());
    let mut answered = 0;
    for _ in 0..10 {
        answered += usize::from(one.users().me().await.is_ok()) + usize::from(other.users().me().await.is_ok());
    }
    assert!((1..=10).contains(&answered), "{answered}");
    assert_eq!(reason(me.users().me().await), Reason::RateLimited);
}
