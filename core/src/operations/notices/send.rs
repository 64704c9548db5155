//! A notice on its way: it is leased to one instance, given to the notifier, and settled.

use std::time::Duration;

use super::{Delivery, Notice, NoticeKind, of_kinds, text};
use crate::{
    model::{
        credential::Credential,
        error::Result,
        id::{InvitationId, LinkId, RegistrationId, UserId},
        invitation::Invitation,
        link::{LinkPurpose, OneTimeLink},
        names::email_key,
        notice::PendingNotice,
        predicate::{Comparison, Predicate},
        record::Record,
        registration::PendingRegistration,
        secret::Secret,
        time::Time,
        user::{User, UserStatus},
        value::Value,
    },
    operations::{api_keys, epochs, factors, links, plan::Plan, reads::Reads, users},
    storage::{Direction, Order, Query, Window},
};

/// Who does not hear for so long of what it gave out gives it out again: the time that a notifier has, and as much again.
const LEASE_SECONDS: i64 = 60;
/// A notice that failed comes again after so long at first, each time after twice as long, and at last after so long.
const RETRY_SECONDS: (u64, u64) = (10, 3600);

/// For so long a notice is one instance's. Each time that nothing is heard of it twice as long, to an hour: whoever ends while it
/// sends must not send it again and again.
fn lease_seconds(tries: i64) -> i64 {
    let doublings = u32::try_from(tries.clamp(0, 6)).unwrap_or_default();
    (LEASE_SECONDS << doublings).min(3600)
}

/// A notice that is given to the notifier, and its row.
pub(crate) struct Leased {
    /// None: there is nobody to tell. Whoever may see that something is committed must not learn whom there is, so that it takes as many
    /// commits as one that is sent.
    pub(crate) notice: Option<Notice>,
    row: PendingNotice,
}

/// The notices that are to be sent by now, the first ones first.
pub(crate) async fn due(reads: Reads<'_>, now: Time, most: u64) -> Result<Vec<PendingNotice>> {
    let is_due = Predicate::Compare("due_at".into(), Comparison::LessOrEqual, Value::Time(now.as_microsecond()));
    first(reads, is_due, most).await
}

/// When the next one is to be sent.
pub(crate) async fn next_due(reads: Reads<'_>) -> Result<Option<Time>> {
    Ok(first(reads, Predicate::Always, 1).await?.first().map(|notice| notice.due_at))
}

/// How many wait, counted up to so many, and when the next one is to be sent.
pub(crate) async fn waiting(reads: Reads<'_>, most: u64) -> Result<(u64, Option<Time>)> {
    let window = Window { limit: Some(1), ..Window::default() };
    let query = Query { count: most, order: by_due(), window, ..Query::of(PendingNotice::TABLE, Predicate::Always) };
    let found = reads.found(&query).await?;
    // A kind of another version of this library is nothing to wait for.
    let next = found.rows.into_iter().next().and_then(|row| PendingNotice::from_row(row).ok());
    Ok((found.total.unwrap_or_default(), next.map(|notice| notice.due_at)))
}

async fn first(reads: Reads<'_>, filter: Predicate, most: u64) -> Result<Vec<PendingNotice>> {
    // Kinds of another version of this library are left to it. Said by what is not so, as all others are found by when they are due, and
    // not by their kinds.
    let filter = filter.and(Predicate::Not(Box::new(of_kinds(NoticeKind::ALL).negate())));
    let window = Window { limit: Some(most), ..Window::default() };
    reads.query(&Query { order: by_due(), window, ..Query::of(PendingNotice::TABLE, filter) }).await
}

fn by_due() -> Vec<Order> {
    vec![Order { column: "due_at".into(), direction: Direction::Ascending }]
}

/// What is mailed: to whom, what it is about, and the link in it.
struct Mailed {
    /// None: it is about nobody's account.
    user: Option<User>,
    kind: NoticeKind,
    link: Option<Linked>,
}

/// A link that is mailed.
struct Linked {
    id: LinkId,
    address: String,
    expires_at: Time,
    token: Secret,
    code: Option<Secret>,
}

impl Mailed {
    fn of(user: User, kind: NoticeKind) -> Self {
        Self { user: Some(user), kind, link: None }
    }

    fn by_link(plan: &Plan<'_>, user: User, kind: NoticeKind, link: &OneTimeLink) -> Result<Self> {
        let (token, code) = (link.secret(plan.services)?, link.code(plan.services)?);
        let linked = Linked { id: link.id, address: link.address.clone(), expires_at: link.expires_at, token, code };
        Ok(Self { user: Some(user), kind, link: Some(linked) })
    }
}

