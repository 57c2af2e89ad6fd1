//! What `headwater up` tells the person who started it.

use std::net::{IpAddr, SocketAddr};

/// Where things are, with real addresses.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Where publishers connect.
    pub(crate) rtmp: SocketAddr,
    /// Where players connect over HTTP.
    pub(crate) http: SocketAddr,
    /// Where players connect over RTMP, if they may.
    pub(crate) rtmp_play: Option<SocketAddr>,
    /// The admin port.
    pub(crate) admin: SocketAddr,
    /// This machine, as others on the network see it.
    pub(crate) machine: Option<IpAddr>,
    /// Whether publishing and playing need no signature.
    pub(crate) open: bool,
    /// Whether the demonstration is published.
    pub(crate) demo: bool,
}

/// The text, short enough for one screen.
pub(crate) fn welcome(places: &Places) -> String {
    let rtmp = authority(places.rtmp);
    let http = authority(places.http);
    let admin = authority(places.admin);
    // What is shown to play is there at once with the demonstration.
    let (stream, of) = if places.demo {
        ("demo", " the test picture (your own: room for demo)")
    } else {
        ("room", "")
    };
    let mut text = format!(
        "\
Headwater is up.

Push
  OBS      server rtmp://{rtmp}/live   stream key room
  ffmpeg   ffmpeg -re -i clip.mp4 -c copy -f flv rtmp://{rtmp}/live/room

Play{of}
  URL      http://{http}/live/{stream}.flv   (VLC, mpegts.js)
  ffplay   ffplay http://{http}/live/{stream}.flv
"
    );
    if let Some(play) = places.rtmp_play {
        text.push_str(&format!(
            "  RTMP     rtmp://{}/live/{stream}\n",
            authority(play)
        ));
    }
    text.push_str(&format!(
        "\nSee what is live\n  headwater streams, or http://{admin}/streams\n\n"
    ));
    let everywhere = places.rtmp.ip().is_unspecified() || places.http.ip().is_unspecified();
    if let Some(machine) = places.machine.filter(|_| everywhere) {
        text.push_str(&format!(
            "Other devices on this network: write {} instead of localhost.\n",
            host(machine)
        ));
    }
    text.push_str(if places.open {
        "Anybody who reaches these ports may publish and play: no admission.keys are set.\n"
    } else {
        "Addresses must be signed: `headwater sign live/room` prints them.\n"
    });
    text.push_str("Ctrl-C ends it.\n");
    text
}

fn authority(address: SocketAddr) -> String {
    let ip = address.ip();
    if ip.is_unspecified() || ip.is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        format!("{}:{}", host(ip), address.port())
    }
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(rtmp: &str, open: bool) -> Places {
        Places {
            rtmp: rtmp.parse().unwrap(),
            http: "[::]:8080".parse().unwrap(),
            rtmp_play: Some("[::]:1936".parse().unwrap()),
            admin: "127.0.0.1:9190".parse().unwrap(),
            machine: Some("192.168.1.7".parse().unwrap()),
            open,
            demo: false,
        }
    }

    #[test]
    fn every_address_can_be_copied() {
        let text = welcome(&places("[::]:1935", true));
        for part in [
            "server rtmp://localhost:1935/live ",
            "stream key room",
            "-f flv rtmp://localhost:1935/live/room",
            "ffplay http://localhost:8080/live/room.flv",
            "rtmp://localhost:1936/live/room",
            "http://localhost:9190/streams",
            "192.168.1.7 instead of localhost",
            "Anybody",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 90),
            "{text}"
        );
    }

    #[test]
    fn with_the_demonstration_what_is_shown_to_play_is_there() {
        let mut places = places("[::]:1935", true);
        places.demo = true;
        let text = welcome(&places);
        for part in [
            "-f flv rtmp://localhost:1935/live/room",
            "ffplay http://localhost:8080/live/demo.flv",
            "rtmp://localhost:1936/live/demo",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains("room.flv"), "{text}");
    }

    #[test]
    fn a_certain_address_is_shown_as_it_is_and_keys_ask_for_signing() {
        let text = welcome(&places("[2001:db8::1]:1935", false));
        assert!(text.contains("rtmp://[2001:db8::1]:1935/live"), "{text}");
        assert!(text.contains("headwater sign"), "{text}");
    }
}
