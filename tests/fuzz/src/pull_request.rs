//! The request of an internal pull, as hyper hands it over.

use headwater_hop::{PullRequest, StartAt};
use http::Request;

use crate::input::lines;

/// Lines: method, target, the headers `headwater-hops` and `headwater-known`.
pub(crate) fn run(bytes: &[u8]) {
    let Some([method, target, hops, known]) = lines(bytes) else {
        return;
    };
    let mut request = Request::builder().method(method).uri(target);
    if !hops.is_empty() {
        request = request.header("headwater-hops", hops);
    }
    if !known.is_empty() {
        request = request.header("headwater-known", known);
    }
    // What is no HTTP never gets here.
    let Ok(request) = request.body(()) else {
        return;
    };
    let Ok(pull) = PullRequest::from_http(&request) else {
        return;
    };
    let again = pull
        .to_http("origin-0:7000", ())
        .expect("a request that can be made");
    assert_eq!(
        PullRequest::from_http(&again).as_ref(),
        Ok(&pull),
        "what was written reads differently"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        StartAt::Live,
        StartAt::Oldest,
        StartAt::After {
            epoch: u64::MAX,
            sequence: 0,
        },
    ]
    .into_iter()
    .map(|start| {
        let key = "default/live/räume/room 1".parse().expect("a good name");
        let request = PullRequest {
            key,
            start,
            hops: 3,
            known: None,
        };
        format!("GET\n{}\n{}\n7.9", request.target(), request.hops).into_bytes()
    })
    .collect();
    seeds.extend([
        b"POST\n/internal/v1/a/b/c\n1\n".to_vec(),
        b"GET\n/internal/v1/a/b/%2e%2E?epoch=1&after=x\n-1\n.".to_vec(),
        b"GET\nhttp://h/internal/v1/a/b/c?from=oldest#f\n\n1.2.3".to_vec(),
    ]);
    seeds
}
