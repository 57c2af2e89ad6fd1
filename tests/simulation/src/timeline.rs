//! What happened in a world, line by line.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

/// Lines of text with virtual time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline(Arc<Mutex<String>>);

thread_local! {
    static NODE: RefCell<(String, u64)> = const { RefCell::new((String::new(), 0)) };
}

/// Who runs on this thread from now on; log lines carry it.
pub(crate) fn running(name: &str, at_us: u64) {
    NODE.with_borrow_mut(|node| {
        node.0.clear();
        node.0.push_str(name);
        node.1 = at_us;
    });
}

impl Timeline {
    pub(crate) fn note(&self, now_us: u64, text: &str) {
        let mut lines = self.0.lock();
        let (s, ms) = (now_us / 1_000_000, now_us / 1000 % 1000);
        writeln!(lines, "{s:3}.{ms:03} {text}").unwrap();
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().clone()
    }
}

/// One line of a log on its way into the timeline.
pub(crate) struct Line(Timeline);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        NODE.with_borrow(|(name, at_us)| {
            self.0
                .note(*at_us, &format!("{name:>10} | {}", text.trim_end()));
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Timeline {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.clone())
    }
}
