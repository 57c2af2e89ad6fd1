//! Names of streams as publishers, players and our own hops write them.

use headwater_media::{NameError, Query, StreamKey, VirtualHosts};

use crate::input::lines;

fn check(name: Result<(StreamKey, Query), NameError>) {
    let Ok((key, query)) = name else { return };
    let parts: Vec<&str> = key.as_str().split('/').collect();
    assert!((3..=4).contains(&parts.len()), "{key}");
    for part in parts {
        assert!(
            !matches!(part, "" | "." | "..") && !part.contains(char::is_control),
            "{key:?}"
        );
    }
    assert!(key.as_str().len() <= 512, "{key} is too long");
    assert_eq!(
        key.to_string().parse().as_ref(),
        Ok(&key),
        "the text reads differently"
    );
    let path = key.path();
    assert!(
        path.is_ascii() && !path.contains(['?', '#', ' ', '&']),
        "{path}"
    );
    assert_eq!(
        StreamKey::from_internal_path(&path).as_ref(),
        Ok(&key),
        "the path reads differently"
    );
    assert_eq!(
        StreamKey::new(key.vhost(), key.app(), key.stream()).as_ref(),
        Ok(&key)
    );
    assert!(query.iter().count() <= 64, "a query of any length");
}

/// Lines: app, tcUrl (or a host), stream (or a path), query.
pub(crate) fn run(bytes: &[u8]) {
    let Some([app, url, stream, query]) = lines(bytes) else {
        return;
    };
    let pairs = [("live.example", "tv"), ("::1", "six")];
    let hosts = VirtualHosts::new(pairs.map(|(host, vhost)| (host.to_owned(), vhost.to_owned())))
        .expect("good names");
    check(StreamKey::from_rtmp(app, url, stream, &hosts));
    check(StreamKey::from_play_path(stream, query, "flv", url, &hosts));
    check(StreamKey::from_internal_path(stream).map(|key| (key, Query::default())));
    check(stream.parse().map(|key| (key, Query::default())));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "live\nrtmp://live.example:1935/live\nroom?txSecret=a&txTime=b\n",
        "live/inst?vhost=tv\nrtmp://u:p@[::1]/x\n/r%C3%A4um%20%31/\n",
        "\nrtmp://h/live/inst?a=b\ninst/room\n",
        "\nLIVE.example.\n/live/room.flv\nmode=rtc&vhost=a%2Fb",
        "\n[::1]:80\n/live/a/b.flv\n",
        "\n\ndefault/live/inst/room\n",
        "a\nb\n../%2e%2E\n%00",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
