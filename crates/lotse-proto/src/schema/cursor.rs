//! Reads protobuf's wire format: tags, numbers and blocks of bytes.

use super::{Malformation, ScanError};

/// Wire types of proto3. Groups (3 and 4) are refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WireType {
    Varint,
    Fixed64,
    Length,
    Fixed32,
}

/// A position in the bytes of one message.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a field's number and wire type.
    pub(super) fn tag(&mut self) -> Result<(u32, WireType), ScanError> {
        let tag = u32::try_from(self.number()?).map_err(|_| malformed(Malformation::Tag))?;
        let wire_type = match tag & 0b111 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Length,
            5 => WireType::Fixed32,
            _ => return Err(malformed(Malformation::Tag)),
        };
        match tag >> 3 {
            0 => Err(malformed(Malformation::Tag)),
            number => Ok((number, wire_type)),
        }
    }

    /// Reads a number of one to ten bytes, seven bits each, lowest first.
    pub(super) fn number(&mut self) -> Result<u64, ScanError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(malformed(Malformation::Truncated))?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed(Malformation::Number))
    }

    /// Reads a length and that many bytes.
    pub(super) fn block(&mut self) -> Result<&'a [u8], ScanError> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| malformed(Malformation::Truncated))?)
    }

    /// Reads that many bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ScanError> {
        let (block, rest) = self.rest.split_at_checked(length).ok_or(malformed(Malformation::Truncated))?;
        self.rest = rest;
        Ok(block)
    }
}

const fn malformed(malformation: Malformation) -> ScanError {
    ScanError::Malformed(malformation)
}
