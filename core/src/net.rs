//! Where a request came from, behind the host's own proxies, and whether it is answered at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use crate::model::{
    check::{Checks, Invalid},
    decode::FieldCode,
    error::{Error, Result},
};

/// The networks of the host's own proxies, whose `X-Forwarded-For` is trusted.
#[derive(Clone, Debug, Default)]
struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and networks: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`; none contains every address.
    fn read(list: &[String]) -> Result<Vec<IpNet>> {
        let read = |text: &str| {
            let everybody = || "would trust everybody: name the networks of your proxies".to_owned();
            network(text).and_then(|network| if network.prefix_len() == 0 { Err(everybody()) } else { Ok(network) })
        };
        read_list("trusted_proxies", list, &read)
    }

    /// The client of a request, by the address of the socket and the header `X-Forwarded-For` (several of that name joined by commas, in
    /// order). Each proxy appends the address that it received the request from, so the list is read from its end, as long as the addresses
    /// are trusted proxies: the first that is not is the client, and anything before it could be forged. An entry that is no address, with or
    /// without a port, ends it too: the proxy that passed it on counts.
    fn client(&self, peer: IpAddr, forwarded: &str) -> IpAddr {
        let mut client = peer;
        for entry in forwarded.rsplit(',') {
            if !self.trusts(client) {
                break;
            }
            match address(entry) {
                Some(before) => client = before,
                None => break,
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Whose word on addresses is believed, and from which addresses requests are answered (AUT-13).
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks {
    proxies: TrustedProxies,
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
}

/// Where a request came from, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address, as the host's own networks vouch for it.
    pub(crate) client: Option<IpAddr>,
    /// By which requests are limited: the same, unless it is the machine itself.
    pub(crate) address: Option<IpAddr>,
    /// The host's lists refuse it.
    pub(crate) is_refused: bool,
    /// It passed a proxy that is not known to be the host's: its address is that of many.
    pub(crate) is_of_many: bool,
}

impl Networks {
    /// Reads the host's lists.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`](crate::Reason::ConfigInvalid) naming each wrong entry.
    pub(crate) fn read(proxies: &[String], allowed: &[String], denied: &[String]) -> Result<Self> {
        let mut checks = Checks::default();
        let mut taken = |list: Result<Vec<IpNet>>| {
            list.unwrap_or_else(|error| {
                checks.add(error.fields());
                Vec::new()
            })
        };
        let proxies = TrustedProxies(taken(TrustedProxies::read(proxies)));
        let allowed = taken(read_list("allowed_networks", allowed, &network));
        let denied = taken(read_list("denied_networks", denied, &network));
        checks.finish_as(Error::config)?;
        Ok(Self { proxies, allowed, denied })
    }

    /// The client's address as text, and what is known of it. A request without an address is let in by a list of denied
    /// ones, not by a list of allowed ones.
    pub(crate) fn origin(&self, peer: Option<&str>, forwarded: &str) -> (Option<String>, Origin) {
        let has_lists = !self.allowed.is_empty() || !self.denied.is_empty();
        let Some(peer_address) = peer.and_then(address) else {
            // What cannot be read may be a denied one.
            let is_refused = !self.allowed.is_empty() || has_lists && peer.is_some();
            return (peer.map(str::to_owned), Origin { is_refused, ..Origin::default() });
        };
        let client = self.proxies.client(peer_address, forwarded);
        let is_of_many = self.proxies.0.is_empty() && is_private(peer_address) && !forwarded.trim().is_empty();
        let within = |list: &[IpNet]| list.iter().any(|network| network.contains(&client));
        let is_out = within(&self.denied) || !self.allowed.is_empty() && !within(&self.allowed);
        // The machine itself is a proxy that says nothing, or nobody that needs a limit.
        let known = (!is_of_many).then_some(client);
        let address = known.filter(|client| !client.is_loopback());
        let origin = Origin { client: known, address, is_refused: is_out || has_lists && is_of_many, is_of_many };
        (Some(client.to_string()), origin)
    }
}

/// Whether an address is one of a network of the host's own, where a peer that forwards requests is a proxy.
fn is_private(address: IpAddr) -> bool {
    match address {
        // 100.64.0.0/10 is shared by customers of one provider (RFC 6598).
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Whether an address is one of the internet, and not of a private network, of the machine itself or of a document: as the registries of
/// IANA for special purposes say (RFC 6890).
#[cfg(any(feature = "fetch", feature = "bindings"))]
pub(crate) fn is_public(address: IpAddr) -> bool {
    match translated(address.to_canonical()) {
        IpAddr::V4(v4) => {
            let [first, second, third, _] = v4.octets();
            let is_special = match first {
                0 | 224.. => true,
                192 => (second, third) == (0, 0) || (second, third) == (88, 99),
                198 => second & 0xfe == 18,
                _ => false,
            };
            !is_special && !v4.is_documentation() && !is_private(v4.into())
        }
        // All that is given out is of 2000::/3; 2001::/23 is for protocols, and 2002::/16 (6to4) is routed by its IPv4 address.
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let is_special = match first {
                0x2001 => second < 0x200 || second == 0xdb8,
                0x2002 => true,
                0x3fff => second < 0x1000,
                _ => first & 0xe000 != 0x2000,
            };
            !is_special
        }
    }
}

fn read_list(
    field: &str,
    list: &[String],
    read: &dyn Fn(&str) -> std::result::Result<IpNet, String>,
) -> Result<Vec<IpNet>> {
    let mut checks = Checks::default();
    let read = list.iter().enumerate().filter_map(|(at, text)| {
        let wrong = |problem| Invalid::new(FieldCode::InvalidFormat, format!("`{text}` {problem}"));
        let network = read(text).map_err(wrong);
        checks.field(&format!("{field}[{at}]"), network)
    });
    let networks = read.collect();
    checks.finish_as(Error::config)?;
    Ok(networks)
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let ported = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    // A link-local address comes with the zone of the socket.
    let plain = || text.split_once('%')?.0.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let found = text.parse::<IpAddr>().ok().or_else(bare).or_else(ported).or_else(plain);
    found.map(|address| translated(address.to_canonical()))
}

/// The IPv4 address of who comes through a translator (64:ff9b::/96, RFC 6052): all of them are in one network of IPv6.
fn translated(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            IpAddr::V4(Ipv4Addr::from_bits(v6.to_bits() as u32))
        }
        address => address,
    }
}

/// An address or a network.
pub(crate) fn network(text: &str) -> std::result::Result<IpNet, String> {
    let text = text.trim();
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| "is neither an address nor a network, such as 10.0.0.0/8")?,
    };
    let network = as_ipv4(network).unwrap_or(network);
    if network.trunc() != network {
        return Err(format!("has bits beyond its prefix; did you mean {}?", network.trunc()));
    }
    Ok(network)
}

/// A network within `::ffff:0:0/96`, as which IPv4 addresses show on a socket for both.
fn as_ipv4(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(network) = network else { return None };
    let (address, prefix) = (network.addr().to_ipv4_mapped()?, network.prefix_len().checked_sub(96)?);
    Ipv4Net::new(address, prefix).ok().map(IpNet::V4)
}
