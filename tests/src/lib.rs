//! What the stories need besides the node itself.

pub mod canary;
pub mod client;
pub mod collector;
pub mod comment;
pub mod csv_columns;
pub mod dice;
pub mod document;
pub mod federation;
pub mod generated_file;
pub mod history;
pub mod json_schema;
pub mod planted;
pub mod process;
pub mod processes;
pub mod records;
pub mod setting;
pub mod trap;
