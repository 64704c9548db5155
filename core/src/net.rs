//! Where a request came from, behind the host's own proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use crate::model::{
    check::{Checks, Invalid},
    decode::FieldCode,
    error::{Error, Result},
};

/// The networks of your own proxies, whose `X-Forwarded-For` is trusted. Empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and networks: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`](crate::Reason::ConfigInvalid) naming each entry that is not a network, has bits beyond its prefix, or contains every address.
    pub fn read(list: impl IntoIterator<Item: AsRef<str>>) -> Result<Self> {
        let mut checks = Checks::default();
        let read = list.into_iter().enumerate().filter_map(|(at, text)| {
            let network = network(text.as_ref())
                .map_err(|problem| Invalid::new(FieldCode::InvalidFormat, format!("`{}` {problem}", text.as_ref())));
            checks.field(&format!("trusted_proxies[{at}]"), network)
        });
        let networks = read.collect();
        checks.finish_as(Error::config)?;
        Ok(Self(networks))
    }

    /// The address of the client that sent a request.
    ///
    /// `peer` is the address of the socket. Only if it is a trusted proxy is `forwarded` read, the header
    /// `X-Forwarded-For` (several headers of that name joined by commas, in order). Each proxy appends the address that it
    /// received the request from, so the list is read from its end, as long as the addresses are trusted proxies. The
    /// first that is not is the client; anything before it could be forged. Reading also stops at an entry that is not an
    /// address, with or without a port: the answer then is the proxy that passed it on.
    ///
    /// IPv4 addresses mapped into IPv6 (`::ffff:192.0.2.1`) count as IPv4. A peer that is not an IP address is returned as
    /// it is.
    pub fn client_address(&self, peer: &str, forwarded: &str) -> String {
        let Some(peer_address) = address(peer) else { return peer.to_owned() };
        let mut client = peer_address;
        for entry in forwarded.rsplit(',') {
            if !self.trusts(client) {
                break;
            }
            match address(entry) {
                Some(before) => client = before,
                None => break,
            }
        }
        client.to_string()
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let ported = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let found = text.parse::<IpAddr>().ok().or_else(bare).or_else(ported);
    found.map(|address| address.to_canonical())
}

fn network(text: &str) -> std::result::Result<IpNet, String> {
    let text = text.trim();
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| "is neither an address nor a network, such as 10.0.0.0/8")?,
    };
    let network = as_ipv4(network).unwrap_or(network);
    if network.trunc() != network {
        return Err(format!("has bits beyond its prefix; did you mean {}?", network.trunc()));
    }
    if network.prefix_len() == 0 {
        return Err("would trust everybody: name the networks of your proxies".to_owned());
    }
    Ok(network)
}

/// A network within `::ffff:0:0/96`, as which IPv4 addresses show on a socket for both.
fn as_ipv4(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(network) = network else { return None };
    let (address, prefix) = (network.addr().to_ipv4_mapped()?, network.prefix_len().checked_sub(96)?);
    Ipv4Net::new(address, prefix).ok().map(IpNet::V4)
}
