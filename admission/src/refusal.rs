//! The no: a label of a closed set for machines and a text for the person at the other end.

use thiserror::Error;

/// Why a publish or play was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The address carries no signature, and its app needs one.
    Missing,
    /// The signature cannot be read.
    Malformed,
    /// The signature was made with another key, or for another stream or purpose.
    Foreign,
    /// The signature was good and its time is over.
    Expired,
    /// Keys are configured and none of their patterns covers this app.
    Unmatched,
    /// A policy gives the stream keys that could not be read.
    KeysUnread,
    /// The callback said no.
    CallbackRefused,
    /// The callback gave no answer in time.
    CallbackTimeout,
    /// The callback could not be asked.
    CallbackUnreachable,
    /// The callback's answer was neither a yes nor a no.
    CallbackAnswer,
    /// Too many questions wait for the callback.
    CallbackBusy,
}

impl Reason {
    /// Every reason, for tables and for metrics that begin at zero.
    pub const ALL: [Reason; 11] = [
        Reason::Missing,
        Reason::Malformed,
        Reason::Foreign,
        Reason::Expired,
        Reason::Unmatched,
        Reason::KeysUnread,
        Reason::CallbackRefused,
        Reason::CallbackTimeout,
        Reason::CallbackUnreachable,
        Reason::CallbackAnswer,
        Reason::CallbackBusy,
    ];

    /// A label of a closed set for metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::Malformed => "malformed",
            Reason::Foreign => "foreign",
            Reason::Expired => "expired",
            Reason::Unmatched => "unmatched",
            Reason::KeysUnread => "keys_unread",
            Reason::CallbackRefused => "callback_refused",
            Reason::CallbackTimeout => "callback_timeout",
            Reason::CallbackUnreachable => "callback_unreachable",
            Reason::CallbackAnswer => "callback_answer",
            Reason::CallbackBusy => "callback_busy",
        }
    }

    /// The HTTP status that says the same: 401 = come back with a good signature, 403 = no, 503 = whoever decides is
    /// not there, come back later.
    pub fn http_status(self) -> u16 {
        match self {
            Reason::Missing | Reason::Malformed | Reason::Expired => 401,
            Reason::Foreign | Reason::Unmatched | Reason::CallbackRefused => 403,
            Reason::KeysUnread
            | Reason::CallbackTimeout
            | Reason::CallbackUnreachable
            | Reason::CallbackAnswer
            | Reason::CallbackBusy => 503,
        }
    }
}

/// A refused publish or play.
///
/// `text` is for whoever asked: it says what is wrong and what to do, in one line, and holds no key, signature or
/// address of the callback.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Refusal {
    /// Why, as a closed set.
    pub reason: Reason,
    /// Why, for a person.
    pub text: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Refusal {
            reason,
            text: text.into(),
        }
    }

    /// [`Reason::label`] of the reason.
    pub fn reason(&self) -> &'static str {
        self.reason.label()
    }

    /// [`Reason::http_status`] of the reason.
    pub fn http_status(&self) -> u16 {
        self.reason.http_status()
    }
}
