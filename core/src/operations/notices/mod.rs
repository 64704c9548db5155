//! Notices: what the application tells somebody by mail (AUT-9), kept with what they tell of and sent after.
//!
//! | file | holds |
//! |---|---|
//! | `notifier` | the trait that the application implements |
//! | `send` | a notice on its way: found whom it is for, given out, settled |
//! | `text` | its words |

mod notifier;
mod send;
mod text;

pub use crate::model::notice::{Notice, NoticeKind};
pub use notifier::{Delivery, Notifier};
pub(crate) use send::{Leased, due, lease, next_due, settle, waiting};

use std::{net::IpAddr, time::Duration};

use super::{
    limits::{Claimed, Tries, Try},
    links,
    plan::Plan,
    users,
};
use crate::model::{
    error::{Error, Reason, Result},
    id::LinkId,
    link::{LinkPurpose, OneTimeLink},
    notice::PendingNotice,
    predicate::Predicate,
    secret::Secret,
    text::canonical,
    time::Time,
    user::User,
    value::Value,
};

/// A notice is not sent any more after so long.
const KEPT_SECONDS: i64 = 24 * 3600;
/// Nobody may ask for mail while so many notices wait.
const MOST_WAITING: u64 = 10_000;

impl PendingNotice {
    /// A notice of this kind to be sent at once.
    fn new(plan: &Plan<'_>, kind: NoticeKind) -> Result<Self> {
        Ok(Self {
            id: plan.services.env.new_id()?,
            kind,
            user_id: None,
            identifier: None,
            address: None,
            link_id: None,
            epoch: None,
            // What is no address is what somebody typed.
            ip: plan.actor.request.ip.clone().filter(|ip| ip.parse::<IpAddr>().is_ok()),
            user_agent: plan.actor.request.user_agent.clone(),
            at: plan.now,
            due_at: plan.now,
            expires_at: plan.now.plus_seconds(KEPT_SECONDS),
            tries: 0,
            version: 0,
        })
    }

    /// The same of what somebody did whom it does not concern where that was.
    fn without_origin(self) -> Self {
        Self { ip: None, user_agent: None, ..self }
    }
}

/// The notices of some kinds.
fn of_kinds<'a>(kinds: impl IntoIterator<Item = &'a NoticeKind>) -> Predicate {
    Predicate::In("kind".into(), Predicate::set(kinds.into_iter().map(|kind| Value::from(kind.as_str()))))
}

/// Those that somebody asked for.
fn requested() -> Predicate {
    of_kinds(NoticeKind::ALL.iter().filter(|kind| kind.is_asked_for()))
}

/// Plans that a user is told of what whoever asks did, as that user or to be taken for it; where there is a notifier and an address.
pub(super) fn tell(plan: &mut Plan<'_>, kind: NoticeKind, user: &User) -> Result<()> {
    if is_told(plan, user) {
        let notice = PendingNotice::new(plan, kind)?;
        send_to(plan, user, notice);
    }
    Ok(())
}

/// The same of what somebody of the application did: not from where.
pub(super) fn tell_of_staff(plan: &mut Plan<'_>, kind: NoticeKind, user: &User) -> Result<()> {
    if is_told(plan, user) {
        let notice = PendingNotice::new(plan, kind)?.without_origin();
        send_to(plan, user, notice);
    }
    Ok(())
}

/// The same of what the account's user did, or somebody who has a permission for that.
pub(super) fn tell_of_either(plan: &mut Plan<'_>, kind: NoticeKind, user: &User) -> Result<()> {
    if plan.actor.is(user.id) { tell(plan, kind, user) } else { tell_of_staff(plan, kind, user) }
}

