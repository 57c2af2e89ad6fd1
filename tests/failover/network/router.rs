//! The router: it stands between the processes, and what it does to their packets can be changed at any time.

use std::path::Path;
use std::process::Command;

use headwater_rig::process::{Cluster, Place, Size};

fn run(line: &str) {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The namespace of a process.
fn name(role: &str, number: usize) -> String {
    format!("{role}-{number}")
}

/// The address of a process.
fn host(role: &str, number: usize) -> String {
    let net = match role {
        "operator" => 10,
        "origin" => 20,
        _ => 30,
    };
    format!("10.9.{}.2", net + number)
}

/// Starts a cluster of which each process has a namespace behind this one.
pub(super) async fn cluster(size: &Size) -> Cluster {
    run("sysctl -qw net.ipv4.ip_forward=1");
    run("nft add table ip faults");
    run("nft 'add chain ip faults cross { type filter hook forward priority 0; }'");
    for (role, count) in [
        ("operator", size.operators),
        ("origin", size.origins),
        ("edge", size.edges),
    ] {
        for number in 0..count {
            let (name, host) = (name(role, number), host(role, number));
            let near = format!("{}.1", host.rsplit_once('.').unwrap().0);
            run(&format!("ip netns add {name}"));
            run(&format!(
                "ip link add r-{name} type veth peer name wan netns {name}"
            ));
            run(&format!(
                "ip addr add {near}/24 dev r-{name} && ip link set r-{name} up"
            ));
            run(&format!(
                "ip -n {name} link set lo up && ip -n {name} addr add {host}/24 dev wan && \
                 ip -n {name} link set wan up && ip -n {name} route add default via {near}"
            ));
        }
    }
    let place = |role: &str, number: usize| Place {
        before: ["ip", "netns", "exec", &name(role, number)]
            .map(str::to_owned)
            .to_vec(),
        host: Some(host(role, number)),
    };
    Cluster::start_at(Path::new(env!("CARGO_BIN_EXE_headwater")), size, place)
        .await
        .unwrap()
}

/// One end of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct End(pub(super) &'static str, pub(super) usize);

/// Drops what goes from one end to the other.
pub(super) fn cut(from: End, to: End) {
    let (from, to) = (host(from.0, from.1), host(to.0, to.1));
    run(&format!(
        "nft add rule ip faults cross ip saddr {from} ip daddr {to} drop"
    ));
}

/// Drops `percent` of all that goes from one end to the other, at random.
pub(super) fn lose(percent: u32, from: End, to: End) {
    let (from, to) = (host(from.0, from.1), host(to.0, to.1));
    run(&format!(
        "nft add rule ip faults cross ip saddr {from} ip daddr {to} numgen random mod 100 '<' {percent} drop"
    ));
}

/// All links are whole again.
pub(super) fn heal() {
    run("nft flush chain ip faults cross");
}

/// What a process sends goes at `kbit` kilobits a second.
pub(super) fn slow(from: End, kbit: u32) {
    let name = name(from.0, from.1);
    run(&format!(
        "ip netns exec {name} tc qdisc replace dev wan root tbf rate {kbit}kbit burst 4kb latency 200ms"
    ));
}

/// It sends at full speed again.
pub(super) fn quicken(from: End) {
    run(&format!(
        "ip netns exec {} tc qdisc del dev wan root",
        name(from.0, from.1)
    ));
}
