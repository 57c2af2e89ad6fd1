//! Certificates that are read again when their files change.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::files::{Contents, File};
use super::{Facts, TlsError, TlsMetrics};
use crate::clock;

/// Files that have changed are looked at again after this time, until they are the same twice: a pair is written one
/// file after the other.
const SETTLE: Duration = Duration::from_millis(200);
/// So long before its end, a certificate that has not been renewed is a warning.
const WARN_BEFORE_S: u64 = 7 * 24 * 3600;

/// Where the files of a section are.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ca: Option<PathBuf>,
}

impl Paths {
    fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: File::read(&self.certificate)?,
            key: File::read(&self.key)?,
            ca: self.ca.as_deref().map(File::read).transpose()?,
        })
    }
}

/// What is made of the files.
pub(super) trait Usable: Sized + Send + Sync + 'static {
    /// The label for metrics and logs.
    const PURPOSE: &'static str;

    /// What is asked of the certificate beside its files.
    type Asked: Send + Sync + 'static;

    /// Checks everything that would fail later.
    fn make(contents: &Contents, asked: &Self::Asked) -> Result<(Self, Facts), TlsError>;
}

/// The newest usable state of files.
#[derive(Debug)]
pub(super) struct Reloaded<T>(Arc<ArcSwap<T>>);

impl<T> Clone for Reloaded<T> {
    fn clone(&self) -> Reloaded<T> {
        Reloaded(Arc::clone(&self.0))
    }
}

impl<T: Usable> Reloaded<T> {
    /// Reads the files, which must be usable, and follows them on the current runtime while a clone lives.
    pub(super) fn start(
        paths: Paths,
        asked: T::Asked,
        every: Duration,
        metrics: TlsMetrics,
    ) -> Result<Reloaded<T>, TlsError> {
        let contents = paths.read()?;
        let (usable, facts) = T::make(&contents, &asked)?;
        metrics.in_use(T::PURPOSE, &facts);
        let current = Arc::new(ArcSwap::from_pointee(usable));
        let watch = Watch {
            paths,
            asked,
            every,
            metrics,
            current: Arc::downgrade(&current),
            tried: contents,
            facts,
            unreadable: None,
            warned: false,
            expired: false,
        };
        tokio::spawn(watch.run());
        Ok(Reloaded(current))
    }

    pub(super) fn get(&self) -> Arc<T> {
        self.0.load_full()
    }
}

struct Watch<T: Usable> {
    paths: Paths,
    asked: T::Asked,
    every: Duration,
    metrics: TlsMetrics,
    current: Weak<ArcSwap<T>>,
    /// The last contents that were usable, or were tried in vain.
    tried: Contents,
    facts: Facts,
    /// Why files could not be read, as said last.
    unreadable: Option<TlsError>,
    warned: bool,
    expired: bool,
}

impl<T: Usable> Watch<T> {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(self.every).await;
            let Some(current) = self.current.upgrade() else {
                return;
            };
            if let Some(contents) = self.changed().await {
                match T::make(&contents, &self.asked) {
                    Ok((usable, facts)) => {
                        current.store(Arc::new(usable));
                        self.metrics.in_use(T::PURPOSE, &facts);
                        tracing::info!(
                            purpose = T::PURPOSE,
                            subject = facts.subject,
                            until = facts.until(),
                            "certificate reloaded"
                        );
                        self.facts = facts;
                        (self.warned, self.expired) = (false, false);
                    }
                    Err(error) => self.complain(&error),
                }
                self.tried = contents;
            }
            self.mind_the_end();
        }
    }

    /// The contents of the files if they have changed, and stay as they are.
    async fn changed(&mut self) -> Option<Contents> {
        let mut before = None;
        loop {
            let paths = self.paths.clone();
            // Files may be on a network.
            let read = tokio::task::spawn_blocking(move || paths.read())
                .await
                .ok()?;
            match read {
                Ok(now) => {
                    self.unreadable = None;
                    if now == self.tried {
                        return None;
                    }
                    if before.as_ref() == Some(&now) {
                        return Some(now);
                    }
                    before = Some(now);
                }
                Err(error) => {
                    if self.unreadable.as_ref() != Some(&error) {
                        self.complain(&error);
                        self.unreadable = Some(error);
                    }
                    return None;
                }
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    fn complain(&self, error: &TlsError) {
        tracing::error!(
            purpose = T::PURPOSE, %error, subject = self.facts.subject, until = self.facts.until(),
            "the certificate in use stays: the new one cannot be used"
        );
    }

    fn mind_the_end(&mut self) {
        let now_s = clock::unix_ms() / 1_000;
        let file = &self.paths.certificate;
        if !self.expired
            && let Err(error) = self.facts.check(file, now_s)
        {
            tracing::error!(purpose = T::PURPOSE, "{error}");
            self.expired = true;
        } else if !self.warned && self.facts.not_after_s.saturating_sub(now_s) < WARN_BEFORE_S {
            tracing::warn!(
                purpose = T::PURPOSE, file = %file.display(), subject = self.facts.subject,
                until = self.facts.until(), "the certificate expires soon: put a new one there"
            );
            self.warned = true;
        }
    }
}
