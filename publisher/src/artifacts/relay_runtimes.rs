//! Which runtimes a layer with Relay says that it is for.
//!
//! Lambda takes at most 15 with a version, and uses them to filter lists. A layer that runs everywhere names none, as
//! the plain ones do. One that does not must not claim what it cannot: Relay would not start there, and data would
//! leave unscrubbed.

use crate::model::lambda_runtime;

/// Lambda's limit.
const MOST: usize = 15;

/// What Lambda is told, of the runtimes that a layer runs on: nothing where these are all of Lambda's, else up to 15
/// of them: `provided.*` first, then the newest of every language, then the next of every language, and so on.
pub(crate) fn told(runs_on: &[String]) -> Vec<String> {
    told_of(&lambda_runtime::compatible(None), runs_on)
}

fn told_of(all: &[&str], runs_on: &[String]) -> Vec<String> {
    if all.iter().all(|runtime| runs_on.iter().any(|name| name == runtime)) {
        return Vec::new();
    }
    let mut told: Vec<&String> = runs_on.iter().collect();
    told.sort_unstable();
    told.dedup();
    let rank = |runtime: &str| {
        let (language, number) = parts(runtime);
        let newer = |other: &&&String| {
            let (its_language, its_number) = parts(other);
            its_language == language && its_number > number
        };
        (language != "provided", told.iter().filter(newer).count())
    };
    let mut ranked: Vec<_> = told.iter().map(|runtime| (rank(runtime), *runtime)).collect();
    ranked.sort_unstable();
    let mut told: Vec<String> = ranked.into_iter().take(MOST).map(|(_, runtime)| runtime.clone()).collect();
    told.sort_unstable();
    told
}

/// `python3.14` is `python`, 3 and 14; `java8.al2` is `java` and 8.
fn parts(runtime: &str) -> (&str, Vec<u32>) {
    let letters = runtime.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(runtime.len());
    let (language, version) = runtime.split_at(letters);
    // `provided.al2` is older than `provided.al2023`.
    let version = version.trim_start_matches(".al");
    (language, version.split('.').map_while(|number| number.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_layer_that_runs_everywhere_names_none_and_one_that_does_not_names_its_own() {
        let all = lambda_runtime::compatible(None);
        assert_eq!(told(&owned(&all)), [""; 0]);
        let newer: Vec<&str> = all.iter().copied().take(3).collect();
        let mut sorted = owned(&newer);
        sorted.sort_unstable();
        assert_eq!(told(&owned(&newer)), sorted);
        assert_eq!(told(&[]), [""; 0], "what runs nowhere is not built");
    }

    #[test]
    fn of_more_than_lambda_takes_the_newest_stay() {
        let runs_on = [
            "java11",
            "java17",
            "java21",
            "java25",
            "nodejs18.x",
            "nodejs20.x",
            "nodejs22.x",
            "nodejs24.x",
            "provided.al2",
            "provided.al2023",
            "python3.9",
            "python3.10",
            "python3.11",
            "python3.12",
            "python3.13",
            "python3.14",
            "ruby3.4",
            "dotnet10",
            "dotnet8",
        ];
        let told = told_of(&["go9"], &owned(&runs_on));
        let left: Vec<&str> =
            runs_on.iter().copied().filter(|name| !told.iter().any(|told| told == name)).collect();
        assert_eq!(left, ["nodejs18.x", "python3.9", "python3.10", "python3.11"]);
        assert_eq!(told.len(), MOST);
        let mut turned = runs_on;
        turned.reverse();
        assert_eq!(told_of(&["go9"], &owned(&turned)), told, "whatever the order");
    }
}
