//! Every kind of text that is handed out or taken, before everything that takes one: the diagonal alone passes (SEC-4, ASVS 9.2.2).

use std::{collections::BTreeMap, future::Future, pin::Pin};

use rolekeep::{
    Caller, Reason, RequestContext, Result, Secret, UserManagement,
    api_keys::CreateApiKey,
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    factors::AddFactor,
    identities::LinkIdentity,
    invitations::{AcceptInvitation, CreateInvitation},
    passwords::{ForgotPassword, ResetPassword, SetTemporaryPassword},
    sessions::{Impersonate, InspectToken, Login, Refresh, Tokens},
    sign_in::{
        ChoosePassword, MailChallenge, ProveFactor, SignInByMail, SignInByPasskey, SignInByToken, StartEnrol,
        StartSignInByMail, StartSignInByPasskey,
    },
    users::{ConfirmRegistration, CreateUser, RegisterUser},
    verification::ConfirmVerification,
};
use serde_json::json;

use super::kit::{PASSWORD, policy};
use crate::{authenticator, cheap, issuer::Issuer, mails::Mails};

/// Who is asked, beside what is given: somebody who is not signed in, and a user who is.
struct World {
    um: UserManagement,
    mails: Mails,
    dora: Caller,
}

/// An issuer whose tokens are taken for calls, too.
const FOR_ACCESS: &str = "https://access.example.org";

impl World {
    async fn open(issuer: &Issuer) -> Self {
        let mails = Mails::default();
        let config = cheap::config().sign_in_tries(0).mail_sign_in(true).passkey_domain("example.org");
        let config = config.registration(rolekeep::Registration::Verified);
        let for_access = Issuer::new(FOR_ACCESS, 8).trusted().access_tokens(true);
        let config = config.trusted_issuers([issuer.trusted(), for_access]);
        let builder = cheap::builder().config(config).policy(policy()).notifier(mails.clone());
        let um = builder.open().await.unwrap();
        for name in ["ada", "bob", "cleo", "dora"] {
            let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
            um.system().users().create(new).await.unwrap();
        }
        let dora = Self::signed_in_to(&um, "dora").await.0;
        Self { um, mails, dora }
    }

    async fn signed_in_to(um: &UserManagement, name: &str) -> (Caller, Tokens, Secret) {
        let answer = um.login(name, PASSWORD, RequestContext::default()).await.unwrap();
        let device = answer.device_token.clone().unwrap();
        let tokens = answer.done().unwrap();
        let caller = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
        (caller, tokens, device)
    }

    fn anybody(&self) -> Caller {
        self.um.anonymous(RequestContext::default())
    }

    async fn mailed(&self, kind: &str, to: &str) -> Secret {
        self.mails.take(kind, to).await.token.unwrap()
    }
}

/// Whether a text was taken for what it was given as, be it accepted or told what is wrong beside it.
fn is_taken<T>(answer: Result<T>) -> bool {
    answer.err().is_none_or(|error| error.reason() != Reason::InvalidToken)
}

type Answer<'w> = Pin<Box<dyn Future<Output = bool> + Send + 'w>>;
type Consumer = for<'w> fn(&'w World, Secret) -> Answer<'w>;

