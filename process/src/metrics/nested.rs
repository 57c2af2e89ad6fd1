//! A registry as one collector of another.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

pub(super) struct Nested(pub(super) prometheus::Registry);

impl Collector for Nested {
    // None: what is in it may come later.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.gather()
    }
}