/// How a user is told of something: one of the functions above.
type Tell = fn(&mut Plan<'_>, NoticeKind, &User) -> Result<()>;

/// Tells a user of what may come often: a few times an hour, and no more.
pub(super) async fn tell_sometimes(plan: &mut Plan<'_>, tell: Tell, kind: NoticeKind, user: &User) -> Result<()> {
    if is_told(plan, user) {
        let tried = Try::telling(plan.services, kind, user.id)?;
        match plan.count_failed(&tried).await {
            Err(error) if error.reason() == Reason::RateLimited => return Ok(()),
            counted => counted?,
        }
        tell(plan, kind, user)?;
    }
    Ok(())
}

/// Tells a user of another username, at the address that the account had before. A few times an hour: its address may be somebody
/// else's, and one may change one's username as often as one likes.
pub(super) async fn tell_of_username(plan: &mut Plan<'_>, tell: Tell, before: &User, after: &User) -> Result<()> {
    let name = |user: &User| user.username.as_deref().map(canonical);
    if name(before) == name(after) {
        return Ok(());
    }
    let told = if before.email.is_some() { before } else { after };
    tell_sometimes(plan, tell, NoticeKind::UsernameChanged, told).await
}

/// The same as [`tell`], with a link that undoes it where the address was proved: whoever has the password alone may have done it.
pub(super) fn tell_with_undo(plan: &mut Plan<'_>, kind: NoticeKind, user: &User, epoch: i64) -> Result<()> {
    let Some(address) = user.email.as_ref().filter(|_| user.email_verified && plan.services.has_notifier()) else {
        return tell(plan, kind, user);
    };
    let undo = links::make(plan, user, epoch, LinkPurpose::EmailRevert, address)?;
    tell_by_link(plan, kind, user, undo)
}

fn is_told(plan: &Plan<'_>, user: &User) -> bool {
    plan.services.has_notifier() && user.email.is_some()
}

fn send_to(plan: &mut Plan<'_>, user: &User, notice: PendingNotice) {
    // Deleted with its user, whoever deletes that meanwhile.
    plan.check(user);
    plan.write_consequence(None, PendingNotice { user_id: Some(user.id), address: user.email.clone(), ..notice });
}

/// The same as [`tell`] with a link in it, to the address that the link is about.
pub(super) fn tell_by_link(plan: &mut Plan<'_>, kind: NoticeKind, user: &User, link: OneTimeLink) -> Result<()> {
    if !plan.services.has_notifier() {
        return Ok(());
    }
    plan.check(user);
    let notice = PendingNotice::new(plan, kind)?;
    let (user_id, address, link_id) = (Some(user.id), Some(link.address), Some(link.id));
    plan.write_consequence(None, PendingNotice { user_id, address, link_id, ..notice });
    Ok(())
}

/// Plans that whoever has a name is told of something, so that it is the same where nobody has it.
pub(super) fn tell_by_name(plan: &mut Plan<'_>, kind: NoticeKind, name: &str) -> Result<()> {
    if plan.services.has_notifier() {
        let notice = PendingNotice::new(plan, kind)?;
        plan.write_consequence(None, PendingNotice { identifier: Some(name.trim().to_owned()), ..notice });
    }
    Ok(())
}

/// Refuses what is of no use where nothing is mailed.
///
/// # Errors
/// [`Reason::NotOffered`]
pub(super) fn require_notifier(plan: &Plan<'_>) -> Result<()> {
    if plan.services.has_notifier() {
        return Ok(());
    }
    Err(Error::new(Reason::NotOffered, "this is done by mail, and the store was opened without a notifier"))
}

/// Plans a mail to whoever has a name, known or not: both take the same path, until the notice is sent. Of a link that is made then, the
/// id and the end may be known before.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`, [`Reason::NotOffered`].
pub(super) async fn request_by_name(
    plan: &mut Plan<'_>,
    kind: NoticeKind,
    name: &str,
    device_token: Option<&Secret>,
    link: Option<(LinkId, Time)>,
) -> Result<()> {
    // Only a token says for whom; so nothing is read that depends on whether there is such an account.
    let owner = match device_token {
        Some(_) => users::owner_of(plan.reads(), name).await?,
        None => None,
    };
    let notice = requested_by(plan, kind, &Claimed::Name(name, owner, device_token), None).await?;
    let expires_at = link.map_or(notice.expires_at, |(_, expires_at)| expires_at);
    let (identifier, link_id) = (Some(name.trim().to_owned()), link.map(|(id, _)| id));
    plan.write_consequence(None, PendingNotice { identifier, link_id, expires_at, ..notice });
    Ok(())
}

/// Plans a mail to a user who asks for it, signed in: to the account's address, or to another one, in this epoch alone.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`, [`Reason::NotOffered`].
pub(super) async fn request_for_oneself(
    plan: &mut Plan<'_>,
    kind: NoticeKind,
    user: &User,
    other: Option<(&String, i64)>,
) -> Result<()> {
    let address = other.map(|(address, _)| address.clone());
    let notice = requested_by(plan, kind, &Claimed::Session(user.id, user.id.0), address.as_deref()).await?;
    plan.check(user);
    let epoch = other.map(|(_, epoch)| epoch);
    plan.write_consequence(None, PendingNotice { user_id: Some(user.id), address, epoch, ..notice });
    Ok(())
}

/// Plans a mail to an address that the caller invites, whoever has that.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`, [`Reason::NotOffered`].
pub(super) async fn invite(plan: &mut Plan<'_>, address: &str, invitation: LinkId) -> Result<()> {
    require_notifier(plan)?;
    let tried = Try::inviting(plan.services, plan.actor, address)?;
    let notice = counted_request(plan, NoticeKind::Invitation, &tried).await?;
    let (address, link_id) = (Some(address.to_owned()), Some(invitation));
    plan.write_consequence(None, PendingNotice { address, link_id, ..notice.without_origin() });
    Ok(())
}

/// Plans a mail to an address for which somebody asks for an account, whoever has that. Counted already.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED`
pub(super) async fn request_for_account(plan: &mut Plan<'_>, address: &str, registration: LinkId) -> Result<()> {
    let notice = one_more(plan, NoticeKind::Registration).await?;
    let (address, link_id) = (Some(address.to_owned()), Some(registration));
    plan.write_consequence(None, PendingNotice { address, link_id, ..notice });
    Ok(())
}

/// A notice that somebody asks for, counted by what it claims to be.
async fn requested_by(
    plan: &mut Plan<'_>,
    kind: NoticeKind,
    claimed: &Claimed<'_>,
    address: Option<&str>,
) -> Result<PendingNotice> {
    require_notifier(plan)?;
    let tried = Try::requesting(plan.services, plan.actor, kind, claimed, address, plan.now)?;
    counted_request(plan, kind, &tried).await
}

/// A notice that somebody asks for, counted.
async fn counted_request(plan: &mut Plan<'_>, kind: NoticeKind, tried: &Try) -> Result<PendingNotice> {
    plan.count_failed(tried).await?;
    one_more(plan, kind).await
}

/// A notice that somebody asks for, if not too many wait.
async fn one_more(plan: &Plan<'_>, kind: NoticeKind) -> Result<PendingNotice> {
    let waiting = plan.reads().count_up_to::<PendingNotice>(requested(), MOST_WAITING).await?;
    if waiting.unsigned_abs() >= MOST_WAITING {
        return Err(Error::rate_limited(Duration::from_secs(60)));
    }
    PendingNotice::new(plan, kind)
}
