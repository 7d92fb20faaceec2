// A function with the SDK as Sentry's Node layer has it. That one differs from the package in one word, by which it
// knows that it is in the layer, and then sends to the layer's own extension unless it is told otherwise.

import { register } from "node:module";

const hook = `export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (url.endsWith("/@sentry/core/build/esm/utils/env.js")) {
    const text = String(loaded.source);
    loaded.source = text.replace(/return ["']npm["']/, 'return "aws-lambda-layer"');
    if (loaded.source === text) throw new Error("the SDK says elsewhere where it comes from");
  }
  return loaded;
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const Sentry = await import("@sentry/aws-serverless");
Sentry.init();

export const handler = async ({ marker }) => {
  Sentry.captureException(new Error(marker));
  await Sentry.flush(2000);
  return { marker };
};
