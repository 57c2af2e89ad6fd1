//! Between the generated messages and the types of this crate: every field of a message from the network is checked here.

mod calls;
mod claim;
mod parts;
mod policy;
mod session;

use thiserror::Error;

use crate::limits::{CHUNK_MAX_ENTRIES, TEXT_MAX_BYTES, WORD_MAX_BYTES};

/// A message that is not what the contract says: its sender's fault, so the call or session ends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A text or list is longer than its limit.
    #[error("`{0}` is too long")]
    TooLong(&'static str),
    /// A value has no meaning.
    #[error("`{0}` has no meaning")]
    Meaningless(&'static str),
}

impl WireError {
    /// A label of a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            WireError::Missing(_) => "missing",
            WireError::TooLong(_) => "too_long",
            WireError::Meaningless(_) => "meaningless",
        }
    }
}

impl From<WireError> for tonic::Status {
    fn from(error: WireError) -> tonic::Status {
        tonic::Status::invalid_argument(error.to_string())
    }
}

fn required<T>(value: Option<T>, field: &'static str) -> Result<T, WireError> {
    value.ok_or(WireError::Missing(field))
}

/// A name or address: not empty, within its limit, one line.
fn word(text: String, field: &'static str) -> Result<String, WireError> {
    if text.is_empty() {
        return Err(WireError::Missing(field));
    }
    optional_word(text, field)
}

fn optional_word(text: String, field: &'static str) -> Result<String, WireError> {
    if text.len() > WORD_MAX_BYTES {
        return Err(WireError::TooLong(field));
    }
    if text.chars().any(char::is_control) {
        return Err(WireError::Meaningless(field));
    }
    Ok(text)
}

/// A sentence or URL: within its limit, one line.
fn sentence(text: String, field: &'static str) -> Result<String, WireError> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(WireError::TooLong(field));
    }
    if text.chars().any(char::is_control) {
        return Err(WireError::Meaningless(field));
    }
    Ok(text)
}

fn list<T, U, E>(
    items: Vec<T>,
    max: usize,
    field: &'static str,
    convert: impl Fn(T) -> Result<U, E>,
) -> Result<Vec<U>, WireError>
where
    WireError: From<E>,
{
    if items.len() > max {
        return Err(WireError::TooLong(field));
    }
    Ok(items.into_iter().map(convert).collect::<Result<_, E>>()?)
}

fn chunk<T, U>(
    items: Vec<T>,
    field: &'static str,
    convert: impl Fn(T) -> Result<U, WireError>,
) -> Result<Vec<U>, WireError> {
    list(items, CHUNK_MAX_ENTRIES, field, convert)
}

#[cfg(test)]
mod tests;
