// Starts the SDK before the function's module is loaded, so that it can trace the handler: as transactions, or as
// streamed spans.

import * as Sentry from "@sentry/aws-serverless";

Sentry.init({
  tracesSampleRate: Number(process.env.SAMPLE_RATE),
  traceLifecycle: process.env.LIFECYCLE,
});
