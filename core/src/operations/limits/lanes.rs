//! What a try counts in.

use std::net::IpAddr;

use uuid::Uuid;

use super::{permits::Permit, quota::Quota};
use crate::{
    credentials::{access_token::invalid, device_token, pseudonym},
    model::{
        error::Result,
        id::{SessionId, UserId},
        names,
        secret::Secret,
        time::Time,
    },
    operations::{actor::Actor, services::Services},
};

/// A network of 2001:db8::/48 is of one customer, who has 65,536 of /64: it has so many times as many tries as one.
const SITE_TIMES: u32 = 20;

/// So many tries of one address, or of one user who is signed in, are looked at at a time, however they end.
const AT_ONCE: u32 = 20;
/// So long a turn is waited for.
const LONGEST_TURN_MILLIS: u64 = 10_000;

/// After so many failures in a row a device is no more known than any other, and a session ends.
const MOST_OF_ONE: i64 = 10;

/// All known devices of a user together have so many times as many tries as one, as have all its sessions: each sign-in
/// makes another.
const TOGETHER_TIMES: u32 = 4;

/// Who tries a second factor, the first one being proved: each has tries of its own, so that who has the password does not use
/// up those of its owner.
#[derive(Clone, Copy)]
pub(in crate::operations) enum FactorTry {
    /// On a device that is not known.
    Stranger,
    /// On a known device.
    Device(Uuid),
    /// In a session.
    Session(Uuid),
}

/// So many codes of a second factor may be wrong in a day: who types them has the password.
const FACTOR_OF_DAY: u32 = 20;
const DAY: i64 = 24 * 3600 * 1_000_000;

/// After so many in a row its user is told.
const FACTOR_IN_A_ROW: i64 = 5;

/// By what somebody claims to be a user.
pub(in crate::operations) enum Claimed<'c> {
    /// By a name, which may be nobody's, and a device.
    Name(&'c str, Option<UserId>, Option<&'c Secret>),
    /// By a session, or by a step that was taken, whose user proves once more who it is.
    Session(UserId, Uuid),
}

/// A try to prove who one is, and what it counts in.
pub(in crate::operations) struct Try {
    /// Of a known device, as long as it is one.
    pub(super) known: Option<Side>,
    /// Of all others.
    pub(super) other: Side,
    /// What has [`AT_ONCE`] places: the address, where it is known, or the user.
    pub(super) at_once: Option<String>,
}

/// Lanes that a try counts in together.
#[derive(Default)]
pub(super) struct Side {
    /// The last is of what is tried: a name, a device, a session.
    pub(super) lanes: Vec<Lane>,
    /// Counts of failures in a row, and after how many there is no more trying.
    pub(super) in_a_row: Vec<(String, i64)>,
    /// Whether its password is hashed before those of strangers.
    pub(super) is_first: bool,
}

/// So many tries of something.
pub(super) struct Lane {
    pub(super) key: String,
    pub(super) quota: Quota,
}

/// The form of a name in which tries are counted, an address or a username: two ways of typing it are one.
pub(super) fn canonical(name: &str) -> String {
    names::email_key(name.trim())
}

/// What stands for a name that somebody typed who asked for a code.
pub(in crate::operations) fn pseudonym_of(services: &Services, name: &str) -> Result<String> {
    LaneKeys { services }.pseudonym(name)
}

/// A token of the device on which a user just signed in.
pub(in crate::operations) fn new_device_token(services: &Services, user: UserId, now: Time) -> Result<Secret> {
    let id = services.env.new_id::<SessionId>()?.0;
    device_token::issue(&services.keys().root(now).devices[..], id, user, now)
}

/// The same for who reads the user's mail: one device, on however many it is read.
pub(in crate::operations) fn mail_device_token(services: &Services, user: UserId, now: Time) -> Result<Secret> {
    device_token::issue(&services.keys().root(now).devices[..], user.0, user, now)
}

