use serde_json::json;

use super::*;

fn pod(name: &str, role: &str, node: &str, ready: bool) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": "u1", "labels": {COMPONENT: role}},
        "spec": {"nodeName": node, "containers": []},
        "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    }))
    .unwrap()
}

fn node(name: &str, zone: &str, cordoned: bool, ready: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {REGION: "r", ZONE: zone, "disk": "fast"}},
        "spec": {"unschedulable": cordoned},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }))
    .unwrap()
}

fn slice(name: &str, pods: &[(&str, bool)]) -> EndpointSlice {
    let endpoints = pods.iter().map(|(pod, ready)| {
        json!({"addresses": [], "conditions": {"ready": ready}, "targetRef": {"name": pod}})
    });
    serde_json::from_value(json!({
        "metadata": {"name": name}, "addressType": "IPv4", "endpoints": endpoints.collect::<Vec<_>>(),
    }))
    .unwrap()
}

fn policy(name: &str, spec: serde_json::Value) -> StreamPolicy {
    serde_json::from_value(json!({
        "apiVersion": "headwater.dev/v1alpha1", "kind": "StreamPolicy",
        "metadata": {"name": name, "generation": 3}, "spec": spec,
    }))
    .unwrap()
}

/// Two nodes, an origin and an edge on the first, an origin on the second.
fn scene() -> Picture {
    let mut picture = Picture::default();
    picture.replace(vec![
        node("n1", "a", false, "True"),
        node("n2", "b", false, "True"),
    ]);
    picture.replace(vec![
        pod("origin-0", "origin", "n1", true),
        pod("edge-x", "edge", "n1", true),
        pod("origin-1", "origin", "n2", true),
        pod("operator-x", "operator", "n2", true),
    ]);
    picture
}

fn cordoned(picture: &Picture) -> Vec<String> {
    let known = picture.known().unwrap();
    let cordoned = known.iter().filter(|(_, known)| known.cordoned);
    cordoned.map(|(id, _)| id.to_string()).collect()
}

#[test]
fn nothing_is_said_before_pods_and_nodes_are_listed() {
    let mut picture = Picture::default();
    pod("origin-0", "origin", "n1", true).show(&mut picture);
    assert_eq!(picture.known(), None);
    picture.replace(vec![pod("origin-0", "origin", "n1", true)]);
    assert_eq!(picture.expected(), None);
    picture.replace(vec![node("n1", "a", false, "True")]);
    assert_eq!(picture.expected().unwrap().len(), 1);
    assert_eq!(picture.rules(), None, "policies are a list of their own");
}

#[test]
fn a_member_stands_where_its_node_stands() {
    let known = scene().known().unwrap();
    let ids: Vec<&str> = known.keys().map(|id| &**id).collect();
    assert_eq!(ids, ["edge-x.u1", "origin-0.u1", "origin-1.u1"]);
    let origin = &known["origin-1.u1"];
    assert_eq!((&*origin.site.region, &*origin.site.zone), ("r", "b"));
    assert_eq!(origin.node_labels["disk"], "fast");
}

#[test]
fn new_work_stays_away_from_what_is_about_to_go_or_not_ready() {
    let mut picture = scene();
    assert!(cordoned(&picture).is_empty());

    node("n1", "a", true, "True").show(&mut picture);
    assert_eq!(cordoned(&picture), ["edge-x.u1", "origin-0.u1"]);
    let leaving: Vec<_> = picture.leaving().into_iter().collect();
    assert_eq!(leaving, [("origin-0.u1".into(), "n1".to_owned())]);
    node("n1", "a", false, "True").show(&mut picture);
    assert!(cordoned(&picture).is_empty() && picture.leaving().is_empty());

    slice("s", &[("origin-0", true), ("origin-1", false)]).show(&mut picture);
    assert_eq!(cordoned(&picture), ["origin-1.u1"]);
    slice("s", &[("origin-0", true), ("origin-1", true)]).show(&mut picture);
    assert!(cordoned(&picture).is_empty());

    let mut ending = pod("origin-0", "origin", "n1", true);
    ending.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    ending.show(&mut picture);
    assert_eq!(cordoned(&picture), ["origin-0.u1"]);
}

