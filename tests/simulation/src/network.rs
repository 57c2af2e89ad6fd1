//! The network of a simulated cluster: ordered byte streams between machines, in virtual time.
//!
//! It behaves as TCP does where it shows: a lost segment is a delay of 200 ms × 2^k for all that is behind it, a cut
//! holds what is sent until it heals, a process that is killed closes its connections, and a machine without power says
//! nothing. A kernel goes on taking bytes for a process that is stopped, until its window is full.

mod link;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

pub(crate) use self::link::{Connecting, OpenPort};
use self::wire::{Phase, Wire};
use crate::seed::Seed;

/// One segment is sent again after so long; twice that after the second loss, and so on.
const RESEND_US: u64 = 200_000;
/// The same for the first segment of a connection.
const RESEND_SYN_US: u64 = 1_000_000;

/// Bytes that a connection takes in one direction before the other end has read any.
const WINDOW_BYTES: usize = 256 << 10;
/// The same on a narrow machine.
const NARROW_BYTES: usize = 8 << 10;

/// What a direction between two machines is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// The least that a segment takes.
    pub(crate) delay_us: u64,
    /// What it may take beyond.
    pub(crate) jitter_us: u64,
    /// Segments of a thousand that are lost.
    pub(crate) loss_permille: u64,
    /// Bytes a second; 0 for any number.
    pub(crate) rate: u64,
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Parcel {
    Syn,
    SynAck,
    Refused,
    /// The `number`th of its direction; no bytes are its end.
    Data {
        number: u64,
        bytes: Bytes,
    },
    Ack {
        bytes: usize,
    },
    Reset,
}

#[derive(Debug)]
struct Flight {
    wire: u64,
    /// The end that it goes to: 0 is the one that connected.
    to: usize,
    parcel: Parcel,
}

#[derive(Debug, Default)]
struct Listening {
    queue: VecDeque<u64>,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
pub(super) struct State {
    now_us: u64,
    seed: Seed,
    quality: Quality,
    special: BTreeMap<(IpAddr, IpAddr), Quality>,
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    dark: BTreeSet<IpAddr>,
    /// Machines whose connections take little at once.
    narrow: BTreeSet<IpAddr>,
    flights: BTreeMap<(u64, u64), Flight>,
    held: BTreeMap<(IpAddr, IpAddr), VecDeque<Flight>>,
    wires: BTreeMap<u64, Wire>,
    ports: BTreeMap<SocketAddr, Listening>,
    numbers: u64,
    ports_used: BTreeMap<IpAddr, u16>,
}

/// The network. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Network(pub(super) Arc<Mutex<State>>);

impl Network {
    pub(crate) fn new(seed: Seed, quality: Quality) -> Network {
        Network(Arc::new(Mutex::new(State {
            now_us: 0,
            seed,
            quality,
            special: BTreeMap::new(),
            cuts: BTreeSet::new(),
            dark: BTreeSet::new(),
            narrow: BTreeSet::new(),
            flights: BTreeMap::new(),
            held: BTreeMap::new(),
            wires: BTreeMap::new(),
            ports: BTreeMap::new(),
            numbers: 0,
            ports_used: BTreeMap::new(),
        })))
    }

    /// Carries everything that arrives up to `now_us`.
    pub(crate) fn deliver(&self, now_us: u64) {
        loop {
            let mut wakers = Vec::new();
            let mut state = self.0.lock();
            state.now_us = now_us;
            let due = state
                .flights
                .first_entry()
                .filter(|first| first.key().0 <= now_us)
                .map(|first| (first.key().0, first.remove()));
            let Some((at_us, flight)) = due else {
                return;
            };
            state.arrive(at_us, flight, &mut wakers);
            drop(state);
            // Outside the lock: what a waker wakes or frees may use the network.
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// What goes from `from` to `to` is held from now on, or no longer.
    pub(crate) fn cut(&self, from: IpAddr, to: IpAddr, cut: bool) {
        let mut state = self.0.lock();
        if cut {
            state.cuts.insert((from, to));
            return;
        }
        state.cuts.remove(&(from, to));
        let now_us = state.now_us;
        for flight in state.held.remove(&(from, to)).unwrap_or_default() {
            // Whoever waited sends again after a while of its own.
            let again_us = state.seed.within(0, RESEND_US);
            state.launch(now_us.saturating_add(again_us), from, to, flight);
        }
    }

    /// Between `from` and `to` it is as `quality` says, or as everywhere.
    pub(crate) fn set_quality(&self, from: IpAddr, to: IpAddr, quality: Option<Quality>) {
        let mut state = self.0.lock();
        match quality {
            Some(quality) => state.special.insert((from, to), quality),
            None => state.special.remove(&(from, to)),
        };
    }

    pub(crate) fn quality(&self) -> Quality {
        self.0.lock().quality
    }

    /// The machine says and hears nothing from now on, or again.
    pub(crate) fn set_dark(&self, machine: IpAddr, dark: bool) {
        let mut state = self.0.lock();
        if dark {
            state.dark.insert(machine);
        } else {
            state.dark.remove(&machine);
        }
    }

    /// Connections of the machine hold few bytes, so that whoever sends to it soon notices that it is slow.
    pub(crate) fn narrow(&self, machine: IpAddr) {
        self.0.lock().narrow.insert(machine);
    }

    /// Connections that somebody still holds an end of.
    pub(crate) fn wires(&self) -> usize {
        self.0.lock().wires.len()
    }

    /// Bytes that are under way or wait to be read.
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().wires.values().map(Wire::bytes).sum()
    }
}

impl State {
    fn quality(&self, from: IpAddr, to: IpAddr) -> Quality {
        if from == to {
            return Quality {
                delay_us: 50,
                jitter_us: 0,
                loss_permille: 0,
                rate: 0,
            };
        }
        self.special
            .get(&(from, to))
            .copied()
            .unwrap_or(self.quality)
    }

