//! Names in every form in which encoders and players write them.

use proptest::prelude::*;

use super::*;
use crate::Query;

fn hosts() -> VirtualHosts {
    VirtualHosts::new([("tv.example.com".to_owned(), "tv".to_owned())]).unwrap()
}

fn rtmp(app: &str, tc_url: &str, stream: &str) -> Result<(StreamKey, Query), NameError> {
    StreamKey::from_rtmp(app, tc_url, stream, &hosts())
}

fn play(path: &str, query: &str, host: &str) -> Result<(StreamKey, Query), NameError> {
    StreamKey::from_play_path(path, query, "flv", host, &hosts())
}

#[test]
fn rtmp_names_are_read_however_the_encoder_cuts_them() {
    for (app, tc_url, stream, key) in [
        (
            "live",
            "rtmp://192.0.2.7:1935/live",
            "room",
            "default/live/room",
        ),
        (
            "live/",
            "rtmp://192.0.2.7/live/",
            "room",
            "default/live/room",
        ),
        ("/live", "", "/room", "default/live/room"),
        ("live", "", "//room/", "default/live/room"),
        (
            "live/inst",
            "rtmp://h/live/inst",
            "room",
            "default/live/inst/room",
        ),
        (
            "live",
            "rtmp://h/live",
            "inst/room",
            "default/live/inst/room",
        ),
        (
            "",
            "rtmp://h/live/inst?a=1",
            "room",
            "default/live/inst/room",
        ),
        ("", "", "live/room", "default/live/room"),
        ("live", "rtmp://tv.example.com/live", "room", "tv/live/room"),
        (
            "live",
            "rtmps://TV.example.com:443/live",
            "room",
            "tv/live/room",
        ),
        (
            "live",
            "rtmp://user:pass@tv.example.com/live",
            "room",
            "tv/live/room",
        ),
        ("live", "rtmp://tv.example.com?x=/y", "room", "tv/live/room"),
        ("live", "no address", "room", "default/live/room"),
        (
            "live?vhost=v1",
            "rtmp://tv.example.com/live",
            "room",
            "v1/live/room",
        ),
        ("live", "rtmp://h/live", "room?vhost=v2", "v2/live/room"),
        (
            "live?vhost=v1",
            "rtmp://h/live",
            "room?vhost=v2",
            "v2/live/room",
        ),
        ("live", "rtmp://h/live?vhost=v3", "room", "v3/live/room"),
        ("live/?vhost=v1", "", "room", "v1/live/room"),
        ("live", "", "room?", "default/live/room"),
        ("live", "", "mp4:room", "default/live/mp4:room"),
        ("live", "", "room&b=1", "default/live/room&b=1"),
        ("live", "", "%E6%88%BF", "default/live/房"),
        ("live", "", "房 间", "default/live/房 间"),
        ("live", "", "a%2541", "default/live/a%41"),
        ("live", "", "a+b", "default/live/a+b"),
        ("live", "", "Room", "default/live/Room"),
        ("live", "", "...", "default/live/..."),
        ("live", "", "room%3Fa", "default/live/room?a"),
    ] {
        let got = rtmp(app, tc_url, stream).map(|(key, _)| key.to_string());
        assert_eq!(got.as_deref(), Ok(key), "{app} {tc_url} {stream}");
    }
}

