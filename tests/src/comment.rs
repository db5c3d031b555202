//! What `proto/` says about an element, found through the descriptors.

use prost_reflect::FileDescriptor;

/// Returns the comment before the element with this descriptor path: paragraphs separated by an empty line, each of them
/// one line.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
    let mut found = locations.filter(|place| place.path == path);
    let lines: Vec<_> = found.next().map_or("", |place| place.leading_comments()).lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    paragraphs.map(|lines| lines.join(" ")).collect::<Vec<_>>().join("\n\n")
}
