//! Accounts that are made by the first token of a subject, where its issuer registers (decision 032): what they begin with, and who gets none.

use rolekeep::{
    IssuerKind, Policy, SecondFactor, TrustedIssuer,
    factors::FactorSetup,
    roles::AssignRole,
    sign_in::{Enrol, StartEnrol},
    users::{BanUser, DeleteUser, ExternalIdentity, GetUser, ListUsers, UserView},
};

use super::*;
use crate::security::kit::Interposed;

/// Everybody is a member, and may change itself; whoever has an address of the company reads all.
const GUARDED: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.member]
default = true
allow = [
    { permission = "user:update", when = "resource.id == principal.id" },
    { permission = "user:list", when = "principal.email == 'eve@example.com' and principal.verified == true" },
    { permission = "user:read", when = "principal.full_name == 'Boss'" },
]
"#;

impl Stage {
    /// A store whose issuer registers.
    async fn registering(policy: Policy, choose: impl FnOnce(Config) -> Config) -> Self {
        Self::trusting(policy, |issuer| issuer.register(true), choose).await
    }

    async fn trusting(
        policy: Policy,
        trust: impl FnOnce(TrustedIssuer) -> TrustedIssuer,
        choose: impl FnOnce(Config) -> Config,
    ) -> Self {
        let (clock, issuer) = (Ahead::new(), Issuer::new(ISSUER, 7));
        let config = choose(Config::new().trusted_issuers([trust(issuer.trusted())]));
        let (um, storage) =
            Interposed::open_as(policy, |builder| builder.config(config).environment(clock.clone())).await;
        let ada = CreateUser::external(ISSUER, SUBJECT).email("ada@example.org").username("ada");
        let ada = um.system().users().create(ada).await.unwrap().id;
        Self { um, storage, clock, issuer, ada }
    }

    /// Somebody of whom nobody has heard, with these claims.
    async fn comes(&self, subject: &str, further: Value) -> Result<SignInResult> {
        self.sign_in(&self.issuer.token(subject, self.now(), further)).await
    }

    async fn comes_from(&self, ip: &str, subject: &str) -> Result<SignInResult> {
        let token = self.issuer.token(subject, self.now(), json!({}));
        self.um.anonymous(RequestContext::from_ip(ip)).sign_in().external(SignInByToken::new(token)).await
    }

    async fn users(&self) -> Vec<UserView> {
        self.um.system().users().list(ListUsers::new()).await.unwrap().items
    }

    async fn user(&self, id: UserId) -> UserView {
        self.um.system().users().get(GetUser::new(id)).await.unwrap()
    }
}

#[tokio::test]
async fn aut_17_nobody_is_registered_unless_the_setting_says_so() {
    let stage = Stage::open().await;
    assert_eq!(reason(stage.comes("new|1", json!({})).await), Reason::InvalidCredentials);
    assert_eq!(why_refused(&stage.um).await, "no account stands for its subject");
    assert_eq!(stage.users().await.len(), 1);
}

#[tokio::test]
async fn aut_17_a_new_subject_is_registered_and_signed_in_at_once() {
    let stage = Stage::registering(policy(), |config| config).await;
    let claims = json!({
        "email": "Bob@Example.org", "email_verified": true, "preferred_username": "bob", "name": " Bob Miller ",
        "given_name": "Bob", "family_name": "Miller", "nickname": "Bobby",
        "roles": ["admin"], "status": "inactive", "region": "north", "phone_number": "+4912345678", "birthdate": "1990-01-01",
    });
    let token = stage.issuer.token("new|1", stage.now(), claims);
    let answer = stage.sign_in(&token).await.unwrap();
    // Who did not get the answer asks again, and is the same.
    let again = stage.sign_in(&token).await.unwrap();
    assert_eq!(again.tokens.unwrap().session_id, answer.tokens.as_ref().unwrap().session_id);
    assert!(answer.device_token.is_some());
    let told = answer.tokens.as_ref().unwrap().user.clone();
    let me = stage.by(answer).await;
    let user = me.users().me().await.unwrap();
    assert_eq!((told.id, &told.identities, &told.email), (user.id, &user.identities, &user.email));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    assert_eq!((text(&user.email), user.email_verified), ("Bob@example.org".to_owned(), true));
    assert_eq!((text(&user.username), text(&user.full_name)), ("bob".to_owned(), "Bob Miller".to_owned()));
    let names = [text(&user.first_name), text(&user.last_name), text(&user.display_name)];
    assert_eq!(names, ["Bob", "Miller", "Bobby"]);
    assert_eq!(user.identities, [ExternalIdentity::new(ISSUER, "new|1")]);
    assert_eq!((user.phone, user.birth_date, user.region_id), (None, None, None));
    assert_eq!(user.status, rolekeep::users::UserStatus::Active);
    assert!(me.roles().mine().await.unwrap().is_empty(), "nothing but the default roles, of which there are none");
    let log = stage.um.system().audit().list(ListAudit::new().limit(100)).await.unwrap().items;
    let told = |action: &str| log.iter().find(|entry| entry.action == action).unwrap();
    let made = told("sign_in.external_registered");
    assert_eq!((made.target_id.clone(), made.actor.as_str()), (Some(user.id.to_string()), "anonymous"));
    assert_eq!(made.detail.as_deref(), Some("by a token of https://login.example.org"));
    // From then on it is an account as any other: its tokens sign in, and register nobody.
    stage.clock.pass(60);
    stage.comes("new|1", json!({"email": "other@example.org", "email_verified": true})).await.unwrap();
    assert_eq!(stage.users().await.len(), 2);
    assert_eq!(stage.user(user.id).await.email.as_deref(), Some("Bob@example.org"));
}