#[test]
fn bad_rtmp_names_are_refused_with_the_part_at_fault() {
    use NamePart::{App, Instance, Stream, Vhost};
    let long = "x".repeat(10_240);
    for (app, stream, error) in [
        ("live", "", NameError::Empty { part: Stream }),
        ("live", "?token=x", NameError::Empty { part: Stream }),
        ("live/inst", "", NameError::Empty { part: Stream }),
        ("", "room", NameError::Empty { part: App }),
        ("", "live//room", NameError::Empty { part: Instance }),
        ("live", "a//b", NameError::TooManyParts),
        ("live//inst", "room", NameError::TooManyParts),
        ("live/inst", "a/b", NameError::TooManyParts),
        ("live", "a/b/c", NameError::TooManyParts),
        ("a/b/c", "room", NameError::TooManyParts),
        ("live", "..", NameError::Dots { part: Stream }),
        ("live", "%2e%2E", NameError::Dots { part: Stream }),
        ("live", "../room", NameError::Dots { part: Instance }),
        (".", "room", NameError::Dots { part: App }),
        ("live", "a%2Fb", NameError::Slash { part: Stream }),
        ("live", "a%2fb/room", NameError::Slash { part: Instance }),
        ("live", "a\0b", NameError::Control { part: Stream }),
        ("live", "a%00b", NameError::Control { part: Stream }),
        ("live", "a\u{7F}", NameError::Control { part: Stream }),
        ("live", "a\u{85}", NameError::Control { part: Stream }),
        ("li\nve", "room", NameError::Control { part: App }),
        ("live", "100%", NameError::Escape { part: Stream }),
        ("live", "%zz", NameError::Escape { part: Stream }),
        ("live", "%FF", NameError::Utf8 { part: Stream }),
        ("live?vhost=", "room", NameError::Empty { part: Vhost }),
        ("live?vhost=a/b", "room", NameError::Slash { part: Vhost }),
        ("live?vhost=..", "room", NameError::Dots { part: Vhost }),
        ("live", &long, NameError::TooLong { bytes: 10_253 }),
        (
            "live",
            "room?a=%",
            NameError::Query(crate::QueryError::Escape),
        ),
    ] {
        assert_eq!(
            rtmp(app, "", stream).map(|(key, _)| key),
            Err(error),
            "{app} {stream}"
        );
    }
}

#[test]
fn keys_have_at_most_512_bytes() {
    let around = "default/live/".len();
    assert!(rtmp("live", "", &"x".repeat(512 - around)).is_ok());
    let over = rtmp("live", "", &"x".repeat(513 - around)).unwrap_err();
    assert_eq!(over, NameError::TooLong { bytes: 513 });
    assert_eq!(
        over.to_string(),
        "the name has 513 bytes with its vhost: use at most 512"
    );
}

#[test]
fn the_stream_s_parameters_come_before_the_app_s() {
    for (app, tc_url, stream, expected) in [
        (
            "live?a=1",
            "rtmp://h/live?a=1",
            "room?a=2",
            vec![("a", "2"), ("a", "1")],
        ),
        (
            "live",
            "rtmp://h/live?a=1",
            "room?b=2",
            vec![("b", "2"), ("a", "1")],
        ),
        (
            "live",
            "rtmp://h/live",
            "room?txSecret=f85a&txTime=5C271099",
            vec![("txSecret", "f85a"), ("txTime", "5C271099")],
        ),
    ] {
        let (_, query) = rtmp(app, tc_url, stream).unwrap();
        assert_eq!(
            query.iter().collect::<Vec<_>>(),
            expected,
            "{app} {tc_url} {stream}"
        );
    }
}

#[test]
fn play_paths_are_read() {
    for (path, query, host, key) in [
        ("/live/room.flv", "", "h", "default/live/room"),
        (
            "/live/inst/room.flv",
            "",
            "h:8080",
            "default/live/inst/room",
        ),
        ("/live/room.flv", "", "tv.example.com:8080", "tv/live/room"),
        (
            "/live/room.flv",
            "vhost=v1",
            "tv.example.com",
            "v1/live/room",
        ),
        ("/live/room.flv.flv", "", "h", "default/live/room.flv"),
        ("/live/%E6%88%BF.flv", "", "h", "default/live/房"),
        ("/live/a&b=1.flv", "mode=rtc", "h", "default/live/a&b=1"),
    ] {
        let got = play(path, query, host).map(|(key, _)| key.to_string());
        assert_eq!(got.as_deref(), Ok(key), "{path} {query} {host}");
    }
}

