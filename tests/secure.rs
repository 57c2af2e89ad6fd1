//! TLS as users have it: real clients against one process, and a cluster whose roles show each other certificates.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use headwater_rig::audience::Audience;
use headwater_rig::authority::{Authority, Folder, Validity};
use headwater_rig::process::{Cluster, Process, Size};
use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::{http, port};
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_headwater");

struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One process with all roles, whose ports for people are in TLS, too.
struct Up {
    process: Process,
    rtmp: String,
    rtmps: String,
    http: String,
    https: String,
    authority: std::path::PathBuf,
    _files: Folder,
}

impl Up {
    async fn start(more: &[&str]) -> Up {
        let files = Folder::new().unwrap();
        let authority = Authority::new("test authority").unwrap();
        let pair = authority.issue("localhost", Validity::Now).unwrap();
        files.put(&pair).unwrap();
        let (rtmp, rtmps, http, https) = (
            port::address(),
            port::address(),
            port::address(),
            port::address(),
        );
        let mut words = vec![
            "up".to_owned(),
            format!("--origin-listen={rtmp}"),
            format!("--origin-rtmps-listen={rtmps}"),
            format!("--edge-http-listen={http}"),
            format!("--edge-https-listen={https}"),
            format!("--tls-certificate-file={}", files.path("tls.crt").display()),
            format!("--tls-key-file={}", files.path("tls.key").display()),
        ];
        for port in [
            "origin-internal-listen",
            "edge-rtmp-listen",
            "edge-internal-listen",
            "operator-listen",
        ] {
            words.push(format!("--{port}=127.0.0.1:0"));
        }
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let mut process = Process::start(Path::new(BINARY), &words).unwrap();
        process.ready().await.unwrap();
        Up {
            process,
            rtmp,
            rtmps,
            http,
            https,
            authority: files.write("ca.crt", &authority.pem()).unwrap(),
            _files: files,
        }
    }

    async fn shows(&self, name: &str, labels: &str) -> f64 {
        http::metric(&self.process.admin, name, labels)
            .await
            .unwrap_or(0.0)
    }

