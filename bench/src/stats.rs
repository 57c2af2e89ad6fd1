//! Medians, spreads and quantiles.

use serde::{Deserialize, Serialize};

/// The middle of some measurements and how far they lie apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of `values`; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (sorted.first()?, sorted.last()?);
        let upper = sorted.get(sorted.len() / 2)?;
        let lower = sorted.get((sorted.len() - 1) / 2)?;
        Some(Spread {
            median: f64::midpoint(*lower, *upper),
            min: *first,
            max: *last,
        })
    }

    /// `median [min–max]` with so many decimals.
    pub fn show(&self, decimals: usize) -> String {
        format!(
            "{:.decimals$} [{:.decimals$}–{:.decimals$}]",
            self.median, self.min, self.max
        )
    }
}

/// Quantiles of durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: usize,
    /// Half are at most this.
    pub p50_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// All are at most this.
    pub max_ms: f64,
}

impl Quantiles {
    /// Of durations in microseconds; sorts them.
    pub fn of(micros: &mut [u32]) -> Quantiles {
        micros.sort_unstable();
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a rank within a slice's length"
            )]
            let rank = ((micros.len() as f64 * share).ceil() as usize).max(1) - 1;
            micros.get(rank).map_or(0.0, |us| f64::from(*us) / 1_000.0)
        };
        Quantiles {
            count: micros.len(),
            p50_ms: at(0.50),
            p99_ms: at(0.99),
            max_ms: at(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        for (values, median) in [
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 2.0, 3.0], 2.5),
            (vec![7.0], 7.0),
        ] {
            assert_eq!(Spread::of(values).unwrap().median, median);
        }
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_quantile_is_the_least_value_that_enough_are_at_most() {
        let mut micros: Vec<u32> = (1..=200).map(|n| n * 1_000).collect();
        let quantiles = Quantiles::of(&mut micros);
        assert_eq!(
            (quantiles.p50_ms, quantiles.p99_ms, quantiles.max_ms),
            (100.0, 198.0, 200.0)
        );
        assert_eq!(Quantiles::of(&mut []).count, 0);
    }
}
