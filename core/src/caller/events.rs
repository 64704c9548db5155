//! Events as they happen.

use std::{collections::VecDeque, time::Duration};

use futures_util::stream::{self, Stream};

use super::Caller;
use crate::{
    environment::runtime_ended,
    model::{
        error::{Error, Reason, Result},
        id::LeaseId,
    },
    operations::{
        Operation,
        consumers::{Acknowledge, ClaimConsumer, ConsumerLease, ReleaseConsumer},
        events::{Cursor, Event, ReadEvents},
    },
};

/// So many events are read at a time.
const BATCH: u32 = 1_000;
/// How often it is looked anew where nobody tells of news, in milliseconds.
const BEAT_MILLIS: u64 = 30_000;
/// How often a consumer renews its lease at least.
const RENEW_AFTER: Duration = Duration::from_secs(10);
/// How soon a consumer that another process reads for is claimed again, in milliseconds.
const CLAIM_MILLIS: u64 = 2_000;
/// For how long what was handled may be unacknowledged while more is there.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(5);

impl Caller {
    /// The events after a position, and then new ones as they happen, without an end: those that the caller may get ([`ReadEvents`]).
    ///
    /// `from` is a position, `now` or `earliest`.
    ///
    /// # Errors
    /// Those of [`ReadEvents`].
    ///
    /// ```
    /// # use rolekeep::{UserManagement, users::CreateUser};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let um = UserManagement::builder().open().await?;
    /// let host = um.system();
    /// let mut events = host.subscribe("now").await?;
    /// let ada = host.users().create(CreateUser::new("ada@example.org")).await?;
    /// let event = events.next().await?;
    /// assert_eq!(event.event_type.as_str(), "user.created");
    /// assert_eq!(event.aggregate.id, ada.id.to_string());
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    pub async fn subscribe(&self, from: impl Into<String>) -> Result<Subscription> {
        Subscription::begin(self.clone(), from.into()).await
    }

    /// The events of a consumer, from where it stopped, each at least once, without an end. While another process reads for it, this one
    /// waits.
    ///
    /// An event is acknowledged some time after the next one is asked for, so that an event that a process was handling when it ended is
    /// read again by the next. Only for the application itself. A new consumer begins with new events, unless it was claimed before
    /// ([`ClaimConsumer`]).
    ///
    /// ```
    /// # use rolekeep::{UserManagement, users::CreateUser};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let um = UserManagement::builder().open().await?;
    /// let host = um.system();
    /// let mut mails = host.consume("mails").await?;
    /// host.users().create(CreateUser::new("ada@example.org")).await?;
    /// let event = mails.next().await?;
    /// // … handle it, then:
    /// mails.acknowledge().await?;
    /// mails.release().await?;
    /// # assert_eq!(event.event_type.as_str(), "user.created");
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of [`ClaimConsumer`], except that another process reads for it.
    pub async fn consume(&self, name: impl Into<String>) -> Result<Consumption> {
        Consumption::begin(self.clone(), name.into()).await
    }
}

/// Events as they happen. Made by [`Caller::subscribe`].
#[must_use]
pub struct Subscription {
    caller: Caller,
    /// Behind what was given out and what is ready.
    read: String,
    /// Behind what was given out.
    position: String,
    ready: VecDeque<Event>,
    /// When it was found that no more is there yet, by the clock that nobody sets; none: it may be.
    ended_at: Option<Duration>,
}

impl Subscription {
    async fn begin(caller: Caller, from: String) -> Result<Self> {
        let mut begun = Self { caller, position: from.clone(), read: from, ready: VecDeque::new(), ended_at: None };
        begun.read_on().await?;
        if begun.ready.is_empty() {
            begun.position.clone_from(&begun.read);
        }
        Ok(begun)
    }