/// Plans that a notice is given out: for so long nobody else does. None: it is too late for it, and it goes.
pub(crate) async fn lease(plan: &mut Plan<'_>, row: &PendingNotice) -> Result<Option<Leased>> {
    if plan.now >= row.expires_at {
        audit_failure(plan, row, "it was not sent in time");
        plan.delete_consequence(row);
        return Ok(None);
    }
    let after = PendingNotice {
        due_at: plan.now.plus_seconds(lease_seconds(row.tries)),
        tries: row.tries.saturating_add(1),
        ..row.clone()
    };
    let Some((Mailed { user, kind, link }, address)) = addressed(plan, row).await? else {
        return Ok(Some(Leased { notice: None, row: plan.write_consequence(Some(row), after) }));
    };
    user.iter().for_each(|user| plan.check(user));
    let user_id = user.map(|user| user.id);
    let after = PendingNotice {
        kind,
        user_id,
        identifier: None,
        address: Some(address.clone()),
        link_id: link.as_ref().map(|link| link.id),
        expires_at: link.as_ref().map_or(row.expires_at, |link| link.expires_at.min(row.expires_at)),
        ..after
    };
    let row = plan.write_consequence(Some(row), after);
    let api_keys = match (kind, user_id) {
        (NoticeKind::SessionsEnded, Some(user)) => api_keys::beginnings(plan, user).await?,
        _ => Vec::new(),
    };
    let config = &plan.services.config;
    let (token, code) = link.as_ref().map(|link| (link.token.clone(), link.code.clone())).unzip();
    let code = code.flatten();
    let page = token.as_ref().zip(config.link_url.as_ref());
    let opened: Option<Secret> = page.map(|(token, page)| format!("{page}#{}", token.expose()).into());
    let words = text::words(kind, link.is_some());
    let told = text::NoticeDetails {
        application: config.application_name.as_deref(),
        at: row.at,
        ip: row.ip.as_deref(),
        link: opened.as_ref().or(token.as_ref()).zip(link.as_ref().map(|link| link.expires_at)),
        code: code.as_ref(),
        api_keys: &api_keys,
    };
    let notice = Notice {
        id: row.id,
        kind,
        address,
        user_id,
        subject: words.subject.to_owned(),
        text: words.text(&told),
        token,
        code,
        link: opened,
        api_keys,
        expires_at: link.map(|link| link.expires_at),
        at: row.at,
        ip: row.ip.clone(),
        user_agent: row.user_agent.clone(),
    };
    Ok(Some(Leased { notice: Some(notice), row }))
}

/// What is mailed, and where. None where there is nobody to tell.
async fn addressed(plan: &mut Plan<'_>, row: &PendingNotice) -> Result<Option<(Mailed, String)>> {
    let Some(mailed) = found(plan, row).await? else { return Ok(None) };
    // A link goes to the address that it is about, whatever the account's is by now.
    let of_link = mailed.link.as_ref().map(|link| link.address.clone());
    // What somebody asked to be mailed is not where its owner is told of that: it may be another mailbox of the same name.
    let of_row = || row.address.clone().filter(|_| row.kind == mailed.kind);
    let of_user = || mailed.user.as_ref().and_then(|user| user.email.clone());
    let address = of_link.or_else(of_row).or_else(of_user);
    Ok(address.map(|address| (mailed, address)))
}

