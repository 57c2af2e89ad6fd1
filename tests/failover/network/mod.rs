//! Networks that fail between processes: each process has a network namespace of its own, and what passes between two of
//! them goes through a router that drops or slows it.
//!
//! The tests run in the router, so that publishers, viewers and admin ports are reached on ways that nothing disturbs.

mod router;
mod rows;

use std::process::Command;

/// Makes a network that goes with its last process, and runs the test `inner` in it.
fn in_a_network_of_its_own(inner: &str) {
    use std::io::Write as _;
    let script = "mount -t tmpfs run /run && mkdir /run/netns && ip link set lo up && \
        exec \"$0\" --ignored --exact \"$1\" --nocapture --test-threads=1";
    let test = std::env::current_exe().unwrap();
    let unshared = |command: &[&str]| {
        let mut run = Command::new("unshare");
        run.args(["--net", "--mount", "--"]).args(command);
        run
    };
    let can = "nft list tables && tc qdisc show && ip netns list";
    let allowed = unshared(&["sh", "-c", can]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        let skipped = "skipped: network namespaces need root, and the tools ip, tc and nft";
        writeln!(std::io::stdout(), "{inner}: {skipped}").unwrap();
        return;
    }
    let output = unshared(&["sh", "-c", script])
        .arg(test)
        .arg(inner)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for line in said.lines() {
        let figures = line.find("| ").map(|at| &line[at..]);
        let figures = figures.or_else(|| line.contains("false moves").then_some(line));
        if let Some(figures) = figures {
            writeln!(std::io::stdout(), "{figures}").unwrap();
        }
    }
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A row: the test that others run, and the one that runs it in its network.
macro_rules! rows {
    ($($name:ident => $inner:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                in_a_network_of_its_own(concat!("network::", stringify!($inner)));
            }

            #[tokio::test]
            #[ignore = "runs in a network of its own"]
            async fn $inner() {
                rows::$inner().await;
            }
        )+
    };
}

rows! {
    a_link_to_the_home_that_is_cut_costs_viewers_no_tag => cut_links,
    a_link_between_ingress_and_home_that_is_cut_costs_viewers_no_tag => cut_home_from_ingress,
    a_slow_home_is_left_for_a_source_that_has_the_rate => slow_home,
    losing_one_packet_in_twenty_costs_viewers_no_tag => lossy_links,
}
