//! The lines of a file, each of limited length.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::encoding::BYTE_ORDER_MARK;

/// The longest line in bytes: more than an envelope may hold, so longer ones could not be sent anyway.
pub(super) const MAX_LINE_BYTES: usize = 256 * 1024;

/// A line as it stands in the file, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Physical {
    /// Its bytes.
    Text(Vec<u8>),
    /// It is longer than [`MAX_LINE_BYTES`].
    TooLong,
}

/// The lines of a file with their numbers, from 1. Empty ones are left out.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    filled: u64,
    returned: VecDeque<(u64, Vec<u8>)>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Lines<R> {
        Lines { reader, number: 0, filled: 0, returned: VecDeque::new() }
    }

    /// Reads the next line that is not empty.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Physical)>> {
        loop {
            match self.next_or_empty()? {
                Some((_, Physical::Text(text))) if text.iter().all(u8::is_ascii_whitespace) => {}
                line => {
                    self.filled += u64::from(line.is_some());
                    return Ok(line);
                }
            }
        }
    }

    /// Returns how many lines that are not empty were read.
    pub(super) fn read_so_far(&self) -> u64 {
        self.filled
    }

    /// Reads the next line, also an empty one.
    pub(super) fn next_or_empty(&mut self) -> io::Result<Option<(u64, Physical)>> {
        if let Some((number, text)) = self.returned.pop_front() {
            return Ok(Some((number, Physical::Text(text))));
        }
        let Some(line) = self.read()? else { return Ok(None) };
        self.number += 1;
        Ok(Some((self.number, line)))
    }

    /// Takes back lines that turned out not to belong to the one before, in their order.
    pub(super) fn give_back(&mut self, lines: Vec<(u64, Vec<u8>)>) {
        lines.into_iter().rev().for_each(|line| self.returned.push_front(line));
    }

    /// Reads one line; what is beyond the limit is read and dropped.
    fn read(&mut self) -> io::Result<Option<Physical>> {
        let (mut text, mut any, mut too_long) = (Vec::new(), false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let taken = &buffer[..end.unwrap_or(buffer.len())];
            too_long |= text.len() + taken.len() > MAX_LINE_BYTES;
            if !too_long {
                text.extend_from_slice(taken);
            }
            let used = taken.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        Ok(Some(if too_long { Physical::TooLong } else { Physical::Text(text) }))
    }
}

/// Takes the byte order marks from the beginning of a line: files that were joined have them anywhere, and more than one.
pub(super) fn without_marks(mut text: Vec<u8>) -> Vec<u8> {
    let mut begin = 0;
    while text[begin..].starts_with(BYTE_ORDER_MARK) {
        begin += BYTE_ORDER_MARK.len();
    }
    text.drain(..begin);
    text
}