    /// The next event, once there is one.
    ///
    /// # Errors
    /// Those of [`ReadEvents`]. No event is lost: the next call continues from there, even if the future was dropped.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.next_ready() {
                return Ok(event);
            }
            self.wait(BEAT_MILLIS).await?;
            self.read_on().await?;
        }
    }

    /// The position after the last event that was returned, from which another subscription would continue.
    pub fn position(&self) -> &str {
        &self.position
    }

    /// The events as a stream. It ends with the first error, such as that the store was closed.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event>> {
        stream::unfold(Some(self), async |subscription| {
            let mut subscription = subscription?;
            match subscription.next().await {
                Ok(event) => Some((Ok(event), Some(subscription))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    fn next_ready(&mut self) -> Option<Event> {
        let event = self.ready.pop_front()?;
        self.position = match self.ready.is_empty() {
            // Behind what the caller does not hear of, too.
            true => self.read.clone(),
            false => event.position.clone(),
        };
        Some(event)
    }

    /// Reads what follows, up to some event or the end.
    async fn read_on(&mut self) -> Result<()> {
        while self.ready.is_empty() && self.ended_at.is_none() {
            let batch = to_its_end(&self.caller, ReadEvents::new().from(self.read.clone()).limit(BATCH)).await?;
            let is_end = batch.events.is_empty() && !batch.has_more;
            self.ended_at = is_end.then(|| self.caller.engine.services.env.elapsed());
            self.read = batch.position;
            self.ready.extend(batch.events);
        }
        Ok(())
    }

    /// Waits for more where the end was reached, for so long at most.
    async fn wait(&mut self, millis: u64) -> Result<()> {
        if let Some(ended_at) = self.ended_at {
            self.position.clone_from(&self.read);
            let (engine, cursor): (_, Cursor) = (&self.caller.engine, self.read.parse()?);
            engine.wait_for_events(&self.caller.who, &cursor.position, millis, ended_at).await?;
            self.ended_at = None;
        }
        Ok(())
    }
}

/// The events of a consumer. Made by [`Caller::consume`].
#[must_use]
pub struct Consumption {
    events: Subscription,
    name: String,
    lease: LeaseId,
    /// When it was last acknowledged, by the clock that nobody sets.
    acknowledged_at: Duration,
    /// An event was given out since.
    is_owed: bool,
    /// Behind all that were handled since: those before the last that was given out; none: there are none.
    handled: Option<String>,
}

impl Consumption {
    async fn begin(caller: Caller, name: String) -> Result<Self> {
        let leased = claim(&caller, &name).await?;
        let events = Subscription::begin(caller, leased.position.clone()).await?;
        let acknowledged_at = events.caller.engine.services.env.elapsed();
        Ok(Self { events, name, lease: leased.lease, acknowledged_at, is_owed: false, handled: None })
    }

    /// The next event, once there is one; the one before counts as handled.
    ///
    /// # Errors
    /// Those of [`ReadEvents`]; `CONFLICT`, reason `lease_lost`, if more than 30 seconds passed between two calls and another process now
    /// reads for the consumer: consume again.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            // Others' commits alone are no reason: each acknowledgement is one, which wakes all other consumers.
            let age = self.elapsed().saturating_sub(self.acknowledged_at);
            let is_due = self.is_owed && (self.events.ready.is_empty() || age >= ACKNOWLEDGE_AFTER);
            if is_due || age >= RENEW_AFTER {
                self.renew().await?;
            }
            let before = self.events.position.clone();
            if let Some(event) = self.events.next_ready() {
                self.handled = self.is_owed.then_some(before);
                self.is_owed = true;
                return Ok(event);
            }
            let left = RENEW_AFTER.saturating_sub(self.elapsed().saturating_sub(self.acknowledged_at));
            self.events.wait(left.as_millis().try_into().unwrap_or(BEAT_MILLIS)).await?;
            self.events.read_on().await?;
        }
    }

    /// Records that all events returned so far are handled.
    ///
    /// # Errors
    /// As [`Consumption::next`], and those of the storage.
    pub async fn acknowledge(&mut self) -> Result<()> {
        if self.is_owed { self.renew().await } else { Ok(()) }
    }

    /// Lets another process read for the consumer at once. It begins with the last event that was returned here, unless that was
    /// [acknowledged](Self::acknowledge): those before it count as handled.
    ///
    /// # Errors
    /// As [`Consumption::next`], and those of the storage.
    pub async fn release(mut self) -> Result<()> {
        if let Some(handled) = self.handled.take() {
            self.acknowledge_to(handled).await?;
        }
        self.events.caller.run(ReleaseConsumer::new(self.name, self.lease)).await
    }

    /// The events as a stream. It ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event>> {
        stream::unfold(Some(self), async |consumption| {
            let mut consumption = consumption?;
            match consumption.next().await {
                Ok(event) => Some((Ok(event), Some(consumption))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn renew(&mut self) -> Result<()> {
        self.acknowledge_to(self.events.position.clone()).await?;
        (self.acknowledged_at, self.is_owed, self.handled) = (self.elapsed(), false, None);
        Ok(())
    }

    async fn acknowledge_to(&self, position: String) -> Result<()> {
        let handled = Acknowledge::new(self.name.clone(), self.lease, position);
        to_its_end(&self.events.caller, handled).await.map(drop)
    }

    fn elapsed(&self) -> Duration {
        self.events.caller.engine.services.env.elapsed()
    }
}

/// Runs an operation to its end even if nobody goes on with the stream meanwhile: it would keep from others what it holds of the storage.
async fn to_its_end<O: Operation>(caller: &Caller, operation: O) -> Result<O::Output> {
    let (engine, caller) = (caller.engine.clone(), caller.clone());
    let whole = async move { caller.run(operation).await };
    engine.to_its_end(whole).await.unwrap_or_else(|| Err(runtime_ended()))
}

/// The lease on a consumer, once no other process has it.
async fn claim(caller: &Caller, name: &str) -> Result<ConsumerLease> {
    loop {
        let held = |error: &Error| error.reason() == Reason::LeaseHeld;
        match caller.run(ClaimConsumer::new(name)).await {
            Err(error) if held(&error) => caller.engine.services.env.sleep(CLAIM_MILLIS).await,
            leased => return leased,
        }
    }
}
