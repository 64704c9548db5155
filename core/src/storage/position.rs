//! Where commits stand, and how far they are known.
//!
//! Commits that follow one another are of one lane, and are counted in it from 1. A storage that lets commits go on beside each other
//! has several lanes, so a position is a number for each. A server that fails over to a copy may lose the newest commits and give
//! their numbers to others: so a position also holds a part of each commit's id. A store that was restored from a backup goes on in
//! another epoch, the upper part of its numbers, so that no position of before counts as reached there.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::{
    error::{Error, Reason},
    id::ChangeSetId,
};

/// How many lanes a storage may have.
pub const MOST_LANES: u16 = 64;

/// The first byte of a position's text.
const FORMAT: u8 = 1;
/// A number in a lane is below 2 to the power of this.
const NUMBER_BITS: u32 = 48;
/// So many of them, the lower ones, count commits; the others are the epoch.
const COUNT_BITS: u32 = 36;
/// The last epoch; the first is 0.
const LAST_EPOCH: u16 = (1 << (NUMBER_BITS - COUNT_BITS)) - 1;

/// What a commit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where it stands.
    pub place: LanePosition,
    /// The one before it in its lane, of number 0 where there is none: who has heard of that has heard of all in the lane up to
    /// this commit. None if that is not known, as of a commit that took place some time ago.
    pub follows: Option<LanePosition>,
}

impl Committed {
    /// A commit of some time ago.
    pub fn before(place: LanePosition) -> Self {
        Self { place, follows: None }
    }
}

/// Where a commit stands in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePosition {
    /// The lane: 0 where commits follow one another.
    pub lane: u16,
    /// Its number in the lane, from 1; of a store that was restored, from the first of its epoch.
    pub number: u64,
    /// A part of its id: after a failover its number may be another commit's.
    pub tag: u32,
}

impl LanePosition {
    /// The commit of this id.
    pub fn new(lane: u16, number: u64, id: ChangeSetId) -> Self {
        Self { lane, number, tag: Self::tag_of(id) }
    }

    /// The place before the first commit of a lane.
    pub fn nothing(lane: u16) -> Self {
        Self { lane, number: 0, tag: 0 }
    }

    /// The part of an id that goes into positions: of those that chance has made.
    pub fn tag_of(id: ChangeSetId) -> u32 {
        let [.., a, b, c, d] = id.0.into_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// The position that has reached this commit, and maybe no other.
    pub fn position(self) -> Position {
        [self].into_iter().collect()
    }

    /// How often, so to speak, the store was restored: numbers of different epochs say nothing of each other.
    pub(crate) fn epoch(self) -> u16 {
        u16::try_from(self.number >> COUNT_BITS).unwrap_or(LAST_EPOCH)
    }

    /// The first number of an epoch in each lane.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(crate) fn first_of(epoch: u16) -> u64 {
        (u64::from(epoch) << COUNT_BITS) + 1
    }

    /// An epoch that chance has chosen, and that the commits of a position are not of.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(crate) fn other_epoch(chance: u16, than: &Position) -> u16 {
        let is_taken = |epoch: u16| epoch == 0 || than.0.iter().any(|known| known.epoch() == epoch);
        // There are more than lanes.
        (0..=LAST_EPOCH).map(|step| chance.wrapping_add(step) & LAST_EPOCH).find(|epoch| !is_taken(*epoch)).unwrap_or(1)
    }

    /// Lane and number as the key of its line in the feed: those of one lane stand together, in their order.
    pub(crate) fn line(lane: u16, number: u64) -> i64 {
        let number = i64::try_from(number).unwrap_or(i64::MAX).min((1 << NUMBER_BITS) - 1);
        (i64::from(lane) << NUMBER_BITS) | number
    }

    /// The lane and the number of a line.
    pub(crate) fn of_line(line: i64) -> (u16, u64) {
        let number = line & ((1 << NUMBER_BITS) - 1);
        (u16::try_from(line >> NUMBER_BITS).unwrap_or(u16::MAX), number.unsigned_abs())
    }
}

/// How far the commits of a storage are known: up to which number in each lane.
///
/// As a text it is opaque. A later one does not compare as greater; [`Position::includes`] tells.
///
/// ```
/// use rolekeep::storage::Position;
///
/// let nothing = Position::default();
/// assert!(nothing.includes(&nothing));
/// assert_eq!(nothing.to_string().parse(), Ok(nothing));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(
    /// By lane; lanes without any commit are left out.
    Vec<LanePosition>,
);

impl Position {
    /// Before the first commit.
    pub const START: Self = Self(Vec::new());

    /// The newest known commit of each lane that has one.
    pub fn lanes(&self) -> &[LanePosition] {
        &self.0
    }

    /// The newest known commit of a lane.
    pub fn lane(&self, lane: u16) -> Option<LanePosition> {
        let at = self.0.binary_search_by_key(&lane, |known| known.lane).ok()?;
        self.0.get(at).copied()
    }

    /// The number of the newest known commit of a lane; 0 if there is none.
    pub fn number(&self, lane: u16) -> u64 {
        self.lane(lane).map_or(0, |known| known.number)
    }

    /// Whether everything up to the other position is known.
    pub fn includes(&self, other: &Self) -> bool {
        other.0.iter().all(|wanted| self.lane(wanted.lane).is_some_and(|known| known.includes(*wanted)))
    }

    /// Goes on to a commit, if that is a later one of its lane.
    pub fn advance(&mut self, to: LanePosition) {
        if self.number(to.lane) < to.number {
            self.set(to);
        }
    }

