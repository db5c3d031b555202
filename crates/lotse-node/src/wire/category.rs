//! Lists of codes on the wire and sets in core.

use lotse_core::category::{Categories, Category};

/// Returns the numbers of a set.
pub fn numbers(categories: Categories) -> Vec<i32> {
    categories.iter().map(Category::number).collect()
}

/// Returns the set of a list; none if a number is unknown or stands twice.
pub fn set(numbers: &[i32]) -> Option<Categories> {
    let set = numbers.iter().map(|&number| Category::from_number(number)).collect::<Option<Categories>>()?;
    (set.iter().count() == numbers.len()).then_some(set)
}
