//! Who reads events as they happen stands in nobody's way.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::stream::{BoxStream, StreamExt as _};
use rolekeep::{
    events::{Event, ReadEvents},
    internals::record::Record,
    storage::{CommitRecord, MemoryStorage, Predicate, Query, Storage},
    users::{CreateUser, ListUsers},
};

use crate::cheap;

/// A program may look at a stream and then do something else in the same task: what it does needs what the stream began to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_nobody_goes_on_with_stop_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let um = cheap::builder().sqlite(folder.path().join("x.db")).open().await.unwrap();
    let host = um.system();
    let mut streams = Vec::new();
    for at in 0..8 {
        streams.push(Box::pin(host.subscribe("now").await.unwrap().into_stream()).boxed());
        let consumed = host.consume(format!("consumer{at}")).await.unwrap();
        streams.push(Box::pin(consumed.into_stream()).boxed());
    }
    let is_ready = async |stream: &mut BoxStream<'static, rolekeep::Result<Event>>| {
        poll_fn(|context: &mut Context<'_>| Poll::Ready(stream.as_mut().poll_next(context).is_ready())).await
    };
    for round in 0..3 {
        for stream in &mut streams {
            while is_ready(stream).await {}
        }
        host.users().create(CreateUser::new(format!("user{round}@example.org"))).await.unwrap();
        // They gather what happens.
        tokio::time::sleep(Duration::from_millis(250)).await;
        for (at, stream) in streams.iter_mut().enumerate() {
            for _ in 0..=at / 2 {
                is_ready(stream).await;
            }
        }
        let others = async {
            for at in 0..20 {
                let new = CreateUser::new(format!("other{round}x{at}@example.org"));
                host.users().create(new).await.unwrap();
                host.users().list(ListUsers::new()).await.unwrap();
                host.events().read(ReadEvents::new()).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), others).await.expect("nobody is waited for");
    }
    um.close().await.unwrap();
}

/// Each acknowledgement is a commit, which wakes whoever waits: two that answered each other would never end.
#[tokio::test]
async fn consumers_that_wait_do_not_keep_each_other_busy() {
    let storage = std::sync::Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).open().await.unwrap();
    let host = um.system();
    let readers: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|name| {
            let host = host.clone();
            tokio::spawn(async move {
                let mut reading = host.consume(name).await.unwrap();
                loop {
                    reading.next().await.unwrap();
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    host.users().create(CreateUser::new("ada@example.org")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let count = async || {
        storage
            .query(&Query { count: u64::MAX, ..Query::of(CommitRecord::TABLE, Predicate::Always) })
            .await
            .unwrap()
            .total
    };
    let mut counts = vec![None, count().await];
    while counts[counts.len() - 2] != counts[counts.len() - 1] {
        assert!(counts.len() < 22, "it never ends: {counts:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        counts.push(count().await);
    }
    readers.iter().for_each(|reader| reader.abort());
}

/// A process that takes a few events of many each time goes on where it has come to.
#[tokio::test]
async fn who_lets_go_of_a_consumer_has_handled_all_but_the_last() {
    let um = cheap::builder().open().await.unwrap();
    let host = um.system();
    host.consume("mails").await.unwrap().release().await.unwrap();
    let from = host.run(ReadEvents::new()).await.unwrap().position;
    for at in 0..6 {
        host.users().create(CreateUser::new(format!("user{at}@example.org"))).await.unwrap();
    }
    let all = host.run(ReadEvents::new().from(from)).await.unwrap().events;
    let ids: Vec<_> = all.iter().map(|event| event.id.clone()).collect();
    let mut next = 0;
    for taken in [3, 1, 2] {
        let mut reading = host.consume("mails").await.unwrap();
        let mut given = Vec::new();
        for _ in 0..taken {
            given.push(reading.next().await.unwrap().id);
        }
        reading.release().await.unwrap();
        assert_eq!(given, ids[next..next + taken]);
        next += taken - 1;
    }
    let mut reading = host.consume("mails").await.unwrap();
    reading.next().await.unwrap();
    reading.acknowledge().await.unwrap();
    reading.release().await.unwrap();
    assert_eq!(host.consume("mails").await.unwrap().next().await.unwrap().id, ids[next + 1]);
}
