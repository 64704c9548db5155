//! Addresses and ranges of them.

use std::{net::IpAddr, str::FromStr};

/// An address without a zone; a v4 address in v6 clothes is the v4 address.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    IpAddr::from_str(text).ok().map(|ip| ip.to_canonical())
}

/// A range of IP addresses, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    first: IpAddr,
    length: u32,
}

impl IpRange {
    /// `10.0.0.0/8`.
    ///
    /// # Errors
    /// What is wrong with a range without a length, with host bits set or with a zone.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((address, length)) = text.split_once('/') else {
            return Err("a range needs its length, as in 10.0.0.0/8");
        };
        let first = IpAddr::from_str(address).map_err(|_| "no IP address")?;
        let is_plain = !length.is_empty() && length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse::<u32>().ok().filter(|length| is_plain && *length <= width(first));
        let length = length.ok_or("the length of a range is 0 to 32 for IPv4, to 128 for IPv6")?;
        let range = Self { first, length };
        let host = match range.length {
            0 => bits(first),
            _ => bits(first) & ((1 << range.shift()) - 1),
        };
        if host != 0 {
            return Err("host bits are set: write the first address of the range");
        }
        Ok(range)
    }

    /// Whether an address lies in it; an IPv4 address mapped into IPv6 must be given as IPv4.
    pub fn contains(self, ip: IpAddr) -> bool {
        self.first.is_ipv4() == ip.is_ipv4() && (self.length == 0 || self.prefix(ip) == self.prefix(self.first))
    }

    /// The same range of v4 addresses as v6 clothes them; none for a range of v6 addresses.
    pub fn mapped(self) -> Option<Self> {
        match self.first {
            IpAddr::V4(first) => Some(Self { first: first.to_ipv6_mapped().into(), length: self.length + 96 }),
            IpAddr::V6(_) => None,
        }
    }

    fn shift(self) -> u32 {
        width(self.first) - self.length
    }

    fn prefix(self, ip: IpAddr) -> u128 {
        bits(ip).checked_shr(self.shift()).unwrap_or(0)
    }
}

/// As it was written.
impl std::fmt::Display for IpRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

fn width(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{IpRange, parse_ip};

    #[test]
    fn ranges() {
        let within = |range: &str, ip: &str| Some(IpRange::parse(range).ok()?.contains(parse_ip(ip)?));
        for (range, ip, is_within) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("::/0", "1.2.3.4", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("1.2.3.4/32", "1.2.3.4", true),
        ] {
            assert_eq!(within(range, ip), Some(is_within), "{range} {ip}");
        }
        for wrong in ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "fe80::%1/64", "10.0.0.0/+8", "1.0.0.0/0", "::1/64"] {
            assert!(IpRange::parse(wrong).is_err(), "{wrong}");
        }
    }
}
