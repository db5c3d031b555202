//! What the stories need besides the node itself.

pub mod comment;
pub mod generated_file;
pub mod json_schema;
