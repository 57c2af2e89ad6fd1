//! The fan-out of one stream: its viewers, shared out over the threads that write.

use std::sync::Arc;

use headwater_hub::Stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::hall::Hall;
use crate::settings::FanoutSettings;
use crate::threads::Place;
use crate::viewer::Viewer;

/// Viewers that may wait to be seated in one hall.
const JOINS_QUEUED: usize = 1_024;
/// A stream is written by one thread until so many view it there: fewer are not worth a second wake-up a tick.
const SPLIT_FROM: usize = 128;

/// The way into a stream's fan-out. When the last clone is gone, the fan-out ends with its last viewer.
#[derive(Clone, Debug)]
pub struct Fanout {
    halls: Arc<Halls>,
}

#[derive(Debug)]
struct Halls {
    stream: Arc<Stream>,
    settings: Arc<FanoutSettings>,
    doors: Mutex<Doors>,
}

#[derive(Debug)]
struct Doors {
    first: Door,
    /// On other threads, each.
    others: Vec<Door>,
}

/// The way into one hall.
#[derive(Debug)]
struct Door {
    // Boxed: a channel holds places for 32 from its start on.
    joins: mpsc::Sender<Box<Viewer>>,
    place: Place,
}

impl Fanout {
    /// The fan-out of `stream`: its first task starts on one of the writer threads, or on the current runtime.
    pub fn start(stream: Arc<Stream>, settings: Arc<FanoutSettings>) -> Fanout {
        let first = Door::open(&stream, &settings, settings.threads.place(&[]));
        Fanout {
            halls: Arc::new(Halls {
                stream,
                settings,
                doors: Mutex::new(Doors {
                    first,
                    others: Vec::new(),
                }),
            }),
        }
    }

    /// Seats `viewer`.
    ///
    /// # Errors
    /// The viewer is handed back if the fan-out has ended.
    pub async fn join(&self, viewer: Viewer) -> Result<(), Box<Viewer>> {
        let (joins, place) = self.halls.choose();
        joins.send(Box::new(viewer)).await.map_err(|refused| {
            place.left();
            refused.0
        })
    }
}

impl Halls {
    /// The hall with the fewest viewers, which has one more from now on.
    fn choose(&self) -> (mpsc::Sender<Box<Viewer>>, Place) {
        let mut doors = self.doors.lock();
        if doors.all().all(|door| door.place.seated() >= SPLIT_FROM) {
            let places: Vec<&Place> = doors.all().map(|door| &door.place).collect();
            let place = self.settings.threads.place(&places);
            if place.has_thread() {
                let another = Door::open(&self.stream, &self.settings, place);
                doors.others.push(another);
            }
        }
        let door = doors.others.iter().fold(&doors.first, |fewest, door| {
            if door.place.seated() < fewest.place.seated() {
                door
            } else {
                fewest
            }
        });
        door.place.came();
        (door.joins.clone(), door.place.clone())
    }
}

impl Doors {
    fn all(&self) -> impl Iterator<Item = &Door> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Door {
    /// Starts a hall at `place`.
    fn open(stream: &Arc<Stream>, settings: &Arc<FanoutSettings>, place: Place) -> Door {
        let (joins, queue) = mpsc::channel(JOINS_QUEUED);
        let hall = Hall::new(Arc::clone(stream), Arc::clone(settings), place.clone());
        place.spawn(hall.serve(queue, stream.subscribe(), settings.releases.subscribe()));
        Door { joins, place }
    }
}