/// The device that a token is of, if it is good for this user. One is looked at also where nobody has the name; none was
/// issued for nobody.
pub(in crate::operations) fn known_device(
    services: &Services,
    user: Option<UserId>,
    token: Option<&Secret>,
    now: Time,
) -> Option<Uuid> {
    let user = user.unwrap_or(UserId(Uuid::nil()));
    let token = token?;
    let keys = services.keys();
    keys.by_any(now, |root| device_token::read(&root.devices[..], token, user, now).ok_or_else(invalid)).ok()
}

impl Try {
    /// What counts in these lanes alone.
    pub(super) const fn of(side: Side) -> Self {
        Self { known: None, other: side, at_once: None }
    }

    /// The try of somebody who claims to be a user.
    pub(in crate::operations) fn new(
        services: &Services,
        actor: &Actor,
        claimed: &Claimed<'_>,
        now: Time,
    ) -> Result<Self> {
        let keys = LaneKeys { services };
        let is_first = matches!(claimed, Claimed::Session(..));
        let none = Self::of(Side { is_first, ..Side::default() });
        let Some(quota) = keys.quota() else { return Ok(none) };
        let lane = |key: String, times: u32| Lane { key, quota: quota.times(times) };
        let (name, owner, token) = match *claimed {
            Claimed::Name(name, owner, token) => (canonical(name), owner, token),
            Claimed::Session(user, session) => {
                let of_session = keys.of("session", session.as_bytes())?;
                let lanes = vec![lane(keys.proof(user)?, TOGETHER_TIMES), lane(of_session, 1)];
                let in_a_row = vec![(keys.of("session in a row", session.as_bytes())?, MOST_OF_ONE)];
                let at_once = Some(keys.of("proofs at once", user.0.as_bytes())?);
                return Ok(Self { other: Side { lanes, in_a_row, is_first }, at_once, ..none });
            }
        };
        let most = i64::from(services.config.lock_after_failures);
        let counted = |key: String| (most > 0).then_some((key, most));
        let mut other = Side { lanes: keys.of_address("address", actor, quota)?, ..Side::default() };
        let at_once = other.lanes.first().map(|lane| lane.key.clone());
        other.lanes.push(lane(keys.name(&name)?, 1));
        other.in_a_row.extend(counted(keys.in_a_row(&name)?));
        let user = owner.unwrap_or(UserId(Uuid::nil()));
        let mut known = None;
        if let Some(device) = known_device(services, owner, token, now) {
            let lanes = vec![lane(keys.devices(user)?, TOGETHER_TIMES), lane(keys.of("device", device.as_bytes())?, 1)];
            let mut in_a_row = vec![(keys.of("device in a row", device.as_bytes())?, MOST_OF_ONE)];
            in_a_row.extend(counted(keys.devices_in_a_row(user)?));
            known = Some(Side { lanes, in_a_row, is_first: true });
        }
        Ok(Self { known, other, at_once })
    }

    /// A try at the second factor of a user whose first one is proved.
    pub(in crate::operations) fn factor(services: &Services, user: UserId, by: FactorTry) -> Result<Self> {
        let keys = LaneKeys { services };
        let Some(quota) = keys.quota() else { return Ok(Self::of(Side::default())) };
        let day = Quota { count: FACTOR_OF_DAY, period: DAY };
        let [all, in_a_row] = keys.factor(user, by)?;
        let (together, own) = match by {
            FactorTry::Stranger => (1, None),
            FactorTry::Device(id) | FactorTry::Session(id) => {
                (TOGETHER_TIMES, Some(keys.of("factor of one", id.as_bytes())?))
            }
        };
        let lanes = [(all, together)].into_iter().chain(own.map(|own| (own, 1)));
        let of_both = |(key, times): (String, u32)| {
            let of_day = Lane { key: format!("{key} day"), quota: day.times(times) };
            [Lane { key, quota: quota.times(times) }, of_day]
        };
        let lanes = lanes.flat_map(of_both).collect();
        Ok(Self::of(Side { lanes, in_a_row: vec![(in_a_row, FACTOR_IN_A_ROW)], is_first: true }))
    }

