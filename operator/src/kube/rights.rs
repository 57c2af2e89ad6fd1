//! What the API server refuses: logged once and counted, until it works again.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus::IntCounterVec;

/// What does not work at present, by part.
#[derive(Debug)]
pub(super) struct Troubles {
    known: Mutex<BTreeMap<&'static str, &'static str>>,
    count: IntCounterVec,
}

impl Troubles {
    pub(super) fn new(count: IntCounterVec) -> Troubles {
        Troubles {
            known: Mutex::default(),
            count,
        }
    }

    /// `part` works.
    pub(super) fn well(&self, part: &'static str) {
        if self.known.lock().remove(part).is_some() {
            tracing::info!(part, "Kubernetes answers again");
        }
    }

    /// The operator could not `what`, a verb and its object.
    pub(super) fn failed(&self, part: &'static str, what: &str, error: &kube::Error) {
        let (reason, sentence) = explain(what, error);
        self.count.with_label_values(&[part, reason]).inc();
        if self.known.lock().insert(part, reason) != Some(reason) {
            if reason == "forbidden" {
                tracing::error!(part, reason, "{sentence}");
            } else {
                tracing::warn!(part, reason, "{sentence}");
            }
        }
    }
}

/// A label of a closed set, and a sentence.
fn explain(what: &str, error: &kube::Error) -> (&'static str, String) {
    let kube::Error::Api(status) = error else {
        return (
            "unreachable",
            format!("the API server does not answer, and what was known stays in force: {error}"),
        );
    };
    let said = &status.message;
    match status.code {
        403 => (
            "forbidden",
            format!(
                "the operator may not {what}: {said}; give its ServiceAccount this right, as the chart's Role and \
                 ClusterRole do (rbac.create)"
            ),
        ),
        404 => (
            "missing",
            format!(
                "the operator cannot {what}: {said}; install the chart's custom resource definitions (crds.install)"
            ),
        ),
        _ => ("refused", format!("the operator cannot {what}: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_missing_right_is_named_with_what_to_do() {
        let status = Status {
            code: 403,
            message: "pods is forbidden: User \"x\" cannot list resource \"pods\"".to_owned(),
            ..Status::default()
        };
        let (reason, sentence) = explain("watch pods", &kube::Error::Api(Box::new(status)));
        assert_eq!(reason, "forbidden");
        for part in ["watch pods", "cannot list resource \"pods\"", "rbac.create"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
