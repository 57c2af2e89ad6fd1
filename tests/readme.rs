//! The README's recipes, run as they are written; only HOST and the ports are those of the test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;
use std::process::Stdio;

use headwater_rig::tool::{Folder, command, finish, probe, start};
use headwater_rig::up::Up;
use headwater_rig::{SOON, readme};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

async fn up(settings: &[&str]) -> Up {
    Up::start(Path::new(env!("CARGO_BIN_EXE_headwater")), settings)
        .await
        .unwrap()
}

/// `recipe` with the addresses of `up`, in `folder`.
fn here(recipe: &str, up: &Up, folder: &Folder) -> Command {
    let recipe = recipe
        .replace("HOST:8080", &up.http)
        .replace("HOST:1936", &up.play_rtmp)
        .replace("rtmp://HOST/", &format!("rtmp://{}/", up.rtmp));
    assert!(!recipe.contains("HOST"), "{recipe}");
    // In place of the shell, so that it is the recipe that ends with the test.
    let mut command = command("sh", &["-c", &format!("exec {recipe}")]);
    command.current_dir(folder.file("."));
    command
}

/// The README's way to push without a camera or a film.
fn test_picture() -> String {
    let recipes = readme::commands("ffmpeg");
    recipes
        .into_iter()
        .find(|recipe| recipe.contains("testsrc2"))
        .unwrap()
}

#[tokio::test]
async fn each_push_recipe_pushes() {
    let folder = Folder::new("push").unwrap();
    let film = "-v error -y -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine -t 60 \
                -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac";
    let file = folder.file("film.mp4");
    let words = film.split_whitespace().chain([file.to_str().unwrap()]);
    finish(start(command("ffmpeg", &words.collect::<Vec<_>>())).unwrap())
        .await
        .unwrap();
    let recipes = [
        readme::commands("ffmpeg"),
        readme::commands("gst-launch-1.0"),
    ]
    .concat();
    assert_eq!(recipes.len(), 3, "{recipes:?}");
    for recipe in recipes {
        let up = up(&[]).await;
        let mut command = here(&recipe, &up, &folder);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let _publisher = start(command).unwrap();
        let mut codecs = probe(&format!("http://{}/live/room.flv?wait=20", up.http))
            .await
            .unwrap_or_else(|error| panic!("{recipe}: {error:#}"));
        // GStreamer repeats `onMetaData` in mid-stream, which FFmpeg takes for a stream of text.
        codecs.retain(|codec| codec != "text");
        assert_eq!(codecs, ["aac", "h264"], "{recipe}");
    }
}

/// Waits until `ffplay` has found a picture and sound.
async fn shows(player: &mut Child, recipe: &str) {
    let mut lines = BufReader::new(player.stderr.take().unwrap()).lines();
    let found = async {
        let mut wanted = vec!["Video: h264", "Audio: aac"];
        while !wanted.is_empty() {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("{recipe} ended without {wanted:?}"));
            wanted.retain(|what| !line.contains(what));
        }
    };
    tokio::time::timeout(SOON, found)
        .await
        .unwrap_or_else(|_| panic!("{recipe} shows nothing"));
}

#[tokio::test]
async fn each_play_recipe_plays() {
    let up = up(&[]).await;
    let folder = Folder::new("play").unwrap();
    let mut pushing = here(&test_picture(), &up, &folder);
    pushing.stdout(Stdio::null()).stderr(Stdio::null());
    let _publisher = start(pushing).unwrap();
    probe(&format!("http://{}/live/room.flv?wait=20", up.http))
        .await
        .unwrap();

    let recipes = readme::commands("ffplay");
    assert_eq!(recipes.len(), 2, "{recipes:?}");
    for recipe in recipes {
        let mut player = here(&recipe, &up, &folder);
        // Without a screen and loudspeakers.
        player.env("SDL_VIDEODRIVER", "dummy");
        player.env("SDL_AUDIODRIVER", "dummy");
        shows(&mut start(player).unwrap(), &recipe).await;
    }

    let [recipe] = &readme::commands("curl")[..] else {
        panic!("another curl");
    };
    let mut curl = start(here(recipe, &up, &folder)).unwrap();
    let file = folder.file("room.flv");
    let grown = async {
        while std::fs::metadata(&file).map_or(0, |it| it.len()) < 300_000 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, grown).await.unwrap();
    curl.kill().await.unwrap();
    assert_eq!(
        probe(file.to_str().unwrap()).await.unwrap(),
        ["aac", "h264"]
    );
}
