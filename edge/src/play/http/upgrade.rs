//! The part of a request's head that asks for a WebSocket (RFC 6455, section 4.2.1).

/// What a handshake asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `Sec-WebSocket-Key`.
    pub(crate) key: Option<String>,
    /// `Sec-WebSocket-Version` is 13, the only one.
    pub(crate) version: bool,
}
