//! Tokens of another issuer in place of access tokens: what they let in to, and until when.

use rolekeep::{
    Caller, Policy, Reason, RequestContext, Result, Secret, TrustedIssuer, UserManagement,
    identities::{LinkIdentity, UnlinkIdentity},
    passwords::{ChangePassword, SetPassword},
    sessions::{ListSessions, RevokeAllSessions},
    sign_in::SignInByToken,
    users::{BanUser, CreateUser, DeactivateUser, DeleteUser, SuspendUser, UpdateUser},
};
use serde_json::json;

use super::{ISSUER, SUBJECT};
use crate::{
    cheap,
    issuer::Issuer,
    security::kit::{Ahead, Interposed, PASSWORD},
};

struct Stage {
    um: UserManagement,
    storage: std::sync::Arc<Interposed>,
    clock: Ahead,
    issuer: Issuer,
    ada: rolekeep::UserId,
}

impl Stage {
    async fn open() -> Self {
        let (clock, issuer) = (Ahead::new(), Issuer::new(ISSUER, 7));
        let signs_in_only = TrustedIssuer::new("https://other.example.org").audiences(["app"]);
        let others = json!({"keys": [Issuer::new("https://other.example.org", 9).jwk()]}).to_string();
        let trusted = [issuer.trusted().access_tokens(true), signs_in_only.jwks(others)];
        let policy = Policy::from_toml(
            r#"
            permissions = ["document:read", "document:edit"]
            [roles.reader]
            allow = ["document:read"]
            [roles.careful]
            allow = ["document:edit"]
            second_factor = true
            [roles.admin]
            allow = ["admin:all"]
            [roles.clerk]
            allow = ["user:create"]
            "#,
        )
        .unwrap();
        let (um, storage) = Interposed::open_as(policy, |builder| {
            builder.config(cheap::config().trusted_issuers(trusted)).environment(clock.clone())
        })
        .await;
        let ada = CreateUser::new("ada@example.org").password(PASSWORD).roles(["reader"]);
        let ada = um.system().users().create(ada).await.unwrap().id;
        let stage = Self { um, storage, clock, issuer, ada };
        let me = stage.signed_in().await;
        let asked = me.identities().link_start().await.unwrap();
        let token = stage.issuer.token(SUBJECT, stage.now(), json!({"nonce": asked.nonce}));
        me.identities().link(LinkIdentity::new(asked.challenge, token)).await.unwrap();
        // Tokens and credentials are told apart to the second.
        stage.clock.pass(10);
        stage
    }

    fn now(&self) -> i64 {
        use rolekeep::environment::Environment;
        self.clock.now().as_second()
    }

    fn token(&self) -> Secret {
        self.issuer.token(SUBJECT, self.now(), json!({}))
    }

    async fn by(&self, token: &Secret) -> Result<Caller> {
        self.um.authenticate(token.expose(), RequestContext::default()).await
    }

    /// Ada in a session.
    async fn signed_in(&self) -> Caller {
        let tokens =
            self.um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
        self.by(&tokens.access_token).await.unwrap()
    }

    async fn reason(&self, token: &Secret) -> Reason {
        self.by(token).await.err().expect("it is refused").reason()
    }
}

#[tokio::test]
async fn aut_17_a_token_of_another_issuer_is_an_access_token_where_the_host_says_so() {
    let stage = Stage::open().await;
    let token = stage.token();
    let ada = stage.by(&token).await.unwrap();
    assert_eq!(ada.users().me().await.unwrap().id, stage.ada);
    assert!(ada.can("document:read", None).unwrap());
    let bob = CreateUser::external(ISSUER, "bob").username("bob").roles(["careful"]);
    stage.um.system().users().create(bob).await.unwrap();
    let bob = stage.by(&stage.issuer.token("bob", stage.now(), json!({}))).await.unwrap();
    assert!(!bob.can("document:edit", None).unwrap(), "it is one factor");
    // As often as it is shown; and it still signs in.
    stage.by(&token).await.unwrap();
    let anybody = stage.um.anonymous(RequestContext::default());
    anybody.sign_in().external(SignInByToken::new(token.clone())).await.unwrap();
    stage.by(&token).await.unwrap();

    let other = Issuer::new("https://other.example.org", 9);
    stage.um.system().users().create(CreateUser::external("https://other.example.org", "eve")).await.unwrap();
    assert_eq!(stage.reason(&other.token("eve", stage.now(), json!({}))).await, Reason::InvalidToken);
    let nobody = stage.issuer.token("nobody", stage.now(), json!({}));
    assert_eq!(stage.reason(&nobody).await, Reason::InvalidToken);
    let forged = Issuer::new(ISSUER, 8).token(SUBJECT, stage.now(), json!({}));
    assert_eq!(stage.reason(&forged).await, Reason::InvalidToken);
    let elsewhere = stage.issuer.token(SUBJECT, stage.now(), json!({"aud": "another"}));
    assert_eq!(stage.reason(&elsewhere).await, Reason::InvalidToken);
    let ours = stage.issuer.token(SUBJECT, stage.now(), json!({"rolekeep": "1"}));
    assert_eq!(stage.reason(&ours).await, Reason::InvalidToken);
}