    /// The try of a code that was mailed to whoever has a name, which is given as its pseudonym. What strangers guess, at passwords
    /// or at codes of their own, keeps nobody from a code who asked at another address.
    pub(in crate::operations) fn code(
        services: &Services,
        actor: &Actor,
        (name, owner, token): (&str, Option<UserId>, Option<&Secret>),
        now: Time,
    ) -> Result<Self> {
        let claimed = Self::new(services, actor, &Claimed::Name("", owner, token), now)?;
        let keys = LaneKeys { services };
        let Some(quota) = keys.quota() else { return Ok(claimed) };
        let mut other = Side { lanes: keys.of_address("address", actor, quota)?, ..Side::default() };
        let mut own = name.as_bytes().to_vec();
        for (network, _) in actor.request.origin.address.into_iter().flat_map(networks) {
            own.extend(network.as_bytes());
        }
        let together = if other.lanes.is_empty() { 1 } else { TOGETHER_TIMES };
        other.lanes.push(Lane { key: keys.of("code", &own)?, quota });
        let [all, in_a_row] = keys.code(name)?;
        other.lanes.push(Lane { key: all, quota: quota.times(together) });
        let most = i64::from(services.config.lock_after_failures);
        other.in_a_row.extend((most > 0).then_some((in_a_row, most)));
        Ok(Self { other, ..claimed })
    }

    /// A wrong answer of a passkey, which somebody sent who may be anybody. A right one needs no room: there is nothing to guess.
    /// Of a passkey that is known the account has tries of its own.
    pub(in crate::operations) fn answer(services: &Services, actor: &Actor, user: Option<&str>) -> Result<Self> {
        let keys = LaneKeys { services };
        let Some(quota) = keys.quota() else { return Ok(Self::of(Side::default())) };
        let mut side = Side { lanes: keys.of_address("address", actor, quota)?, ..Side::default() };
        // Where no address is known, all answers of passkeys that nobody has are one lane.
        let user = user.unwrap_or_default().as_bytes();
        if !user.is_empty() || side.lanes.is_empty() {
            side.lanes.push(Lane { key: keys.of("answers", user)?, quota });
        }
        Ok(Self::of(side))
    }

    /// The keys of all rows that it may need.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for side in self.sides() {
            side.lanes.iter().for_each(|lane| keys.push(lane.key.clone()));
            side.in_a_row.iter().for_each(|(key, _)| keys.push(key.clone()));
        }
        keys
    }

    pub(super) fn sides(&self) -> impl Iterator<Item = &Side> {
        [Some(&self.other), self.known.as_ref()].into_iter().flatten()
    }

    /// Takes one of the places that its address or its user has.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED`
    pub(in crate::operations) fn permit(&self, services: &Services) -> Result<Option<Permit>> {
        self.at_once.as_ref().map(|lane| services.permits.take(lane, AT_ONCE)).transpose()
    }
}

impl Side {
    /// Waits until no more like it are looked at than there are tries in all; whether it had to.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` where too many wait.
    pub(in crate::operations) async fn turn(&self, services: &Services) -> Result<Option<(Permit, bool)>> {
        let Some(lane) = self.lanes.last() else { return Ok(None) };
        let most_waiting = services.config.hashing_queue as usize;
        let end = || services.env.sleep(LONGEST_TURN_MILLIS);
        services.permits.wait(&lane.key, lane.quota.count, most_waiting, end).await.map(Some)
    }
}

/// Names lanes: by pseudonyms, so that the storage has neither addresses nor what somebody typed.
pub(super) struct LaneKeys<'s> {
    pub(super) services: &'s Services,
}