/// Whose a notice is, what is mailed, and the link in it. None where there is nobody to tell.
async fn found(plan: &mut Plan<'_>, row: &PendingNotice) -> Result<Option<Mailed>> {
    if row.kind == NoticeKind::Invitation {
        return invited(plan, row).await;
    }
    if row.kind == NoticeKind::Registration {
        return registering(plan, row).await;
    }
    let id = match (row.user_id, &row.identifier) {
        (Some(id), _) => Some(id),
        (None, Some(name)) => users::owner_of(plan.reads(), name).await?,
        (None, None) => None,
    };
    let Some(id) = id else { return Ok(None) };
    let user = plan.reads().get::<User>(&(id,)).await?.filter(|user| user.status != UserStatus::Deleted);
    let Some(user) = user else { return Ok(None) };
    let (purpose, address) = match row.kind {
        NoticeKind::PasswordReset => (LinkPurpose::Reset, &user.email),
        NoticeKind::Verification if user.email_verified => return Ok(None),
        NoticeKind::Verification => (LinkPurpose::Verification, &user.email),
        NoticeKind::EmailChange => (LinkPurpose::EmailChange, &row.address),
        NoticeKind::EmailChanged | NoticeKind::FactorAdded | NoticeKind::IdentityLinked if row.link_id.is_some() => {
            (LinkPurpose::EmailRevert, &row.address)
        }
        NoticeKind::SignInCode => (LinkPurpose::MailSignIn, &user.email),
        NoticeKind::SignInElsewhere
        | NoticeKind::SignInByOtherWays
        | NoticeKind::AddressTaken
        | NoticeKind::EmailChanged
        | NoticeKind::UsernameChanged
        | NoticeKind::FactorAdded
        | NoticeKind::FactorRemoved
        | NoticeKind::IdentityLinked
        | NoticeKind::IdentityUnlinked
        | NoticeKind::RecoveryCodesMade
        | NoticeKind::RecoveryCodeUsed
        | NoticeKind::PasskeySuspended
        | NoticeKind::FactorFailed
        | NoticeKind::PasswordChanged
        | NoticeKind::NewDevice
        | NoticeKind::SessionReused
        | NoticeKind::ApiKeyCreated
        | NoticeKind::ApiKeyRevoked
        | NoticeKind::SessionsEnded
        | NoticeKind::SessionRevoked
        | NoticeKind::Impersonated
        | NoticeKind::SignInLocked => return Ok(Some(Mailed::of(user, row.kind))),
        // It is nobody's account that it is about.
        NoticeKind::Invitation | NoticeKind::Registration => return Ok(None),
    };
    let Some(address) = address.clone() else { return Ok(None) };
    let credential = epochs::credential_of(plan, user.id).await?;
    if let Some(link) = row.link_id {
        let known = plan.reads().get::<OneTimeLink>(&(link,)).await?;
        if purpose == LinkPurpose::MailSignIn {
            return sign_in_by_mail(plan, user, address, credential, known, (link, row.expires_at)).await;
        }
        // Who may not sign in now may come back while it is good.
        let is_good = |link: &OneTimeLink| {
            link.is_good(&user, credential.as_ref(), plan)
                || purpose == LinkPurpose::EmailRevert && link.used_at.is_none()
        };
        return match known.filter(is_good) {
            Some(link) => Mailed::by_link(plan, user, row.kind, &link).map(Some),
            None => Ok(None),
        };
    }
    let is_of_epoch = row.epoch.is_none_or(|epoch| epoch == epochs::epoch_of(credential.as_ref()));
    if !is_of_epoch || !user.is_active(plan.now) {
        return Ok(None);
    }
    // What the link is bound to is so when it is made.
    plan.rely_on_row::<Credential>(&(user.id,), credential.as_ref());
    match purpose {
        LinkPurpose::Reset if users::is_elsewhere(plan, user.id, credential.as_ref()).await? => {
            return Ok(Some(Mailed::of(user, NoticeKind::SignInElsewhere)));
        }
        LinkPurpose::EmailChange => {
            if let Some(other) = plan.holder("email", &address).await?.filter(|other| *other != user.id.to_string()) {
                return taken(plan, &address, &other).await;
            }
        }
        LinkPurpose::Reset | LinkPurpose::Verification | LinkPurpose::EmailRevert | LinkPurpose::MailSignIn => {}
    }
    let link = links::reuse_or_make(plan, &user, credential.as_ref(), purpose, &address).await?;
    Mailed::by_link(plan, user, row.kind, &link).map(Some)
}

/// What is mailed to who is invited, as long as the invitation is open.
async fn invited(plan: &mut Plan<'_>, row: &PendingNotice) -> Result<Option<Mailed>> {
    let Some(id) = row.link_id else { return Ok(None) };
    let invitation: Option<Invitation> = plan.reads().get(&(InvitationId(id.0),)).await?;
    let Some(invitation) = invitation.filter(|invitation| invitation.is_open(plan.now)) else { return Ok(None) };
    plan.check(&invitation);
    let token = invitation.secret(plan.services)?;
    let linked = Linked { id, address: invitation.email, expires_at: invitation.expires_at, token, code: None };
    Ok(Some(Mailed { user: None, kind: row.kind, link: Some(linked) }))
}

/// What is mailed to who is to have an account, as long as that may begin.
async fn registering(plan: &mut Plan<'_>, row: &PendingNotice) -> Result<Option<Mailed>> {
    let Some(id) = row.link_id else { return Ok(None) };
    let pending: Option<PendingRegistration> = plan.reads().get(&(RegistrationId(id.0),)).await?;
    let Some(pending) = pending.filter(|pending| plan.now < pending.expires_at) else { return Ok(None) };
    if let Some(owner) = plan.holder("email", &pending.email).await? {
        return taken(plan, &pending.email, &owner).await;
    }
    // It was of somebody who is gone: nobody begins by it.
    if plan.is_email_taken(&pending.email, None).await? {
        return Ok(None);
    }
    plan.check(&pending);
    let token = pending.secret(plan.services)?;
    let linked = Linked { id, address: pending.email, expires_at: pending.expires_at, token, code: None };
    Ok(Some(Mailed { user: None, kind: row.kind, link: Some(linked) }))
}

