//! Requests a minute, reads and writes an hour.

use std::net::IpAddr;

use super::{
    lanes::{LaneKeys, networks},
    quota::Quota,
};
use crate::{
    model::{
        error::{Error, Result},
        id::UserId,
        registry::Limit,
        time::Time,
    },
    operations::{plan::Plan, services::Services},
};

const MINUTE: i64 = 60 * 1_000_000;

/// So many requests of somebody in a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rate {
    /// What is counted, and for whom.
    pub(crate) of: String,
    pub(crate) quota: Quota,
}

/// What a request counts in: a user's, whatever session it comes by, or an address's, where nobody is signed in.
pub(crate) fn rates(services: &Services, user: Option<UserId>, address: Option<IpAddr>, is_read: bool) -> Vec<Rate> {
    let config = &services.config;
    let quota = |count: u32, period: i64| (count > 0).then_some(Quota { count, period });
    let requests = quota(config.requests_per_minute, MINUTE);
    let Some(user) = user else {
        let networks = requests.into_iter().flat_map(|quota| {
            let of_network =
                move |(network, times)| Rate { of: format!("requests {network}"), quota: quota.times(times) };
            address.into_iter().flat_map(networks).map(of_network)
        });
        return networks.collect();
    };
    let (kind, count) = match is_read {
        true => ("reads", config.reads_per_hour),
        false => ("writes", config.writes_per_hour),
    };
    let both = [("requests", requests), (kind, quota(count, 60 * MINUTE))];
    let of_user = |(kind, quota): (&str, Option<Quota>)| Some(Rate { of: format!("{kind} {user}"), quota: quota? });
    both.into_iter().filter_map(of_user).collect()
}

/// Plans that some places are taken, as many as there are up to this many; how many.
///
/// # Errors
/// `RATE_LIMIT_EXCEEDED` where there is none.
pub(crate) async fn take_some(plan: &mut Plan<'_>, rate: &Rate, most: u32) -> Result<u32> {
    let lane = LaneKeys { services: plan.services }.of("rate", rate.of.as_bytes())?;
    let before: Option<Limit> = plan.reads().get(&(lane.clone(),)).await?;
    let (known, now) = (before.as_ref().map(|row| row.value), plan.now.as_microsecond());
    let (mut next, mut taken) = (known, 0);
    while taken < most {
        match rate.quota.take(next, now) {
            Ok(at) => (next, taken) = (Some(at), taken + 1),
            Err(wait) if taken == 0 => return Err(Error::rate_limited(wait)),
            Err(_) => break,
        }
    }
    let value = next.unwrap_or(now);
    let expires_at = Time::from_microsecond(value).unwrap_or(plan.now);
    let version = before.as_ref().map_or(0, |row| row.version);
    plan.write_consequence(before.as_ref(), Limit { lane, value, expires_at, version });
    Ok(taken)
}
