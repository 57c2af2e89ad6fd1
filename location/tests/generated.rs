//! The committed gRPC code and descriptors are what `proto/location.proto` says.
//!
//! `HEADWATER_REWRITE=1 cargo test -p headwater-location --test generated` writes them anew.

use std::path::Path;

use prost::Message;

#[test]
fn generated_code_and_descriptors_match_the_proto() {
    let root = Path::new(".");
    let made = std::env::temp_dir().join(format!("headwater-location-{}", std::process::id()));
    std::fs::create_dir_all(&made).unwrap();

    let descriptors = protox::compile(["location.proto"], [root.join("proto")]).unwrap();
    let mut encoded = descriptors.clone();
    // Positions and comments are for the code below; reflection does not need them.
    for file in &mut encoded.file {
        file.source_code_info = None;
    }
    std::fs::write(made.join("location.bin"), encoded.encode_to_vec()).unwrap();
    tonic_prost_build::configure()
        .out_dir(&made)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .unwrap();

    for name in ["headwater.location.v1.rs", "location.bin"] {
        let committed = root.join("src/generated").join(name);
        let made = std::fs::read(made.join(name)).unwrap();
        if std::env::var_os("HEADWATER_REWRITE").is_some() {
            std::fs::write(&committed, &made).unwrap();
        }
        assert!(
            std::fs::read(&committed).is_ok_and(|committed| committed == made),
            "{} is not what proto/location.proto gives; run with HEADWATER_REWRITE=1",
            committed.display()
        );
    }
    std::fs::remove_dir_all(&made).unwrap();
}
