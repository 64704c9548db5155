//! Feeding an import from a source of any size (USR-8).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use rolekeep::{
    Policy, Reason, UserManagement,
    imports::{BeginImport, ImportFormat, ImportLevel, ImportProgress, ImportShape, ImportStatus},
};
use tokio::io::{AsyncRead, ReadBuf};

use crate::cheap;

/// Gives a text so many times, and fails then.
struct Broken<'t> {
    text: &'t [u8],
    times: usize,
}

impl AsyncRead for Broken<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        self.times = self.times.checked_sub(1).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.put_slice(&self.text[..self.text.len().min(into.remaining())]);
        Poll::Ready(Ok(()))
    }
}

async fn open() -> UserManagement {
    cheap::builder().policy(Policy::preset("standard").unwrap()).open().await.unwrap()
}

fn begin() -> BeginImport {
    BeginImport::new("old", ImportFormat::JsonLines)
}

/// So many users, a line each, of which 500 are most of what is fed at a time.
fn lines(count: usize) -> Vec<u8> {
    let bio = "x".repeat(150);
    let line = |at| format!("{{\"foreign_id\":\"{at}\",\"email\":\"user{at}@example.org\",\"bio\":\"{bio}\"}}\n");
    (0..count).map(line).collect::<String>().into_bytes()
}

fn numbers(heard: &[ImportProgress]) -> Vec<i64> {
    heard.iter().flat_map(|progress| &progress.items).map(|item| item.number).collect()
}

#[tokio::test]
async fn a_source_that_breaks_off_goes_on_where_it_was() {
    let um = open().await;
    let users = lines(1200);
    let half = Broken { text: &users[..128 * 1024], times: 1 };
    let mut heard = Vec::new();
    let import = um.system().import_users(begin()).await.unwrap();
    let id = import.import().id;
    let broken = import.read(half, |progress| heard.push(progress.clone())).await.unwrap_err();
    assert_eq!(broken.reason(), Reason::InvalidInput);
    // Another source is refused, as far as it was read.
    assert_eq!((heard.len(), heard[0].import.counts.read), (1, 500));
    let other = um.system().resume_import(id).await.unwrap().read(&lines(10)[..], |_| ()).await.unwrap_err();
    assert_eq!(other.reason(), Reason::VersionStale);

    let again = um.system().resume_import(id).await.unwrap();
    let done = again.read(&users[..], |progress| heard.push(progress.clone())).await.unwrap();
    assert_eq!((done.status, done.counts.created, done.counts.failed), (ImportStatus::Finished, 1200, 0));
    assert_eq!(numbers(&heard), (1..=1200).collect::<Vec<i64>>());
}

#[tokio::test]
async fn as_much_as_one_likes_is_pushed_at_once() {
    let um = open().await;
    let users = lines(1200);
    let mut import = um.system().import_users(begin()).await.unwrap();
    let mut items = import.push(&users).await.unwrap();
    assert!(!items.is_empty() && items.len() < 1200);
    items.extend(import.push(&[]).await.unwrap());
    items.extend(import.finish().await.unwrap().items);
    assert_eq!(items.iter().map(|item| item.number).collect::<Vec<i64>>(), (1..=1200).collect::<Vec<i64>>());
}

#[tokio::test]
async fn an_import_that_has_stopped_reads_nothing_more() {
    let um = open().await;
    let bad = "x\n".repeat(10_000);
    let endless = Broken { text: bad.as_bytes(), times: 100 };
    let import = um.system().import_users(begin()).await.unwrap();
    let done = import.read(endless, |_| ()).await.unwrap();
    assert_eq!((done.status, done.counts.failed), (ImportStatus::Stopped, 10_000));

    let mut import = um.system().import_users(begin()).await.unwrap();
    while import.import().status == ImportStatus::Open {
        import.push(bad.as_bytes()).await.unwrap();
    }
    assert!(import.push(bad.as_bytes()).await.unwrap().is_empty());
    assert_eq!(import.finish().await.unwrap().import.status, ImportStatus::Stopped);
}

#[tokio::test]
async fn a_record_that_is_longer_than_a_piece_is_read() {
    let um = open().await;
    let user = |at, more| format!("{{\"email\":\"user{at}@example.org\",\"more\":\"{}\"}}", "y".repeat(more));
    let users = format!("[{},{},{}]", user(0, 1), user(1, 200_000), user(2, 1));
    let begin = BeginImport::new("old", ImportFormat::Json).shape(ImportShape::Auth0).level(ImportLevel::Check);
    let import = um.system().import_users(begin).await.unwrap();
    let done = import.read(users.as_bytes(), |_| ()).await.unwrap();
    assert_eq!((done.counts.read, done.counts.created), (3, 3));
}