/// An address that the issuer does not vouch for is nobody's word; neither is one that is no address.
#[tokio::test]
async fn aut_17_an_address_that_is_not_verified_is_not_taken() {
    let stage = Stage::registering(policy(), |config| config).await;
    let wrong = [
        json!({"email": "bob@example.org"}),
        json!({"email": "bob@example.org", "email_verified": false}),
        json!({"email": "bob@example.org", "email_verified": "true"}),
        json!({"email": "bob@example.org", "email_verified": 1}),
        json!({"email": "bob", "email_verified": true}),
        json!({"email": ["bob@example.org"], "email_verified": true, "name": 7, "preferred_username": "a b", "given_name": "\u{202e}x"}),
        json!({"email_verified": true}),
        // Nobody is told whether somebody has an address that is not vouched for.
        json!({"email": "ada@example.org"}),
    ];
    for (at, claims) in wrong.iter().enumerate() {
        let me = stage.by(stage.comes(&format!("new|{at}"), claims.clone()).await.unwrap()).await;
        let user = me.users().me().await.unwrap();
        assert_eq!((user.email, user.email_verified), (None, false), "{claims}");
        assert_eq!((user.username, user.full_name, user.first_name), (None, None, None), "{claims}");
    }
}

/// The address of an account never links it, and who has it is told to nobody; nor does a name that is taken keep anybody out.
#[tokio::test]
async fn aut_17_an_address_that_somebody_has_registers_nobody() {
    let stage = Stage::registering(policy(), |config| config).await;
    let unknown = stage.sign_in(&"no token".into()).await.unwrap_err();
    for email in ["ada@example.org", "ADA@EXAMPLE.ORG"] {
        let taken = stage.comes("new|1", json!({"email": email, "email_verified": true})).await.unwrap_err();
        assert_eq!((taken.reason(), taken.message()), (unknown.reason(), unknown.message()));
        assert_eq!(why_refused(&stage.um).await, "no account stands for its subject, and another one has its address");
    }
    assert_eq!(stage.users().await.len(), 1);
    let claims = json!({"preferred_username": "ADA", "name": "Ada the second"});
    let me = stage.by(stage.comes("new|2", claims).await.unwrap()).await;
    let user = me.users().me().await.unwrap();
    assert_ne!(user.id, stage.ada);
    assert_eq!((user.username, user.full_name.as_deref()), (None, Some("Ada the second")));
}

/// What conditions read of users is no stranger's choice, and no issuer's either.
#[tokio::test]
async fn sec_10_nothing_is_taken_of_a_token_that_conditions_read() {
    let stage = Stage::registering(Policy::from_toml(GUARDED).unwrap(), |config| config).await;
    let claims = json!({"email": "eve@example.com", "email_verified": true, "name": "Boss", "nickname": "Boss"});
    let me = stage.by(stage.comes("new|1", claims).await.unwrap()).await;
    let user = me.users().me().await.unwrap();
    assert_eq!((user.email, user.email_verified, user.full_name), (None, false, None));
    assert_eq!(user.display_name.as_deref(), Some("Boss"), "nothing reads that");
    assert!(!me.can("user:list", None).unwrap() && !me.can_somewhere("user:read").unwrap());
    let held = me.roles().mine().await.unwrap();
    assert_eq!(held.iter().map(|role| role.role.as_str()).collect::<Vec<_>>(), ["member"]);
    assert!(me.can_somewhere("user:update").unwrap());
}

