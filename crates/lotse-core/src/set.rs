//! Small sets of a closed list's values, one bit each.

use std::fmt;
use std::marker::PhantomData;

/// A value of a closed list that can be put into a [`Set`].
pub trait Member: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];

    /// Returns the number on the wire, 1 to 31.
    fn bit(self) -> u32;

    /// Returns the name in agreements and messages.
    fn label(self) -> &'static str;
}

/// A set of values, stored as bit n for the value with number n.
pub struct Set<T>(u32, PhantomData<T>);

impl<T: Member> Set<T> {
    /// The empty set.
    pub const NONE: Set<T> = Set(0, PhantomData);

    /// Takes the number that [`Set::bits`] gave; bits without a value are dropped.
    pub fn from_bits(bits: i64) -> Set<T> {
        T::ALL.iter().copied().filter(|value| bits & (1 << value.bit()) != 0).collect()
    }

    /// Returns the set as a number for the database.
    pub const fn bits(self) -> i64 {
        self.0 as i64
    }

    /// Tells whether the value is in the set.
    pub fn contains(self, value: T) -> bool {
        self.0 & (1 << value.bit()) != 0
    }

    /// Tells whether all of `other` is in the set.
    pub const fn contains_all(self, other: Set<T>) -> bool {
        other.0 & !self.0 == 0
    }

    /// Tells whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns what is in both sets.
    pub const fn and(self, other: Set<T>) -> Set<T> {
        Set(self.0 & other.0, PhantomData)
    }

    /// Returns what is in either set.
    pub const fn or(self, other: Set<T>) -> Set<T> {
        Set(self.0 | other.0, PhantomData)
    }

    /// Returns what is in this set and not in the other.
    pub const fn without(self, other: Set<T>) -> Set<T> {
        Set(self.0 & !other.0, PhantomData)
    }

    /// Returns the values in the order of the wire.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::ALL.iter().copied().filter(move |&value| self.contains(value))
    }
}

impl<T> Clone for Set<T> {
    fn clone(&self) -> Set<T> {
        *self
    }
}

impl<T> Copy for Set<T> {}

impl<T> PartialEq for Set<T> {
    fn eq(&self, other: &Set<T>) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Set<T> {}

impl<T> Default for Set<T> {
    fn default() -> Set<T> {
        Set(0, PhantomData)
    }
}

impl<T: Member> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Set<T> {
        Set(values.into_iter().fold(0, |bits, value| bits | (1 << value.bit())), PhantomData)
    }
}

impl<T: Member> From<T> for Set<T> {
    fn from(value: T) -> Set<T> {
        Set(1 << value.bit(), PhantomData)
    }
}

impl<T: Member> fmt::Display for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Member::label).collect();
        f.write_str(&names.join(", "))
    }
}

impl<T: Member> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}
