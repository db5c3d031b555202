//! Generates everything in this crate from `proto/`: messages, clients, servers, proto JSON and the schema table.

mod shapes;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost::Message as _;
use prost_types::FileDescriptorSet;

type Failure = Box<dyn std::error::Error>;

/// Fields that carry whole documents: decoded as a view of the frame instead of a copy.
const UNCOPIED: [&str; 3] =
    [".lotse.exchange.v1.Batch.envelopes", ".lotse.exchange.v1.Receipt.items", ".lotse.exchange.v1.Seal.payload"];

fn main() -> Result<(), Failure> {
    // Cargo runs this in the crate's folder. A path that is compiled in would name the clone of whoever compiled it first, where
    // two clones share a target folder.
    let source = Path::new("../../proto");
    rerun_if_changed(&source.join("lotse"));
    let target = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let descriptors = protox::compile(proto_files(source)?, [source])?;
    let encoded = descriptors.encode_to_vec();
    fs::write(target.join("descriptors.bin"), &encoded)?;
    fs::write(target.join("shapes.rs"), shapes::table(&descriptors)?)?;
    generate_types(descriptors)?;
    generate_json(&encoded, &target)
}

#[expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn rerun_if_changed(folder: &Path) {
    println!("cargo:rerun-if-changed={}", folder.display());
}

/// Lists every `.proto` file below a folder, sorted, so that the output is the same everywhere.
fn proto_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Writes one `<package>.rs` per package with messages, enums, clients and servers.
fn generate_types(descriptors: FileDescriptorSet) -> io::Result<()> {
    let configured = tonic_prost_build::configure()
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_well_known_types(true)
        .codec_path("crate::codec::ProtoCodec");
    UNCOPIED.iter().fold(configured, |builder, field| builder.bytes(field)).compile_fds(descriptors)
}

/// Writes one `<package>.serde.rs` per package with canonical proto JSON.
///
/// prost calls a value `Self_` where the language forbids `Self`; pbjson-build 0.9 does not, so its text is corrected.
fn generate_json(encoded: &[u8], target: &Path) -> Result<(), Failure> {
    let mut builder = pbjson_build::Builder::new();
    for (package, text) in builder.register_descriptors(encoded)?.generate(&[".lotse"], |_| Ok(Vec::new()))? {
        let text = String::from_utf8(text)?.replace("::Self =>", "::Self_ =>").replace("::Self)", "::Self_)");
        fs::write(target.join(format!("{package}.serde.rs")), text)?;
    }
    Ok(())
}
