//! Whoever looks after accounts is nobody's to find: its users are told what was done, and not from where.

use rolekeep::{
    Caller,
    api_keys::{CreateApiKey, CreateApiKeyFor, RevokeApiKey},
    environment::Environment,
    factors::{AddFactor, ResetFactorsOf},
    passwords::{ChangePassword, SetPassword, SetTemporaryPassword},
    roles::AssignRole,
    sessions::{RevokeAllSessions, RevokeSession},
    users::UpdateUser,
};

use super::*;
use crate::{authenticator, security::kit::signed_in};

fn from() -> RequestContext {
    RequestContext::from_ip("192.0.2.7").user_agent("Probe 1")
}

impl Stage {
    async fn ada(&self, password: &str) -> Caller {
        let tokens = self.um.login("ada", password, from()).await.unwrap().done().unwrap();
        self.um.authenticate(tokens.access_token.expose(), from()).await.unwrap()
    }

    /// From where a notice says that something was done.
    async fn told_from(&self, kind: &str, to: &str) -> (Option<String>, Option<String>) {
        let told = self.mails.take(kind, to).await;
        assert_eq!(told.ip.is_some(), told.text.expose().contains("192.0.2.7"), "{kind}");
        (told.ip, told.user_agent)
    }

    async fn require_from_nowhere(&self, kind: &str, to: &str) {
        assert_eq!(self.told_from(kind, to).await, (None, None), "{kind}");
    }
}

#[tokio::test]
async fn aut_9_what_somebody_else_did_to_an_account_is_told_and_not_from_where() {
    const OTHER: &str = "countess@example.org";
    let stage = Stage::open().await;
    let (mia, _) = signed_in(&stage.um, "mia", &["admin"]).await;
    let (mia, system) = (mia.with_request(from()), stage.um.system().with_request(from()));
    let me = stage.ada(PASSWORD).await;
    let key = me.api_keys().create(CreateApiKey::new("Backup")).await.unwrap();
    stage.mails.take("api_key_created", ADA).await;
    mia.api_keys().revoke(RevokeApiKey::new(key.api_key.id)).await.unwrap();
    stage.require_from_nowhere("api_key_revoked", ADA).await;
    system.api_keys().create_for(CreateApiKeyFor::new(stage.ada, "Import")).await.unwrap();
    stage.require_from_nowhere("api_key_created", ADA).await;
    let setup = me.factors().add_start().await.unwrap();
    let code = authenticator::code(setup.secret.expose(), stage.clock.now().as_second() / 30);
    let added = me.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    mia.sessions().revoke(RevokeSession::new(added.tokens.session_id)).await.unwrap();
    stage.require_from_nowhere("session_revoked", ADA).await;
    mia.factors().reset_of(ResetFactorsOf::new(stage.ada)).await.unwrap();
    stage.require_from_nowhere("factor_removed", ADA).await;
    mia.sessions().revoke_all(RevokeAllSessions::new().user_id(stage.ada)).await.unwrap();
    stage.require_from_nowhere("sessions_ended", ADA).await;
    mia.passwords().set_temporary(SetTemporaryPassword::new(stage.ada)).await.unwrap();
    stage.require_from_nowhere("password_changed", ADA).await;
    for is_temporary in [true, false] {
        system.passwords().set(SetPassword::new(stage.ada, NEW).is_temporary(is_temporary)).await.unwrap();
        stage.require_from_nowhere("password_changed", ADA).await;
    }
    mia.users().update(UpdateUser::new(stage.ada).username("countess")).await.unwrap();
    stage.require_from_nowhere("username_changed", ADA).await;
    mia.users().update(UpdateUser::new(stage.ada).email(OTHER)).await.unwrap();
    stage.require_from_nowhere("email_changed", ADA).await;
    stage.require_from_nowhere("email_changed", OTHER).await;
}

/// As whom somebody is signed in who takes another account is no reason to keep silent from where.
#[tokio::test]
async fn aut_9_what_was_done_as_the_user_is_told_with_from_where() {
    let stage = Stage::open().await;
    let here = (from().ip, from().user_agent);
    let me = stage.ada(PASSWORD).await;
    me.passwords().change(ChangePassword::new(PASSWORD, NEW)).await.unwrap();
    assert_eq!(stage.told_from("password_changed", ADA).await, here);
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "moderator")).await.unwrap();
    stage.ada(NEW).await.users().update(UpdateUser::new(stage.ada).username("ada2")).await.unwrap();
    assert_eq!(stage.told_from("username_changed", ADA).await, here);
    let (eve, _) = signed_in(&stage.um, "eve", &[]).await;
    stage.forgot(ADA).await.unwrap();
    let token = stage.mails.take("password_reset", ADA).await.token.unwrap();
    eve.with_request(from()).passwords().reset(ResetPassword::new(token, PASSWORD)).await.unwrap();
    assert_eq!(stage.told_from("password_changed", ADA).await, here);
}
