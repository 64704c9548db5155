//! Cases about the change feed.

use super::{Outcome, commits_of, records::*, same};
use crate::{
    model::{
        error::Reason,
        event::StoredEvent,
        id::ChangeSetId,
        predicate::Predicate,
        record::Record,
        registry::{Claim, Guard},
        time::Time,
    },
    storage::{
        ChangeSet, Changes, FEED_PAGE, FeedPart, Gap, LanePosition, Line, PRUNE_BATCH, Position, Pruned, Query,
        Retention, Storage, Touched, Write,
    },
};

pub(super) async fn positions_count_commits(storage: &impl Storage) -> Outcome {
    let mut before = Position::START;
    for number in 1..=5_u128 {
        let change_set = change_set(number, vec![Write::insert(&mut Item::new(number, "x"))]);
        let committed = storage.commit(&change_set).await?;
        let place = committed.place;
        same("the tag", place.tag, LanePosition::tag_of(change_set.id))?;
        let last = before.lane(place.lane).unwrap_or(LanePosition::nothing(place.lane));
        same("the one before", committed.follows, Some(last))?;
        same("the number", place.number, last.number + 1)?;
        before.advance(place);
        same("position", storage.position().await?, before.clone())?;
    }
    same("commits", commits_of(storage).await?, 5)
}

pub(super) async fn the_feed_names_what_was_touched(storage: &impl Storage) -> Outcome {
    let (mut item, mut tie) = (Item::new(1, "x"), Tie { item: id(1), tag: "red".into(), version: 0 });
    let mut after = vec![Position::START];
    let mut commit = async |change_set| {
        storage.commit(&change_set).await?;
        after.push(storage.position().await?);
        Ok::<_, super::Problem>(())
    };
    commit(change_set(1, vec![Write::insert(&mut item), Write::insert(&mut tie)])).await?;
    let told = StoredEvent {
        event_type: "item.updated".into(),
        table: Item::TABLE.name.to_owned(),
        key: item.key(),
        version: 2,
        cause: "items.update".into(),
        actor: "system".into(),
        changed: vec!["name".into()],
        data: Default::default(),
    };
    commit(ChangeSet { events: vec![told.clone()], ..change_set(2, vec![Write::update(&mut item)]) }).await?;
    commit(change_set(3, vec![Write::delete(&tie)])).await?;
    let item = Touched { table: Item::TABLE.name.to_owned(), key: item.key() };
    let tie = Touched { table: Tie::TABLE.name.to_owned(), key: tie.key() };
    let all = [item.clone(), tie.clone(), item, tie];
    for (number, touched) in [&all[..], &all[2..], &all[3..], &[]].into_iter().enumerate() {
        let changes = storage.changes(&after[number], FeedPart::WHOLE).await?;
        let ids = changes.lines.iter().map(|line| (line.id, line.at)).collect::<Vec<_>>();
        let wanted = (number as u128 + 1..=3).map(|number| (change_set_id(number), time(0)));
        same("which commits", ids, wanted.collect())?;
        for line in &changes.lines {
            let events = line.events.as_ref().map(|events| events.read::<Vec<StoredEvent>>());
            let wanted = (line.id == change_set_id(2)).then(|| Some(vec![told.clone()]));
            same("what a commit tells", events, wanted)?;
        }
        let wanted = Changes {
            position: after[3].clone(),
            touched: touched.to_vec(),
            lines: changes.lines.clone(),
            ..Changes::default()
        };
        same("what came after", changes, wanted)?;
    }
    Ok(())
}

pub(super) async fn a_lost_commit_is_noticed(storage: &impl Storage) -> Outcome {
    let mut last = LanePosition::nothing(0);
    for number in 1..=3_u128 {
        let write = Write::insert(&mut Item::new(number, "x"));
        last = storage.commit(&change_set(number, vec![write])).await?.place;
    }
    let now = storage.position().await?;
    let at = |number, tag| {
        let mut position = now.clone();
        position.set(LanePosition { number, tag, ..last });
        position
    };
    let others = [
        ("one that is beyond", at(last.number + 1, last.tag)),
        ("one far beyond", at(last.number + 2 * FEED_PAGE, 7)),
        ("another newest one", at(last.number, !last.tag)),
        ("another one before", at(last.number - 1, !last.tag)),
    ];
    for (what, position) in others {
        let changes = storage.changes(&position, FeedPart::WHOLE).await?;
        same(what, (changes.gap, changes.position, changes.cut.is_empty()), (Some(Gap::Rewound), now.clone(), true))?;
    }
    Ok(())
}