/// What Supabase calls verified in `user_metadata` its users write themselves, as they do their names; anonymous ones are nobody.
#[tokio::test]
async fn aut_17_users_of_supabase_are_registered_without_an_address() {
    let trust = |issuer: TrustedIssuer| issuer.register(true).kind(IssuerKind::Supabase);
    let stage = Stage::trusting(policy(), trust, |config| config).await;
    let claims = |further: Value| {
        let mut claims = json!({
            "role": "authenticated", "email": "bob@example.org", "is_anonymous": false,
            "app_metadata": {"role": "admin", "email_verified": true},
            "user_metadata": {"email_verified": true, "username": "bob", "full_name": "Bob", "role": "admin", "region_id": "north"},
        });
        claims.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        claims
    };
    for further in [json!({"is_anonymous": true}), json!({"role": "anon"}), json!({"role": "service_role"})] {
        assert_eq!(reason(stage.comes("new|1", claims(further)).await), Reason::InvalidCredentials);
    }
    assert_eq!(stage.users().await.len(), 1);
    let me = stage.by(stage.comes("new|1", claims(json!({}))).await.unwrap()).await;
    let user = me.users().me().await.unwrap();
    assert_eq!((user.email, user.email_verified), (None, false));
    assert_eq!((user.username.as_deref(), user.full_name.as_deref()), (Some("bob"), Some("Bob")));
    assert!(me.roles().mine().await.unwrap().is_empty());
    // A hook of the project may say so itself.
    let said = claims(json!({"email_verified": true, "user_metadata": {}}));
    let me = stage.by(stage.comes("new|2", said).await.unwrap()).await;
    assert_eq!(me.users().me().await.unwrap().email.as_deref(), Some("bob@example.org"));
}

/// Whoever is shut out does not come back as somebody new: the names of an account stay with it.
#[tokio::test]
async fn sec_6_a_subject_that_is_banned_or_deleted_is_not_registered_anew() {
    let stage = Stage::registering(policy(), |config| config).await;
    let bob = stage.by(stage.comes("new|1", json!({})).await.unwrap()).await.users().me().await.unwrap().id;
    let eve = stage.by(stage.comes("new|2", json!({})).await.unwrap()).await.users().me().await.unwrap().id;
    stage.um.system().users().ban(BanUser::new(bob).reason("spam")).await.unwrap();
    stage.um.system().users().delete(DeleteUser::new(eve)).await.unwrap();
    stage.clock.pass(60);
    for (subject, why) in [("new|1", "banned"), ("new|2", "deleted")] {
        assert_eq!(reason(stage.comes(subject, json!({})).await), Reason::InvalidCredentials);
        assert_eq!(why_refused(&stage.um).await, why);
    }
    // Nor does the address of a deleted account make one.
    stage.um.system().users().delete(DeleteUser::new(stage.ada)).await.unwrap();
    let taken = stage.comes("new|3", json!({"email": "ada@example.org", "email_verified": true})).await;
    assert_eq!(reason(taken), Reason::InvalidCredentials);
    assert_eq!(stage.users().await.iter().map(|user| user.id).collect::<Vec<_>>(), [bob]);
}

/// Who is deleted while its token is looked at is not made anew by that.
#[tokio::test]
async fn sec_16_a_deletion_meanwhile_registers_nobody() {
    let stage = Stage::registering(policy(), |config| config).await;
    let (um, ada) = (stage.um.clone(), stage.ada);
    stage.storage.before_next_commit(async move {
        um.system().users().delete(DeleteUser::new(ada)).await.unwrap();
    });
    assert_eq!(reason(stage.sign_in(&stage.token(json!({}))).await), Reason::InvalidCredentials);
    assert!(stage.storage.has_acted() && stage.users().await.is_empty());
}

/// Ten of one address in an hour: nobody fills the storage with the accounts of an issuer that gives them to anybody.
#[tokio::test]
async fn aut_12_ten_of_one_address_are_registered_in_an_hour() {
    let stage = Stage::registering(policy(), |config| config).await;
    for at in 0..10 {
        stage.comes_from("192.0.2.1", &format!("new|{at}")).await.unwrap();
    }
    let before = stage.users().await.len();
    let refused = stage.comes_from("192.0.2.1", "new|10").await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RateLimited);
    assert!((1..=360).contains(&refused.retry_after().unwrap()), "{:?}", refused.retry_after());
    assert_eq!(stage.users().await.len(), before, "nothing is written");
    // Whoever has an account signs in all the same, and others register from elsewhere.
    stage.clock.pass(1);
    stage.comes_from("192.0.2.1", "new|3").await.unwrap();
    stage.comes_from("192.0.2.2", "new|10").await.unwrap();
    stage.clock.pass(360);
    stage.comes_from("192.0.2.1", "new|11").await.unwrap();
    assert_eq!(reason(stage.comes_from("192.0.2.1", "new|12").await), Reason::RateLimited);
}

