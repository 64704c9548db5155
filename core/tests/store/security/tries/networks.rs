//! Where requests come from: networks that are answered, proxies, and addresses in all their forms.

use rolekeep::{
    Code, Reason, RequestContext,
    sessions::{Refresh, StepUp},
    users::CreateUser,
};

use super::super::kit::PASSWORD;

use super::{Stage, WRONG, sign_in};

use crate::cheap;

#[tokio::test]
async fn aut_13_requests_are_answered_from_allowed_networks_alone() {
    let config = cheap::config()
        .allowed_networks(["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()])
        .denied_networks(["10.6.0.0/16".to_owned(), "2001:db8:6::1".to_owned()])
        .trusted_proxies(["10.9.9.9".to_owned()]);
    let stage = Stage::open(config).await;
    let from = |ip: &str| RequestContext::from_ip(ip);
    let token = {
        let answer = stage.um.login("ada", PASSWORD, from("10.0.0.1")).await.unwrap().done().unwrap();
        answer.access_token.expose().to_owned()
    };
    let cases = [
        (from("10.0.0.1"), true),
        (from("::ffff:10.0.0.1"), true),
        (from("2001:db8::7"), true),
        (from("10.6.0.1"), false),
        (from("2001:db8:6::1"), false),
        (from("192.0.2.1"), false),
        (from("a unix socket"), false),
        (RequestContext::default(), false),
        (from("10.9.9.9").forwarded_for("192.0.2.1"), false),
        (from("10.9.9.9").forwarded_for("10.0.0.7"), true),
        // It is none of the proxies that are named, and says so of itself alone.
        (from("10.0.0.1").forwarded_for("192.0.2.1"), true),
        (from("fe80::1%eth0"), false),
    ];
    for (request, is_answered) in cases {
        let told = format!("{request:?}");
        let refusals = [
            stage.um.login("ada", PASSWORD, request.clone()).await.err(),
            stage.um.anonymous(request.clone()).users().create(CreateUser::new("eve@example.org")).await.err(),
            stage.um.authenticate(&token, request.clone()).await.err(),
        ];
        // A request of its own on a caller that is there already; one without an address says nothing new.
        let me = stage.um.authenticate(&token, from("10.0.0.1")).await.unwrap();
        let again = request.ip.is_some().then(|| me.with_request(request.clone()).can("user:read", None).err());
        for refusal in refusals.into_iter().chain(again) {
            let is_refused = refusal.as_ref().is_some_and(|error| error.reason() == Reason::AddressDenied);
            assert_eq!(is_refused, !is_answered, "{told}: {refusal:?}");
            assert!(refusal.is_none_or(|error| !is_refused || error.code() == Code::Forbidden));
        }
    }
    // The host itself is always answered, and so is a user for whom it speaks without a request.
    stage.um.system().with_request(from("10.6.0.1")).users().get(stage.ada).await.unwrap();
    let me = stage.um.acting_as(stage.ada).await.unwrap();
    me.users().me().await.unwrap();
    assert_eq!(me.with_request(from("10.6.0.1")).users().me().await.unwrap_err().reason(), Reason::AddressDenied);

    let wrong = cheap::config().allowed_networks(["10.0.0.1/8".to_owned()]).denied_networks(["everybody".to_owned()]);
    let wrong = wrong.check().unwrap_err();
    let fields: Vec<_> = wrong.fields().iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["allowed_networks[0]", "denied_networks[0]"]);
}

#[tokio::test]
async fn aut_13_denied_networks_alone_let_in_who_has_no_address() {
    let stage = Stage::open(cheap::config().denied_networks(["0.0.0.0/0".to_owned()])).await;
    for (request, is_answered) in [
        (RequestContext::default(), true),
        (RequestContext::from_ip("2001:db8::1"), true),
        (RequestContext::from_ip("192.0.2.1"), false),
        (RequestContext::from_ip("127.0.0.1").forwarded_for("2001:db8::1"), false),
    ] {
        let answer = stage.um.login("ada", PASSWORD, request).await;
        assert_eq!(answer.is_ok(), is_answered, "{answer:?}");
    }
}

/// Behind a proxy that the settings do not name, all requests have its address: they must not share five tries.
#[tokio::test]
async fn aut_12_a_proxy_that_is_not_known_has_no_tries_of_its_own() {
    let stage = Stage::open(cheap::config()).await;
    let unknown = |from: &str, client: &str| RequestContext::from_ip(from).forwarded_for(client);
    for at in 0..20 {
        let request = unknown("10.0.0.1", &format!("192.0.2.{at}"));
        let refused = stage.um.login(&format!("name{at}"), WRONG, request).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidCredentials);
    }
    // A client that is not in a network of the host's own cannot claim to be a proxy.
    let mut told = 0;
    for at in 0..20 {
        let request = unknown("198.51.100.1", &format!("192.0.2.{at}"));
        let refused = stage.um.login(&format!("other{at}"), WRONG, request).await.unwrap_err();
        told += usize::from(refused.reason() == Reason::InvalidCredentials);
    }
    assert_eq!(told, 5);
}

