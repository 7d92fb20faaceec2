//! Snippet for functions from container images, which take no layers: a Dockerfile that copies the files of the layer
//! from the image that `publisher image` makes.

use crate::{
    model::variant::LayerKind,
    oci::image,
    snippets::{ArnTable, Settings, setting_lines},
};

pub(crate) fn render(table: &ArnTable, settings: &Settings) -> String {
    let option = match table.kind {
        LayerKind::Plain => "",
        LayerKind::Relay => " --relay",
    };
    // The tag is that of the release. AWS does not say which release its newest versions are of.
    let tag = match &table.version {
        Some(version) => image::tag(version, table.kind),
        None => "VERSION".to_owned(),
    };
    let variables = setting_lines(settings, "ENV ", "=", "");
    format!(
        r#"# {}, by `publisher arn --format dockerfile`.
# A container image takes no layers. `publisher image{option} --push REGISTRY/sentry-lambda-extension` makes this image.
FROM REGISTRY/sentry-lambda-extension:{tag} AS sentry-lambda-extension

FROM public.ecr.aws/lambda/python:3.13
COPY --from=sentry-lambda-extension /opt/ /opt/
COPY index.py ./
{variables}ENTRYPOINT ["/opt/sentry-exec-wrapper", "/lambda-entrypoint.sh"]
CMD ["index.handler"]
"#,
        table.plain_title()
    )
}
