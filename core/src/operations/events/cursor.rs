//! Where a reader of events is: behind a position, and in the middle of a commit that follows it.

use std::{fmt, str::FromStr};

use crate::{
    model::error::{Error, Reason, Result},
    storage::{LanePosition, Position},
};

/// Between the position and the part, which a position's text never has.
const MARK: char = '~';

/// Behind a position, and behind some events of the commit that comes next in a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct Cursor {
    pub(crate) position: Position,
    /// The lane, and how many events of its next commit.
    part: Option<(u16, usize)>,
}

impl Cursor {
    /// In the middle of a commit that follows a position.
    pub(super) fn within(position: Position, place: LanePosition, events: usize) -> Self {
        Self { position, part: Some((place.lane, events)) }
    }

    /// How many events of a commit were read.
    pub(super) fn read_of(&self, place: LanePosition) -> usize {
        let is_next = |lane: u16| lane == place.lane && self.position.number(lane) + 1 == place.number;
        self.part.filter(|(lane, _)| is_next(*lane)).map_or(0, |(_, events)| events)
    }

    /// Whether all that was read up to another one was read up to this.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let part_is = |(lane, events): (u16, usize)| {
            let is_further = self.position.number(lane) > other.position.number(lane);
            is_further || self.part.is_some_and(|(own, read)| own == lane && read >= events)
        };
        self.position.includes(&other.position) && other.part.is_none_or(part_is)
    }
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Self {
        Self { position, part: None }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position)?;
        match self.part {
            Some((lane, events)) => write!(f, "{MARK}{lane}.{events}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((position, part)) = text.split_once(MARK) else { return Ok(text.parse::<Position>()?.into()) };
        let part = part.split_once('.').and_then(|(lane, events)| Some((lane.parse().ok()?, events.parse().ok()?)));
        let part = part.ok_or_else(|| Error::new(Reason::InvalidInput, "is not the position of an event"))?;
        Ok(Self { position: position.parse()?, part: Some(part) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, LanePosition, Position};
    use crate::model::id::ChangeSetId;

    #[test]
    fn a_cursor_is_read_as_written() {
        let place = |number| LanePosition::new(3, number, ChangeSetId(uuid::Uuid::from_u128(7)));
        let position: Position = [place(5)].into_iter().collect();
        let whole = Cursor::from(position.clone());
        let part = Cursor::within(position.clone(), place(6), 2);
        for cursor in [Cursor::default(), whole.clone(), part.clone()] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        assert_eq!((part.read_of(place(6)), part.read_of(place(7)), whole.read_of(place(6))), (2, 0, 0));
        assert!(part.includes(&whole) && !whole.includes(&part));
        let more = Cursor::within(position, place(6), 3);
        assert!(more.includes(&part) && !part.includes(&more));
        let next = Cursor::from([place(6)].into_iter().collect::<Position>());
        assert!(next.includes(&more) && !more.includes(&next));
        for wrong in ["~", "A~1", "~1.", "~1.x", "~70000.1", "now"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
