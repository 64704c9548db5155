//! Callers that come for the first time with an identity that their host has verified.

use std::{cell::RefCell, collections::BTreeMap};

use rolekeep::{
    Code, Error, Reason, UserId, UserManagement,
    users::{CreateUser, ExternalIdentity, FindUser},
};

use crate::deeds::Stage;

const ISSUER: &str = "https://login.example.org";
const SUBJECTS: usize = 3;

/// The accounts that were told to stand for a subject.
#[derive(Default)]
pub struct Known(RefCell<BTreeMap<String, UserId>>);

impl Stage {
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