/// Whoever has to have a second factor has no session before there is one, newly made or not.
#[tokio::test]
async fn aut_17_who_is_registered_owes_what_everybody_owes() {
    let demanding = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.member]
        default = true
        second_factor = true
        allow = ["user:list"]
    "#;
    let by_role = Stage::registering(Policy::from_toml(demanding).unwrap(), |config| config).await;
    let required = |config: Config| config.second_factor(SecondFactor::Required);
    let by_setting = Stage::registering(policy(), required).await;
    for stage in [by_role, by_setting] {
        let claims = json!({"email": "bob@example.org", "email_verified": true});
        let owed = stage.comes("new|1", claims).await.unwrap();
        assert_eq!((owed.step, owed.tokens.is_none(), owed.device_token.is_none()), (SignInStep::Enrol, true, true));
        let anybody = stage.um.anonymous(RequestContext::default());
        let setup: FactorSetup = anybody.sign_in().enrol_start(StartEnrol::new(owed.challenge.unwrap())).await.unwrap();
        let code = authenticator::code(setup.secret.expose(), stage.now() / 30);
        let me = stage.by(anybody.sign_in().enrol(Enrol::new(setup.challenge, code)).await.unwrap()).await;
        assert_eq!(me.users().me().await.unwrap().email.as_deref(), Some("bob@example.org"));
    }
}

/// Two tokens of a new subject at once: one account, and both are let in.
#[tokio::test]
async fn sec_16_two_tokens_of_a_new_subject_make_one_account() {
    let stage = Stage::registering(policy(), |config| config).await;
    let claims =
        |id: &str| json!({"jti": id, "email": "bob@example.org", "email_verified": true, "preferred_username": "bob"});
    let (um, rival) = (stage.um.clone(), stage.issuer.token("new|1", stage.now(), claims("rival")));
    stage.storage.before_next_commit(async move {
        um.anonymous(RequestContext::default()).sign_in().external(SignInByToken::new(rival)).await.unwrap();
    });
    let me = stage.by(stage.comes("new|1", claims("own")).await.unwrap()).await;
    assert!(stage.storage.has_acted());
    assert_eq!(me.users().me().await.unwrap().username.as_deref(), Some("bob"));
    assert_eq!(stage.users().await.len(), 2);
    assert_eq!(me.sessions().list(ListSessions::new()).await.unwrap().items.len(), 2);
}

/// The older of two tokens comes second: to begin an account voids nothing.
#[tokio::test]
async fn aut_17_an_older_token_of_a_subject_that_was_just_registered_lets_in() {
    for address in [json!({}), json!({"email": "bob@example.org", "email_verified": true})] {
        let stage = Stage::registering(policy(), |config| config).await;
        let of = |ago: i64| stage.issuer.token("new|1", stage.now() - ago, address.clone());
        let (older, newer) = (of(1), of(0));
        for token in [newer, older] {
            assert!(stage.sign_in(&token).await.unwrap().done().is_ok());
        }
        assert_eq!(stage.users().await.len(), 2);
    }
}

/// The same token twice: one account and one session.
#[tokio::test]
async fn sec_16_one_token_twice_at_once_makes_one_session() {
    let stage = Stage::registering(policy(), |config| config).await;
    let token = stage.issuer.token("new|1", stage.now(), json!({}));
    let (um, rival) = (stage.um.clone(), token.clone());
    stage.storage.before_next_commit(async move {
        um.anonymous(RequestContext::default()).sign_in().external(SignInByToken::new(rival)).await.unwrap();
    });
    let me = stage.by(stage.sign_in(&token).await.unwrap()).await;
    assert!(stage.storage.has_acted());
    assert_eq!(me.sessions().list(ListSessions::new()).await.unwrap().items.len(), 1);
    assert_eq!(stage.users().await.len(), 2);
}

