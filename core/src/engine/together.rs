//! One question for all who ask it at the same time.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_lock::{Mutex, MutexGuardArc};
use futures_util::future::{Either, select};

use crate::{environment::Task, model::error::Result};

/// Answers what callers ask, one question at a time: whoever comes while it is being asked waits for the next, which is asked once for all
/// of them. An answer is never older than the caller's question.
#[derive(Default)]
pub(super) struct Together {
    begun: AtomicU64,
    last: Arc<Mutex<Last>>,
    ended: Arc<AtomicU64>,
    /// Somebody waited in vain: until it is free again nobody waits.
    is_stuck: AtomicBool,
}

/// The number of the last question, and what came of it.
#[derive(Default)]
struct Last {
    number: u64,
    answer: Option<Result<()>>,
}

/// What is to be done by who asks.
pub(super) enum Turn {
    /// Nothing: it was asked meanwhile.
    Answered(Result<()>),
    /// To ask for all.
    First(First),
    /// To ask for oneself: a question that was begun before does not come to its end.
    Alone,
}

/// Held by who asks for all. Where it is let go of, nothing came of it.
pub(super) struct First {
    last: MutexGuardArc<Last>,
    ended: Arc<AtomicU64>,
}

impl Together {
    /// Waits for a question that begins from now on. One that is being asked is good enough where it fails: that says nothing that could
    /// be out of date, and whoever waits at a storage that does not answer waits once.
    pub(super) async fn turn(&self, late: impl FnOnce() -> Task) -> Turn {
        let before = self.begun.load(Ordering::SeqCst);
        let is_asking = self.ended.load(Ordering::SeqCst) < before;
        let mut last = match self.last.try_lock_arc() {
            Some(last) => last,
            None if self.is_stuck.load(Ordering::Relaxed) => return Turn::Alone,
            None => match select(pin!(self.last.lock_arc()), late()).await {
                Either::Left((last, _)) => last,
                Either::Right(_) => {
                    self.is_stuck.store(true, Ordering::Relaxed);
                    return Turn::Alone;
                }
            },
        };
        self.is_stuck.store(false, Ordering::Relaxed);
        match &last.answer {
            Some(answer) if last.number > before => return Turn::Answered(answer.clone()),
            Some(Err(error)) if last.number == before && is_asking => return Turn::Answered(Err(error.clone())),
            _ => {}
        }
        *last = Last { number: last.number + 1, answer: None };
        self.begun.store(last.number, Ordering::SeqCst);
        Turn::First(First { last, ended: self.ended.clone() })
    }
}

impl First {
    /// The answer, also for those who wait for it.
    pub(super) fn answer(mut self, answer: Result<()>) -> Result<()> {
        self.ended.store(self.last.number, Ordering::SeqCst);
        self.last.answer = Some(answer.clone());
        answer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::model::error::{Error, Reason};

    fn never() -> Task {
        Box::pin(pending())
    }

    /// A turn that is there at once.
    fn turn(together: &Together) -> Turn {
        together.turn(never).now_or_never().unwrap()
    }

    fn first(turn: Turn) -> First {
        match turn {
            Turn::First(first) => first,
            Turn::Answered(answer) => panic!("it was asked before: {answer:?}"),
            Turn::Alone => panic!("it is asked alone"),
        }
    }

    fn answer(turn: Option<Turn>) -> Result<()> {
        match turn.unwrap() {
            Turn::Answered(answer) => answer,
            Turn::First(_) | Turn::Alone => panic!("it is asked once more"),
        }
    }

    #[test]
    fn who_comes_meanwhile_shares_the_next_question() {
        let together = Together::default();
        let asking = first(turn(&together));
        let mut others: Vec<_> = (0..50).map(|_| Box::pin(together.turn(never))).collect();
        assert!(others.iter_mut().all(|other| other.as_mut().now_or_never().is_none()));
        // What was asked before they came says nothing to them.
        asking.answer(Ok(())).unwrap();
        let asking = first(others.remove(0).now_or_never().unwrap());
        assert!(others.iter_mut().all(|other| other.as_mut().now_or_never().is_none()));
        asking.answer(Ok(())).unwrap();
        for other in others {
            answer(other.now_or_never()).unwrap();
        }
        first(turn(&together));
    }

    #[test]
    fn what_fails_fails_for_all_who_wait_and_for_nobody_later() {
        let together = Together::default();
        let asking = first(turn(&together));
        let mut others: Vec<_> = (0..50).map(|_| Box::pin(together.turn(never))).collect();
        assert!(others.iter_mut().all(|other| other.as_mut().now_or_never().is_none()));
        let down = Error::new(Reason::StorageUnavailable, "down");
        asking.answer(Err(down.clone())).unwrap_err();
        for other in others {
            assert_eq!(answer(other.now_or_never()), Err(down.clone()));
        }
        first(turn(&together));
    }

    #[test]
    fn who_leaves_leaves_the_question_to_the_next() {
        let together = Together::default();
        let asking = first(turn(&together));
        let (mut second, mut third) = (Box::pin(together.turn(never)), Box::pin(together.turn(never)));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        drop(asking);
        first(second.now_or_never().unwrap()).answer(Ok(())).unwrap();
        answer(third.now_or_never()).unwrap();
    }

    #[test]
    fn a_question_that_does_not_end_is_waited_for_once() {
        let together = Together::default();
        let asking = first(turn(&together));
        let waited = together.turn(|| Box::pin(async {})).now_or_never();
        assert!(matches!(waited, Some(Turn::Alone)));
        assert!(matches!(turn(&together), Turn::Alone));
        asking.answer(Ok(())).unwrap();
        first(turn(&together));
    }
}
