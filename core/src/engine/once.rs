//! A request with an idempotency key is done once: that it was done is written in the same commit.

use sha2::{Digest, Sha256};

use super::{Who, WhoKind, steps::Steps};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        registry::DoneRequest,
        text::hex,
        time::Time,
    },
    operations::{reads::Reads, upkeep::DAY_SECONDS},
    storage::Write,
};

/// The longest key.
const MAX_LENGTH: usize = 255;

/// A request that is to be done once.
pub(super) struct Once {
    asker: String,
    operation: &'static str,
    key: String,
    input: String,
    /// The version of a row of so long ago that it does not count.
    expired: Option<i64>,
}

impl Once {
    /// The request, if it has a key and writes.
    ///
    /// # Errors
    /// [`Reason::IdempotencyKeyInvalid`]
    pub(super) fn of(who: &Who, steps: &dyn Steps) -> Result<Option<Self>> {
        let Some(key) = &who.request.idempotency_key else { return Ok(None) };
        let unfit = |message: &str| Error::new(Reason::IdempotencyKeyInvalid, message);
        if !(1..=MAX_LENGTH).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unfit("an idempotency key has 1 to 255 visible ASCII characters"));
        }
        let listed = steps.listed();
        if listed.is_read {
            return Ok(None);
        }
        let asker = match &who.kind {
            WhoKind::System => "system".to_owned(),
            WhoKind::Anonymous => return Err(unfit("an idempotency key needs a signed-in user")),
            WhoKind::User { id, .. } => match who.kind.acting_user().filter(|asker| asker != id) {
                // Whoever acts as a user has keys of its own.
                Some(asker) => format!("{asker} as {id}"),
                None => id.to_string(),
            },
        };
        // What `Debug` shows has all fields in order and no secret. Another version of the library may write it
        // otherwise; then the key is taken for one that was used for something else, and nothing is done twice.
        let digest = Sha256::digest(steps.input());
        let input = hex(&digest);
        Ok(Some(Self { asker, operation: listed.name, key: key.clone(), input, expired: None }))
    }

    /// Refuses what was done before.
    ///
    /// # Errors
    /// [`Reason::AlreadyDone`], [`Reason::IdempotencyKeyReused`]
    pub(super) async fn require_new(&mut self, reads: Reads<'_>, now: Time) -> Result<()> {
        let key = (self.asker.clone(), self.operation.to_owned(), self.key.clone());
        let Some(done) = reads.get::<DoneRequest>(&key).await? else {
            self.expired = None;
            return Ok(());
        };
        if done.at < now.plus_seconds(-DAY_SECONDS) {
            self.expired = Some(done.version);
            return Ok(());
        }
        if done.input == self.input {
            return Err(Error::already_done(done.change_id));
        }
        let message = "this idempotency key was used for another input; choose a new one for each request";
        Err(Error::new(Reason::IdempotencyKeyReused, message))
    }

    /// The row by which it is known to be done.
    pub(super) fn write(&self, change_id: ChangeSetId, at: Time) -> Write {
        let mut done = DoneRequest {
            asker: self.asker.clone(),
            operation: self.operation.to_owned(),
            idempotency_key: self.key.clone(),
            input: self.input.clone(),
            change_id,
            at,
            version: self.expired.unwrap_or_default(),
        };
        if self.expired.is_some() { Write::update(&mut done) } else { Write::insert(&mut done) }
    }
}
