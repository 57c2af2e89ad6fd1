//! A source that lies now and then: it stands before an honest one and hands on what that one says, until it is told
//! to spoil something.

use std::sync::Arc;

use parking::Parking;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What to spoil, once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    /// The connection ends in the middle of a tag.
    CutInTag,
    /// The answer ends in good order, in the middle of a tag.
    EndInTag,
    /// The size behind a tag is not the tag's.
    SizeBehind,
    /// The size before a tag is one too many.
    SizeBefore,
    /// A tag of 16 MiB - 1 begins and never comes.
    Huge,
    /// A tag of a type that there is not.
    Type,
    /// Noise in place of tags.
    Noise,
    /// Noise in place of HTTP's chunks.
    Chunks,
    /// The next answer changes this header, by this much.
    Head(&'static str, i64),
}

mod parking {
    use super::Lie;
    use std::sync::Mutex;

    /// A lie that waits for its moment.
    #[derive(Debug, Default)]
    pub(super) struct Parking(Mutex<Option<Lie>>);

    impl Parking {
        pub(super) fn put(&self, lie: Lie) {
            *self.0.lock().unwrap() = Some(lie);
        }

        pub(super) fn get(&self) -> Option<Lie> {
            *self.0.lock().unwrap()
        }

        pub(super) fn take(&self) -> Option<Lie> {
            self.0.lock().unwrap().take()
        }
    }
}

/// The source.
pub(crate) struct Liar {
    pub(crate) address: String,
    lie: Arc<Parking>,
}

impl Liar {
    pub(crate) async fn before(honest: &str) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lie = Arc::new(Parking::default());
        let (honest, told) = (honest.to_owned(), Arc::clone(&lie));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(pass(socket, honest.clone(), Arc::clone(&told)));
            }
        });
        Liar { address, lie }
    }

    /// Lies at the next occasion.
    pub(crate) fn tell(&self, lie: Lie) {
        self.lie.put(lie);
    }

    /// Whether it still has to.
    pub(crate) fn has_to(&self) -> bool {
        self.lie.get().is_some()
    }
}

async fn pass(near: TcpStream, honest: String, lie: Arc<Parking>) {
    let far = TcpStream::connect(honest).await.unwrap();
    let (mut asks, near) = near.into_split();
    let (far, mut asked) = far.into_split();
    let questions = tokio::spawn(async move { tokio::io::copy(&mut asks, &mut asked).await });
    // It ends when either end does.
    drop(answer(BufReader::new(far), near, &lie).await);
    questions.abort();
}

async fn answer(
    mut far: BufReader<OwnedReadHalf>,
    mut near: OwnedWriteHalf,
    lie: &Parking,
) -> std::io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if far.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    if let Some(Lie::Head(name, by)) = lie.get()
        && head.starts_with("HTTP/1.1 200")
    {
        lie.take();
        head = changed(&head, name, by);
    }
    near.write_all(head.as_bytes()).await?;
    loop {
        let mut size = String::new();
        if far.read_line(&mut size).await? == 0 {
            return Ok(());
        }
        let Ok(length) = usize::from_str_radix(size.trim_end(), 16) else {
            return Ok(());
        };
        let mut data = vec![0; length];
        far.read_exact(&mut data).await?;
        let mut end = String::new();
        far.read_line(&mut end).await?;
        // Tags of some length, so that what is spoilt is not a heartbeat.
        if length > 500 {
            match lie.get() {
                Some(Lie::Head(..)) => return Ok(()),
                Some(spoil) => {
                    lie.take();
                    return spoilt(spoil, data, &mut near).await;
                }
                None => {}
            }
        }
        near.write_all(size.as_bytes()).await?;
        near.write_all(&data).await?;
        near.write_all(end.as_bytes()).await?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn changed(head: &str, name: &str, by: i64) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((field, value)) if field.eq_ignore_ascii_case(name) => {
            let value: u64 = value.trim_end().parse().unwrap();
            format!("{field}: {}", value.saturating_add_signed(by))
        }
        _ => line.to_owned(),
    };
    let lines: Vec<String> = head.split("\r\n").map(line).collect();
    assert_ne!(lines.join("\r\n"), head, "no header {name} in {head}");
    lines.join("\r\n")
}

async fn spoilt(lie: Lie, mut data: Vec<u8>, near: &mut OwnedWriteHalf) -> std::io::Result<()> {
    let half = data.len() / 2;
    match lie {
        Lie::CutInTag => {
            near.write_all(format!("{:x}\r\n", data.len()).as_bytes())
                .await?;
            return near.write_all(&data[..half]).await;
        }
        Lie::EndInTag => {
            near.write_all(format!("{half:x}\r\n").as_bytes()).await?;
            near.write_all(&data[..half]).await?;
            return near.write_all(b"\r\n0\r\n\r\n").await;
        }
        Lie::Chunks => return near.write_all(b"zz\r\n\r\nnot a chunk\r\n").await,
        Lie::SizeBehind => *data.last_mut().unwrap() ^= 1,
        Lie::SizeBefore => data[3] ^= 1,
        Lie::Type => data[0] = 7,
        Lie::Huge => data = [&[9, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0][..], &data].concat(),
        Lie::Noise => data = crate::scene::noise(3, data.len()),
        Lie::Head(..) => {}
    }
    near.write_all(format!("{:x}\r\n", data.len()).as_bytes())
        .await?;
    near.write_all(&data).await?;
    near.write_all(b"\r\n").await?;
    // Whoever does not end such a pull by itself waits for ever, and its viewers with it.
    std::future::pending().await
}