    /// Goes on to another position, in each lane where that is further.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|known| self.advance(*known));
    }

    /// Takes this for the newest commit of its lane, whatever it was.
    pub(crate) fn set(&mut self, to: LanePosition) {
        match self.0.binary_search_by_key(&to.lane, |known| known.lane) {
            Ok(at) if to.number == 0 => drop(self.0.remove(at)),
            Ok(at) => self.0[at] = to,
            Err(at) if to.number > 0 => self.0.insert(at, to),
            Err(_) => {}
        }
    }
}

impl LanePosition {
    fn includes(self, other: Self) -> bool {
        let is_later = self.number > other.number && self.epoch() == other.epoch();
        is_later || (self.number, self.tag) == (other.number, other.tag)
    }
}

impl FromIterator<LanePosition> for Position {
    fn from_iter<I: IntoIterator<Item = LanePosition>>(lanes: I) -> Self {
        let mut position = Self::START;
        lanes.into_iter().for_each(|known| position.advance(known));
        position
    }
}

/// For each lane its number, the number of its newest commit (LEB128) and the tag.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![FORMAT];
        for known in &self.0 {
            // There are fewer than 128.
            bytes.push(u8::try_from(known.lane).unwrap_or(u8::MAX));
            let mut number = known.number;
            while number > 0x7f {
                bytes.push((number & 0x7f) as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
            bytes.extend(known.tag.to_be_bytes());
        }
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Position {
    type Err = Error;

    /// # Errors
    /// [`Reason::InvalidInput`] for a text that no position has.
    fn from_str(text: &str) -> Result<Self, Error> {
        read(text).ok_or_else(|| Error::new(Reason::InvalidInput, MALFORMED))
    }
}

const MALFORMED: &str = "is not a position that a store has given";

fn read(text: &str) -> Option<Position> {
    // A lane takes twelve bytes at most.
    if text.len() > 2 + usize::from(MOST_LANES) * 16 {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut rest = bytes.iter().copied();
    if rest.next() != Some(FORMAT) {
        return None;
    }
    let mut position = Position::START;
    while let Some(lane) = rest.next().map(u16::from) {
        let mut number = 0;
        for shift in (0..NUMBER_BITS).step_by(7) {
            let byte = rest.next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let tag = u32::from_be_bytes([rest.next()?, rest.next()?, rest.next()?, rest.next()?]);
        let is_next = position.0.last().is_none_or(|before| before.lane < lane);
        if lane >= MOST_LANES || !is_next || number == 0 || number >> NUMBER_BITS != 0 {
            return None;
        }
        position.0.push(LanePosition { lane, number, tag });
    }
    Some(position)
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).ok_or_else(|| de::Error::custom(MALFORMED))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn commits() -> impl Strategy<Value = Vec<LanePosition>> {
        let commit = (0..MOST_LANES, prop_oneof![1..300_u64, 1..(1_u64 << NUMBER_BITS)], any::<u32>());
        prop::collection::vec(commit.prop_map(|(lane, number, tag)| LanePosition { lane, number, tag }), 0..80)
    }

    proptest! {
        #[test]
        fn texts_come_back_as_they_were_written(commits in commits()) {
            let position: Position = commits.into_iter().collect();
            let text = position.to_string();
            prop_assert_eq!(&text.parse::<Position>().unwrap(), &position);
            prop_assert_eq!(serde_json::from_str::<Position>(&serde_json::to_string(&position).unwrap()).unwrap(), position);
        }

        #[test]
        fn no_text_panics_and_none_is_read_twice(text in "[A-Za-z0-9_-]{0,40}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
            }
        }

        #[test]
        fn a_merged_position_includes_both(one in commits(), other in commits()) {
            let in_one = |commit: LanePosition| LanePosition { number: (commit.number & ((1 << COUNT_BITS) - 1)).max(1), ..commit };
            let of = |commits: Vec<LanePosition>| commits.into_iter().map(in_one).collect::<Position>();
            let (one, other) = (of(one), of(other));
            let mut both = one.clone();
            both.merge(&other);
            prop_assert!(both.includes(&one));
            let is_same_history = |known: &LanePosition| one.lane(known.lane).is_none_or(|mine| mine.number != known.number || mine.tag == known.tag);
            prop_assert_eq!(both.includes(&other), other.lanes().iter().all(is_same_history));
            prop_assert_eq!(one.includes(&other), other.lanes().iter().all(|wanted| one.lane(wanted.lane).is_some_and(|mine| mine.includes(*wanted))));
        }

        #[test]
        fn no_position_of_another_epoch_is_reached(commits in commits(), chance in any::<u16>(), more in 0..100_u64) {
            let before: Position = commits.into_iter().collect();
            let epoch = LanePosition::other_epoch(chance, &before);
            let restored = (0..MOST_LANES).map(|lane| LanePosition { lane, number: LanePosition::first_of(epoch) + more, tag: 7 });
            let restored: Position = restored.collect();
            prop_assert!(restored.lanes().iter().all(|place| place.epoch() == epoch && epoch > 0));
            for lane in before.lanes() {
                prop_assert!(!restored.includes(&lane.position()) && !before.includes(&restored));
            }
            prop_assert_eq!(restored.to_string().parse::<Position>().unwrap(), restored);
        }

        #[test]
        fn lines_of_a_lane_stand_together_in_their_order(lane in 0..MOST_LANES, number in 1..(1_u64 << NUMBER_BITS)) {
            let line = LanePosition::line(lane, number);
            prop_assert_eq!(LanePosition::of_line(line), (lane, number));
            prop_assert!(line >= LanePosition::line(lane, 0) && line < LanePosition::line(lane + 1, 0));
        }
    }
}
