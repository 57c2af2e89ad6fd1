//! What admission counts.

use headwater_process::metrics::{MetricsError, Registry};
use prometheus::{Histogram, IntCounterVec};

use crate::{Kind, Reason};

/// Why somebody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grounds {
    /// Nothing had to be shown.
    Open,
    /// A signature.
    Signed,
    /// The callback's word.
    Callback,
    /// The callback failed, and the configuration lets everybody in then.
    FailedOpen,
}

impl Grounds {
    const ALL: [Grounds; 4] = [
        Grounds::Open,
        Grounds::Signed,
        Grounds::Callback,
        Grounds::FailedOpen,
    ];

    fn label(self) -> &'static str {
        match self {
            Grounds::Open => "open",
            Grounds::Signed => "signed",
            Grounds::Callback => "callback",
            Grounds::FailedOpen => "callback_failed",
        }
    }
}

/// What became of the notice of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The callback answered 2xx.
    Told,
    /// The callback did not, or could not be asked.
    Failed,
    /// The queue was full.
    Dropped,
}

impl Notice {
    const ALL: [Notice; 3] = [Notice::Told, Notice::Failed, Notice::Dropped];

    fn label(self) -> &'static str {
        match self {
            Notice::Told => "told",
            Notice::Failed => "failed",
            Notice::Dropped => "dropped",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    decisions: IntCounterVec,
    ends: IntCounterVec,
    callback_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let decisions = registry.counters(
            "headwater_admission_decisions_total",
            "Publishes and plays that were allowed or refused, by reason.",
            &["kind", "verdict", "reason"],
        )?;
        let ends = registry.counters(
            "headwater_admission_ends_total",
            "Notices of ends for the callback, by what became of them.",
            &["kind", "result"],
        )?;
        let callback_seconds = registry.histogram(
            "headwater_admission_callback_seconds",
            "How long the callback was waited for, failures included.",
            &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
        )?;
        // All series are there from the start, so that the first refusal is an increase.
        for kind in [Kind::Publish, Kind::Play] {
            for grounds in Grounds::ALL {
                decisions.with_label_values(&[kind.label(), "allowed", grounds.label()]);
            }
            for reason in Reason::ALL {
                decisions.with_label_values(&[kind.label(), "refused", reason.label()]);
            }
            for notice in Notice::ALL {
                ends.with_label_values(&[kind.label(), notice.label()]);
            }
        }
        Ok(Metrics {
            decisions,
            ends,
            callback_seconds,
        })
    }

    pub(crate) fn allowed(&self, kind: Kind, grounds: Grounds) {
        self.decisions
            .with_label_values(&[kind.label(), "allowed", grounds.label()])
            .inc();
    }

    pub(crate) fn refused(&self, kind: Kind, reason: Reason) {
        self.decisions
            .with_label_values(&[kind.label(), "refused", reason.label()])
            .inc();
    }

    pub(crate) fn ended(&self, kind: Kind, notice: Notice) {
        self.ends
            .with_label_values(&[kind.label(), notice.label()])
            .inc();
    }

    pub(crate) fn waited(&self, seconds: f64) {
        self.callback_seconds.observe(seconds);
    }
}