impl LaneKeys<'_> {
    /// How many tries there are; none: any number.
    fn quota(&self) -> Option<Quota> {
        let config = &self.services.config;
        let period = config.sign_in_seconds.saturating_mul(1_000_000);
        (config.sign_in_tries > 0).then_some(Quota { count: config.sign_in_tries, period })
    }

    /// What counts of a kind for the networks that a request came from; nothing, where they are not known.
    pub(super) fn of_address(&self, kind: &str, actor: &Actor, quota: Quota) -> Result<Vec<Lane>> {
        let networks = actor.request.origin.address.into_iter().flat_map(networks);
        let lane = |(network, times): (String, u32)| {
            Ok(Lane { key: self.of(kind, network.as_bytes())?, quota: quota.times(times) })
        };
        networks.map(lane).collect()
    }

    /// The tries of who typed a name.
    pub(super) fn name(&self, canonical: &str) -> Result<String> {
        self.of("name", canonical.as_bytes())
    }

    /// How many of them failed in a row.
    pub(super) fn in_a_row(&self, canonical: &str) -> Result<String> {
        self.of("name in a row", canonical.as_bytes())
    }

    /// The tries of a user who is signed in.
    pub(super) fn proof(&self, user: UserId) -> Result<String> {
        self.of("proof", user.0.as_bytes())
    }

    /// The tries at a user's second factor by strangers, on all known devices, or in all sessions; and how many in a row.
    pub(super) fn factor(&self, user: UserId, by: FactorTry) -> Result<[String; 2]> {
        let kind = match by {
            FactorTry::Stranger => "factor by strangers",
            FactorTry::Device(_) => "factor on devices",
            FactorTry::Session(_) => "factor in sessions",
        };
        Ok([self.of(kind, user.0.as_bytes())?, self.of("factor in a row", user.0.as_bytes())?])
    }

    /// What stands for a name that somebody typed who asked for a code: nothing of it is kept.
    pub(super) fn pseudonym(&self, name: &str) -> Result<String> {
        self.of("mailed", canonical(name).as_bytes())
    }

    /// The tries at codes that were mailed to who has a name, and how many in a row.
    pub(super) fn code(&self, pseudonym: &str) -> Result<[String; 2]> {
        Ok([self.of("codes", pseudonym.as_bytes())?, self.of("codes in a row", pseudonym.as_bytes())?])
    }

    /// The tries on all known devices of a user.
    pub(super) fn devices(&self, user: UserId) -> Result<String> {
        self.of("devices", user.0.as_bytes())
    }

    /// How many of them failed in a row.
    pub(super) fn devices_in_a_row(&self, user: UserId) -> Result<String> {
        self.of("devices in a row", user.0.as_bytes())
    }

    pub(super) fn of(&self, kind: &str, of: &[u8]) -> Result<String> {
        let now = self.services.now();
        pseudonym(&self.services.keys().root(now).limits[..], &[kind.as_bytes(), of])
    }
}

/// The networks that tries from an address count for, and how many times as many tries each has as an address: what one
/// customer has of IPv6 is a network, of IPv4 an address.
pub(super) fn networks(address: IpAddr) -> Vec<(String, u32)> {
    match address {
        IpAddr::V4(address) => vec![(address.to_string(), 1)],
        IpAddr::V6(address) => {
            let first = |bits: u32| std::net::Ipv6Addr::from_bits(address.to_bits() >> (128 - bits) << (128 - bits));
            vec![(format!("{}/64", first(64)), 1), (format!("{}/48", first(48)), SITE_TIMES)]
        }
    }
}

/// The network that an address counts for first.
pub(crate) fn network(address: IpAddr) -> String {
    networks(address).into_iter().next().map_or_else(String::new, |(network, _)| network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_12_an_address_is_what_one_customer_has() {
        let of = |address: &str| networks(address.parse().unwrap());
        assert_eq!(of("192.0.2.1"), [("192.0.2.1".to_owned(), 1)]);
        let both = [("2001:db8:1:2::/64".to_owned(), 1), ("2001:db8:1::/48".to_owned(), 20)];
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), both);
        assert_eq!(of("2001:db8:1:2:ffff::"), both);
        assert_eq!(of("2001:db8:1:3::")[1], both[1]);
    }
}