/// What takes a text: its name, the kinds that it takes, and how.
const CONSUMERS: [(&str, &[&str], Consumer); 16] = [
    ("a call", &["access", "acting", "api key", "foreign access"], |world, text| {
        Box::pin(async move { world.um.authenticate(text.expose(), RequestContext::default()).await.is_ok() })
    }),
    ("sessions.inspect", &["access", "acting"], |world, text| {
        Box::pin(async move { world.anybody().sessions().inspect(InspectToken::new(text)).await.unwrap().active })
    }),
    ("sessions.refresh", &["refresh"], |world, text| {
        Box::pin(async move { is_taken(world.anybody().sessions().refresh(Refresh::new(text)).await) })
    }),
    ("sign_in.factor", &["step: factor"], |world, text| {
        Box::pin(async move { is_taken(world.anybody().sign_in().factor(ProveFactor::new(text, "000000")).await) })
    }),
    ("sign_in.password", &["step: password"], |world, text| {
        Box::pin(async move { is_taken(world.anybody().sign_in().password(ChoosePassword::new(text, "short")).await) })
    }),
    ("sign_in.enrol_start", &[], |world, text| {
        Box::pin(async move { is_taken(world.anybody().sign_in().enrol_start(StartEnrol::new(text)).await) })
    }),
    ("sign_in.mail", &["step: mail"], |world, text| {
        Box::pin(async move { is_taken(world.anybody().sign_in().mail(SignInByMail::new(text, "00000000")).await) })
    }),
    ("sign_in.passkey", &["passkey", "step: factor"], |world, text| {
        Box::pin(async move { is_taken(world.anybody().sign_in().passkey(SignInByPasskey::new(text, "{}")).await) })
    }),
    ("sign_in.external", &["foreign", "foreign access"], |world, text| {
        Box::pin(async move { world.anybody().sign_in().external(SignInByToken::new(text)).await.is_ok() })
    }),
    ("factors.add", &["adding an app"], |world, text| {
        Box::pin(async move { is_taken(world.dora.factors().add(AddFactor::new(text, "000000")).await) })
    }),
    ("identities.link", &["linking"], |world, text| {
        Box::pin(async move { is_taken(world.dora.identities().link(LinkIdentity::new(text, "a.b.c")).await) })
    }),
    ("passwords.reset", &["link: reset"], |world, text| {
        Box::pin(async move { is_taken(world.anybody().passwords().reset(ResetPassword::new(text, "short")).await) })
    }),
    ("invitations.accept", &["link: invitation"], |world, text| {
        let accept = AcceptInvitation::new(text).password("short");
        Box::pin(async move { is_taken(world.anybody().invitations().accept(accept).await) })
    }),
    ("users.confirm_registration", &["link: registration"], |world, text| {
        let confirm = ConfirmRegistration::new(text, "not the password at all");
        Box::pin(async move { is_taken(world.anybody().users().confirm_registration(confirm).await) })
    }),
    ("email.confirm", &["link: change"], |world, text| {
        Box::pin(async move { is_taken(world.dora.email().confirm(ConfirmEmail::new(text)).await) })
    }),
    ("email.revert", &["link: revert"], |world, text| {
        Box::pin(async move { is_taken(world.anybody().email().revert(RevertEmail::new(text)).await) })
    }),
];

