//! Links that are mailed (AUT-9): each good once, for its purpose, its address and its time.
//!
//! A link's secret is an id and a MAC over what its row says, so that the storage keeps nothing that would serve a thief of
//! it, and who asks again is mailed the same.

use uuid::Uuid;

use crate::{
    credentials::{
        digits,
        keys::Root,
        signed_id::{self, Purpose},
    },
    model::{
        credential::Credential,
        error::{Error, Reason, Result},
        id::{LinkId, UserId},
        link::{LinkPurpose, OneTimeLink},
        names,
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{epochs, plan::Plan, services::Services, sign_in},
};

impl LinkPurpose {
    /// How long such a link is good, in seconds (NIST SP 800-63B-4, 4.2.1.2; ASVS 6.4.1).
    const fn seconds(self) -> i64 {
        match self {
            Self::Reset | Self::EmailChange => 3600,
            Self::Verification => 24 * 3600,
            Self::EmailRevert => 7 * 24 * 3600,
            // As long as the challenge (V6.5.5).
            Self::MailSignIn => sign_in::CHALLENGE_SECONDS,
        }
    }

    /// What its secret is good for.
    const fn signed(self) -> Purpose {
        match self {
            Self::Reset => Purpose::Reset,
            Self::Verification => Purpose::Verification,
            Self::EmailChange => Purpose::EmailChange,
            Self::EmailRevert => Purpose::EmailRevert,
            Self::MailSignIn => Purpose::MailSignIn,
        }
    }

    /// Whether it is dead once the credential's epoch moves. What proves an address is not ended by the first sign-in, and
    /// what undoes a change not by whoever made it.
    const fn ends_with_epoch(self) -> bool {
        match self {
            Self::Reset | Self::EmailChange | Self::MailSignIn => true,
            Self::Verification | Self::EmailRevert => false,
        }
    }

    /// Whether it is about the address that the account has.
    const fn is_of_present_address(self) -> bool {
        match self {
            Self::Reset | Self::Verification | Self::MailSignIn => true,
            Self::EmailChange | Self::EmailRevert => false,
        }
    }
}

impl OneTimeLink {
    /// What is mailed of it, and handed back.
    pub(super) fn secret(&self, services: &Services) -> Result<Secret> {
        if let Some(code) = self.code(services)? {
            return Ok(format!("{}{}", self.purpose.signed().prefix(), code.expose()).into());
        }
        services.sign_id(self.purpose.signed(), self.id.0, &self.bound(&self.epoch.to_be_bytes()))
    }

    /// The digits that may be typed instead, where it is for that.
    pub(super) fn code(&self, services: &Services) -> Result<Option<Secret>> {
        if self.purpose != LinkPurpose::MailSignIn {
            return Ok(None);
        }
        let code = self.digits(services.keys().root(services.now()))?;
        Ok(Some(code.map(char::from).iter().collect::<String>().into()))
    }

    fn digits(&self, root: &Root) -> Result<[u8; 8]> {
        let epoch = self.epoch.to_be_bytes();
        signed_id::code(&root.signed_ids[..], self.purpose.signed(), self.id.0, &self.bound(&epoch))
    }

    /// Whether this is its code, with or without what links begin with.
    pub(super) fn is_code(&self, services: &Services, typed: &Secret) -> Result<bool> {
        let typed = match typed.expose().strip_prefix(self.purpose.signed().prefix()) {
            Some(code) => digits::typed(&code.into()),
            None => digits::typed(typed),
        };
        let Some(typed) = typed else { return Ok(false) };
        let is_same = |root: &Root| {
            let code = self.digits(root)?;
            if digits::is_same(&typed, &code) { Ok(()) } else { Err(void()) }
        };
        Ok(services.keys().by_any(services.now(), is_same).is_ok())
    }

    /// One that nobody was mailed, to be looked at where there is none.
    pub(super) fn nobodys(purpose: LinkPurpose) -> Self {
        let nobody = Uuid::nil();
        Self {
            id: LinkId(nobody),
            user_id: UserId(nobody),
            purpose,
            address: String::new(),
            epoch: 0,
            created_at: Time::MIN,
            expires_at: Time::MIN,
            used_at: None,
            version: 0,
        }
    }

    /// What its MAC holds beside its purpose and its id.
    fn bound<'l>(&'l self, epoch: &'l [u8]) -> [&'l [u8]; 3] {
        [self.user_id.0.as_bytes(), self.address.as_bytes(), epoch]
    }

    /// Whether it is good now for an account as it is now. What an owner takes its address back by is good though a clock was ahead.
    pub(super) fn is_good(&self, user: &User, credential: Option<&Credential>, plan: &Plan<'_>) -> bool {
        let now = plan.now;
        let is_of_epoch = !self.purpose.ends_with_epoch() || self.epoch == epochs::epoch_of(credential);
        let is_of_address = || user.email.as_deref().is_some_and(|own| names::is_same_mailbox(own, &self.address));
        self.used_at.is_none()
            && now < self.expires_at
            && (self.purpose == LinkPurpose::EmailRevert || !plan.services.is_ahead(self.created_at, now))
            && is_of_epoch
            && user.is_active(now)
            && (!self.purpose.is_of_present_address() || is_of_address())
            && !(self.purpose == LinkPurpose::Verification && user.email_verified)
    }

    /// Plans that it is good no more.
    pub(super) fn use_up(&self, plan: &mut Plan<'_>) {
        plan.write_consequence(Some(self), Self { used_at: Some(plan.now), ..self.clone() });
    }
}

