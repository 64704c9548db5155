//! Passwords that are known from breaches (NIST SP 800-63B-4, 3.1.1.2; ASVS 5.0.0, 6.2.12): the application has the list.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_lock::OnceCell;
use futures_util::FutureExt;
use rolekeep_macros::portable_async;

use crate::{
    environment::{Env, MaybeSend, MaybeSync},
    model::{
        check::{Invalid, wrong},
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        secret::Secret,
        unicode,
    },
    operations::services::Services,
};

/// A list that does not answer for so long has failed.
const TIMEOUT_MILLIS: u64 = 5_000;

/// A list of passwords that are known from breaches.
///
/// It is called for each password that somebody chooses or the application sets, once the password meets the other rules and before it is
/// hashed: `users.create`, `users.register`, `passwords.change`, `passwords.reset`, `passwords.set`, `sign_in.password`,
/// `invitations.accept` and `setup.seed`; not for generated ones, and never at a sign-in. A password that the list contains is refused as
/// [`FieldCode::BreachedPassword`](crate::FieldCode::BreachedPassword).
///
/// If it fails, panics or takes more than five seconds, the password is refused as `UNAVAILABLE`
/// ([`Reason::BreachedPasswordsUnavailable`]) and nothing is written. An application that would rather accept a password than wait for
/// its list returns `false` itself.
///
/// ```
/// # use std::collections::HashSet;
/// use rolekeep::{Error, FieldCode, Reason, Result, Secret, UserManagement, passwords::BreachedPasswords, users::CreateUser};
///
/// /// Passwords from a file. A service of ranges, such as that of Have I Been Pwned, is asked with the first five digits of the
/// /// password's SHA-1 and never learns the password.
/// struct Leaked(HashSet<String>);
///
/// #[async_trait::async_trait]
/// impl BreachedPasswords for Leaked {
///     async fn contain(&self, password: &Secret) -> Result<bool> {
///         Ok(self.0.contains(password.expose()))
///     }
/// }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let leaked = Leaked(HashSet::from(["correct horse battery staple".to_owned()]));
/// let um = UserManagement::builder().breached_passwords(leaked).open().await?;
/// let ada = CreateUser::new("ada@example.org").password("correct horse battery staple");
/// let refused = um.system().users().create(ada).await.unwrap_err();
/// assert_eq!(refused.fields()[0].code, FieldCode::BreachedPassword);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[portable_async]
pub trait BreachedPasswords: MaybeSend + MaybeSync + 'static {
    /// Whether it contains a password, which is in NFC. The password must not be logged or stored.
    ///
    /// # Errors
    /// Any; the password is then refused.
    async fn contain(&self, password: &Secret) -> Result<bool>;
}

#[portable_async]
impl<L: BreachedPasswords + ?Sized> BreachedPasswords for Arc<L> {
    async fn contain(&self, password: &Secret) -> Result<bool> {
        (**self).contain(password).await
    }
}

/// The application's list, if it has one.
pub struct Breaches {
    env: Env,
    list: Option<Arc<dyn BreachedPasswords>>,
}

impl Breaches {
    /// By the application's list.
    pub fn new(env: Env, list: Option<Arc<dyn BreachedPasswords>>) -> Self {
        Self { env, list }
    }

    /// A password that may be hashed; within, why it may not.
    ///
    /// # Errors
    /// [`Reason::BreachedPasswordsUnavailable`]
    pub async fn accept(&self, password: Secret) -> Result<Result<AcceptedPassword, Invalid>> {
        // In a page whoever chooses the password has the storage.
        if let Some(list) = self.list.as_ref().filter(|_| !IS_PAGE)
            && self.is_in(&**list, &password).await?
        {
            let message = "is known from a breach of another service: whoever tries passwords tries it";
            return Ok(Err(Invalid::new(FieldCode::BreachedPassword, message)));
        }
        Ok(Ok(AcceptedPassword(password)))
    }

    async fn is_in(&self, list: &dyn BreachedPasswords, password: &Secret) -> Result<bool> {
        let normal = Secret::from(&*unicode::nfc(password.expose()));
        // Asked within, since it may panic before there is anything to wait for.
        let asked = AssertUnwindSafe(async { list.contain(&normal).await }).catch_unwind();
        let unavailable = |why| {
            let message = format!("the list of breached passwords {why}; try again");
            Error::new(Reason::BreachedPasswordsUnavailable, message)
        };
        match self.env.within(TIMEOUT_MILLIS, asked).await {
            Some(Ok(Ok(is_in))) => Ok(is_in),
            Some(Ok(Err(error))) => Err(unavailable("failed").with_source(error)),
            Some(Err(_)) => Err(unavailable("failed")),
            None => Err(unavailable("did not answer in time")),
        }
    }
}

/// A password that may be hashed: nobody found it in a breach. The rule was asked before, which costs nothing.
#[derive(Clone)]
pub struct AcceptedPassword(Secret);

impl AcceptedPassword {
    /// One that is random, which no list knows.
    pub(super) fn generated(password: Secret) -> Self {
        Self(password)
    }

    /// The password.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// A password that somebody chooses. The list is asked about it once and it is hashed once, however often the operation is planned again:
/// others may wait for a plan that was made in vain a few times.
pub struct NewPassword {
    secret: Secret,
    accepted: OnceCell<Result<AcceptedPassword, Invalid>>,
    hash: OnceCell<Secret>,
}

impl NewPassword {
    /// As it was typed.
    pub(in crate::operations) fn new(secret: Secret) -> Self {
        Self { secret, accepted: OnceCell::new(), hash: OnceCell::new() }
    }

    /// As it was typed.
    pub(in crate::operations) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The password, if it may be hashed.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` of this field, [`Reason::BreachedPasswordsUnavailable`].
    pub(in crate::operations) async fn accepted(&self, services: &Services, field: &str) -> Result<AcceptedPassword> {
        let accepted = self.accepted.get_or_try_init(|| services.breaches.accept(self.secret.clone())).await?;
        accepted.clone().map_err(|Invalid { code, message }| wrong(field, code, message))
    }

    /// Its hash, before or after those of strangers.
    ///
    /// # Errors
    /// Those of [`NewPassword::accepted`], [`Reason::HashingQueueFull`].
    pub(in crate::operations) async fn hash(&self, services: &Services, field: &str, is_first: bool) -> Result<Secret> {
        let accepted = self.accepted(services, field).await?;
        self.hash.get_or_try_init(|| services.hasher.hash(accepted, is_first)).await.cloned()
    }
}