/// A text of each kind, good at this moment.
async fn texts(world: &World, issuer: &Issuer) -> BTreeMap<&'static str, Secret> {
    let (um, anybody) = (&world.um, world.anybody());
    let mut texts = BTreeMap::new();
    let (dora, tokens, device) = World::signed_in_to(um, "dora").await;
    texts.extend([("access", tokens.access_token), ("refresh", tokens.refresh_token), ("device", device)]);
    texts.insert("api key", dora.api_keys().create(CreateApiKey::new("a program")).await.unwrap().key);
    texts.insert("adding an app", world.dora.factors().add_start().await.unwrap().challenge);
    texts.insert("linking", world.dora.identities().link_start().await.unwrap().challenge);
    let now = jiff::Timestamp::now().as_second();
    um.system().users().create(CreateUser::external("https://login.example.org", "eve").username("eve")).await.unwrap();
    um.system().users().create(CreateUser::external(FOR_ACCESS, "faye").username("faye")).await.unwrap();
    texts.insert("foreign access", Issuer::new(FOR_ACCESS, 8).token("faye", now, json!({})));
    texts.insert("foreign", issuer.token("eve", now, json!({})));
    let eva = CreateUser::new("eva@example.org").username("eva").password(PASSWORD).roles(["admin"]);
    um.system().users().create(eva).await.unwrap();
    let dora_id = dora.users().me().await.unwrap().id;
    let eva = World::signed_in_to(um, "eva").await.0;
    let acting = eva.sessions().impersonate(Impersonate::new(dora_id, "A test")).await.unwrap();
    texts.insert("acting", acting.access_token);
    let (ada, ..) = World::signed_in_to(um, "ada").await;
    let setup = ada.factors().add_start().await.unwrap();
    let code = authenticator::code(setup.secret.expose(), now / 30);
    let added = ada.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap();
    texts.insert("recovery code", added.recovery_codes[0].clone());
    let login = async |name: &str, password: &str| um.login(name, password, RequestContext::default()).await;
    texts.insert("step: factor", login("ada", PASSWORD).await.unwrap().challenge.unwrap());
    let bob = um.system().users().find(rolekeep::users::FindUser::new().username("bob")).await.unwrap().id;
    let admin = um.system().passwords().set_temporary(SetTemporaryPassword::new(bob)).await.unwrap();
    texts.insert("step: password", login("bob", admin.password.expose()).await.unwrap().challenge.unwrap());
    let MailChallenge { challenge, .. } = anybody.sign_in().mail_start(StartSignInByMail::new("dora")).await.unwrap();
    texts.insert("step: mail", challenge);
    texts.insert("link: mail", world.mailed("sign_in_code", "dora@example.org").await);
    texts.insert("passkey", anybody.sign_in().passkey_start(StartSignInByPasskey::new()).await.unwrap().challenge);
    anybody.passwords().forgot(ForgotPassword::new("dora")).await.unwrap();
    texts.insert("link: reset", world.mailed("password_reset", "dora@example.org").await);
    world.dora.verification().send().await.unwrap();
    texts.insert("link: verification", world.mailed("verification", "dora@example.org").await);
    world.dora.email().change(ChangeEmail::new("dora@example.com")).await.unwrap();
    texts.insert("link: change", world.mailed("email_change", "dora@example.com").await);
    let (cleo, ..) = World::signed_in_to(um, "cleo").await;
    cleo.verification().send().await.unwrap();
    let proof = world.mailed("verification", "cleo@example.org").await;
    cleo.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    cleo.email().change(ChangeEmail::new("cleo@example.com")).await.unwrap();
    let confirm = ConfirmEmail::new(world.mailed("email_change", "cleo@example.com").await);
    cleo.email().confirm(confirm).await.unwrap();
    um.system().invitations().create(CreateInvitation::new("gwen@example.org")).await.unwrap();
    texts.insert("link: invitation", world.mailed("invitation", "gwen@example.org").await);
    um.anonymous(RequestContext::default())
        .users()
        .register(RegisterUser::new("hugo@example.org", PASSWORD))
        .await
        .unwrap();
    texts.insert("link: registration", world.mailed("registration", "hugo@example.org").await);
    texts.insert("link: revert", world.mailed("email_changed", "cleo@example.org").await);
    texts
}

#[tokio::test]
async fn sec_4_a_text_of_one_kind_is_none_of_another() {
    let issuer = Issuer::new("https://login.example.org", 7);
    let world = World::open(&issuer).await;
    let texts = texts(&world, &issuer).await;
    assert_eq!(texts.len(), 21);
    let mut taken = Vec::new();
    for (consumer, takes, take) in CONSUMERS {
        for (kind, text) in &texts {
            if !takes.contains(kind) && take(&world, text.clone()).await {
                taken.push(format!("{consumer} takes {kind}"));
            }
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    // `verification.confirm` beside the password takes one of a mail, whose address it proves; none of the others.
    for (kind, text) in texts.iter().filter(|(kind, _)| **kind != "link: verification") {
        let proof = world.anybody().verification().confirm(ConfirmVerification::new(text.clone())).await;
        assert!(!is_taken(proof), "verification.confirm takes {kind}");
    }
    // Each is what it is: after all of that it is good still.
    let confirm = ConfirmVerification::new(texts["link: verification"].clone());
    assert!(is_taken(world.anybody().verification().confirm(confirm).await));
    let revert = CONSUMERS.iter().filter(|(name, ..)| *name == "email.revert");
    let others = CONSUMERS.iter().filter(|(name, ..)| *name != "email.revert");
    for (consumer, takes, take) in others.chain(revert) {
        for kind in takes.iter() {
            assert!(take(&world, texts[kind].clone()).await, "{consumer} does not take {kind}");
        }
    }
    // A device token lets nobody in; nor does anything else in its place.
    for text in texts.values() {
        let login = Login::new("ada", "not the password at all").device_token(text.clone());
        assert!(world.anybody().sessions().login(login).await.is_err());
    }
}