/// Two subjects with one address at once: one has it, the other is refused; with one name, the other has none.
#[tokio::test]
async fn sec_16_two_subjects_of_one_address_one_is_registered() {
    let stage = Stage::registering(policy(), |config| config).await;
    let claims = json!({"email": "bob@example.org", "email_verified": true});
    let (um, rival) = (stage.um.clone(), stage.issuer.token("new|1", stage.now(), claims.clone()));
    stage.storage.before_next_commit(async move {
        um.anonymous(RequestContext::default()).sign_in().external(SignInByToken::new(rival)).await.unwrap();
    });
    assert_eq!(reason(stage.comes("new|2", claims).await), Reason::InvalidCredentials);
    assert!(stage.storage.has_acted());
    assert_eq!(stage.users().await.len(), 2);
    let claims = json!({"preferred_username": "carol"});
    let (um, rival) = (stage.um.clone(), stage.issuer.token("new|3", stage.now(), claims.clone()));
    stage.storage.before_next_commit(async move {
        um.anonymous(RequestContext::default()).sign_in().external(SignInByToken::new(rival)).await.unwrap();
    });
    let me = stage.by(stage.comes("new|4", claims).await.unwrap()).await;
    assert!(stage.storage.has_acted());
    assert_eq!(me.users().me().await.unwrap().username, None);
}

/// What takes tokens elsewhere registers nobody: calls, a proof once more, linking.
#[tokio::test]
async fn aut_17_a_token_registers_nobody_but_who_signs_in() {
    let trust = |issuer: TrustedIssuer| issuer.register(true).access_tokens(true);
    let stage = Stage::trusting(policy(), trust, |config| config).await;
    let token = |id: &str| stage.issuer.token("new|1", stage.now(), json!({"jti": id}));
    let called = stage.um.authenticate(token("a").expose(), RequestContext::default()).await;
    assert_eq!(called.map(drop).unwrap_err().code(), rolekeep::Code::Unauthorized);
    let ada = stage.signed_in().await;
    let proved = ada.sessions().step_up_external(StepUpExternal::new(token("b"))).await.unwrap_err();
    assert!(why(&proved).contains("does not stand for"), "{proved:?}");
    assert_eq!(stage.users().await.len(), 1);
    // Linking takes the subject for the account that is signed in, and none is made.
    link(&stage, &ada, "new|1").await.unwrap();
    assert_eq!(stage.users().await.len(), 1);
    let me = stage.by(stage.sign_in(&token("c")).await.unwrap()).await;
    assert_eq!(me.users().me().await.unwrap().id, stage.ada);
}

/// What was linked and is linked no more is as unknown as any other; a token that was used before stays used.
#[tokio::test]
async fn aut_17_who_was_unlinked_begins_anew() {
    let stage = Stage::registering(policy(), |config| config).await;
    let ada = stage.signed_in().await;
    let linked = link(&stage, &ada, "google|1").await.unwrap();
    let used = stage.issuer.token("google|1", stage.now(), json!({}));
    stage.sign_in(&used).await.unwrap();
    ada.identities().unlink(UnlinkIdentity::new(linked.id)).await.unwrap();
    assert_eq!(reason(stage.sign_in(&used).await), Reason::InvalidCredentials);
    assert_eq!(stage.users().await.len(), 1);
    let me = stage.by(stage.comes("google|1", json!({"jti": "2"})).await.unwrap()).await;
    assert_ne!(me.users().me().await.unwrap().id, stage.ada);
}

/// Roles that somebody gives later are the account's as any other's.
#[tokio::test]
async fn aut_17_a_registered_account_is_one_as_any_other() {
    let stage = Stage::registering(policy(), |config| config).await;
    let me = stage.by(stage.comes("new|1", json!({})).await.unwrap()).await;
    let id = me.users().me().await.unwrap().id;
    stage.um.system().roles().assign(AssignRole::new(id, "moderator")).await.unwrap();
    assert!(me.can("user:list", None).unwrap());
    // It has one way in, and keeps it.
    let only = me.identities().list().await.unwrap().remove(0);
    assert_eq!(reason(me.identities().unlink(UnlinkIdentity::new(only.id)).await), Reason::LastWayIn);
}

/// Where no address is known, as where a proxy is not, all of an issuer are one lane.
#[tokio::test]
async fn aut_12_without_an_address_a_hundred_of_an_issuer_are_registered_in_an_hour() {
    let stage = Stage::registering(policy(), |config| config).await;
    for at in 0..100 {
        stage.comes(&format!("new|{at}"), json!({})).await.unwrap();
    }
    assert_eq!(reason(stage.comes("new|100", json!({})).await), Reason::RateLimited);
    stage.clock.pass(60);
    stage.comes("new|100", json!({})).await.unwrap();
}
