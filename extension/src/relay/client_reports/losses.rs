//! The number of lost items by reason and category.

use crate::protocol::Category;

/// In the order in which they were lost first.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<(&'static str, Category, u64)>);

impl Losses {
    pub(super) fn add(&mut self, reason: &'static str, category: Category, quantity: u64) {
        match self.0.iter_mut().find(|known| (known.0, known.1) == (reason, category)) {
            Some((.., sum)) => *sum = sum.saturating_add(quantity),
            None => self.0.push((reason, category, quantity)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Category, u64)> {
        self.0.iter().copied()
    }
}