#[tokio::test]
async fn aut_17_who_comes_by_such_a_token_does_nothing_in_person() {
    let stage = Stage::open().await;
    let ada = stage.by(&stage.token()).await.unwrap();
    let refused = |error: rolekeep::Error| {
        assert_eq!(error.reason(), Reason::Denied, "{error}");
        assert!(error.message().contains("sign in by `sign_in.external`"), "{error}");
    };
    refused(ada.sessions().list(ListSessions::new()).await.unwrap_err());
    assert_eq!(ada.sessions().logout().await.unwrap_err().reason(), Reason::NotSignedIn);
    refused(ada.passwords().change(ChangePassword::new(PASSWORD, "another horse battery")).await.unwrap_err());
    refused(ada.identities().link_start().await.unwrap_err());
    refused(ada.api_keys().create(rolekeep::api_keys::CreateApiKey::new("key")).await.unwrap_err());
    refused(ada.factors().add_start().await.unwrap_err());
}

/// What ends a token, each on the next call: of a caller who is held, asked with and without I/O, and of the token shown again.
#[tokio::test]
async fn aut_17_such_a_token_ends_with_what_it_rests_on() {
    type End = for<'s> fn(&'s Stage) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 's>>;
    let ends: [(&str, End); 9] = [
        ("expired", |stage| Box::pin(async { stage.clock.pass(3_660) })),
        ("password set", |stage| {
            Box::pin(async {
                let set = SetPassword::new(stage.ada, "another horse battery");
                stage.um.system().passwords().set(set).await.unwrap();
            })
        }),
        ("logged out everywhere", |stage| {
            Box::pin(async {
                let all = RevokeAllSessions::new().user_id(stage.ada);
                stage.um.system().sessions().revoke_all(all).await.unwrap();
            })
        }),
        ("suspended", |stage| {
            Box::pin(async {
                stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
            })
        }),
        ("banned", |stage| {
            Box::pin(async {
                stage.um.system().users().ban(BanUser::new(stage.ada)).await.unwrap();
            })
        }),
        ("deactivated", |stage| {
            Box::pin(async {
                stage.um.system().users().deactivate(DeactivateUser::new(stage.ada)).await.unwrap();
            })
        }),
        ("deleted", |stage| {
            Box::pin(async {
                stage.um.system().users().delete(DeleteUser::new(stage.ada)).await.unwrap();
            })
        }),
        ("password changed", |stage| {
            Box::pin(async {
                let ada = stage.signed_in().await;
                let change = ChangePassword::new(PASSWORD, "another horse battery");
                ada.passwords().change(change).await.unwrap();
            })
        }),
        ("unlinked", |stage| {
            Box::pin(async {
                let ada = stage.signed_in().await;
                let linked = ada.identities().list().await.unwrap();
                ada.identities().unlink(UnlinkIdentity::new(linked[0].id)).await.unwrap();
            })
        }),
    ];
    for (why, end) in ends {
        let stage = Stage::open().await;
        let token = stage.issuer.token(SUBJECT, stage.now() - 5, json!({"iat": stage.now() - 5}));
        let held = stage.by(&token).await.unwrap();
        assert!(held.can("document:read", None).unwrap());
        end(&stage).await;
        assert!(held.can("document:read", None).is_err(), "{why}");
        assert!(held.users().me().await.is_err(), "{why}");
        assert!(stage.by(&token).await.is_err(), "{why}");
    }
}

/// What is under way when its token ends is not done.
#[tokio::test]
async fn sec_16_what_such_a_token_began_is_not_done_when_that_ends_meanwhile() {
    let stage = Stage::open().await;
    let system = stage.um.system();
    let admin = CreateUser::external(ISSUER, "admin").username("admin").roles(["admin"]);
    let admin = system.users().create(admin).await.unwrap().id;
    let token = stage.issuer.token("admin", stage.now() - 5, json!({"iat": stage.now() - 5}));
    let held = stage.by(&token).await.unwrap();
    let rival = stage.um.clone();
    stage.storage.before_next_commit(async move {
        rival.system().passwords().set(SetPassword::new(admin, "another horse battery")).await.unwrap();
    });
    let error = held.users().update(UpdateUser::new(stage.ada).full_name("Eve")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidToken);
    assert_ne!(
        system.users().get(rolekeep::users::GetUser::new(stage.ada)).await.unwrap().full_name.as_deref(),
        Some("Eve")
    );
}

/// A clerk made the account, and knows the password that it gave: it may be inside. Its subject puts an end to that by signing in.
#[tokio::test]
async fn aut_17_such_a_token_lets_nobody_in_beside_who_made_the_account() {
    let stage = Stage::open().await;
    let (clerk, _) = crate::security::kit::signed_in(&stage.um, "clerk", &["clerk"]).await;
    let token = |subject: &str| stage.issuer.token(subject, stage.now(), json!({}));
    for (name, password, is_let_in) in [("bob", Some(PASSWORD), false), ("eve", None, true)] {
        let mut new = CreateUser::external(ISSUER, name).username(name);
        new.password = password.map(Secret::from);
        clerk.users().create(new).await.unwrap();
        assert_eq!(stage.by(&token(name)).await.is_ok(), is_let_in, "{name}");
    }
    stage.clock.pass(60);
    let comes = SignInByToken::new(token("bob"));
    stage.um.anonymous(RequestContext::default()).sign_in().external(comes).await.unwrap().done().unwrap();
    assert!(stage.by(&token("bob")).await.is_ok());
}
