//! A connection of the application's own, lent for a while: what is to be done on it is handed over, one thing after the other, and each is
//! done to its end.

use std::pin::pin;

use futures_channel::{mpsc, oneshot};
use futures_util::{
    StreamExt as _,
    future::{BoxFuture, Either, select},
};

use super::{ChangeSet, CommitError, Write};
use crate::model::{
    error::{Error, Reason, Result},
    record::Record as _,
    registry::Guard,
    value::Value,
};

type Job<C> = Box<dyn for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, ()> + Send>;

/// What hands things over. Once the connection was given back they are refused.
pub(crate) struct Lent<C> {
    jobs: mpsc::UnboundedSender<Job<C>>,
}

impl<C: Send + 'static> Lent<C> {
    /// Does something with the connection.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, T> + Send + 'static,
    ) -> Result<T> {
        let over = || Error::new(Reason::Closed, "the store was joined to a transaction, which it has left");
        let (sender, receiver) = oneshot::channel();
        // Nobody may be waiting for it any more.
        let job: Job<C> = Box::new(|connection| Box::pin(async { drop(sender.send(work(connection).await)) }));
        self.jobs.unbounded_send(job).map_err(|_| over())?;
        receiver.await.map_err(|_| over())
    }
}

/// What was handed over.
pub(crate) struct Handed<C>(mpsc::UnboundedReceiver<Job<C>>);

/// What hands things over, and where they arrive.
pub(crate) fn lent<C>() -> (Lent<C>, Handed<C>) {
    let (jobs, handed) = mpsc::unbounded();
    (Lent { jobs }, Handed(handed))
}

/// Lends a connection to some work. Dropped in the middle, it leaves the connection where a transaction can only be rolled back.
pub(crate) async fn lend<C, T>(connection: &mut C, mut handed: Handed<C>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        match select(work.as_mut(), handed.0.next()).await {
            Either::Left((done, _)) => return done,
            Either::Right((Some(job), _)) => job(connection).await,
            Either::Right((None, _)) => return work.await,
        }
    }
}

/// Refuses what all other commits would have to wait for until the application's transaction ends.
pub(super) fn refuse_of_all(change_set: &ChangeSet) -> Result<(), CommitError> {
    let is_of_all = |write: &Write| {
        let name = write.key.0.first().and_then(Value::as_text);
        write.table.name == Guard::TABLE.name && name.is_some_and(|name| Guard::OF_ALL.contains(&name))
    };
    if !change_set.writes.iter().any(is_of_all) {
        return Ok(());
    }
    let message = "the policy, everybody's sessions and keys, and signing keys are not changed in a transaction of the application: \
                   every other commit would wait for its end";
    Err(CommitError::Failed(Error::new(Reason::NotOffered, message)))
}
