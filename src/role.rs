//! The roles.

/// What a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Places streams and tells where they are.
    Operator,
    /// Takes publishers.
    Origin,
    /// Serves viewers.
    Edge,
    /// Publishes a test picture at the origin of the same process.
    Demo,
}
