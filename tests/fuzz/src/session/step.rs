//! The steps of a script, and how they are read from bytes: one byte for the step, then its values.

use std::time::Duration;

use crate::input::Input;

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The bytes so far are a piece of their own.
    Flush,
    Pass(Duration),
    View,
    Connect {
        app: u8,
        url: u8,
        extra: u8,
    },
    CreateStream,
    Publish {
        stream: u8,
        name: u8,
    },
    Play {
        stream: u8,
        name: u8,
    },
    /// A command of few values: which one, and a number that it names.
    Simple {
        command: u8,
        stream: u8,
    },
    Media {
        kind: u8,
        time: u8,
        payload: u8,
        bytes: u8,
    },
    /// Two messages whose chunks interleave.
    Interleaved {
        first: u8,
        second: u8,
        bytes: u16,
    },
    Aggregate {
        parts: u8,
        time: u8,
    },
    /// Types 1 to 6 with a value.
    Control {
        type_id: u8,
        value: u32,
    },
    /// A message of any type with any body.
    Message {
        type_id: u8,
        chunk_stream: u8,
        time: u32,
        body: Vec<u8>,
    },
    Raw(Vec<u8>),
    /// The same message again and again.
    Repeat {
        kind: u8,
        bytes: u8,
        times: u8,
    },
}

impl Step {
    pub(super) fn read(input: &mut Input<'_>) -> Step {
        match input.u8() % 15 {
            0 => Step::Flush,
            1 => Step::Pass(Duration::from_millis(match input.u8() {
                quick @ 0..0xF0 => quick.into(),
                slow => u64::from(slow - 0xEF) * 1_000,
            })),
            2 => Step::View,
            3 => Step::Connect {
                app: input.u8(),
                url: input.u8(),
                extra: input.u8(),
            },
            4 => Step::CreateStream,
            5 => Step::Publish {
                stream: input.u8(),
                name: input.u8(),
            },
            6 => Step::Play {
                stream: input.u8(),
                name: input.u8(),
            },
            7 => Step::Simple {
                command: input.u8(),
                stream: input.u8(),
            },
            8 => Step::Media {
                kind: input.u8(),
                time: input.u8(),
                payload: input.u8(),
                bytes: input.u8(),
            },
            9 => Step::Interleaved {
                first: input.u8(),
                second: input.u8(),
                bytes: input.u16(),
            },
            10 => Step::Aggregate {
                parts: input.u8(),
                time: input.u8(),
            },
            11 => Step::Control {
                type_id: input.u8(),
                value: input.u32(),
            },
            12 => Step::Message {
                type_id: input.u8(),
                chunk_stream: input.u8(),
                time: input.u32(),
                body: input.short().to_vec(),
            },
            13 => Step::Raw(input.short().to_vec()),
            _ => Step::Repeat {
                kind: input.u8(),
                bytes: input.u8(),
                times: input.u8(),
            },
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Step::Flush => out.push(0),
            Step::Pass(time) => {
                let ms = u8::try_from(time.as_millis()).unwrap_or(0);
                let seconds = u8::try_from(time.as_secs()).unwrap_or(0);
                out.extend([
                    1,
                    if time.as_millis() < 0xF0 {
                        ms
                    } else {
                        0xEF + seconds
                    },
                ]);
            }
            Step::View => out.push(2),
            Step::Connect { app, url, extra } => out.extend([3, *app, *url, *extra]),
            Step::CreateStream => out.push(4),
            Step::Publish { stream, name } => out.extend([5, *stream, *name]),
            Step::Play { stream, name } => out.extend([6, *stream, *name]),
            Step::Simple { command, stream } => out.extend([7, *command, *stream]),
            Step::Media {
                kind,
                time,
                payload,
                bytes,
            } => out.extend([8, *kind, *time, *payload, *bytes]),
            Step::Interleaved {
                first,
                second,
                bytes,
            } => {
                out.extend([9, *first, *second]);
                out.extend(bytes.to_le_bytes());
            }
            Step::Aggregate { parts, time } => out.extend([10, *parts, *time]),
            Step::Control { type_id, value } => {
                out.extend([11, *type_id]);
                out.extend(value.to_le_bytes());
            }
            Step::Message {
                type_id,
                chunk_stream,
                time,
                body,
            } => {
                out.extend([12, *type_id, *chunk_stream]);
                out.extend(time.to_le_bytes());
                out.push(u8::try_from(body.len()).expect("a short body"));
                out.extend(body);
            }
            Step::Raw(bytes) => {
                out.extend([13, u8::try_from(bytes.len()).expect("few bytes")]);
                out.extend(bytes);
            }
            Step::Repeat { kind, bytes, times } => out.extend([14, *kind, *bytes, *times]),
        }
    }
}

