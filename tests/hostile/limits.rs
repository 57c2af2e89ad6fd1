//! Signatures that do not hold, and connections that say nothing.

use headwater_rig::publisher::{Made, Publisher, Target};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::scene::{HEALTHY, Scene, answer_to, contains, impatient, say};

const KEY: &str = "e12c46f2612d5106e2034781ab261ca3";

#[tokio::test]
async fn signatures_that_are_expired_foreign_or_malformed_let_nobody_in() {
    let keys = format!(
        "--admission-keys=[{{pattern: default/signed, publish: {{main: {KEY}}}, play: {{main: {KEY}}}}}]"
    );
    let mut size = impatient();
    for settings in [&mut size.origin_settings, &mut size.edge_settings] {
        settings.push(keys.clone());
        settings.push("--admission-unmatched=allow".to_owned());
    }
    let mut scene = Scene::set(&size).await;
    for (name, query) in [
        ("none", ""),
        // The vector of the documentation, which ended in 2018.
        (
            "expired",
            "txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099",
        ),
        (
            "foreign",
            "txSecret=00000000000000000000000000000000&txTime=7C271099",
        ),
        ("short", "txSecret=f85a&txTime=7C271099"),
        (
            "not hexadecimal",
            "txSecret=zz5a2ab363fe4deaffef9754d79da6fe&txTime=7C271099",
        ),
        ("no end", "txSecret=f85a2ab363fe4deaffef9754d79da6fe"),
        (
            "an end that is none",
            "txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=never",
        ),
        ("twice", "txSecret=a&txSecret=b&txTime=7C271099&txTime=1"),
    ] {
        let (rtmp, http) = (&scene.cluster.origins[0].rtmp, &scene.cluster.edges[0].http);
        let target = Target::parse(&format!("rtmp://{rtmp}/signed/test?{query}")).unwrap();
        let mut publisher = Publisher::start(&target, Made::default().tags(), Instant::now());
        let refused = publisher.started().await.unwrap_err().to_string();
        assert!(refused.contains("NetStream.Publish"), "{name}: {refused}");
        assert!(!refused.contains(KEY), "{name}");
        let head = format!(
            "GET /signed/test.flv?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        let answer = answer_to(http, head.as_bytes()).await;
        let refused = contains(&answer, "HTTP/1.1 401") || contains(&answer, "HTTP/1.1 403");
        assert!(refused, "{name}: {}", String::from_utf8_lossy(&answer));
        scene.goes_on().await;
    }
    let streams = scene.cluster.origins[0].process.streams().await.unwrap();
    assert_eq!(
        streams["origin"].as_array().unwrap().len(),
        1,
        "only {HEALTHY}"
    );
    scene.unharmed("signatures").await;
}

#[tokio::test]
async fn two_thousand_connections_that_say_nothing_cost_less_than_20_mib() {
    let mut size = impatient();
    // They are to be there all at once.
    size.origin_settings = vec!["--origin-handshake-timeout=60s".to_owned()];
    size.edge_settings = vec![
        "--edge-limits-head-timeout=60s".to_owned(),
        "--edge-limits-connections-per-address=4096".to_owned(),
    ];
    let mut scene = Scene::set(&size).await;
    let before = scene.resident_kib();
    let ports = [
        scene.cluster.origins[0].rtmp.clone(),
        scene.cluster.edges[0].http.clone(),
    ];
    let mut silent = Vec::new();
    for port in &ports {
        for _ in 0..2_000 {
            silent.push(TcpStream::connect(port).await.unwrap());
        }
    }
    let open = "headwater_process_connections";
    Scene::counts(
        &scene.cluster.origins[0].process,
        open,
        "port=\"rtmp\"",
        2_001.0,
    )
    .await;
    Scene::counts(
        &scene.cluster.edges[0].process,
        open,
        "port=\"http\"",
        2_000.0,
    )
    .await;
    scene.goes_on().await;
    let more: Vec<u64> = scene
        .resident_kib()
        .into_iter()
        .zip(&before)
        .map(|(after, before)| after.saturating_sub(*before))
        .collect();
    say(&format!(
        "2,000 silent connections: origin {} KiB, edge {} KiB more",
        more[1], more[2]
    ));
    assert!(more.iter().all(|kib| *kib <= 20 << 10), "{more:?} KiB");
    scene
        .unharmed("2,000 silent connections on two ports")
        .await;
}