#[test]
fn bad_play_paths_are_refused() {
    use NamePart::{App, Instance, Stream};
    let not_playable = NameError::Extension { extension: "flv" };
    for (path, error) in [
        ("", not_playable),
        ("/", not_playable),
        ("/live/room", not_playable),
        ("/live/roomflv", not_playable),
        ("live/room.flv", not_playable),
        ("/live/.flv", NameError::Empty { part: Stream }),
        ("/room.flv", NameError::Empty { part: App }),
        ("//room.flv", NameError::Empty { part: App }),
        ("/live//room.flv", NameError::Empty { part: Instance }),
        ("/a/b/c/d.flv", NameError::TooManyParts),
        ("/live/%2E%2E/room.flv", NameError::Dots { part: Instance }),
        ("/live/...flv", NameError::Dots { part: Stream }),
        ("/live/a%2Fb.flv", NameError::Slash { part: Stream }),
        ("/live/%.flv", NameError::Escape { part: Stream }),
        ("/live/%00.flv", NameError::Control { part: Stream }),
    ] {
        assert_eq!(
            play(path, "", "h").map(|(key, _)| key),
            Err(error),
            "{path}"
        );
    }
}

#[test]
fn parts_are_found_in_the_key() {
    for (text, vhost, app, stream) in [
        ("default/live/room", "default", "live", "room"),
        ("tv/live/inst/room", "tv", "live/inst", "room"),
    ] {
        let key: StreamKey = text.parse().unwrap();
        assert_eq!(
            (key.vhost(), key.app(), key.stream()),
            (vhost, app, stream),
            "{text}"
        );
        assert_eq!(StreamKey::new(vhost, app, stream).unwrap(), key, "{text}");
    }
    for text in [
        "",
        "/",
        "a",
        "a/b",
        "a//b",
        "a/b/",
        "/a/b",
        "a/b/c/d/e",
        "a/b/c//d",
    ] {
        assert!(text.parse::<StreamKey>().is_err(), "{text}");
    }
}

#[test]
fn internal_paths_are_encoded() {
    let key = StreamKey::new("tv", "live/inst 1", "房?a=%#").unwrap();
    assert_eq!(key.path(), "tv/live/inst%201/%E6%88%BF%3Fa%3D%25%23");
    for path in [
        "",
        "tv",
        "tv/live",
        "/tv/live/room",
        "tv/live/room/",
        "a/b/c/d/e",
        "a/%2F/c",
    ] {
        assert!(StreamKey::from_internal_path(path).is_err(), "{path}");
    }
}

/// Parts that a key may have, odd ones often.
fn part() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9_-]{1,12}", "[%?#&+ .:=@]{1,6}x", "\\PC{1,20}",]
        .prop_filter("legal", |part| check_part(NamePart::App, part).is_ok())
}

proptest! {
    #[test]
    fn legal_keys_survive_every_form(
        vhost in part(),
        app in part(),
        instance in prop::option::of(part()),
        stream in part(),
    ) {
        let app = instance.map_or(app.clone(), |instance| format!("{app}/{instance}"));
        let key = StreamKey::new(&vhost, &app, &stream).unwrap();
        prop_assert_eq!((key.vhost(), key.app(), key.stream()), (&*vhost, &*app, &*stream));
        prop_assert_eq!(&StreamKey::from_internal_path(&key.path()).unwrap(), &key);
        prop_assert_eq!(&key.to_string().parse::<StreamKey>().unwrap(), &key);

        let path = key.path();
        let (vhost, rest) = path.split_once('/').unwrap();
        let query = format!("vhost={vhost}");
        let (played, _) = play(&format!("/{rest}.flv"), &query, "").unwrap();
        prop_assert_eq!(&played, &key);
        let (app, stream) = rest.rsplit_once('/').unwrap();
        let (published, _) = rtmp(&format!("{app}?{query}"), "", stream).unwrap();
        prop_assert_eq!(&published, &key);
    }

    #[test]
    fn any_text_is_a_legal_key_or_an_error(app in any::<String>(), url in any::<String>(), stream in any::<String>()) {
        for key in [
            rtmp(&app, &format!("rtmp://{url}"), &stream).map(|(key, _)| key),
            play(&format!("/{app}/{stream}.flv"), &url, &url).map(|(key, _)| key),
            StreamKey::from_internal_path(&format!("{url}/{app}/{stream}")),
            format!("{url}/{app}/{stream}").parse(),
        ].into_iter().flatten() {
            prop_assert!(key.as_str().len() <= 512);
            prop_assert!(key.as_str().split('/').all(|part| check_part(NamePart::App, part).is_ok()));
            prop_assert!(matches!(key.as_str().split('/').count(), 3 | 4));
        }
    }
}