pub(super) async fn the_feed_names_no_names(storage: &impl Storage) -> Outcome {
    let owner = String::new();
    let mut claim = Claim { kind: "email".into(), name: "ada@example.org".into(), owner, held_until: None, version: 0 };
    let mut guard = Guard { name: Guard::POLICY.to_owned(), version: 0 };
    storage.commit(&change_set(1, vec![Write::insert(&mut claim), Write::insert(&mut guard)])).await?;
    let guard = Touched { table: Guard::TABLE.name.to_owned(), key: guard.key() };
    same("the guard alone", storage.changes(&Position::START, FeedPart::WHOLE).await?.touched, vec![guard])
}

pub(super) async fn the_feed_comes_in_parts(storage: &impl Storage) -> Outcome {
    let count = 2 * FEED_PAGE + 2;
    for number in 1..=count {
        let write = Write::insert(&mut Item::new(number.into(), "x"));
        storage.commit(&change_set(number.into(), vec![write])).await?;
    }
    let (mut known, mut touched, mut parts) = (Position::START, Vec::new(), 0);
    loop {
        let changes = storage.changes(&known, FeedPart::WHOLE).await?;
        same("a gap", changes.gap, None)?;
        let lanes = changes.position.lanes().iter();
        let most = lanes.map(|lane| lane.number - known.number(lane.lane)).max();
        same("no part is too long", most.is_some_and(|most| most <= FEED_PAGE), true)?;
        (known, parts) = (changes.position, parts + 1);
        touched.extend(changes.touched);
        if changes.cut.is_empty() {
            break;
        }
    }
    same("the end", known, storage.position().await?)?;
    same("more than one part", parts > 1, true)?;
    let all = (1..=count).map(|number| Touched::new(Item::TABLE, &Item::new(number.into(), "").key()));
    same("each once", touched, all.collect())
}

pub(super) async fn a_part_is_as_long_as_asked_for(storage: &impl Storage) -> Outcome {
    let told = |number: u128| StoredEvent {
        event_type: "item.updated".into(),
        table: Item::TABLE.name.to_owned(),
        key: Item::new(number, "").key(),
        version: 1,
        cause: "items.create".into(),
        actor: "system".into(),
        changed: Vec::new(),
        data: Default::default(),
    };
    for number in 1..=9 {
        let events = vec![told(number); if number == 5 { 500 } else { 1 }];
        let write = Write::insert(&mut Item::new(number, "x"));
        storage.commit(&ChangeSet { events, ..change_set(number, vec![write]) }).await?;
    }
    let end = storage.position().await?;
    let whole = storage.changes(&Position::START, FeedPart::WHOLE).await?;
    let without = storage.changes(&Position::START, FeedPart { has_events: false, ..FeedPart::WHOLE }).await?;
    same("no events", without.lines.iter().any(|line| line.events.is_some()), false)?;
    same("all the same", &without.touched, &whole.touched)?;
    // Commits of about 300 bytes each, but for one that is longer than any part.
    for (commits, bytes) in [(1, u64::MAX), (2, u64::MAX), (FEED_PAGE, 0), (FEED_PAGE, 1), (FEED_PAGE, 700), (3, 700)] {
        let part = FeedPart { commits, bytes, has_events: true };
        let (mut known, mut lines) = (Position::START, Vec::new());
        loop {
            let changes = storage.changes(&known, part).await?;
            same("a gap", changes.gap, None)?;
            let of = |line: &&Line, lane: u16| line.place.lane == lane;
            for lane in end.lanes().iter().map(|place| place.lane) {
                let count = changes.lines.iter().filter(|line| of(line, lane)).count() as u64;
                let most = if bytes < 300 { 1 } else { commits };
                same("no lane has too many", count <= most, true)?;
                let is_behind = changes.position.number(lane) < end.number(lane);
                same("whether a lane has more", changes.cut.contains(&lane), is_behind)?;
                same("something of a lane that has more", !is_behind || count > 0, true)?;
            }
            known = changes.position;
            lines.extend(changes.lines);
            if changes.cut.is_empty() {
                break;
            }
        }
        let by_place = |mut lines: Vec<Line>| {
            lines.sort_by_key(|line| (line.place.lane, line.place.number));
            lines
        };
        same("the end", &known, &end)?;
        same("each once", by_place(lines), by_place(whole.lines.clone()))?;
    }
    Ok(())
}

pub(super) async fn outcomes_are_kept(storage: &impl Storage) -> Outcome {
    let mut places = Vec::new();
    for number in [7, 8] {
        places.push(Some(storage.commit(&change_set(number, Vec::new())).await?.place));
    }
    let outcome = async |number| {
        let outcome = storage.outcome(change_set_id(number)).await?;
        Ok::<_, super::Problem>(outcome.map(|committed| committed.place))
    };
    same("the first", outcome(7).await?, places[0])?;
    same("the second", outcome(8).await?, places[1])?;
    same("one that never was", outcome(9).await?, None)
}