/// What is mailed where somebody else has the address: its owner is told, who asked is not.
async fn taken(plan: &Plan<'_>, address: &str, owner: &str) -> Result<Option<Mailed>> {
    let Ok(owner) = owner.parse::<UserId>() else { return Ok(None) };
    let owner: Option<User> = plan.reads().get(&(owner,)).await?;
    let has_it = |owner: &User| owner.email.as_deref().map(email_key) == Some(email_key(address));
    let owner = owner.filter(|owner| owner.status != UserStatus::Deleted);
    Ok(owner.filter(has_it).map(|owner| Mailed::of(owner, NoticeKind::AddressTaken)))
}

/// What is mailed to who asked to sign in by mail: a mailbox is no second factor, and lets nobody in where there is one (NIST SP
/// 800-63B-4, 3.1.3.1).
async fn sign_in_by_mail(
    plan: &mut Plan<'_>,
    user: User,
    address: String,
    credential: Option<Credential>,
    known: Option<OneTimeLink>,
    link: (LinkId, Time),
) -> Result<Option<Mailed>> {
    if !user.is_active(plan.now) || !plan.services.config.mail_sign_in {
        return Ok(None);
    }
    plan.rely_on_row::<Credential>(&(user.id,), credential.as_ref());
    if users::is_elsewhere(plan, user.id, credential.as_ref()).await? {
        return Ok(Some(Mailed::of(user, NoticeKind::SignInElsewhere)));
    }
    if factors::forbid_mail(plan, user.id, credential.as_ref()).await?.is_some() {
        return Ok(Some(Mailed::of(user, NoticeKind::SignInByOtherWays)));
    }
    if let Some(known) = known {
        // It comes again, and may be void by now.
        let is_good = known.is_good(&user, credential.as_ref(), plan);
        return if is_good { Mailed::by_link(plan, user, NoticeKind::SignInCode, &known).map(Some) } else { Ok(None) };
    }
    let (epoch, purpose) = (epochs::epoch_of(credential.as_ref()), LinkPurpose::MailSignIn);
    let link = links::make_as(plan, &user, epoch, purpose, &address, link);
    Mailed::by_link(plan, user, NoticeKind::SignInCode, &link).map(Some)
}

/// Plans what follows from what a notifier answered; nothing: it failed.
pub(crate) fn settle(plan: &mut Plan<'_>, leased: &Leased, delivery: Option<Delivery>) -> Result<()> {
    let row = &leased.row;
    let audit_failure = |plan: &mut Plan<'_>, why| {
        // Where there is nobody to tell, nobody has missed it.
        if leased.notice.is_some() {
            audit_failure(plan, row, why);
        }
    };
    let wait = match delivery {
        Some(Delivery::Sent) => {
            plan.delete_consequence(row);
            return Ok(());
        }
        Some(Delivery::Refused) => {
            audit_failure(plan, "the notifier refused it");
            plan.delete_consequence(row);
            return Ok(());
        }
        Some(Delivery::RetryAfter(wait)) => wait.clamp(Duration::from_secs(1), Duration::from_secs(RETRY_SECONDS.1)),
        None => {
            let doublings = u32::try_from(row.tries.clamp(1, 20)).unwrap_or(1) - 1;
            let seconds = RETRY_SECONDS.0.saturating_mul(1 << doublings).min(RETRY_SECONDS.1);
            // So that what failed together does not come again together: up to a quarter more.
            let [random] = plan.services.env.random()?;
            Duration::from_millis(seconds * 1000 + seconds * u64::from(random))
        }
    };
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    let due = Time::from_microsecond(plan.now.as_microsecond().saturating_add(micros));
    match due.ok().filter(|due| *due < row.expires_at) {
        Some(due_at) => {
            plan.write_consequence(Some(row), PendingNotice { due_at, ..row.clone() });
        }
        None => {
            audit_failure(plan, "it could not be sent in time");
            plan.delete_consequence(row);
        }
    }
    Ok(())
}

/// Plans that the audit log hears of a notice that is not sent, if there is somebody who does not get it.
fn audit_failure(plan: &mut Plan<'_>, row: &PendingNotice, why: &str) {
    let is_of_nobody = matches!(row.kind, NoticeKind::Invitation | NoticeKind::Registration);
    if row.user_id.is_none() && !is_of_nobody {
        return;
    }
    let user = row.user_id.map(|user| ("user", user.to_string()));
    plan.audit("notices.failed", user, Some(format!("{}: {why}", row.kind)));
}
