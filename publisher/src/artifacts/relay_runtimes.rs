//! Chooses the compatible runtimes that a layer with Sentry's Relay declares.
//!
//! Lambda accepts at most 15 for a layer version and uses them to filter lists. A layer that runs on every runtime
//! declares none, as the plain layers do. Another layer must not claim a runtime on which it does not work: Sentry's
//! Relay would not start there, and data would leave unscrubbed.

use crate::model::lambda_runtime;

/// Lambda's limit for one layer version.
const MAX_RUNTIMES: usize = 15;

/// Returns the runtimes that Lambda is told for a layer that runs on `runs_on`. The list is empty if these are all of
/// Lambda's runtimes. Otherwise it has up to 15 of them: first `provided.*`, then the newest of every language, then
/// the second newest of every language, and so on.
pub(crate) fn compatible_runtimes(runs_on: &[String]) -> Vec<String> {
    select(&lambda_runtime::compatible(None), runs_on)
}

fn select(all: &[&str], runs_on: &[String]) -> Vec<String> {
    if all.iter().all(|runtime| runs_on.iter().any(|name| name == runtime)) {
        return Vec::new();
    }
    let mut candidates: Vec<&String> = runs_on.iter().collect();
    candidates.sort_unstable();
    candidates.dedup();
    let rank = |runtime: &str| {
        let (language, number) = language_and_version(runtime);
        let newer = |other: &&&String| {
            let (other_language, other_number) = language_and_version(other);
            other_language == language && other_number > number
        };
        (language != "provided", candidates.iter().filter(newer).count())
    };
    let mut ranked: Vec<_> = candidates.iter().map(|runtime| (rank(runtime), *runtime)).collect();
    ranked.sort_unstable();
    let best = ranked.into_iter().take(MAX_RUNTIMES);
    let mut selected: Vec<String> = best.map(|(_, runtime)| runtime.clone()).collect();
    selected.sort_unstable();
    selected
}

/// Splits a runtime into its language and version: `python3.14` gives `python` and 3, 14; `java8.al2` gives `java`
/// and 8.
fn language_and_version(runtime: &str) -> (&str, Vec<u32>) {
    let letters = runtime.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(runtime.len());
    let (language, version) = runtime.split_at(letters);
    // Without this prefix, `provided.al2` (2) counts as older than `provided.al2023` (2023).
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
    fn a_layer_declares_its_runtimes_unless_it_runs_on_all() {
        let all = lambda_runtime::compatible(None);
        assert_eq!(compatible_runtimes(&owned(&all)), [""; 0]);
        let some: Vec<&str> = all.iter().copied().take(3).collect();
        let mut sorted = owned(&some);
        sorted.sort_unstable();
        assert_eq!(compatible_runtimes(&owned(&some)), sorted);
        assert_eq!(compatible_runtimes(&[]), [""; 0], "a layer that runs nowhere is never built");
    }

    #[test]
    fn above_lambdas_limit_the_newest_runtimes_are_kept() {
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
        let selected = select(&["go9"], &owned(&runs_on));
        let left_out: Vec<&str> =
            runs_on.iter().copied().filter(|name| !selected.iter().any(|kept| kept == name)).collect();
        assert_eq!(left_out, ["nodejs18.x", "python3.9", "python3.10", "python3.11"]);
        assert_eq!(selected.len(), MAX_RUNTIMES);
        let mut reversed = runs_on;
        reversed.reverse();
        assert_eq!(select(&["go9"], &owned(&reversed)), selected, "the order of the input does not matter");
    }
}
