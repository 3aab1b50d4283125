//! Where a request comes from: the connection's other end, or what a trusted proxy says about it.

use std::net::IpAddr;

use ipnet::IpNet;
use rocket::Request;
use rocket::fairing::AdHoc;

/// The client of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its address. None without a connection, as in tests.
    pub ip: Option<IpAddr>,
    /// Whether nobody between it and this machine (or the proxy) can read along.
    pub secure: bool,
}

/// Attaches what finds out where requests come from. Everything later sees the client's address as the request's remote
/// address, whatever proxies lie between; so this comes first.
pub fn stage(trusted: Vec<IpNet>, tls: bool) -> AdHoc {
    AdHoc::on_request("client", move |request, _| {
        let client = Client::behind(&trusted, tls, request);
        request.local_cache(|| client);
        if let (Some(ip), Some(remote)) = (client.ip, request.remote()) {
            // A port is known of the connection's other end alone.
            request.set_remote((ip, if remote.ip() == ip { remote.port() } else { 0 }).into());
        }
        Box::pin(async {})
    })
}

impl Client {
    /// The client of this request.
    pub fn of(request: &Request<'_>) -> Self {
        *request.local_cache(Self::default)
    }

    fn behind(trusted: &[IpNet], tls: bool, request: &Request<'_>) -> Self {
        let Some(remote) = request.remote().map(|remote| remote.ip().to_canonical()) else {
            return Self { ip: None, secure: tls };
        };
        let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
        if !is_trusted(remote) {
            return Self { ip: Some(remote), secure: tls };
        }
        let mut ip = remote;
        // Each proxy appends where its request came from: what trusted ones wrote stands at the end.
        let lines: Vec<_> = request.headers().get("X-Forwarded-For").collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(hop) = address(hop.trim()) else { break };
            ip = hop;
            if !is_trusted(hop) {
                break;
            }
        }
        let proto = request.headers().get("X-Forwarded-Proto").last();
        let proto = proto.and_then(|line| line.rsplit(',').next()).map(str::trim);
        Self { ip: Some(ip), secure: proto.map_or(tls, |proto| proto.eq_ignore_ascii_case("https")) }
    }
}

/// An address, which some proxies write with a port or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let ip =
        text.parse::<IpAddr>().ok().or_else(|| text.parse().ok().map(|address: std::net::SocketAddr| address.ip()));
    let ip = ip.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    ip.map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use rocket::http::Header;
    use rocket::local::blocking;

    use super::*;

    #[test]
    fn headers_count_from_trusted_proxies_alone() {
        let local = blocking::Client::untracked(rocket::build()).unwrap();
        let nets = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let client = |remote: &str, lines: &[&'static str], proto: Option<&'static str>| {
            let mut request = local.get("/").remote((remote.parse::<IpAddr>().unwrap(), 1234).into());
            for line in lines {
                request = request.header(Header::new("X-Forwarded-For", *line));
            }
            // What everybody can write, and nobody should believe.
            request = request.header(Header::new("X-Real-IP", "9.9.9.9"));
            if let Some(proto) = proto {
                request = request.header(Header::new("X-Forwarded-Proto", proto));
            }
            let client = Client::behind(&nets, false, request.inner());
            (client.ip.unwrap().to_string(), client.secure)
        };
        for (remote, lines, proto, expected) in [
            ("1.2.3.4", &["5.6.7.8"][..], Some("https"), ("1.2.3.4", false)),
            ("10.0.0.1", &["5.6.7.8"], Some("https"), ("5.6.7.8", true)),
            ("::ffff:10.0.0.1", &["5.6.7.8"], None, ("5.6.7.8", false)),
            ("10.0.0.1", &[], None, ("10.0.0.1", false)),
            // The client wrote 6.6.6.6 itself; the proxies appended the rest.
            ("10.0.0.1", &["6.6.6.6, 5.6.7.8, 10.0.0.2"], None, ("5.6.7.8", false)),
            ("10.0.0.1", &["6.6.6.6", "5.6.7.8", "10.0.0.2"], None, ("5.6.7.8", false)),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("http"), ("10.0.0.3", false)),
            ("10.0.0.1", &["5.6.7.8, nonsense, 10.0.0.2"], None, ("10.0.0.2", false)),
            ("fd00::1", &["[2001:db8::1]:443"], Some("http, https"), ("2001:db8::1", true)),
            ("fd00::1", &["[2001:db8::1]"], None, ("2001:db8::1", false)),
            ("fd00::1", &["5.6.7.8:1234"], None, ("5.6.7.8", false)),
        ] {
            let (ip, secure) = client(remote, lines, proto);
            assert_eq!((ip.as_str(), secure), expected, "{remote} {lines:?}");
        }
    }
}