/// A link-local address comes with its zone, as Node.js and Python give it.
#[tokio::test]
async fn aut_13_a_zone_gets_nobody_around_the_lists() {
    let stage = Stage::open(cheap::config().denied_networks(["fe80::/10".to_owned()])).await;
    for address in ["fe80::1", "fe80::1%eth0", "[fe80::1%eth0]:443", "fe80::1%2"] {
        let answer = sign_in(&stage.um, RequestContext::from_ip(address), "ada", PASSWORD, None).await;
        assert_eq!(answer.err().map(|error| error.reason()), Some(Reason::AddressDenied), "{address}");
    }
}

/// Whatever a caller asks, it is refused from where nobody is answered.
#[tokio::test]
async fn aut_13_every_door_is_shut() {
    let stage = Stage::open(cheap::config().allowed_networks(["10.0.0.0/8".to_owned()])).await;
    let inside = RequestContext::from_ip("10.0.0.1");
    let tokens = stage.um.login("ada", PASSWORD, inside.clone()).await.unwrap().done().unwrap();
    let me = stage.um.authenticate(tokens.access_token.expose(), inside).await.unwrap();
    let acting = stage.um.acting_as(stage.ada).await.unwrap();
    for caller in [me, acting] {
        let outside = caller.with_request(RequestContext::from_ip("192.0.2.1"));
        for outside in [outside.with_request(RequestContext::default()), outside] {
            let refusals = [
                outside.can("user:read", None).map(drop).err(),
                outside.can_many(&[("user:read", None)]).map(drop).err(),
                outside.can_somewhere("user:read").map(drop).err(),
                outside.require("user:read", None).err(),
                outside.has_role("moderator", None).map(drop).err(),
                outside.is_administrator().map(drop).err(),
                outside.explain("user:read", None).map(drop).err(),
                outside.filter("user:read").map(drop).err(),
                outside.users().me().await.map(drop).err(),
                outside.sessions().logout().await.map(drop).err(),
                outside.sessions().refresh(Refresh::new(tokens.refresh_token.clone())).await.map(drop).err(),
                outside.sessions().step_up(StepUp::new(PASSWORD)).await.map(drop).err(),
            ];
            for (at, refusal) in refusals.into_iter().enumerate() {
                assert_eq!(refusal.map(|error| error.reason()), Some(Reason::AddressDenied), "{at}");
            }
        }
    }
}

#[tokio::test]
async fn aut_12_an_address_with_a_zone_has_five_tries() {
    let stage = Stage::open(cheap::config()).await;
    let mut told = 0;
    for at in 0..20 {
        let request = RequestContext::from_ip("fe80::1%eth0");
        let refused = sign_in(&stage.um, request, &format!("name{at}"), WRONG, None).await.unwrap_err();
        told += usize::from(refused.reason() == Reason::InvalidCredentials);
    }
    assert_eq!(told, 5);
}

/// Where the host names its proxies, another machine of its network is a client, whatever header it sends.
#[tokio::test]
async fn aut_12_a_client_of_the_same_network_is_no_proxy_where_proxies_are_named() {
    let stage = Stage::open(cheap::config().trusted_proxies(["10.9.9.9".to_owned()])).await;
    let mut told = 0;
    for at in 0..20 {
        let request = RequestContext::from_ip("10.0.0.66").forwarded_for("192.0.2.1");
        let refused = sign_in(&stage.um, request, &format!("name{at}"), WRONG, None).await.unwrap_err();
        told += usize::from(refused.reason() == Reason::InvalidCredentials);
    }
    assert_eq!(told, 5);
}

/// A server behind a proxy of the same machine that passes no header on sees one address, that of nobody.
#[tokio::test]
async fn aut_12_the_machine_itself_is_no_client() {
    let stage = Stage::open(cheap::config()).await;
    for at in 0..5 {
        let request = RequestContext::from_ip("127.0.0.1");
        sign_in(&stage.um, request, &format!("name{at}"), WRONG, None).await.unwrap_err();
    }
    let honest = sign_in(&stage.um, RequestContext::from_ip("127.0.0.1"), "ada", PASSWORD, None).await;
    assert!(honest.is_ok(), "{:?}", honest.err());
}

/// Behind a translator (RFC 6052) all of IPv4 is in one /64.
#[tokio::test]
async fn aut_12_translated_addresses_are_those_of_ipv4() {
    let stage = Stage::open(cheap::config().denied_networks(["203.0.113.0/24".to_owned()])).await;
    for at in 0..5 {
        let request = RequestContext::from_ip("64:ff9b::192.0.2.1");
        sign_in(&stage.um, request, &format!("name{at}"), WRONG, None).await.unwrap_err();
    }
    let denied = sign_in(&stage.um, RequestContext::from_ip("64:ff9b::203.0.113.1"), "ada", PASSWORD, None).await;
    let honest = sign_in(&stage.um, RequestContext::from_ip("64:ff9b::198.51.100.7"), "ada", PASSWORD, None).await;
    let reasons = [denied.err(), honest.err()].map(|error| error.map(|error| error.reason()));
    assert_eq!(reasons, [Some(Reason::AddressDenied), None]);
}