pub(super) async fn old_lines_are_pruned_and_missed(storage: &impl Storage) -> Outcome {
    let before = |day: i64| Retention { feed_before: Time::from_second(day * 86_400).unwrap_or(Time::MAX) };
    let planned_at = |day: i64, change_set: ChangeSet| ChangeSet { at: before(day).feed_before, ..change_set };
    let mut after = vec![Position::START];
    for number in 1..=5_u8 {
        let write = Write::insert(&mut Item::new(number.into(), "x"));
        storage.commit(&planned_at(number.into(), change_set(number.into(), vec![write]))).await?;
        after.push(storage.position().await?);
    }
    same("nothing is so old", storage.prune(&before(1)).await?, Pruned { lines: 0 })?;
    same("the last that is old stays", storage.prune(&before(2)).await?, Pruned { lines: 0 })?;
    same("no gap", storage.changes(&after[0], FeedPart::WHOLE).await?.gap, None)?;
    same("two are", storage.prune(&before(4)).await?, Pruned { lines: 2 })?;
    same("position", storage.position().await?, after[5].clone())?;
    let touched = |numbers: std::ops::RangeInclusive<u128>| {
        numbers.map(|number| Touched::new(Item::TABLE, &Item::new(number, "").key()))
    };
    let line = |number: u8| {
        let id = change_set_id(number.into());
        let place = after[usize::from(number)]
            .lanes()
            .iter()
            .find(|place| LanePosition::new(place.lane, place.number, id) == **place);
        place.map(|place| Line { place: *place, at: before(number.into()).feed_before, id, events: None })
    };
    let rest = |gap| {
        let lines = (3..=5).filter_map(line).collect();
        Changes { position: after[5].clone(), touched: touched(3..=5).collect(), lines, gap, cut: Vec::new() }
    };
    same("from the start", storage.changes(&after[0], FeedPart::WHOLE).await?, rest(Some(Gap::Pruned)))?;
    same("from a line that is gone", storage.changes(&after[1], FeedPart::WHOLE).await?, rest(Some(Gap::Pruned)))?;
    same("from the last that is gone", storage.changes(&after[2], FeedPart::WHOLE).await?, rest(None))?;
    let unknown = async |id| storage.outcome(id).await.map_err(|error| error.reason());
    let is_there = unknown(change_set_id(3)).await.map(|outcome| outcome.map(|committed| committed.place.position()));
    let place =
        after[3].lanes().iter().find(|place| **place == LanePosition::new(place.lane, place.number, change_set_id(3)));
    same("an outcome that is there", is_there, Ok(place.map(|place| place.position())))?;
    same("one that is gone", unknown(change_set_id(1)).await, Err(Reason::OutcomeUnknown))?;
    same("one of that time", unknown(change_set_id(9)).await, Err(Reason::OutcomeUnknown))?;
    // Clocks differ, and the one that is gone may have been made after the one that is left.
    let made = uuid::Builder::from_unix_timestamp_millis(72 * 3_600_000 + 30_000, &[7; 10]).into_uuid();
    same("one that came just behind", unknown(ChangeSetId(made)).await, Err(Reason::OutcomeUnknown))?;
    for (name, hours) in [("one that came later", 96), ("one that came between", 73)] {
        let made = uuid::Builder::from_unix_timestamp_millis(hours * 3_600_000, &[7; 10]).into_uuid();
        same(name, unknown(ChangeSetId(made)).await, Ok(None))?;
    }

    same("never the newest", storage.prune(&before(99)).await?, Pruned { lines: 2 })?;
    same("again", storage.prune(&before(99)).await?, Pruned { lines: 0 })?;
    same("position", storage.position().await?, after[5].clone())?;
    let again = planned_at(5, change_set(5, vec![Write::insert(&mut Item::new(5, "x"))]));
    storage.commit(&again).await?;
    same("a commit once more", storage.position().await?, after[5].clone())?;
    storage.commit(&change_set(6, Vec::new())).await?;
    same("the next", commits_of(storage).await?, 6)?;
    let rows = storage.query(&Query::of(Item::TABLE, Predicate::Always)).await?.rows;
    same("rows stay", rows.len(), 5)
}

pub(super) async fn pruning_comes_in_parts(storage: &impl Storage) -> Outcome {
    for number in 1..=PRUNE_BATCH as u128 + 5 {
        storage.commit(&change_set(number, Vec::new())).await?;
    }
    let all = Retention { feed_before: Time::MAX };
    same("the first part", storage.prune(&all).await?, Pruned { lines: PRUNE_BATCH })?;
    same("the last part", storage.prune(&all).await?, Pruned { lines: 4 })?;
    same("commits", commits_of(storage).await?, PRUNE_BATCH as u64 + 5)
}
