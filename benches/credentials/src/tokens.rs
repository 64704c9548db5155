//! What it takes to verify a token, beside the signature alone, and `jsonwebtoken`.

use std::{hint::black_box, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::Signature;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{DecodingKey, Validation};
use p256::ecdsa::signature::Verifier;
use rolekeep::{
    Config, RequestContext, SessionId, Time, UserId, UserManagement,
    internals::tokens::{
        access_token::{Claims, Expected, Key},
        signatures::{Algorithm, PrivateKey},
    },
    users::CreateUser,
};
use rolekeep_lab::figures::{least, spent};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

use crate::Plan;

const SECRET: [u8; 32] = [7; 32];

/// Nanoseconds of a processor for one token.
pub struct Row {
    /// The algorithm.
    pub name: &'static str,
    /// The signature alone.
    pub bare: f64,
    /// All of a token.
    pub ours: f64,
    /// `jsonwebtoken`, with the same claims asked for.
    pub peer: f64,
}

/// All that is measured of tokens.
pub struct Tokens {
    /// By algorithm.
    pub rows: Vec<Row>,
    /// Nanoseconds of a call's `authenticate`: the token, its session and its user.
    pub authenticate: f64,
}

/// Measures all in turns.
pub fn measure(plan: &Plan) -> Result<Tokens> {
    let mut rows = Vec::new();
    for name in ["HS256", "ES256", "EdDSA"] {
        rows.push(of(name, plan)?);
    }
    Ok(Tokens { rows, authenticate: authenticate(plan)? })
}

/// The least of the rounds' means of each.
fn in_turns<const N: usize>(plan: &Plan, count: usize, all: [&dyn Fn(usize) -> Result<()>; N]) -> Result<[f64; N]> {
    let mut means: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..plan.rounds {
        for (one, means) in all.iter().zip(&mut means) {
            let begin = spent();
            for at in 0..count {
                one(at)?;
            }
            let took: Duration = spent().saturating_sub(begin);
            means.push(took.as_nanos() as f64 / count as f64);
        }
    }
    let mut of_all = [0.0; N];
    for (least_of, means) in of_all.iter_mut().zip(&means) {
        *least_of = least(means).context("no rounds")?;
    }
    Ok(of_all)
}

/// What is signed, and the signature, of a token.
fn parts(token: &str) -> Result<(&str, Vec<u8>)> {
    let (signed, signature) = token.rsplit_once('.').context("a token has dots")?;
    Ok((signed, BASE64_URL_SAFE_NO_PAD.decode(signature)?))
}

fn of(name: &'static str, plan: &Plan) -> Result<Row> {
    let algorithm = match name {
        "ES256" => Some(Algorithm::Es256),
        "EdDSA" => Some(Algorithm::EdDsa),
        _ => None,
    };
    let key = match algorithm {
        None => Key::shared(&SECRET),
        Some(algorithm) => Key::private(PrivateKey::of_bytes(algorithm, &SECRET).context("a key")?),
    };
    let now = Time::from_second(1_800_000_000).map_err(|error| anyhow!("{error}"))?;
    // Each another one: nothing of the one before is of use.
    let tokens: Vec<String> =
        (0..1000).map(|at| Ok(key.sign(&claims(at))?.expose().to_owned())).collect::<Result<_>>()?;
    let expected = Expected { issuer: "rolekeep", audience: "app", now, leeway: 60 };
    let token = |at: usize| tokens[at % tokens.len()].as_str();
    let ours = |at: usize| -> Result<()> {
        black_box(key.verify(token(at), &expected)?);
        Ok(())
    };
    let (bare, decoding): (Box<dyn Fn(usize) -> Result<()>>, DecodingKey) = match algorithm {
        None => {
            let bare = |at: usize| -> Result<()> {
                let (signed, signature) = parts(token(at))?;
                let mac = Hmac::<Sha256>::new_from_slice(&SECRET)?.chain_update(signed);
                Ok(mac.verify_slice(&signature)?)
            };
            (Box::new(bare), DecodingKey::from_secret(&SECRET))
        }
        Some(algorithm) => {
            let jwk: Value = serde_json::from_str(&key.public_key().context("a public key")?.to_jwk())?;
            let coordinate = |name: &str| jwk[name].as_str().unwrap_or_default().to_owned();
            let (x, y) = (coordinate("x"), coordinate("y"));
            let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text);
            match algorithm {
                Algorithm::EdDsa => {
                    let x32: [u8; 32] = bytes(&x)?.try_into().map_err(|_| anyhow!("32 bytes"))?;
                    let public = ed25519_dalek::VerifyingKey::from_bytes(&x32)?;
                    let bare = move |at: usize| -> Result<()> {
                        let (signed, signature) = parts(token(at))?;
                        Ok(public.verify_strict(signed.as_bytes(), &Signature::from_slice(&signature)?)?)
                    };
                    (Box::new(bare), DecodingKey::from_ed_components(&x)?)
                }
                _ => {
                    let point = [vec![4], bytes(&x)?, bytes(&y)?].concat();
                    let public = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)?;
                    let bare = move |at: usize| -> Result<()> {
                        let (signed, signature) = parts(token(at))?;
                        Ok(public.verify(signed.as_bytes(), &p256::ecdsa::Signature::from_slice(&signature)?)?)
                    };
                    (Box::new(bare), DecodingKey::from_ec_components(&x, &y)?)
                }
            }
        }
    };
    let mut validation = Validation::new(name.parse()?);
    validation.set_issuer(&["rolekeep"]);
    validation.set_audience(&["app"]);
    let peer = |at: usize| -> Result<()> {
        black_box(jsonwebtoken::decode::<Value>(token(at), &decoding, &validation)?);
        Ok(())
    };
    let count = if algorithm.is_none() { plan.tokens } else { plan.tokens / 20 };
    let [bare, ours, peer] = in_turns(plan, count, [&bare, &ours, &peer])?;
    Ok(Row { name, bare, ours, peer })
}

/// Valid by our clock and by the system's, which the peer reads.
fn claims(at: u128) -> Claims {
    Claims {
        iss: "rolekeep".to_owned(),
        aud: "app".to_owned(),
        sub: UserId(Uuid::from_u128(at)),
        sid: SessionId(Uuid::from_u128(at + 1)),
        iat: 1_700_000_000,
        nbf: 1_700_000_000,
        exp: 4_000_000_000,
        jti: Uuid::from_u128(at + 2),
        act: None,
    }
}

/// A call of each of a thousand sessions in turn, on one thread.
fn authenticate(plan: &Plan) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (um, tokens) = runtime.block_on(async {
        let config = Config::new().hashing_memory_kib(7168).hashing_iterations(5);
        let um = UserManagement::builder().config(config).open().await?;
        let mut tokens = Vec::new();
        for at in 0..100 {
            let email = format!("user{at}@example.org");
            um.system()
                .users()
                .create(CreateUser::new(email.as_str()).password("correct horse battery staple"))
                .await?;
            let login = um.login(&email, "correct horse battery staple", RequestContext::default()).await?.done()?;
            tokens.push(login.access_token);
        }
        anyhow::Ok((um, tokens))
    })?;
    ensure!(tokens.len() == 100);
    let one = |at: usize| -> Result<()> {
        let token = tokens[at % tokens.len()].expose();
        black_box(runtime.block_on(um.authenticate(token, RequestContext::default()))?);
        Ok(())
    };
    let [took] = in_turns(plan, plan.tokens, [&one])?;
    Ok(took)
}
