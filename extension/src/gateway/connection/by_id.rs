//! Things by the number that each gets when it is added. They are in one allocation, in the order of their numbers.
//! There are at most as many as connections.

/// Things by their numbers.
#[derive(Debug)]
pub(super) struct ById<T> {
    things: Vec<(u64, T)>,
    next: u64,
}

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self { things: Vec::new(), next: 0 }
    }
}

impl<T> ById<T> {
    /// Adds a thing, and returns its number.
    pub(super) fn add(&mut self, thing: T) -> u64 {
        let id = self.next;
        self.next += 1;
        self.things.push((id, thing));
        id
    }

    pub(super) fn get(&self, id: u64) -> Option<&T> {
        self.things.get(self.position(id)?).map(|(_, thing)| thing)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let at = self.position(id)?;
        self.things.get_mut(at).map(|(_, thing)| thing)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        Some(self.things.remove(self.position(id)?).1)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.things.iter().map(|(_, thing)| thing)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.things.iter_mut().map(|(_, thing)| thing)
    }

    pub(super) fn len(&self) -> usize {
        self.things.len()
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.things.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_found_until_it_is_removed() {
        let mut things = ById::default();
        let ids: Vec<u64> = "abcde".chars().map(|thing| things.add(thing)).collect();
        assert_eq!(ids.iter().filter_map(|id| things.get(*id)).collect::<String>(), "abcde");
        assert_eq!(
            (things.remove(ids[1]), things.remove(ids[1]), things.remove(99)),
            (Some('b'), None, None)
        );
        *things.get_mut(ids[3]).unwrap() = 'x';
        let new = things.add('f');
        assert!(!ids.contains(&new));
        assert_eq!((things.values().collect::<String>().as_str(), things.len()), ("acxef", 5));
        assert_eq!((things.get(ids[1]), things.get(new)), (None, Some(&'f')));
    }
}
