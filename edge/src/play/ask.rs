//! What a play's query asks for beside the stream.

use std::time::Duration;

use headwater_hub::Mode;
use headwater_media::Query;

/// The parameters of a play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    /// `?mode=live|rtc`.
    pub(crate) mode: Option<Mode>,
    /// `?wait=SECONDS`: how long the viewer waits for a stream that is not there.
    pub(crate) wait: Duration,
}

/// Why a parameter cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    #[error("`mode` is `live` or `rtc`")]
    Mode,
    #[error("`wait` is a number of seconds, such as `wait=10`")]
    Wait,
}

impl AskError {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            AskError::Mode => "bad_mode",
            AskError::Wait => "bad_wait",
        }
    }
}

impl Ask {
    /// Reads the parameters; a longer wait than `wait_max` is cut to it.
    pub(crate) fn read(query: &Query, wait_max: Duration) -> Result<Ask, AskError> {
        let mode = match query.get("mode") {
            None => None,
            Some("live") => Some(Mode::Live),
            Some("rtc") => Some(Mode::Rtc),
            Some(_) => return Err(AskError::Mode),
        };
        let wait = match query.get("wait") {
            None => Duration::ZERO,
            Some(text) => {
                let seconds: f64 = text.parse().map_err(|_| AskError::Wait)?;
                if !(seconds >= 0.0 && seconds.is_finite()) {
                    return Err(AskError::Wait);
                }
                Duration::try_from_secs_f64(seconds)
                    .unwrap_or(wait_max)
                    .min(wait_max)
            }
        };
        Ok(Ask { mode, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_bounded() {
        let max = Duration::from_secs(30);
        let ok = |mode, wait_ms| {
            Ok(Ask {
                mode,
                wait: Duration::from_millis(wait_ms),
            })
        };
        for (text, ask) in [
            ("", ok(None, 0)),
            ("mode=live", ok(Some(Mode::Live), 0)),
            ("mode=rtc&wait=2.5&txTime=1", ok(Some(Mode::Rtc), 2_500)),
            ("wait=1e300", ok(None, 30_000)),
            ("wait=31", ok(None, 30_000)),
            ("mode=RTC", Err(AskError::Mode)),
            ("wait=", Err(AskError::Wait)),
            ("wait=-1", Err(AskError::Wait)),
            ("wait=NaN", Err(AskError::Wait)),
            ("wait=inf", Err(AskError::Wait)),
        ] {
            assert_eq!(Ask::read(&Query::parse(text).unwrap(), max), ask, "{text}");
        }
    }
}
