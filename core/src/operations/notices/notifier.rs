//! What the application sends notices by.

use std::{sync::Arc, time::Duration};

use rolekeep_macros::portable_async;

use super::Notice;
use crate::{
    environment::{MaybeSend, MaybeSync},
    model::error::Result,
};

/// The result of sending a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It was sent.
    Sent,
    /// Not now: call again after this time, an hour at most.
    RetryAfter(Duration),
    /// It will never be sent: the address does not exist, or the application does not send this kind.
    Refused,
}

/// Sends notices to people: the library has no mail client of its own.
///
/// A notice is stored in the same commit as the change that it is about, and is passed to the notifier of one instance afterwards, so
/// that a failure of mail never affects the operation. If `send` fails, panics or takes more than 30 seconds, or its process ends, the
/// notice is passed again, with the same id and token, after ten seconds at first and an hour at last, until its token expires, at most
/// for a day. At most four are sent at a time.
///
/// ```
/// # use std::sync::{Arc, Mutex};
/// use rolekeep::{Config, Result, UserManagement, notices::{Delivery, Notice, Notifier}, passwords::ForgotPassword};
///
/// /// Keeps what it is to send; a real one gives it to a mail server.
/// #[derive(Clone, Default)]
/// struct Outbox(Arc<Mutex<Vec<String>>>);
///
/// #[async_trait::async_trait]
/// impl Notifier for Outbox {
///     async fn send(&self, notice: &Notice) -> Result<Delivery> {
///         let mail = format!("To: {}\nSubject: {}\n\n{}", notice.address, notice.subject, notice.text.expose());
///         self.0.lock().unwrap().push(mail);
///         Ok(Delivery::Sent)
///     }
/// }
/// # use rolekeep::{RequestContext, users::CreateUser};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let outbox = Outbox::default();
/// let config = Config::new().link_url("https://app.example.org/account");
/// let um = UserManagement::builder().config(config).notifier(outbox.clone()).open().await?;
/// # um.system().users().create(CreateUser::new("ada@example.org").password("correct horse battery staple")).await?;
/// let visitor = um.anonymous(RequestContext::from_ip("192.0.2.1"));
/// visitor.passwords().forgot(ForgotPassword::new("ada@example.org")).await?;
/// # while outbox.0.lock().unwrap().is_empty() { tokio::time::sleep(std::time::Duration::from_millis(5)).await }
/// # let mails = outbox.0.lock().unwrap();
/// # assert!(mails[0].starts_with("To: ada@example.org\nSubject: ") && mails[0].contains("https://app.example.org/account#rkp_"));
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[portable_async]
pub trait Notifier: MaybeSend + MaybeSync + 'static {
    /// Sends a notice. Return [`Delivery::Sent`] only once it is durably handed over.
    ///
    /// # Errors
    /// Any; the notice is passed again later.
    async fn send(&self, notice: &Notice) -> Result<Delivery>;
}

#[portable_async]
impl<N: Notifier + ?Sized> Notifier for Arc<N> {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        (**self).send(notice).await
    }
}