/// Scripts of usual and unusual publishers.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let script = |cut: u8, steps: &[Step]| {
        let mut bytes = vec![cut];
        steps.iter().for_each(|step| step.write(&mut bytes));
        bytes
    };
    let simple = |command| Step::Simple { command, stream: 1 };
    let media = |kind, time, payload| Step::Media {
        kind,
        time,
        payload,
        bytes: 40,
    };
    let begin = [
        Step::Connect {
            app: 0,
            url: 0,
            extra: 7,
        },
        Step::Control {
            type_id: 1,
            value: 4_096,
        },
        simple(0),
        simple(1),
        Step::CreateStream,
        Step::Publish { stream: 1, name: 0 },
    ];
    let picture = [
        media(2, 0, 0),
        media(1, 0, 0),
        media(0, 0, 0),
        media(1, 0, 1),
        media(0, 10, 1),
        media(1, 30, 2),
        Step::View,
        Step::Pass(Duration::from_millis(40)),
        media(0, 13, 1),
        media(1, 3, 2),
    ];
    let end = [simple(2), simple(3), Step::Pass(Duration::from_secs(9))];
    let again = [Step::CreateStream, Step::Publish { stream: 1, name: 1 }];
    let whole = [&begin[..], &picture, &end].concat();
    vec![
        script(1, &whole),
        script(0x1F, &whole),
        script(0, &[&whole[..], &again, &picture].concat()),
        script(
            2,
            &[&begin[..], &[simple(3)], &again, &picture, &[Step::View]].concat(),
        ),
        script(
            3,
            &[
                &begin[..5],
                &[Step::Publish { stream: 1, name: 9 }],
                &picture,
            ]
            .concat(),
        ),
        script(
            4,
            &[
                &begin[..],
                &[
                    Step::Interleaved {
                        first: 8,
                        second: 9,
                        bytes: 700,
                    },
                    Step::Aggregate { parts: 5, time: 20 },
                    Step::Repeat {
                        kind: 0,
                        bytes: 1,
                        times: 200,
                    },
                    Step::View,
                ],
            ]
            .concat(),
        ),
        script(
            5,
            &[
                &begin[..5],
                &[Step::Play { stream: 1, name: 0 }, simple(8), simple(3)],
            ]
            .concat(),
        ),
        script(
            6,
            &[
                &begin[..],
                &[
                    Step::Message {
                        type_id: 15,
                        chunk_stream: 4,
                        time: 0xFFFF_FFF0,
                        body: b"\0\x02\0\x0AonMetaData\x05".to_vec(),
                    },
                    Step::Message {
                        type_id: 9,
                        chunk_stream: 6,
                        time: 5,
                        body: b"\x91hvc1\0\0\0\x01".to_vec(),
                    },
                    Step::Raw(vec![0xC3]),
                    Step::Pass(Duration::from_secs(16)),
                    Step::Pass(Duration::from_secs(16)),
                ],
            ]
            .concat(),
        ),
        script(7, &(0..14).map(simple).collect::<Vec<_>>()),
        script(
            8,
            &[&begin[..1], &(0..14).map(simple).collect::<Vec<_>>()].concat(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written() {
        for seed in seeds() {
            let mut input = Input::new(&seed[1..]);
            let mut written = vec![seed[0]];
            while !input.is_empty() {
                Step::read(&mut input).write(&mut written);
            }
            assert_eq!(written, seed);
        }
    }
}
