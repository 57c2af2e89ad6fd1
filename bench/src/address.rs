//! The addresses of servers that are measured, as people write them.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::error::BenchError;
use crate::load::Target;
use crate::publish::PublishPlan;
use crate::stream::Shape;

/// Where `http://HOST[:PORT]/PATH` or `https://…` is.
pub(crate) fn play_target(url: &str, remote: bool) -> Result<Target, BenchError> {
    let plain = split(url, "http://").map(|found| (found, false));
    let found = plain.or_else(|| split(url, "https://").map(|found| (found, true)));
    let ((host, path), tls) = found.ok_or_else(|| {
        BenchError::Target(format!(
            "`{url}` cannot be played: write http://HOST:PORT/APP/STREAM.flv, or https://"
        ))
    })?;
    Ok(Target {
        address: resolve(host, if tls { 443 } else { 80 }, remote)?,
        tls,
        host: host.to_owned(),
        path: format!("/{path}"),
    })
}

/// What `rtmp://HOST[:PORT]/APP/STREAM` means.
pub(crate) fn publish_plan(url: &str, remote: bool) -> Result<PublishPlan, BenchError> {
    let wrong = || {
        BenchError::Target(format!(
            "`{url}` cannot be published at: write rtmp://HOST/APP/STREAM"
        ))
    };
    let (host, path) = split(url, "rtmp://").ok_or_else(wrong)?;
    let (app, stream) = path.rsplit_once('/').ok_or_else(wrong)?;
    Ok(PublishPlan {
        to: resolve(host, 1935, remote)?,
        host: host.to_owned(),
        app: app.to_owned(),
        streams: vec![stream.to_owned()],
        shape: Shape::HD,
        paced: true,
    })
}

fn split<'u>(url: &'u str, scheme: &str) -> Option<(&'u str, &'u str)> {
    let (host, path) = url.strip_prefix(scheme)?.split_once('/')?;
    (!host.is_empty() && !path.is_empty()).then_some((host, path))
}

fn resolve(host: &str, port: u16, remote: bool) -> Result<SocketAddr, BenchError> {
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let asked = if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    let address = asked
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| BenchError::Target(format!("`{host}` has no address")))?;
    if !address.ip().is_loopback() && !remote {
        return Err(BenchError::Target(format!(
            "{address} is another machine: a load may take it off the network; `--remote` allows it"
        )));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_stay_on_this_machine_unless_told() {
        assert!(play_target("http://127.0.0.1:8080/live/a.flv", false).is_ok());
        assert!(play_target("http://192.0.2.1:8080/live/a.flv", false).is_err());
        assert!(play_target("http://192.0.2.1:8080/live/a.flv", true).is_ok());
        assert!(publish_plan("rtmp://192.0.2.1/live/a", false).is_err());
    }

    #[test]
    fn addresses_are_read() {
        let target = play_target("http://localhost:81/live/a.flv?b=1", false).unwrap();
        assert_eq!(
            (target.address.port(), target.path.as_str()),
            (81, "/live/a.flv?b=1")
        );
        let plan = publish_plan("rtmp://127.0.0.1/app/inst/a?key=1", false).unwrap();
        assert_eq!((plan.to.port(), plan.app.as_str()), (1935, "app/inst"));
        let target = play_target("https://127.0.0.1/live/a.flv", false).unwrap();
        assert_eq!((target.address.port(), target.tls), (443, true));
        for wrong in ["", "ftp://127.0.0.1/a", "http://127.0.0.1", "http:///a"] {
            assert!(play_target(wrong, false).is_err(), "{wrong}");
        }
    }
}
