//! What iterators of events in other languages wait by.

use rolekeep_macros::{Input, boxed_async};

use crate::{
    caller::Caller,
    model::{
        check::wrong,
        decode::{self, FieldCode},
        deferred::Deferred,
        error::{Error, Result},
        input::{Limits, read},
    },
    operations::events::Cursor,
};

/// What [`super::call`] is asked for it, beside the operations.
pub const WAIT: &str = "events.wait";

#[derive(Input)]
struct Waiting {
    position: String,
    millis: u32,
}

/// Answers `true` once there is a commit behind a position, or `false` after so many milliseconds.
pub(super) async fn wait(caller: &Caller, input: &str) -> Result<String> {
    WAITS.get()?.wait(caller, input).await
}

/// Browsers load it with what reads events.
static WAITS: Deferred<&(dyn Wait + Sync)> = Deferred::new(&Newest);

#[boxed_async]
trait Wait {
    async fn wait(&self, caller: &Caller, input: &str) -> Result<String>;
}

struct Newest;

#[boxed_async]
impl Wait for Newest {
    async fn wait(&self, caller: &Caller, input: &str) -> Result<String> {
        let Waiting { position, millis } = decode::decode_within(read(input, Limits::SMALL)?, Limits::SMALL)?;
        let position: Result<Cursor> = position.parse();
        let wrong = |error: Error| wrong("position", FieldCode::InvalidFormat, error.message());
        let cursor = position.map_err(wrong)?;
        // Iterators wait where they have just found nothing.
        let read_at = caller.engine.services.env.elapsed();
        let is_beyond = caller.engine.wait_for_events(&caller.who, &cursor.position, millis.into(), read_at).await?;
        Ok(is_beyond.to_string())
    }
}

pub(super) fn load_deferred() {
    WAITS.load(&Newest);
}