    fn window_bytes(&self, wire: u64) -> usize {
        let narrow = self.wires.get(&wire).is_some_and(|wire| {
            let mut ends = wire.ends.iter();
            ends.any(|end| self.narrow.contains(&end.address.ip()))
        });
        if narrow { NARROW_BYTES } else { WINDOW_BYTES }
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn free_port(&mut self, machine: IpAddr) -> SocketAddr {
        loop {
            let next = self.ports_used.entry(machine).or_insert(20_000);
            *next = next.checked_add(1).unwrap_or(20_000);
            let address = SocketAddr::new(machine, *next);
            if !self.ports.contains_key(&address) {
                return address;
            }
        }
    }

    /// Sends `parcel` to the end `to` of a wire at `now_us`.
    fn send(&mut self, now_us: u64, wire: u64, to: usize, parcel: Parcel) {
        let Some((from_ip, to_ip)) = self
            .wires
            .get(&wire)
            .map(|it| (it.ends[1 - to].address.ip(), it.ends[to].address.ip()))
        else {
            return;
        };
        if self.dark.contains(&from_ip) {
            return;
        }
        let mut now_us = now_us.max(self.now_us);
        let rate = self.quality(from_ip, to_ip).rate;
        if let Parcel::Data { bytes, .. } = &parcel
            && rate > 0
            && let Some(it) = self.wires.get_mut(&wire)
        {
            let end = &mut it.ends[1 - to];
            now_us = now_us.max(end.line_free_us) + bytes.len() as u64 * 1_000_000 / rate;
            end.line_free_us = now_us;
        }
        self.launch(now_us, from_ip, to_ip, Flight { wire, to, parcel });
    }

    fn launch(&mut self, now_us: u64, from: IpAddr, to: IpAddr, flight: Flight) {
        let quality = self.quality(from, to);
        let mut delay_us = quality.delay_us;
        if quality.jitter_us > 0 {
            delay_us += self.seed.within(0, quality.jitter_us);
        }
        let mut resend_us = match flight.parcel {
            Parcel::Syn | Parcel::SynAck => RESEND_SYN_US,
            Parcel::Refused | Parcel::Data { .. } | Parcel::Ack { .. } | Parcel::Reset => RESEND_US,
        };
        // A lost acknowledgement is made up for by the next one.
        let may_be_lost = !matches!(flight.parcel, Parcel::Ack { .. });
        while may_be_lost && quality.loss_permille > 0 && self.seed.chance(quality.loss_permille) {
            delay_us += resend_us;
            resend_us *= 2;
        }
        let number = self.next_number();
        self.flights.insert((now_us + delay_us, number), flight);
    }

    fn arrive(&mut self, at_us: u64, flight: Flight, wakers: &mut Vec<Waker>) {
        let Some(wire) = self.wires.get_mut(&flight.wire) else {
            return;
        };
        let (from, to) = (
            wire.ends[1 - flight.to].address.ip(),
            wire.ends[flight.to].address.ip(),
        );
        if self.dark.contains(&to) {
            return;
        }
        if self.cuts.contains(&(from, to)) {
            self.held.entry((from, to)).or_default().push_back(flight);
            return;
        }
        let end = &mut wire.ends[flight.to];
        match flight.parcel {
            Parcel::Syn => {
                let address = end.address;
                let answer = match self.ports.get_mut(&address) {
                    Some(port) => {
                        wire.phase = Phase::Open;
                        port.queue.push_back(flight.wire);
                        wakers.append(&mut port.wakers);
                        Parcel::SynAck
                    }
                    None => Parcel::Refused,
                };
                self.send(at_us, flight.wire, 0, answer);
            }
            Parcel::SynAck => {
                end.connected = true;
                wakers.append(&mut end.write_wakers);
            }
            Parcel::Refused => end.break_off(io::ErrorKind::ConnectionRefused, wakers),
            Parcel::Data { .. } if !end.held => {
                self.send(at_us, flight.wire, 1 - flight.to, Parcel::Reset);
            }
            Parcel::Data { number, bytes } => end.receive(number, bytes, wakers),
            Parcel::Ack { bytes } => {
                end.unacknowledged = end.unacknowledged.saturating_sub(bytes);
                wakers.append(&mut end.write_wakers);
            }
            Parcel::Reset => end.break_off(io::ErrorKind::ConnectionReset, wakers),
        }
    }

    /// The holder of an end has let go of it.
    fn close(&mut self, now_us: u64, wire: u64, side: usize) {
        let Some(it) = self.wires.get_mut(&wire) else {
            return;
        };
        if it.phase == Phase::Asked {
            self.wires.remove(&wire);
            return;
        }
        let end = &mut it.ends[side];
        end.held = false;
        let unread = end.reset_on_close || !end.inbox.is_empty();
        end.inbox.clear();
        let over = end.broken.is_some();
        if !it.ends[1 - side].held {
            self.wires.remove(&wire);
            return;
        }
        if over {
            return;
        }
        if unread {
            self.send(now_us, wire, 1 - side, Parcel::Reset);
        } else {
            self.finish(now_us, wire, side);
        }
    }

    /// Ends the direction from `side`.
    fn finish(&mut self, now_us: u64, wire: u64, side: usize) {
        if let Some(it) = self.wires.get_mut(&wire)
            && !std::mem::replace(&mut it.ends[side].finished, true)
        {
            let number = it.ends[side].next_out;
            it.ends[side].next_out += 1;
            let end = Parcel::Data {
                number,
                bytes: Bytes::new(),
            };
            self.send(now_us, wire, 1 - side, end);
        }
    }
}
