//! lotse-proto
