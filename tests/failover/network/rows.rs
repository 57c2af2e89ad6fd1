//! What is done to links, and what is promised of it.

use std::io::Write as _;
use std::time::Duration;

use headwater_rig::audience::Figures;
use headwater_rig::http;
use headwater_rig::process::{Cluster, Size};
use tokio::time::Instant;

use super::router::{End, cluster, cut, heal, lose, quicken, slow};
use crate::stage::{Ingress, Stage, judge, runs};

pub(super) async fn cut_links() {
    let cluster = cluster(&Size::default()).await;
    for (row, there, back) in [
        ("home → edges cut", true, false),
        ("edges → home cut", false, true),
        ("home and edges cut both ways", true, true),
    ] {
        let mut figures = Figures::default();
        let before = moves(&cluster).await;
        for _ in 0..runs() {
            let mut stage = Stage::set(&cluster, Ingress::Apart).await;
            stage.fault();
            for edge in [End("edge", 0), End("edge", 1)] {
                let home = End("origin", stage.home);
                if there {
                    cut(home, edge);
                }
                if back {
                    cut(edge, home);
                }
            }
            stage.audience.goes_on(150).await.unwrap();
            heal();
            figures.merge(stage.seen_through().await);
            stage.publisher_noticed_nothing();
        }
        judge(row, &figures, Duration::from_secs(1));
        let moves = moves(&cluster).await - before;
        let least = 2.0 * f64::from(u32::try_from(runs()).unwrap());
        assert!(moves >= least, "both edges go to the ingress: {moves}");
    }
}

pub(super) async fn cut_home_from_ingress() {
    let cluster = cluster(&Size::default()).await;
    for (row, there, back) in [
        ("ingress → home cut", true, false),
        ("ingress and home cut both ways", true, true),
    ] {
        let mut figures = Figures::default();
        for _ in 0..runs() {
            let mut stage = Stage::set(&cluster, Ingress::Apart).await;
            let (ingress, home) = (End("origin", stage.ingress), End("origin", stage.home));
            stage.fault();
            if there {
                cut(ingress, home);
            }
            if back {
                cut(home, ingress);
            }
            stage.audience.goes_on(500).await.unwrap();
            heal();
            figures.merge(stage.seen_through().await);
            stage.publisher_noticed_nothing();
        }
        judge(row, &figures, Duration::from_secs(1));
    }
}

pub(super) async fn slow_home() {
    let cluster = cluster(&Size::default()).await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        stage.fault();
        // One edge takes about 470 kbit/s with all that is round the media; there are two.
        slow(End("origin", stage.home), 2 * 190);
        stage.audience.goes_on(500).await.unwrap();
        figures.merge(stage.audience.figures(stage.fault_us));
        quicken(End("origin", stage.home));
        stage.publisher_noticed_nothing();
    }
    judge(
        "home slowed to 0.4 of the rate",
        &figures,
        Duration::from_secs(2),
    );
}

pub(super) async fn lossy_links() {
    let cluster = cluster(&Size::default()).await;
    let mut figures = Figures::default();
    let began = Instant::now();
    let before = moves(&cluster).await;
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        stage.fault();
        let origins = [0, 1, 2].map(|number| End("origin", number));
        let edges = [0, 1].map(|number| End("edge", number));
        for origin in origins {
            for edge in edges {
                lose(5, origin, edge);
                lose(5, edge, origin);
            }
            for other in origins {
                lose(5, origin, other);
            }
        }
        stage.audience.goes_on(1_000).await.unwrap();
        heal();
        figures.merge(stage.seen_through().await);
        stage.publisher_noticed_nothing();
    }
    let moves = moves(&cluster).await - before;
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    judge(
        "5 % of packets lost on every link",
        &figures,
        Duration::from_secs(1),
    );
    let text = format!("{moves} false moves in {minutes:.1} minutes on two edges");
    writeln!(std::io::stdout(), "{text}").unwrap();
    assert!(moves <= 2.0 * minutes.ceil(), "{text}");
}

/// How often the edges went on with a stream from another source.
async fn moves(cluster: &Cluster) -> f64 {
    let mut moves = 0.0;
    for edge in &cluster.edges {
        moves += http::metric(&edge.process.admin, "headwater_edge_moves_total", "")
            .await
            .unwrap();
    }
    moves
}
