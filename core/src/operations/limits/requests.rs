//! Asking for mail, and for an account.

use std::net::IpAddr;

use super::{
    lanes::{Claimed, Lane, LaneKeys, Side, Try, canonical, known_device, network},
    quota::Quota,
};
use crate::{
    model::{error::Result, id::UserId, notice::NoticeKind, time::Time},
    operations::{actor::Actor, services::Services},
};

/// Of an address, whatever it asks for; of a user, for names that others have.
const OF_ADDRESS: Quota = Quota { count: 10, period: HOUR };
/// Of a name or a user, by kind: not twice in a minute, and so many in an hour.
const OF_ONE: [Quota; 2] = [Quota { count: 1, period: HOUR / 60 }, Quota { count: 5, period: HOUR }];
/// All who ask for codes by a name, or for accounts of an address, have so many times as many as one.
const STRANGERS_TIMES: u32 = 4;
/// Of a user who invites others.
const OF_INVITER: Quota = Quota { count: 100, period: HOUR };
const HOUR: i64 = 3600 * 1_000_000;

impl Try {
    /// Asking for mail of a kind. Each counts, also where nobody has the name; a known device has its own. Whoever asks that an
    /// address be mailed counts for that one, too.
    pub(in crate::operations) fn requesting(
        services: &Services,
        actor: &Actor,
        kind: NoticeKind,
        claimed: &Claimed<'_>,
        to: Option<&str>,
        now: Time,
    ) -> Result<Self> {
        let keys = LaneKeys { services };
        let mut side = Side { lanes: keys.of_address("asks of address", actor, OF_ADDRESS)?, ..Side::default() };
        let (whose, id) = match *claimed {
            Claimed::Name(name, owner, token) => match known_device(services, owner, token, now) {
                Some(device) => ("device", device.as_bytes().to_vec()),
                None => ("name", canonical(name).into_bytes()),
            },
            Claimed::Session(user, _) => ("user", user.0.as_bytes().to_vec()),
        };
        let to = to.map(|address| ("to", canonical(address).into_bytes()));
        // A code is of use to who asked for it alone: what strangers ask for by the same name keeps nobody from one.
        let times = match (kind, whose, actor.request.origin.address) {
            (NoticeKind::SignInCode, "name", Some(address)) => {
                let own = [id.as_slice(), network(address).as_bytes()].concat();
                for quota in OF_ONE {
                    let key = keys.of(&format!("asks for {kind} in {} by name and network", quota.period), &own)?;
                    side.lanes.push(Lane { key, quota });
                }
                STRANGERS_TIMES
            }
            _ => 1,
        };
        for (whose, id) in [Some((whose, id)), to].into_iter().flatten() {
            for quota in OF_ONE.map(|quota| quota.times(times)) {
                let key = keys.of(&format!("asks for {kind} in {} by {whose}", quota.period), &id)?;
                side.lanes.push(Lane { key, quota });
            }
        }
        Ok(Self::of(side))
    }

    /// Inviting whoever has an address. Who may invite asks for many, but nobody is mailed more often than by asking for itself.
    pub(in crate::operations) fn inviting(services: &Services, actor: &Actor, to: &str) -> Result<Self> {
        let (keys, kind) = (LaneKeys { services }, NoticeKind::Invitation);
        let mut side = Side::default();
        if let Some(user) = actor.user_id() {
            let key = keys.of(&format!("asks for {kind} by user"), user.0.as_bytes())?;
            side.lanes.push(Lane { key, quota: OF_INVITER });
        }
        side.lanes.extend(of_mailed(&keys, kind, to, None)?);
        Ok(Self::of(side))
    }

    /// Making an account for oneself, by a token of an issuer or by none. It counts with asking for mail: each lets a stranger write.
    /// Where no address is known, all of an issuer are one lane, and all who come without. Few of one address are looked at at a time:
    /// each has a password hashed. That an address is mailed counts for that one, too; it keeps nobody from it who asks elsewhere.
    pub(in crate::operations) fn registering(
        services: &Services,
        actor: &Actor,
        issuer: Option<&str>,
        to: Option<&str>,
    ) -> Result<Self> {
        let (keys, from) = (LaneKeys { services }, actor.request.origin.address);
        let mut side = Side { lanes: keys.of_address("asks of address", actor, OF_ADDRESS)?, ..Side::default() };
        let at_once = from.map(|from| keys.of("registers at once", network(from).as_bytes())).transpose()?;
        if side.lanes.is_empty() {
            let key = match issuer {
                Some(issuer) => keys.of("registers by issuer", issuer.as_bytes())?,
                None => keys.of("registers", &[])?,
            };
            side.lanes.push(Lane { key, quota: OF_INVITER });
        }
        if let Some(to) = to {
            side.lanes.extend(of_mailed(&keys, NoticeKind::Registration, to, from)?);
        }
        Ok(Self { at_once, ..Self::of(side) })
    }

    /// Asking for names that others have, for one's own account.
    pub(in crate::operations) fn naming(services: &Services, user: UserId) -> Result<Self> {
        let key = LaneKeys { services }.of("asks for taken names", user.0.as_bytes())?;
        let mut side = Side::default();
        side.lanes.push(Lane { key, quota: OF_ADDRESS });
        Ok(Self::of(side))
    }

    /// Telling a user of something that may come often.
    pub(in crate::operations) fn telling(services: &Services, kind: NoticeKind, user: UserId) -> Result<Self> {
        let key = LaneKeys { services }.of(&format!("told of {kind}"), user.0.as_bytes())?;
        let [_, quota] = OF_ONE;
        let mut side = Side::default();
        side.lanes.push(Lane { key, quota });
        Ok(Self::of(side))
    }
}

/// What counts for the address that is mailed, whoever asks; of strangers, who come from somewhere, for each of them, and more for all.
fn of_mailed(keys: &LaneKeys<'_>, kind: NoticeKind, to: &str, from: Option<IpAddr>) -> Result<Vec<Lane>> {
    let to = canonical(to).into_bytes();
    let own = from.map(|from| [to.as_slice(), network(from).as_bytes()].concat());
    let times = if own.is_some() { STRANGERS_TIMES } else { 1 };
    let own = own.map(|own| ("to and network", own, 1));
    let mut lanes = Vec::new();
    for (whose, id, times) in own.into_iter().chain([("to", to, times)]) {
        for quota in OF_ONE.map(|quota| quota.times(times)) {
            let key = keys.of(&format!("asks for {kind} in {} by {whose}", quota.period), &id)?;
            lanes.push(Lane { key, quota });
        }
    }
    Ok(lanes)
}
