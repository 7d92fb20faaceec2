//! Explains refusals by AWS, with hints that tell the user how to continue.

use crate::{
    attach::layer_list::MAX_LAYERS,
    aws::{
        error::{CallError, CallErrorKind},
        functions::Function,
        partition::RegionName,
        regions,
    },
    commands::attach::name::FunctionName,
    failure::{Code, Failure},
};
use std::time::Duration;

/// The error code of AWS for an update that is based on an old revision of the function.
const STALE_REVISION: &str = "PreconditionFailedException";
/// AWS's codes for a layer whose signature the function's code signing configuration does not take.
const SIGNATURE: [&str; 2] = ["CodeVerificationFailedException", "InvalidCodeSignatureException"];

/// Whether the update failed because the function was changed after it was read.
pub(crate) fn is_stale(error: &CallError) -> bool {
    error.code.as_deref() == Some(STALE_REVISION)
}

/// Whether something else is being done to the function, which will be over. (Every other conflict of an update has
/// that meaning, too: there is nothing that could exist already.)
pub(crate) fn is_busy(error: &CallError) -> bool {
    matches!(error.kind, CallErrorKind::Busy | CallErrorKind::Conflict)
        && !is_stale(error)
        && !is_deleting(error)
}

fn is_deleting(error: &CallError) -> bool {
    error.kind == CallErrorKind::Conflict && error.to_string().contains("Deleting")
}

/// The failure for a function that could not be read.
pub(crate) fn cannot_read(
    error: CallError,
    name: &FunctionName,
    region: &RegionName,
    account: &str,
) -> Failure {
    let name = name.as_str();
    let known: Vec<_> = region.partition().regions().collect();
    if !known.contains(region)
        && let Some(meant) = regions::nearest(region, &known)
    {
        return Failure::new(error).hint(format!("is {region} spelt right: did you mean {meant}?"));
    }
    match error.kind {
        CallErrorKind::Throttled => throttled(error),
        CallErrorKind::NotFound => {
            let text = format!("there is no function {name} in {region} for the account {account}");
            Failure::message(Code::Failed, text).hint(format!(
                "look for it with `aws lambda list-functions --region {region}`, or name another region with --regions"
            ))
        }
        CallErrorKind::Denied => Failure::new(error).hint(format!(
            "reading it needs lambda:GetFunctionConfiguration on the function {name}; nothing was changed"
        )),
        CallErrorKind::Credentials => Failure::new(error).hint(format!(
            "is the region {region} enabled in this account? --regions names another one. Temporary credentials of\n\
             the global STS endpoint work only in regions that are enabled by default"
        )),
        _ => Failure::new(error).hint("nothing was changed; run it again"),
    }
}

/// The failure for an update that AWS refused.
pub(crate) fn refused(error: CallError, function: &Function, layers: &[String]) -> Failure {
    let text = error.to_string();
    if error.kind == CallErrorKind::Throttled {
        return throttled(error);
    }
    if error.kind == CallErrorKind::Denied {
        let next = if text.contains("GetLayerVersion") {
            "the layer is not for this account, or does not exist (AWS does not say which): `publisher verify` reads\n\
             it back with the owner's credentials; these need lambda:GetLayerVersion on it. Nothing was changed"
                .to_owned()
        } else {
            format!("it needs lambda:UpdateFunctionConfiguration on {}; nothing was changed", function.arn)
        };
        return Failure::new(error).hint(next);
    }
    let size = ["262144000", "maximum allowed size", "Unzipped size", "available size"];
    if size.iter().any(|words| text.contains(words)) {
        return Failure::new(error).hint(too_large(function, layers));
    }
    if is_deleting(&error) {
        return deleting(&function.arn);
    }
    if SIGNATURE.iter().any(|code| error.code.as_deref() == Some(code)) {
        return Failure::new(error).hint(format!(
            "{} has a code signing configuration, which accepts only layers that one of its own profiles has\n\
             signed, and none of them has signed this layer. Sign its zip (`aws signer start-signing-job`) and\n\
             publish that in your account, or let the configuration warn instead of enforce. Nothing was changed",
            function.arn
        ));
    }
    if error.kind == CallErrorKind::Ambiguous || error.kind == CallErrorKind::Unsent {
        return Failure::new(error).hint("run it again: it first checks whether the change was made");
    }
    Failure::new(error).hint("nothing was changed")
}

/// The failure for a call that AWS still throttled after all repetitions.
fn throttled(error: CallError) -> Failure {
    let text = Failure::new(error).text().to_owned();
    Failure::message(Code::Incomplete, text).hint(
        "other callers use up the requests that AWS allows here; nothing was changed; run it again later",
    )
}

/// The failure for a function that was changed after the run that is being undone.
pub(crate) fn changed_since(function: &Function, layers: &[String]) -> Failure {
    let has = if layers.is_empty() { "no layers".to_owned() } else { layers.join("\n  ") };
    let text = format!("{} was changed after that run, and stays as it is", function.arn);
    Failure::message(Code::Failed, text)
        .hint(format!("put it right by hand; nothing was changed; it has, besides its variables:\n  {has}"))
}

/// The failure for a function that would have more layers than Lambda allows.
pub(crate) fn too_many(function: &Function) -> Failure {
    let present: Vec<&str> = function.layers.iter().map(|layer| layer.arn.as_str()).collect();
    let text = format!(
        "a function can have {MAX_LAYERS} layers, and {} has {} already",
        function.arn,
        present.len()
    );
    Failure::message(Code::Failed, text)
        .hint(format!("remove or merge one of them first; nothing was changed:\n  {}", present.join("\n  ")))
}

/// The hint for a function that is too large. Lambda allows 250 MB for the unpacked code and layers together.
fn too_large(function: &Function, layers: &[String]) -> String {
    let mut sizes: Vec<(i64, &str)> = function
        .layers
        .iter()
        .filter(|layer| layers.contains(&layer.arn))
        .map(|layer| (layer.size, layer.arn.as_str()))
        .collect();
    sizes.push((function.code_size, "the function's own code"));
    sizes.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let lines: Vec<String> = sizes.iter().map(|(size, what)| format!("  {size:>11}  {what}")).collect();
    format!(
        "a function's code and all its layers may have 250 MB (262144000 bytes) together, unpacked; nothing was\n\
         changed. These are the sizes of the present zips in bytes:\n{}",
        lines.join("\n")
    )
}

/// The failure for an update that Lambda accepted and then could not apply.
pub(crate) fn failed(function: &Function, reason: &str) -> Failure {
    let text = format!("the update did not take effect: {reason}");
    Failure::message(Code::Failed, text).hint(format!(
        "the function is unchanged; see `aws lambda get-function-configuration --function-name {}`",
        function.arn
    ))
}

/// A function on its way out.
pub(crate) fn deleting(function: &str) -> Failure {
    Failure::message(Code::Failed, format!("{function} is being deleted"))
        .hint("nothing was changed; if it is deployed again, run this again then")
}

/// The failure for an update that is still in progress after `wait`.
pub(crate) fn busy(function: &str, wait: Duration) -> Failure {
    let text = format!("{function} is still being updated after {} seconds", wait.as_secs());
    Failure::message(Code::Incomplete, text).hint("run it again later, or wait longer with --wait SECONDS")
}