    /// Waits until a metric is at least `value`.
    async fn until(&self, name: &str, labels: &str, value: f64) {
        let reached = async {
            while self.shows(name, labels).await < value {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(headwater_rig::SOON, reached)
            .await
            .is_err()
        {
            panic!("{name}{{{labels}}}: {}", self.process.log());
        }
    }
}

/// A test picture with sound, pushed to `url` by FFmpeg.
fn push(url: &str) -> Kept {
    let words = "-v error -re -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine -c:v libx264 \
        -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac -t 120 -f flv";
    let encoder = Command::new("ffmpeg")
        .args(words.split_whitespace())
        .arg(url)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Kept(encoder)
}

fn ran(program: &str, words: &str) -> std::process::Output {
    Command::new(program)
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ffmpeg_pushes_over_rtmps_is_played_over_https_by_ffprobe_and_curl() {
    let up = Up::start(&[]).await;
    let (_, rtmps_port) = up.rtmps.rsplit_once(':').unwrap();
    let _encoder = push(&format!("rtmps://localhost:{rtmps_port}/live/room"));
    let said = ran(
        "ffprobe",
        &format!(
            "-v error -show_entries stream=codec_name -of csv=p=0 https://{}/live/room.flv?wait=20",
            up.https
        ),
    );
    let mut codecs: Vec<_> = std::str::from_utf8(&said.stdout)
        .unwrap()
        .split_whitespace()
        .collect();
    codecs.sort_unstable();
    let errors = String::from_utf8_lossy(&said.stderr);
    assert_eq!(codecs, ["aac", "h264"], "{errors}");
    up.until("headwater_process_connections", "port=\"rtmps\"", 1.0)
        .await;

    // curl checks the certificate against the authority; 28 is its end by `--max-time`.
    let (_, https_port) = up.https.rsplit_once(':').unwrap();
    for (version, number) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let said = ran(
            "curl",
            &format!(
                "-sS {version} --cacert {} --max-time 3 -o /dev/null -w %{{http_version}}:%{{size_download}} \
                 https://localhost:{https_port}/live/room.flv",
                up.authority.display()
            ),
        );
        let text = String::from_utf8_lossy(&said.stdout);
        let errors = String::from_utf8_lossy(&said.stderr);
        let (spoken, bytes) = text.split_once(':').unwrap();
        assert_eq!((said.status.code(), spoken), (Some(28), number), "{errors}");
        assert!(bytes.parse::<u64>().unwrap() > 10_000, "{text} {errors}");
    }
    let said = ran(
        "curl",
        &format!("-sS https://localhost:{https_port}/live/room.flv --max-time 3"),
    );
    assert_eq!(
        said.status.code(),
        Some(60),
        "an authority that curl trusts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_as_a_load_balancer_names_itself_to_the_edge() {
    let up = Up::start(&["--edge-proxy-protocol-from=[127.0.0.0/8]"]).await;
    let said = ran(
        "curl",
        &format!("-sS --haproxy-protocol --max-time 10 http://{}/", up.http),
    );
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(text.contains("Headwater edge"), "{text}");
    let said = ran("curl", &format!("-sS --max-time 10 http://{}/", up.http));
    assert!(!said.status.success(), "it is let in without a header");
    assert_eq!(
        up.shows(
            "headwater_process_refused_connections_total",
            "port=\"http\",reason=\"proxy_malformed\""
        )
        .await,
        1.0
    );
    assert!(!up.rtmp.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_does_not_start_with_an_expired_certificate() {
    let files = Folder::new().unwrap();
    let pair = Authority::new("test authority")
        .unwrap()
        .issue("live.example.com", Validity::Past)
        .unwrap();
    files.put(&pair).unwrap();
    let said = Command::new(BINARY)
        .args([
            "edge",
            "--edge-http-listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
        ])
        .arg(format!(
            "--tls-certificate-file={}",
            files.path("tls.crt").display()
        ))
        .arg(format!(
            "--tls-key-file={}",
            files.path("tls.key").display()
        ))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(2), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    for words in ["tls.crt", "CN=live.example.com", "expired at 2020-12-31"] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_in_tls_carry_a_stream_and_new_certificates_cost_no_tag() {
    let authority = Authority::new("test authority").unwrap();
    let files = Folder::new().unwrap();
    files.write("ca.crt", &authority.pem()).unwrap();
    files
        .put(&authority.issue("headwater", Validity::Now).unwrap())
        .unwrap();
    let file = |name: &str| files.path(name).display().to_string();
    let size = Size {
        origins: 2,
        edges: 1,
        settings: vec![
            format!("--internal-tls-certificate-file={}", file("tls.crt")),
            format!("--internal-tls-key-file={}", file("tls.key")),
            format!("--internal-tls-ca-file={}", file("ca.crt")),
            "--internal-tls-check-interval=100ms".to_owned(),
        ],
        ..Size::default()
    };
    let mut cluster = Cluster::start(Path::new(BINARY), &size).await.unwrap();
    // Elsewhere than at its home, so that a claim and a pull between origins are needed, too.
    let epoch = Instant::now();
    let mut apart = None;
    for session in 1..40 {
        let path = format!("live/room-{session}");
        let target = Target::parse(&format!("rtmp://{}/{path}", cluster.origins[0].rtmp)).unwrap();
        let made = Made {
            session,
            ..Made::default()
        };
        let mut publisher = Publisher::start(&target, made.tags(), epoch);
        publisher.started().await.unwrap();
        let (ingress, home) = cluster.placed(&format!("default/{path}")).await.unwrap();
        if ingress != home {
            apart = Some((path, publisher));
            break;
        }
    }
    let (path, _publisher) = apart.unwrap();
    let url = format!("http://{}/{path}.flv", cluster.edges[0].http);
    let mut audience = Audience::start(&[url], 3, epoch);
    audience.goes_on(50).await.unwrap();

    let before = expiry(&cluster.edges[0].process).await;
    assert!(before > 0.0);
    files
        .put(&authority.issue("headwater", Validity::Now).unwrap())
        .unwrap();
    let reloaded = async {
        for process in [
            &cluster.edges[0].process,
            &cluster.origins[0].process,
            &cluster.origins[1].process,
        ] {
            while !process.log().contains("certificate reloaded") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(headwater_rig::SOON, reloaded)
        .await
        .unwrap_or_else(|_| panic!("{}", cluster.edges[0].process.log()));
    audience.goes_on(100).await.unwrap();
    audience.figures(0).is_whole().unwrap();

    // The internal port lets nobody in who shows nothing.
    let plain = http::get(
        &cluster.origins[0].internal,
        "/internal/v1/default/live/room",
    )
    .await;
    assert!(plain.is_err(), "{plain:?}");
    cluster.edges[0].process.kill();
}

async fn expiry(process: &Process) -> f64 {
    let name = "headwater_process_certificate_expires_timestamp_seconds";
    http::metric(&process.admin, name, "use=\"internal\"")
        .await
        .unwrap_or(0.0)
}
