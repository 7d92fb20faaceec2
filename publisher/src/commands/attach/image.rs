//! Functions from container images cannot have layers. The build of the image has to copy the files of the layer.

use crate::{
    aws::functions::Function,
    failure::{Code, Failure},
    model::variant::LayerKind,
};

/// The failure for a function from a container image. Its hint says how to build the layer's files into the image.
pub(crate) fn refused(function: &Function, kind: LayerKind) -> Failure {
    let (relay, option) = if kind == LayerKind::Relay { ("-relay", " --relay") } else { ("", "") };
    let zip = format!("sentry-lambda-extension{relay}-{}.zip", function.arch);
    let text = format!("{} is a container image, and those take no layers", function.arn);
    Failure::message(Code::Failed, text).hint(format!(
        "put the layer's files into the image instead: push them as an image of their own, and copy them from there,\n\
         \x20 publisher image{option} --push REGISTRY/sentry-lambda-extension\n\
         which prints the line for the Dockerfile,\n\
         or take {zip} of the release (or of dist/), and in the Dockerfile\n\
         \x20 FROM alpine AS sentry-lambda-extension\n\
         \x20 RUN --mount=source={zip},target=/layer.zip unzip /layer.zip -d /opt\n\
         and, in the stage that becomes the function,\n\
         \x20 COPY --from=sentry-lambda-extension /opt/ /opt/\n\
         or, without a stage for it:\n\
         \x20 unzip {zip} -d sentry-lambda-extension      (in a shell, beside the Dockerfile)\n\
         \x20 COPY sentry-lambda-extension/ /opt/"
    ))
}
