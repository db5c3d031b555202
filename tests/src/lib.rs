//! What the stories need besides the node itself.

pub mod comment;
pub mod federation;
pub mod generated_file;
pub mod json_schema;
pub mod process;
pub mod records;
