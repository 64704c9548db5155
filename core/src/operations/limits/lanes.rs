//! What a try counts in.

use std::net::IpAddr;

use super::{places::Place, quota::Quota};
use crate::{
    credentials::{device_token, pseudonym},
    model::{
        error::Result,
        id::{SessionId, UserId},
        secret::Secret,
        text,
        time::Time,
        user::User,
    },
    operations::{actor::Actor, services::Services},
};

/// A network of 2001:db8::/48 is of one customer, who has 65,536 of /64: it has so many times as many tries as one.
const SITE_TIMES: u32 = 20;

/// So many tries of one address are looked at at a time, however they end.
const AT_ONCE: u32 = 20;

/// After so many failures in a row a device is no more known than any other, and a session ends.
const MOST_OF_ONE: i64 = 10;

/// By what somebody claims to be a user.
pub(in crate::operations) enum Claimed<'c> {
    /// By a name, on a device.
    Name(&'c str, Option<&'c Secret>),
    /// By a session, whose user proves once more who it is.
    Session(UserId, SessionId),
}

/// A try to prove who one is, and what it counts in.
pub(in crate::operations) struct Try {
    /// Of a known device, as long as it is one.
    pub(super) known: Option<Side>,
    /// Of all others.
    pub(super) other: Side,
    /// Whether its password is hashed before those of strangers.
    is_first: bool,
    /// The address, where it is known.
    address: Option<String>,
}

/// Lanes that a try counts in together.
pub(super) struct Side {
    pub(super) lanes: Vec<Lane>,
    /// The count of failures in a row, and after how many there is no more trying.
    pub(super) in_a_row: Option<(String, i64)>,
}

/// So many tries of something.
pub(super) struct Lane {
    pub(super) key: String,
    pub(super) quota: Quota,
}

/// The form of a name in which tries are counted: two ways of typing it are one.
pub(super) fn canonical(name: &str) -> String {
    text::canonical(name.trim())
}

/// A token of the device on which a user just signed in.
pub(in crate::operations) fn new_device_token(services: &Services, user: &User, now: Time) -> Result<Secret> {
    let names = [&user.email, &user.username].map(|name| name.as_deref().map(canonical));
    let id = services.env.new_id::<SessionId>()?.0;
    device_token::issue(&services.keys.devices[..], id, names.each_ref().map(Option::as_deref), now)
}

impl Try {
    /// The try of somebody who claims to be a user.
    pub(in crate::operations) fn new(
        services: &Services,
        actor: &Actor,
        claimed: &Claimed<'_>,
        now: Time,
    ) -> Result<Self> {
        let keys = Keys { services };
        let most = i64::from(services.config.lock_after_failures);
        let Some(quota) = keys.quota() else { return Ok(Self::unlimited()) };
        let counted = |key: String, most: i64| (most > 0).then_some((key, most));
        let (name, token) = match *claimed {
            Claimed::Name(name, token) => (canonical(name), token),
            Claimed::Session(user, session) => {
                let lane = Lane { key: keys.proof(user)?, quota };
                let in_a_row = counted(keys.of(&[b"session in a row", session.0.as_bytes()])?, MOST_OF_ONE);
                return Ok(Self { other: Side { lanes: vec![lane], in_a_row }, is_first: true, ..Self::unlimited() });
            }
        };
        let mut lanes = Vec::new();
        let address = actor.request.origin.address;
        for (network, times) in address.into_iter().flat_map(networks) {
            let quota = Quota { count: quota.count.saturating_mul(times), ..quota };
            lanes.push(Lane { key: keys.of(&[b"address", network.as_bytes()])?, quota });
        }
        let address = lanes.first().map(|lane| lane.key.clone());
        lanes.push(Lane { key: keys.name(&name)?, quota });
        let other = Side { lanes, in_a_row: counted(keys.in_a_row(&name)?, most) };
        let device = token.and_then(|token| device_token::read(&services.keys.devices[..], token, &name, now));
        let known = device.map(|device| {
            let lane = Lane { key: keys.of(&[b"device", device.as_bytes(), name.as_bytes()])?, quota };
            let in_a_row = counted(keys.of(&[b"device in a row", device.as_bytes()])?, MOST_OF_ONE);
            Ok::<_, crate::Error>(Side { lanes: vec![lane], in_a_row })
        });
        Ok(Self { is_first: known.is_some(), known: known.transpose()?, other, address })
    }

    const fn unlimited() -> Self {
        Self { known: None, other: Side { lanes: Vec::new(), in_a_row: None }, is_first: false, address: None }
    }

    /// Whether it comes from a device that is known, or from within a session: such ones are looked at first.
    pub(in crate::operations) const fn is_first(&self) -> bool {
        self.is_first
    }

    /// The keys of all rows that it may need.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for side in [Some(&self.other), self.known.as_ref()].into_iter().flatten() {
            side.lanes.iter().for_each(|lane| keys.push(lane.key.clone()));
            keys.extend(side.in_a_row.as_ref().map(|(key, _)| key.clone()));
        }
        keys
    }

    /// Takes one of the places that its address has, if that is known.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED`
    pub(in crate::operations) fn place(&self, services: &Services) -> Result<Option<Place>> {
        self.address.as_ref().map(|address| services.places.take(address, AT_ONCE)).transpose()
    }

    /// Waits until no more like it are looked at than there are tries in all.
    pub(in crate::operations) async fn turn(&self, services: &Services) -> Option<Place> {
        // The last is of the name, the device or the user: what an address has in flight is counted apart.
        let lane = self.known.as_ref().unwrap_or(&self.other).lanes.last()?;
        Some(services.places.wait(&lane.key, lane.quota.count).await)
    }
}

/// Who names lanes.
pub(super) struct Keys<'s> {
    pub(super) services: &'s Services,
}

impl Keys<'_> {
    /// How many tries there are; none: any number.
    fn quota(&self) -> Option<Quota> {
        let config = &self.services.config;
        let period = config.sign_in_seconds.saturating_mul(1_000_000);
        (config.sign_in_tries > 0).then_some(Quota { count: config.sign_in_tries, period })
    }

    /// The tries of who typed a name.
    pub(super) fn name(&self, canonical: &str) -> Result<String> {
        self.of(&[b"name", canonical.as_bytes()])
    }

    /// How many of them failed in a row.
    pub(super) fn in_a_row(&self, canonical: &str) -> Result<String> {
        self.of(&[b"name in a row", canonical.as_bytes()])
    }

    /// The tries of a user who is signed in.
    pub(super) fn proof(&self, user: UserId) -> Result<String> {
        self.of(&[b"proof", user.0.as_bytes()])
    }

    fn of(&self, parts: &[&[u8]]) -> Result<String> {
        pseudonym(&self.services.keys.limits[..], parts)
    }
}

/// The networks that tries from an address count for, and how many times as many tries each has as an address: what one
/// customer has of IPv6 is a network, of IPv4 an address.
fn networks(address: IpAddr) -> Vec<(String, u32)> {
    match address {
        IpAddr::V4(address) => vec![(address.to_string(), 1)],
        IpAddr::V6(address) => {
            let first = |bits: u32| std::net::Ipv6Addr::from_bits(address.to_bits() >> (128 - bits) << (128 - bits));
            vec![(format!("{}/64", first(64)), 1), (format!("{}/48", first(48)), SITE_TIMES)]
        }
    }
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