#[test]
fn members_on_lost_nodes_or_not_ready_are_not_waited_for() {
    let mut picture = scene();
    assert_eq!(picture.expected().unwrap().len(), 3);
    node("n1", "a", false, "Unknown").show(&mut picture);
    let expected: Vec<String> = picture
        .expected()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(expected, ["origin-1.u1"]);
    pod("origin-1", "origin", "n2", false).show(&mut picture);
    assert!(picture.expected().unwrap().is_empty());
}

#[test]
fn a_list_takes_away_what_it_does_not_name() {
    let mut picture = scene();
    picture.replace(vec![pod("origin-1", "origin", "n2", true)]);
    assert_eq!(picture.known().unwrap().len(), 1);
    pod("origin-1", "origin", "n2", true).hide(&mut picture);
    assert!(picture.known().unwrap().is_empty());
}

#[test]
fn a_policy_that_cannot_be_followed_is_left_out_and_one_of_two_alike_is_named() {
    let mut picture = scene();
    let streams = json!([{"app": "live", "name": "a*"}]);
    picture.replace(vec![
        policy("one", json!({"streams": streams, "mode": "rtc"})),
        policy("two", json!({"streams": streams, "mode": "live"})),
        policy("bad", json!({"streams": streams, "linger": "99m"})),
    ]);
    assert!(picture.policies()["bad"].rule.is_err());
    assert_eq!(picture.shadowed("one"), None);
    let (by, pattern) = picture.shadowed("two").unwrap();
    assert_eq!((&*by, &*pattern), ("one", "*/live/a*"));
    assert_ne!(picture.rules().unwrap(), Rules::default());
}

#[test]
fn a_replica_counts_from_its_address_to_its_end() {
    let mut picture = scene();
    let operator = |ip: &str, ends: bool| -> Pod {
        let mut pod = pod("operator-x", "operator", "n2", false);
        pod.status.as_mut().unwrap().pod_ip = Some(ip.to_owned()).filter(|ip| !ip.is_empty());
        if ends {
            pod.metadata.deletion_timestamp =
                Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        }
        pod
    };
    let mut shown = |ip, ends| {
        operator(ip, ends).show(&mut picture);
        picture
            .operators()
            .into_iter()
            .map(|ip| ip.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shown("", false),
        Vec::<String>::new(),
        "it has no address yet"
    );
    assert_eq!(shown("10.0.0.9", false), ["10.0.0.9"]);
    assert_eq!(shown("10.0.0.9", true), Vec::<String>::new(), "it ends");
}

fn keyed(key: &str) -> SigningKeys {
    SigningKeys {
        publish: headwater_admission::KeyPair {
            main: Some(headwater_process::config::Secret::new(key.to_owned())),
            backup: None,
        },
        ..SigningKeys::default()
    }
}

#[test]
fn a_policy_that_names_a_secret_waits_for_it_and_never_leaves_its_streams_open() {
    let mut picture = Picture::default();
    let spec = json!({"streams": [{"app": "live"}], "keySecret": {"name": "k"}});
    picture.replace(vec![policy("lessons", spec)]);
    assert_eq!(picture.rules(), None, "nobody has read the Secret yet");
    assert_eq!(picture.key_secrets(), [("k".to_owned(), false)].into());

    let stream = "default/live/a".parse().unwrap();
    let keys = |picture: &Picture| picture.rules().unwrap().policies().keys(&stream).cloned();
    let one = Some(PolicyKeys::Known(keyed("one")));
    assert!(picture.show_keys("k".to_owned(), Err("there is no Secret k".to_owned())));
    assert_eq!(keys(&picture), Some(PolicyKeys::Unread));
    assert!(picture.show_keys("k".to_owned(), Ok(keyed("one"))));
    assert!(!picture.show_keys("k".to_owned(), Ok(keyed("one"))));
    assert_eq!(keys(&picture), one);

    // Something else in the policy is wrong: the keys stay in force.
    let spec = json!({"streams": [{"app": "live"}], "keySecret": {"name": "k"}, "linger": "99m"});
    picture.replace(vec![policy("lessons", spec)]);
    assert!(picture.policies["lessons"].rule.is_err());
    assert_eq!(keys(&picture), one);
}
