//! One question for all who ask it at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use async_lock::Mutex;

use crate::model::error::Result;

/// Answers what callers ask, one question at a time: whoever comes while it is being asked waits for the next, which is asked once for all
/// of them. An answer is never older than the caller's question.
#[derive(Default)]
pub(super) struct Together {
    begun: AtomicU64,
    ended: AtomicU64,
    /// The number of the last question, and what came of it.
    last: Mutex<(u64, Option<Result<()>>)>,
}

impl Together {
    /// What comes of a question that begins from now on. One that is being asked is good enough where it fails: that says nothing that could
    /// be out of date, and whoever waits at a storage that does not answer waits once.
    pub(super) async fn ask(&self, question: impl Future<Output = Result<()>>) -> Result<()> {
        let before = self.begun.load(Ordering::SeqCst);
        let is_asking = self.ended.load(Ordering::SeqCst) < before;
        let mut last = self.last.lock().await;
        match &*last {
            (number, Some(answer)) if *number > before => return answer.clone(),
            (number, Some(Err(error))) if *number == before && is_asking => return Err(error.clone()),
            _ => {}
        }
        let number = last.0 + 1;
        self.begun.store(number, Ordering::SeqCst);
        // Where its caller leaves, nothing came of it.
        *last = (number, None);
        let answer = question.await;
        self.ended.store(number, Ordering::SeqCst);
        last.1 = Some(answer.clone());
        answer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use std::{cell::RefCell, pin::Pin};

    use futures_channel::oneshot;
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;
    use crate::model::error::{Error, Reason};

    /// Questions that are answered when the test says so.
    #[derive(Default)]
    struct Storage(RefCell<Vec<oneshot::Sender<Result<()>>>>);

    impl Storage {
        async fn question(&self) -> Result<()> {
            let (sender, receiver) = oneshot::channel();
            self.0.borrow_mut().push(sender);
            receiver.await.unwrap()
        }

        fn asked(&self) -> usize {
            self.0.borrow().len()
        }

        fn answer(&self, answer: Result<()>) {
            self.0.borrow_mut().pop().unwrap().send(answer).unwrap();
        }
    }

    type Asking<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

    /// Begins to ask.
    fn ask<'a>(together: &'a Together, storage: &'a Storage) -> Asking<'a> {
        let mut asking: Asking<'_> = Box::pin(together.ask(storage.question()));
        assert!(asking.as_mut().now_or_never().is_none());
        asking
    }

    #[tokio::test]
    async fn who_comes_meanwhile_shares_the_next_question() {
        let (together, storage) = (Together::default(), Storage::default());
        let first = ask(&together, &storage);
        let others: Vec<Asking<'_>> = (0..50).map(|_| ask(&together, &storage)).collect();
        assert_eq!(storage.asked(), 1);
        storage.answer(Ok(()));
        assert_eq!(first.await, Ok(()));
        // What was asked before they came says nothing to them.
        let mut others = Box::pin(join_all(others));
        assert!(others.as_mut().now_or_never().is_none());
        assert_eq!(storage.asked(), 1);
        storage.answer(Ok(()));
        assert!(others.await.into_iter().all(|answer| answer.is_ok()));
        let _later = ask(&together, &storage);
        assert_eq!(storage.asked(), 1, "nobody shares what was answered before");
    }

    #[tokio::test]
    async fn what_fails_fails_for_all_who_wait_and_for_nobody_later() {
        let (together, storage) = (Together::default(), Storage::default());
        let all: Vec<Asking<'_>> = (0..50).map(|_| ask(&together, &storage)).collect();
        let down = Error::new(Reason::StorageUnavailable, "down");
        storage.answer(Err(down.clone()));
        assert!(join_all(all).await.into_iter().all(|answer| answer == Err(down.clone())));
        assert_eq!(storage.asked(), 0);
        let later = ask(&together, &storage);
        storage.answer(Ok(()));
        assert_eq!(later.await, Ok(()));
    }

    #[tokio::test]
    async fn who_leaves_leaves_the_question_to_the_next() {
        let (together, storage) = (Together::default(), Storage::default());
        let first = ask(&together, &storage);
        let mut second = ask(&together, &storage);
        let third = ask(&together, &storage);
        drop(first);
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(storage.asked(), 2);
        storage.answer(Ok(()));
        assert_eq!((second.await, third.await), (Ok(()), Ok(())));
    }
}
