//! Callers that come for the first time with an identity: that their host has verified, or with a token of its issuer.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{LazyLock, atomic::AtomicU64, atomic::Ordering::Relaxed},
};

use rolekeep::{
    Code, Error, Reason, RequestContext, TrustedIssuer, UserId, UserManagement,
    sign_in::SignInByToken,
    users::{CreateUser, ExternalIdentity, FindUser},
};
use serde_json::json;

use crate::{deeds::Stage, issuer::Issuer};

const ISSUER: &str = "https://login.example.org";
const SUBJECTS: usize = 3;

/// The accounts that were told to stand for a subject.
#[derive(Default)]
pub struct Known(RefCell<BTreeMap<String, UserId>>);

static SIGNS: LazyLock<Issuer> = LazyLock::new(|| Issuer::new(ISSUER, 7));

/// The issuer, which has accounts made.
pub fn trusted() -> TrustedIssuer {
    SIGNS.trusted().register(true)
}

impl Stage {
    /// A subject signs in by a token of its own, and has an account made by it where there is none.
    pub async fn come_by_token(&self, at: usize) -> Result<(), Error> {
        static TOKENS: AtomicU64 = AtomicU64::new(0);
        let subject = format!("s{}", self.world.below(SUBJECTS));
        self.world.tell(|| format!("instance {at}: {subject} comes with a token"));
        let claims = json!({
            "jti": TOKENS.fetch_add(1, Relaxed), "email": format!("{subject}@example.com"), "email_verified": true,
            "preferred_username": "everybody",
        });
        let token = SIGNS.token(&subject, self.world.now().as_second(), claims);
        let anybody = self.instances[at].um.anonymous(RequestContext::default());
        match anybody.sign_in().external(SignInByToken::new(token)).await {
            Ok(signed_in) => self.stands_for(&subject, signed_in.done()?.user.id),
            // A clock was set back meanwhile, or the account's credentials changed: that is written, too.
            Err(error) if error.reason() == Reason::InvalidCredentials => {
                self.world.tell(|| format!("the token of {subject} is refused"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Finds the account of a subject and makes one where there is none, as a host does.
    pub async fn come_first(&self, at: usize) -> Result<(), Error> {
        let um = &self.instances[at].um;
        let subject = format!("s{}", self.world.below(SUBJECTS));
        self.world.tell(|| format!("instance {at}: {subject} comes"));
        if self.find(um, &subject).await?.is_some() {
            return Ok(());
        }
        let created = um.system().users().create(CreateUser::external(ISSUER, subject.as_str())).await;
        match &created {
            Ok(user) => self.stands_for(&subject, user.id),
            Err(error) if error.reason() == Reason::Taken => match self.find(um, &subject).await {
                Ok(Some(_)) => self.world.tell(|| format!("another was first as {subject}")),
                Ok(None) => self.break_law(format!("{subject} is taken and not there")),
                Err(error) => self.require_known("find who was first", &error),
            },
            Err(_) => {}
        }
        created.map(drop)
    }

    /// Who stands for a subject, once as the caller, once as found by the host; none: nobody yet.
    async fn find(&self, um: &UserManagement, subject: &str) -> Result<Option<UserId>, Error> {
        let known = self.identities.0.borrow().contains_key(subject);
        let me = match um.acting_as_identity(ISSUER, subject).await {
            Err(error) if error.code() == Code::NotFound => {
                if known {
                    self.break_law(format!("{subject} has an account, and is not found"));
                }
                return Ok(None);
            }
            me => me?,
        };
        let id = me.users().me().await?.id;
        self.stands_for(subject, id);
        let identity = ExternalIdentity::new(ISSUER, subject);
        let found = um.system().users().find(FindUser::new().identity(identity)).await?;
        self.stands_for(subject, found.id);
        if !found.identities.iter().any(|one| (one.issuer.as_str(), one.subject.as_str()) == (ISSUER, subject)) {
            self.break_law(format!("{subject} is found, and the account shows {:?}", found.identities));
        }
        Ok(Some(id))
    }

    fn stands_for(&self, subject: &str, user: UserId) {
        let first = *self.identities.0.borrow_mut().entry(subject.to_owned()).or_insert(user);
        if first != user {
            self.break_law(format!("{first} and {user} stand for {subject}"));
        }
    }

    /// Once all is quiet, every instance finds every account that was told of.
    pub async fn require_found(&self) {
        let known: Vec<String> = self.identities.0.borrow().keys().cloned().collect();
        for instance in &self.instances {
            for subject in &known {
                if let Err(error) = self.find(&instance.um, subject).await {
                    self.break_law(format!("{subject} is not found: {error:?}"));
                }
            }
        }
    }
}
