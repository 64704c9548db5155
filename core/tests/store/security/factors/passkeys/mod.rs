//! Passkeys: by themselves, beside the password, and copies of them (AUT-14, Web Authentication Level 3).

mod alone;
mod attacked;
mod copies;
mod second;

use rolekeep::{
    factors::{AddPasskey, PasskeyOptions},
    sign_in::{SignInByPasskey, StartSignInByPasskey},
};

use super::*;
use crate::{cheap, security_key::SecurityKey};

fn config() -> Config {
    cheap::config().passkey_domain("example.org")
}

async fn stage() -> Stage {
    Stage::with(policy(), config()).await
}

impl Stage {
    /// Adds a passkey to Ada's account; she goes on signed in.
    async fn with_passkey(&self, key: &mut SecurityKey) -> (Caller, AddedFactor) {
        let me = self.ada().await;
        self.add_passkey(&me, key).await
    }

    async fn add_passkey(&self, me: &Caller, key: &mut SecurityKey) -> (Caller, AddedFactor) {
        let asked = me.factors().add_passkey_start().await.unwrap();
        let response = key.create(&asked.options);
        let added = me.factors().add_passkey(AddPasskey::new(asked.challenge, response)).await.unwrap();
        self.clock.pass(1);
        (self.with_tokens(&added.tokens).await, added)
    }

    async fn ask(&self) -> PasskeyOptions {
        self.nobody().sign_in().passkey_start(StartSignInByPasskey::new()).await.unwrap()
    }

    async fn answer(&self, challenge: &Secret, response: &str) -> Result<SignInResult> {
        self.nobody().sign_in().passkey(SignInByPasskey::new(challenge.clone(), response)).await
    }

    async fn sign_in_by(&self, key: &mut SecurityKey) -> Result<SignInResult> {
        let asked = self.ask().await;
        self.clock.pass(1);
        self.answer(&asked.challenge, &key.get(&asked.options)).await
    }

    /// What the audit log says last of a failed sign-in.
    async fn why(&self) -> String {
        let asked = rolekeep::audit::ListAudit::new().action("sign_in.passkey_failed").limit(1_u32);
        let page = self.um.system().audit().list(asked).await.unwrap();
        page.items[0].detail.clone().unwrap_or_default()
    }
}
