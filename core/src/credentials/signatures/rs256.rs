//! RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.2), which `ring` verifies and, where there is no C compiler for it,
//! the JavaScript host's own `node:crypto`.

/// Whether it can be verified here.
pub(super) fn is_offered() -> bool {
    of_host::is_offered()
}

/// Whether the key signed the message.
pub(super) fn verify(modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
    of_host::verify(modulus, exponent, message, signature)
}

#[cfg(not(target_arch = "wasm32"))]
mod of_host {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    pub(super) fn is_offered() -> bool {
        true
    }

    pub(super) fn verify(modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: modulus, e: exponent };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }
}

#[cfg(target_arch = "wasm32")]
mod of_host {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use js_sys::{Array, Function, JSON, Object, Reflect, Uint8Array};

    pub(super) fn is_offered() -> bool {
        crypto().is_some()
    }

    pub(super) fn verify(modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
        try_verify(modulus, exponent, message, signature) == Some(true)
    }

    fn try_verify(modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
        let crypto = crypto()?;
        let [n, e] = [modulus, exponent].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
        let text = format!(r#"{{"format":"jwk","key":{{"kty":"RSA","n":"{n}","e":"{e}"}}}}"#);
        let arguments = Array::new();
        arguments.push(&"RSA-SHA256".into());
        arguments.push(&Uint8Array::from(message));
        arguments.push(&JSON::parse(&text).ok()?);
        arguments.push(&Uint8Array::from(signature));
        let verify = Function::from(Reflect::get(&crypto, &"verify".into()).ok()?);
        Reflect::apply(&verify, &crypto, &arguments).ok()?.as_bool()
    }

    /// `process.getBuiltinModule("node:crypto")`: of Node from 20.16 and 22.3, Deno and Bun.
    fn crypto() -> Option<Object> {
        let process = Reflect::get(&js_sys::global(), &"process".into()).ok()?;
        let load = Function::from(Reflect::get(&process, &"getBuiltinModule".into()).ok()?);
        let crypto = load.call1(&process, &"node:crypto".into()).ok()?;
        crypto.is_object().then(|| Object::from(crypto))
    }
}