/// A link that is good, and the account that it is about. Whoever uses it up writes its row, and with it the credential or
/// relies on that.
pub(super) struct Opened {
    pub(super) link: OneTimeLink,
    pub(super) user: User,
    pub(super) credential: Option<Credential>,
}

/// The account's link of a purpose to mail: a new one; the one that was mailed last, while it has half of its life left.
/// So who asks in somebody's place neither ends what that one was mailed nor starves it.
pub(super) async fn reuse_or_make(
    plan: &mut Plan<'_>,
    user: &User,
    credential: Option<&Credential>,
    purpose: LinkPurpose,
    address: &str,
) -> Result<OneTimeLink> {
    let known: Vec<OneTimeLink> = plan.reads().of_user(user.id).await?;
    let half = plan.now.plus_seconds(purpose.seconds() / 2);
    let is_fresh = |link: &&OneTimeLink| {
        let is_same = link.purpose == purpose && names::is_same_mailbox(&link.address, address);
        is_same && link.expires_at > half && link.is_good(user, credential, plan)
    };
    if let Some(link) = known.iter().filter(is_fresh).max_by_key(|link| link.expires_at) {
        return Ok(link.clone());
    }
    make(plan, user, epochs::epoch_of(credential), purpose, address)
}

/// Plans a new link.
pub(super) fn make(
    plan: &mut Plan<'_>,
    user: &User,
    epoch: i64,
    purpose: LinkPurpose,
    address: &str,
) -> Result<OneTimeLink> {
    let id = plan.services.env.new_id()?;
    let until = plan.now.plus_seconds(purpose.seconds());
    Ok(make_as(plan, user, epoch, purpose, address, (id, until)))
}

/// The same of one whose id and end are given.
pub(super) fn make_as(
    plan: &mut Plan<'_>,
    user: &User,
    epoch: i64,
    purpose: LinkPurpose,
    address: &str,
    (id, expires_at): (LinkId, Time),
) -> OneTimeLink {
    // Deleted with its user, whoever deletes that meanwhile.
    plan.check(user);
    let link = OneTimeLink {
        id,
        user_id: user.id,
        purpose,
        address: address.to_owned(),
        epoch,
        created_at: plan.now,
        expires_at,
        used_at: None,
        version: 0,
    };
    plan.write_consequence(None, link)
}

/// Opens a link by what was mailed.
///
/// # Errors
/// `UNAUTHORIZED`, the same whatever is wrong with it.
pub(super) async fn open(plan: &mut Plan<'_>, purpose: LinkPurpose, secret: &Secret) -> Result<Opened> {
    let id = LinkId(signed_id::read(purpose.signed(), secret).map_err(|_| void())?);
    let link: OneTimeLink = plan.reads().get(&(id,)).await?.ok_or_else(void)?;
    plan.verify_id(purpose.signed(), secret, &link.bound(&link.epoch.to_be_bytes())).map_err(|_| void())?;
    let user: User = plan.reads().get(&(link.user_id,)).await?.ok_or_else(void)?;
    let credential = epochs::credential_of(plan, user.id).await?;
    let is_good = link.purpose == purpose && link.is_good(&user, credential.as_ref(), plan);
    if is_good { Ok(Opened { link, user, credential }) } else { Err(void()) }
}

/// One answer for whatever makes a link void.
pub(super) fn void() -> Error {
    Error::new(Reason::InvalidToken, "the link is not valid (any more); ask for another one")
}
