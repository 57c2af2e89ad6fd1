//! Names of streams: the key `vhost/app[/instance]/stream`, and how it is read from addresses.

mod error;
mod parse;
mod vhosts;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use error::{NameError, NamePart};
pub use vhosts::VirtualHosts;

use crate::percent;

/// Longest key, `vhost/app[/instance]/stream`, in bytes of UTF-8.
const KEY_MAX_BYTES: usize = 512;

/// The name of a stream, the same in every process: `vhost/app[/instance]/stream`, decoded.
///
/// At most 512 bytes; no part is empty, `.` or `..`, or has a slash or a control character; case counts. A clone
/// shares the text. [`Display`](fmt::Display) and [`FromStr`] are inverse, and so are [`StreamKey::path`] and
/// [`StreamKey::from_internal_path`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(Arc<str>);

impl StreamKey {
    /// Makes a key of decoded parts; `app` may be `app/instance`.
    ///
    /// # Errors
    /// If a part is refused (see [`NameError`]).
    pub fn new(vhost: &str, app: &str, stream: &str) -> Result<StreamKey, NameError> {
        match app.split_once('/') {
            None => StreamKey::of_parts(vhost, app, None, stream),
            Some((app, instance)) => StreamKey::of_parts(vhost, app, Some(instance), stream),
        }
    }

    fn of_parts(
        vhost: &str,
        app: &str,
        instance: Option<&str>,
        stream: &str,
    ) -> Result<StreamKey, NameError> {
        check_part(NamePart::Vhost, vhost)?;
        check_part(NamePart::App, app)?;
        check_part(NamePart::Stream, stream)?;
        let key = match instance {
            None => [vhost, app, stream].join("/"),
            Some(instance) => {
                check_part(NamePart::Instance, instance)?;
                [vhost, app, instance, stream].join("/")
            }
        };
        if key.len() > KEY_MAX_BYTES {
            return Err(NameError::TooLong { bytes: key.len() });
        }
        Ok(StreamKey(key.into()))
    }

    /// The virtual host, `default` where none was named.
    pub fn vhost(&self) -> &str {
        self.0.split_once('/').map_or("", |(vhost, _)| vhost)
    }

    /// The application, with its instance if it has one: `live` or `live/instance`.
    pub fn app(&self) -> &str {
        let behind_vhost = self.0.split_once('/').map_or("", |(_, rest)| rest);
        behind_vhost.rsplit_once('/').map_or("", |(app, _)| app)
    }

    /// The stream's own name.
    pub fn stream(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, stream)| stream)
    }

    /// The whole key, decoded: `vhost/app[/instance]/stream`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key for the path of a URL: `vhost/app[/instance]/stream` without a slash in front, each part
    /// percent-encoded but for letters, digits, `-`, `.`, `_` and `~`.
    pub fn path(&self) -> String {
        let mut path = String::with_capacity(self.0.len());
        for (index, part) in self.0.split('/').enumerate() {
            if index > 0 {
                path.push('/');
            }
            percent::encode_into(&mut path, part);
        }
        path
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({})", self.0)
    }
}

impl FromStr for StreamKey {
    type Err = NameError;

    /// Reads `vhost/app[/instance]/stream`, decoded.
    fn from_str(text: &str) -> Result<StreamKey, NameError> {
        let (vhost, rest) = text.split_once('/').unwrap_or((text, ""));
        let Some((app, stream)) = rest.rsplit_once('/') else {
            return Err(NameError::Empty {
                part: NamePart::App,
            });
        };
        match app.split_once('/') {
            Some((_, instance)) if instance.contains('/') => Err(NameError::TooManyParts),
            _ => StreamKey::new(vhost, app, stream),
        }
    }
}

/// Refuses what could be taken for something else in a path, a log line or a terminal.
fn check_part(part: NamePart, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty { part })
    } else if text.contains('/') {
        Err(NameError::Slash { part })
    } else if text.contains(char::is_control) {
        Err(NameError::Control { part })
    } else if matches!(text, "." | "..") {
        Err(NameError::Dots { part })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
