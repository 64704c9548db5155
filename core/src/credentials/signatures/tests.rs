use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::*;

/// The claims of RFC 7515, appendix A.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-\
    SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVM\
    TBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn bytes(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn private(algorithm: Algorithm, key: &str) -> PrivateKey {
    PrivateKey::of_bytes(algorithm, &bytes(key).try_into().unwrap()).unwrap()
}

fn rfc_7515_es256() -> PublicKey {
    let [x, y] = ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];
    PublicKey::es256(&bytes(x), &bytes(y)).unwrap()
}

/// Verifies a token, and that nothing else is accepted for it.
fn verify(key: &PublicKey, token: &str) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (signed, signature) = (signed.as_bytes(), bytes(signature));
    assert!(key.verify(signed, &signature));
    for at in 0..signature.len() {
        let mut spoilt = signature.clone();
        spoilt[at] ^= 1;
        assert!(!key.verify(signed, &spoilt), "{at}");
        assert!(!key.verify(signed, &signature[..at]), "{at}");
    }
    assert!(!key.verify(&signed[1..], &signature));
    assert!(!key.verify(signed, &[signature.as_slice(), &[0]].concat()));
    assert!(!key.verify(signed, &vec![0; signature.len()]));
}

#[test]
fn aut_6_rs256_of_rfc_7515() {
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7\
        t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqt\
        FZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let key = PublicKey::rs256(&bytes(MODULUS), &[1, 0, 1]).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Rs256);
    verify(&key, &format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{signature}"));
    assert!(PrivateKey::of_bytes(Algorithm::Rs256, &[1; 32]).is_none());
}

#[test]
fn aut_6_es256_of_rfc_7515() {
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    verify(&rfc_7515_es256(), &format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}"));
    let private = private(Algorithm::Es256, "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    assert_eq!(private.public_key(), &rfc_7515_es256());
    let signed = format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(private.sign(signed.as_bytes()));
    verify(&rfc_7515_es256(), &format!("{signed}.{signature}"));
}

/// RFC 6979, A.2.5: what is random in a signature follows from the message.
#[test]
fn aut_6_es256_needs_no_randomness() {
    let key = [
        0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93, 0x4e, 0x50,
        0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
    ];
    let signature = PrivateKey::of_bytes(Algorithm::Es256, &key).unwrap().sign(b"sample");
    let hex: String = signature.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(
        hex,
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    );
}

#[test]
fn aut_6_ed_dsa_of_rfc_8037() {
    let private = private(Algorithm::EdDsa, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let public = PublicKey::ed_dsa(&bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")).unwrap();
    assert_eq!(private.public_key(), &public);
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(private.sign(signed.as_bytes())), signature);
    verify(&public, &format!("{signed}.{signature}"));
    assert_eq!(public.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn aut_6_thumbprint_of_rfc_7638() {
    let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
        tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS\
        D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let key = PublicKey::rs256(&bytes(modulus), &[1, 0, 1]).unwrap();
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn aut_6_a_key_set_says_what_a_key_is_for() {
    let jwk: serde_json::Value = serde_json::from_str(&rfc_7515_es256().to_jwk()).unwrap();
    let expected = serde_json::json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": rfc_7515_es256().thumbprint(),
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    assert_eq!(jwk, expected);
}

#[test]
fn sec_4_what_is_no_key_is_refused() {
    assert!(PublicKey::es256(&[1; 32], &[1; 32]).is_none(), "no point of the curve");
    assert!(PublicKey::es256(&[1; 31], &[1; 32]).is_none() && PublicKey::ed_dsa(&[1; 31]).is_none());
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert!(PublicKey::ed_dsa(&neutral).is_none(), "anything is a signature under it");
    assert!(PrivateKey::of_bytes(Algorithm::Es256, &[0; 32]).is_none());
    assert!(PrivateKey::of_bytes(Algorithm::Es256, &[255; 32]).is_none(), "beyond the order of the curve");
    assert!(PublicKey::rs256(&bytes(MODULUS)[..128], &[1, 0, 1]).is_none(), "1,024 bits");
}
